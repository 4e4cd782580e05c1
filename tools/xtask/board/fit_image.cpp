#include "tools/xtask/board/fit_image.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <memory>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {
namespace {

/// Serialises a devicetree (Devicetree Specification v0.4, chapter 5): nodes and properties in the order given.
class FlatTree {
 public:
  void begin(std::string_view name) {
    cell(kBeginNode);
    text(name);
  }
  void end() { cell(kEndNode); }

  void bytes(std::string_view name, std::string_view value) {
    cell(kProperty);
    cell(static_cast<std::uint32_t>(value.size()));
    cell(name_offset(name));
    structure_.append(value);
    pad();
  }
  void string(std::string_view name, std::string_view value) { bytes(name, std::string(value) + '\0'); }
  void u32(std::string_view name, std::uint32_t value) { bytes(name, big_endian(value, 4)); }
  void u64(std::string_view name, std::uint64_t value) { bytes(name, big_endian(value, 8)); }

  std::string finish() {
    cell(kEnd);
    constexpr size_t kHeaderBytes = 40;
    constexpr size_t kReservations = 16;  // one entry of zeros: none
    const size_t structure_at = kHeaderBytes + kReservations;
    const size_t strings_at = structure_at + structure_.size();
    std::string blob;
    for (const size_t field : {size_t{0xd00dfeed}, strings_at + strings_.size(), structure_at, strings_at, kHeaderBytes, size_t{17},
                               size_t{16}, size_t{0}, strings_.size(), structure_.size()}) {
      blob += big_endian(field, 4);
    }
    return blob + std::string(kReservations, '\0') + structure_ + strings_;
  }

 private:
  static constexpr std::uint32_t kBeginNode = 1, kEndNode = 2, kProperty = 3, kEnd = 9;

  static std::string big_endian(std::uint64_t value, unsigned size) {
    std::string text;
    for (unsigned byte = size; byte-- > 0;) {
      text += static_cast<char>(value >> (8 * byte));
    }
    return text;
  }
  void cell(std::uint32_t value) { structure_ += big_endian(value, 4); }
  void text(std::string_view value) {
    structure_.append(value).push_back('\0');
    pad();
  }
  void pad() { structure_.resize((structure_.size() + 3) / 4 * 4, '\0'); }
  std::uint32_t name_offset(std::string_view name) {
    const auto [entry, added] = names_.try_emplace(std::string(name), static_cast<std::uint32_t>(strings_.size()));
    if (added) {
      strings_.append(name).push_back('\0');
    }
    return entry->second;
  }

  std::string structure_;
  std::string strings_;
  std::map<std::string, std::uint32_t> names_;
};

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

void add_hash(FlatTree& tree, std::string_view data) {
  tree.begin("hash-1");
  tree.string("algo", "sha256");
  tree.bytes("value", from_hex(sha256_hex(data)));
  tree.end();
}

void add_kernel(FlatTree& tree, const FitSettings& settings) {
  const std::string data = settings.compress ? gzip(settings.kernel) : settings.kernel;
  tree.begin("kernel");
  tree.string("description", "AxVisor");
  tree.bytes("data", data);
  tree.string("type", "kernel");
  tree.string("arch", settings.architecture);
  tree.string("os", "linux");  // how it is entered: with the boot protocol of Linux
  tree.string("compression", settings.compress ? "gzip" : "none");
  tree.u64("load", settings.load_address);
  tree.u64("entry", settings.entry);
  add_hash(tree, data);
  tree.end();
}

void add_device_tree(FlatTree& tree, const FitSettings& settings) {
  tree.begin("fdt");
  tree.string("description", "Device tree of the board");
  tree.bytes("data", settings.device_tree);
  tree.string("type", "flat_dt");
  tree.string("arch", settings.architecture);
  tree.string("compression", "none");
  if (settings.device_tree_address) {
    tree.u64("load", *settings.device_tree_address);
  }
  add_hash(tree, settings.device_tree);
  tree.end();
}

void add_configuration(FlatTree& tree, const FitSettings& settings) {
  const bool device_tree = !settings.device_tree.empty();
  tree.begin("configurations");
  tree.string("default", kFitConfiguration);
  tree.begin(kFitConfiguration);
  tree.string("description", "AxVisor");
  tree.string("kernel", "kernel");
  if (device_tree) {
    tree.string("fdt", "fdt");
  }
  if (!settings.key_name.empty()) {
    tree.begin("signature-1");
    tree.string("algo", "sha256,rsa2048");
    tree.string("key-name-hint", settings.key_name);
    tree.bytes("sign-images", device_tree ? std::string_view("kernel\0fdt\0", 11) : std::string_view("kernel\0", 7));
    tree.end();
  }
  tree.end();
  tree.end();
}

la_ssize_t append(archive*, void* sink, const void* data, size_t size) {
  static_cast<std::string*>(sink)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

std::uint32_t time_stamp() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  return epoch == nullptr ? 0 : static_cast<std::uint32_t>(std::strtoul(epoch, nullptr, 10));
}

}  // namespace

std::string gzip(std::string_view content) {
  std::string result;  // outlives the writer, which flushes into it at its end
  const std::unique_ptr<archive, decltype(&archive_write_free)> writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_raw(writer.get());
  archive_write_add_filter_gzip(writer.get());
  archive_write_set_filter_option(writer.get(), "gzip", "timestamp", nullptr);
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), &archive_entry_free);
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_pathname(entry.get(), "data");
  const bool good = archive_write_open(writer.get(), &result, nullptr, &append, nullptr) == ARCHIVE_OK &&
                    archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK &&
                    archive_write_data(writer.get(), content.data(), content.size()) == static_cast<la_ssize_t>(content.size()) &&
                    archive_write_close(writer.get()) == ARCHIVE_OK;
  if (!good) {
    throw Failure(ExitCode::Failure, fmt::format("gzip: {}", archive_error_string(writer.get())));
  }
  return result;
}

std::string build_fit(const FitSettings& settings) {
  FlatTree tree;
  tree.begin("");
  tree.u32("timestamp", time_stamp());
  tree.string("description", "AxVisor");
  tree.u32("#address-cells", 2);
  tree.u32("#size-cells", 1);
  tree.begin("images");
  add_kernel(tree, settings);
  if (!settings.device_tree.empty()) {
    add_device_tree(tree, settings);
  }
  tree.end();
  add_configuration(tree, settings);
  tree.end();
  return tree.finish();
}

void sign_fit(const std::filesystem::path& file, const std::filesystem::path& keys) {
  if (!find_program("mkimage")) {
    throw Failure(ExitCode::Environment, "signing a FIT image needs mkimage, which is not here", "install the package u-boot-tools");
  }
  const CapturedOutput result = capture_command({.argv = {"mkimage", "-F", "-k", keys.string(), "-r", file.string()}});
  // mkimage ends with 0 also where the key is missing; what a signature adds is there or not.
  if (result.status != 0 || read_file(file).find("hashed-nodes") == std::string::npos) {
    throw Failure(ExitCode::Failure, fmt::format("mkimage could not sign {} with the keys in {}:\n{}", file.string(), keys.string(), result.output));
  }
}

}  // namespace ax::xtask
