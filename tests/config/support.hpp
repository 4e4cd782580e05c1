// What the configuration tests share: temporary folders, files, and a configuration loaded from them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tools/config/emit.hpp"

namespace ax::config::testing {

namespace fs = std::filesystem;

inline fs::path source_folder() { return AXVISOR_SOURCE_DIR; }
inline fs::path test_folder() { return source_folder() / "tests" / "config"; }

inline std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void write_file(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Makes `folder` the current one for a scope.
class CurrentFolder {
 public:
  explicit CurrentFolder(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~CurrentFolder() { fs::current_path(before_); }
  CurrentFolder(const CurrentFolder&) = delete;
  CurrentFolder& operator=(const CurrentFolder&) = delete;

 private:
  fs::path before_;
};

/// A folder of its own for one test, gone afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "axconfig-test-XXXXXX").string();
    path_ = fs::canonical(mkdtemp(name.data()));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(std::string_view name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// A document from text; diagnostics and source live as long as this does.
struct Parsed {
  explicit Parsed(const FileSchema& schema, std::string text) {
    document = load_document(sources.add("test.toml", std::move(text)), schema, diagnostics);
  }
  std::string messages() const { return diagnostics.render(false); }

  SourceStore sources;
  Diagnostics diagnostics;
  std::optional<Document> document;
};

/// A configuration with everything it needs to live.
struct Loaded {
  explicit Loaded(const Options& options) { configuration = Configuration::load(options, sources, diagnostics); }
  std::string messages() const { return diagnostics.render(false); }
  const Configuration& operator*() const { return *configuration; }
  const Configuration* operator->() const { return configuration.get(); }

  SourceStore sources;
  Diagnostics diagnostics;
  std::unique_ptr<Configuration> configuration;
};

/// The smallest repository: defaults, one board "b", one VM "v" and its image.
class Repository {
 public:
  static constexpr std::string_view kBoard = "target = \"aarch64-unknown-none-softfloat\"\ndefault_vms = [\"v\"]\n";
  static constexpr std::string_view kVm =
      "[base]\nname = \"v\"\ncpu_num = 1\n"
      "[kernel]\nkernel_path = \"kernel.bin\"\nkernel_load_addr = 0x8000_0000\nmemory_regions = [[0x8000_0000, "
      "0x100_0000, 0x7, 0]]\n";

  Repository() {
    write_file(root() / "configs/defconfig.toml", "task-stack-size = 0x40000\nticks-per-sec = 1000\n");
    board("b", kBoard);
    vm("v", kVm);
    write_file(root() / "configs/vms/kernel.bin", "a kernel");
  }

  const fs::path& root() const { return folder_.path(); }
  void board(const std::string& name, std::string_view text) {
    write_file(root() / "configs/board" / (name + ".toml"), text);
  }
  void vm(const std::string& name, std::string_view text) {
    write_file(root() / "configs/vms" / (name + ".toml"), text);
  }
  Options options(std::string board = "b") const {
    Options out;
    out.root = root();
    out.board = std::move(board);
    return out;
  }

 private:
  TemporaryFolder folder_;
};

/// A file of zeros with little-endian numbers in it.
class Binary {
 public:
  explicit Binary(usize size) : bytes_(size, '\0') {}
  Binary& put(usize at, u64 value, usize size) {
    for (usize i = 0; i < size; ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i));
    return *this;
  }
  Binary& put(usize at, std::string_view text) {
    bytes_.replace(at, text.size(), text);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// A relocatable bzImage for 64-bit guests that wants 4 MiB at 16 MiB.
inline Binary bzimage_parts() {
  return Binary(1536)
      .put(0x1f1, 1, 1)  // sectors of real-mode code
      .put(0x202, "HdrS")
      .put(0x206, 0x20f, 2)      // version
      .put(0x230, 0x20'0000, 4)  // alignment
      .put(0x234, 1, 1)          // relocatable
      .put(0x236, 1, 2)          // 64-bit entry point
      .put(0x258, 0x100'0000, 8)
      .put(0x260, 0x40'0000, 4);
}
inline std::string bzimage() { return bzimage_parts().bytes(); }

/// An ELF64 file for x86 with one segment.
inline std::string elf_kernel(u64 address, u64 memory_size) {
  constexpr usize kHeader = 0x40;
  return Binary(kHeader + 0x38)
      .put(0,
           "\x7f"
           "ELF\x02\x01\x01")
      .put(0x10, 2, 2)
      .put(0x12, 62, 2)
      .put(0x18, address, 8)
      .put(0x20, kHeader, 8)
      .put(0x36, 0x38, 2)
      .put(0x38, 1, 2)
      .put(kHeader, 1, 4)
      .put(kHeader + 0x18, address, 8)
      .put(kHeader + 0x28, memory_size, 8)
      .bytes();
}

/// `text` with the first `from` replaced, which must be there.
inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  const usize at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) out.replace(at, from.size(), to);
  return out;
}

}  // namespace ax::config::testing
