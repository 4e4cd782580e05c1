// The formats of guest kernels, told apart by their first bytes: shared by the generator and the hypervisor.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

enum class KernelFormat : u8 {
  Flat,        ///< no header: goes to kernel_load_addr and is entered at entry_point
  Arm64Image,  ///< Linux Documentation/arm64/booting: goes to kernel_load_addr and is entered there
  BzImage,     ///< Linux Documentation/x86/boot: carries its load address and entry point
  Elf,         ///< carries its load addresses and entry point
};

/// Bytes of a kernel that are enough to know its format.
inline constexpr usize kKernelFormatBytes = 0x206;

namespace detail {

struct KernelMagic {
  KernelFormat format;
  usize offset;
  std::array<u8, 4> bytes;
};
inline constexpr KernelMagic kKernelMagics[] = {
    {KernelFormat::Elf, 0, {0x7f, 'E', 'L', 'F'}},
    {KernelFormat::Arm64Image, 0x38, {'A', 'R', 'M', 0x64}},
    {KernelFormat::BzImage, 0x202, {'H', 'd', 'r', 'S'}},
};

}  // namespace detail

/// `start` holds at least kKernelFormatBytes of the kernel, or all of it.
constexpr KernelFormat kernel_format(std::span<const std::byte> start) {
  for (const detail::KernelMagic& magic : detail::kKernelMagics) {
    if (start.size() < magic.offset + magic.bytes.size()) continue;
    const auto found = start.subspan(magic.offset, magic.bytes.size());
    if (std::ranges::equal(found, magic.bytes, {}, [](std::byte b) { return std::to_integer<u8>(b); })) {
      return magic.format;
    }
  }
  return KernelFormat::Flat;
}

/// Whether a kernel of this format says itself where it is entered.
constexpr bool carries_entry(KernelFormat format) {
  return format == KernelFormat::BzImage || format == KernelFormat::Elf;
}

}  // namespace hv
