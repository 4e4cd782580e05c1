#include "tools/xtask/vmconfig/generate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tools/config/document.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kArmBase = 0x8000'0000;
constexpr std::uint64_t kArmKernel = 0x8020'0000;  // arm64 images want 2 MiB below them

constexpr std::array<GuestKind, 8> kKinds{{
    {.name = "linux",
     .arch = "aarch64",
     .doc = "Linux with emulated devices",
     .vm_type = 2,
     .memory_base = kArmBase,
     .memory_size = 512 * kMiB,
     .kernel = "image:debian-arm64",
     .kernel_load_addr = kArmKernel,
     .ramdisk = "image:debian-arm64-initramfs",
     .cmdline = "console=ttyAMA0"},
    {.name = "linux-passthrough",
     .arch = "aarch64",
     .doc = "Linux with the machine's devices, in memory at the addresses that they see",
     .vm_type = 2,
     .memory_base = kArmBase,
     .memory_size = 512 * kMiB,
     .map_type = 1,
     .kernel = "images/linux.bin",
     .kernel_load_addr = kArmKernel,
     .cmdline = "console=ttyAMA0",
     .all_devices = true},
    {.name = "arceos",
     .arch = "aarch64",
     .doc = "a unikernel that is given the machine's devices",
     .memory_base = kArmBase,
     .memory_size = 1024 * kMiB,
     .map_type = 1,
     .kernel = "images/arceos.bin",
     .kernel_load_addr = kArmKernel,
     .has_entry = true,
     .all_devices = true},
    {.name = "flat",
     .arch = "aarch64",
     .doc = "a flat image with emulated devices: an RTOS, or a program for the bare machine",
     .memory_base = kArmBase,
     .memory_size = 64 * kMiB,
     .kernel = "images/guest.bin",
     .kernel_load_addr = kArmKernel,
     .has_entry = true},
    {.name = "tiny",
     .arch = "aarch64",
     .doc = "the built-in test guest",
     .memory_base = kArmBase,
     .memory_size = 16 * kMiB,
     .kernel = "image:tiny",
     .kernel_load_addr = kArmBase},
    {.name = "linux",
     .arch = "x86_64",
     .doc = "Linux with emulated devices",
     .vm_type = 2,
     .memory_size = 512 * kMiB,
     .kernel = "image:debian-amd64-cloud",
     .ramdisk = "image:debian-amd64-initramfs",
     .cmdline = "console=ttyS0"},
    {.name = "multiboot",
     .arch = "x86_64",
     .doc = "an ELF kernel started through Multiboot",
     .memory_size = 64 * kMiB,
     .kernel = "images/guest.elf",
     .boot_protocol = "multiboot"},
    {.name = "tiny",
     .arch = "x86_64",
     .doc = "the built-in test guest",
     .memory_size = 32 * kMiB,
     .kernel = "image:tiny-multiboot",
     .cmdline = "tiny multiboot",
     .boot_protocol = "multiboot"},
}};

std::string hex(std::uint64_t value) { return config::format_number(value, config::Unit::Address); }

/// Writes `key = value` lines.
class Writer {
 public:
  void heading(std::string_view name) { text_ += fmt::format("\n[{}]\n", name); }
  void line(std::string_view key, const std::string& value) { text_ += fmt::format("{} = {}\n", key, value); }
  void string(std::string_view key, std::string_view value) {
    if (!value.empty()) {
      line(key, toml_quote(value));
    }
  }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

std::string cpu_list(unsigned count) {
  std::string list;
  for (unsigned i = 0; i < count; ++i) {
    list += fmt::format("{}{}", list.empty() ? "" : ", ", i);
  }
  return "[" + list + "]";
}

void write_base(Writer& writer, const GuestKind& kind, const GuestRequest& request) {
  writer.heading("base");
  if (request.id) {
    writer.line("id", std::to_string(*request.id));
  }
  writer.string("name", request.name.value_or(std::string(kind.name)));
  writer.line("vm_type", std::to_string(request.vm_type.value_or(kind.vm_type)));
  writer.line("cpu_num", std::to_string(request.cpus));
  writer.line("phys_cpu_ids", cpu_list(request.cpus));
}

void write_kernel(Writer& writer, const GuestKind& kind, const GuestRequest& request) {
  writer.heading("kernel");
  const std::uint64_t load = request.load_address.value_or(kind.kernel_load_addr);
  if (request.entry || kind.has_entry) {
    writer.line("entry_point", hex(request.entry.value_or(load)));
  }
  writer.string("image_location", request.image_location.value_or(""));
  writer.string("kernel_path", request.kernel.value_or(std::string(kind.kernel)));
  if (load != 0) {
    writer.line("kernel_load_addr", hex(load));
  }
  writer.string("dtb_path", request.dtb.value_or(""));
  writer.string("ramdisk_path", request.ramdisk.value_or(request.kernel ? "" : std::string(kind.ramdisk)));
  writer.string("cmdline", request.cmdline.value_or(std::string(kind.cmdline)));
  writer.string("boot_protocol", kind.boot_protocol);
  const std::uint64_t size = request.memory_size.value_or(kind.memory_size);
  writer.text() += fmt::format(
      "memory_regions = [\n  [{}, {}, 0x7, {}],  # {} MiB, {}\n]\n", hex(kind.memory_base), hex(size), kind.map_type, size / kMiB,
      kind.map_type == 0 ? "from any free host memory" : "at the same address in host memory if that is free");
}

void write_devices(Writer& writer, const GuestKind& kind) {
  writer.heading("devices");
  if (kind.all_devices) {
    writer.line("passthrough_devices", "[[\"/\"]]  # every device that no other VM names");
    writer.line("emu_devices", "[]");
  }
  writer.string("interrupt_mode", kind.all_devices ? "passthrough" : "emulated");
}

}  // namespace

std::span<const GuestKind> guest_kinds() { return kKinds; }

const GuestKind& guest_kind(std::string_view arch, const std::string& name) {
  std::vector<std::string> names;
  std::vector<std::string> architectures;
  for (const GuestKind& kind : kKinds) {
    architectures.emplace_back(kind.arch);
    if (kind.arch == arch) {
      if (kind.name == name) {
        return kind;
      }
      names.emplace_back(kind.name);
    }
  }
  if (names.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("no guests are known for '{}'{}", arch, did_you_mean(arch, architectures)),
                  "aarch64 and x86_64 have some");
  }
  throw Failure(ExitCode::Usage, fmt::format("unknown kind of guest '{}'{}", name, did_you_mean(name, names)),
                fmt::format("for {}: {}", arch, fmt::join(names, ", ")));
}

std::string generate_vm(const GuestKind& kind, const GuestRequest& request, const std::string& board, const std::string& schema) {
  Writer writer;
  writer.text() =
      fmt::format("#:schema {}\n# {}{}, for the board {}.\nschema = 1\n", schema,
                  static_cast<char>(std::toupper(static_cast<unsigned char>(kind.doc.front()))), kind.doc.substr(1), board);
  write_base(writer, kind, request);
  write_kernel(writer, kind, request);
  write_devices(writer, kind);
  return writer.text();
}

}  // namespace ax::xtask
