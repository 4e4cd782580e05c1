// What the loaders of all x86 kernel formats share.
#pragma once

#include <cstring>

#include "hypervisor/vm/x86_64/boot_plan.hpp"
#include "hypervisor/vm/x86_64/memory_map.hpp"

namespace hv {

using BootStatus = std::expected<void, LayoutError>;

/// A plan in the making. The first error is the plan's.
class BootBuilder {
 public:
  explicit BootBuilder(const BootRequest& of) : request(of) {}

  const BootRequest& request;
  BootPlan plan{};
  GpaRange ramdisk{};

  /// Adds an image that will use `memory` bytes from `to` on, the bytes included.
  BootStatus add_image(Gpa to, std::span<const std::byte> bytes, u64 memory);
  /// Puts the RAM disk at its configured address, or as high as it goes up to `limit` (exclusive).
  BootStatus add_ramdisk(Gpa limit);
  /// Copies the command line, with a zero at its end, into the boot area. `limit`: the most the kernel takes, in
  /// characters.
  BootStatus add_command_line(usize limit);
  /// The last step: the boot area becomes a piece, and what a BIOS would leave at kBiosBaseMemory.
  BootStatus add_boot_area();

  /// Puts `value` into the boot area. Offsets are the loaders' own: inside.
  template <class T>
  void put(usize offset, const T& value) {
    std::memcpy(request.scratch.data() + offset, &value, sizeof value);
  }
  static constexpr Gpa address_of(usize offset) { return boot_area::kBase + offset; }
  static constexpr u32 address32_of(usize offset) { return static_cast<u32>(address_of(offset).value()); }

  MemoryMap memory_map() const { return MemoryMap(request.ram); }

 private:
  bool overlaps_images(GpaRange range) const;
  BootStatus add_bios_data();
  StaticVector<GpaRange, kMaxBootPieces> used_{};
};

/// The loaders: each fills the plan for its format.
BootStatus plan_bzimage(BootBuilder& builder);
BootStatus plan_elf(BootBuilder& builder);
/// A flat kernel that is entered through Multiboot, without an ELF header.
BootStatus plan_flat_multiboot(BootBuilder& builder);
/// A kernel of any kind behind a 16-bit stub.
BootStatus plan_bios(BootBuilder& builder);

/// The last step where a kernel may want Multiboot information: EAX, EBX and the boot area. The RAM disk is placed.
BootStatus describe_for_multiboot(BootBuilder& builder);

}  // namespace hv
