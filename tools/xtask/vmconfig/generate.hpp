// New VM files: a description of a guest turned into TOML that its reader can go on editing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ax::xtask {

/// What is known about guests of one kind, on one architecture.
struct GuestKind {
  std::string_view name;
  std::string_view arch;
  std::string_view doc;
  unsigned vm_type = 1;
  std::uint64_t memory_base = 0;
  std::uint64_t memory_size = 0;  ///< bytes
  std::uint64_t map_type = 0;
  std::string_view kernel;             ///< kernel_path
  std::uint64_t kernel_load_addr = 0;  ///< 0: the kernel's format says it
  bool has_entry = false;              ///< entry_point is written: a flat image has no header that says it
  std::string_view ramdisk{};
  std::string_view cmdline{};
  std::string_view boot_protocol{};
  bool all_devices = false;  ///< is given every device that no other VM names
};

/// Every kind, those of one architecture together.
std::span<const GuestKind> guest_kinds();

/// The kind `name` on `arch`. Throws Failure(Usage) with a suggestion.
const GuestKind& guest_kind(std::string_view arch, const std::string& name);

/// What replaces a kind's own values.
struct GuestRequest {
  std::optional<unsigned> id;
  std::optional<std::string> name;
  std::optional<unsigned> vm_type;
  unsigned cpus = 1;
  std::optional<std::uint64_t> entry;
  std::optional<std::string> kernel;
  std::optional<std::uint64_t> load_address;
  std::optional<std::uint64_t> memory_size;  ///< bytes
  std::optional<std::string> ramdisk;
  std::optional<std::string> dtb;
  std::optional<std::string> image_location;
  std::optional<std::string> cmdline;
};

/// The file's text. `schema` is what its `#:schema` line names.
std::string generate_vm(const GuestKind& kind, const GuestRequest& request, const std::string& board, const std::string& schema);

}  // namespace ax::xtask
