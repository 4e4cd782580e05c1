// Where a VM's kernel, device tree and ramdisk go in its memory.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/result.hpp"

namespace hv {

/// The header of an arm64 Linux `Image` (Linux Documentation/arm64/booting).
struct Arm64Image {
  u64 text_offset = 0;
  u64 image_size = 0;  ///< bytes the kernel needs from its load address on, zero-initialised data included
  unsigned granule = 0;  ///< of its pages: 1 is 4 KiB, 2 is 16 KiB, 3 is 64 KiB; 0: it does not say

  /// Why a CPU with this ID_AA64MMFR0_EL1 cannot run it, such that "VM ... " may stand before it; empty: it can.
  std::string_view why_not_on(u64 mmfr0) const;

  /// Empty for anything that is not such an image. Reads only `bytes`.
  static std::optional<Arm64Image> parse(std::span<const std::byte> bytes);
};

/// Guest-physical addresses of everything a guest finds in memory when it starts.
struct BootLayout {
  GpaRange kernel{};   ///< size: what it will use, at least the file
  Gpa entry{};
  GpaRange fdt{};      ///< room for the device tree
  GpaRange stolen_time{};  ///< one page that the guest's device tree reserves; empty where the tree has no room to spare
  GpaRange ramdisk{};  ///< empty without one
};

/// Sizes that the layout depends on, in bytes.
struct BootImages {
  u64 kernel_size = 0;
  std::optional<Arm64Image> kernel_header{};
  u64 ramdisk_size = 0;
};

/// Why there is no layout, for the one line a user reads.
struct LayoutError {
  Error error;
  std::string_view what;  ///< static text
};

/// Reads well at a return: `return reject(Error::OutOfRange, "the kernel ...");`
constexpr std::unexpected<LayoutError> reject(Error error, std::string_view what) {
  return std::unexpected(LayoutError{error, what});
}

/// The memory range that holds all of `range`, or nothing.
const GpaRange* bank_of(std::span<const GpaRange> ram, GpaRange range);

/// Reads a little-endian number of `size` bytes at `at`, which lie in `bytes`.
u64 little_endian(std::span<const std::byte> bytes, usize at, usize size);

/// Decides the layout. Configured addresses are taken as they are; the device tree goes otherwise to the last 2 MiB-aligned
/// 2 MiB of the kernel's memory bank (within its first 512 MiB), the ramdisk right below. `ram` are the VM's memory ranges at
/// their final addresses, `config` the addresses to honour. Nothing may overlap or leave the RAM.
std::expected<BootLayout, LayoutError> plan_boot(const VmConfig& config, std::span<const GpaRange> ram, const BootImages& images);

}  // namespace hv
