#include "platforms/x86-qemu-q35/memory_map.hpp"

#include <arch/cpuid.hpp>

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax::platform {
namespace {

static_assert(TABLE_SIZE == kPageSize && GUARD_SIZE == kPageSize);

struct Section {
  const char* begin;
  const char* end;
  mm::PageAttributes attributes;
};

Result<void> map_image(HostTable& table, TablePool& pool) {
  const Section sections[] = {
      {__image_start, __text_end, mm::kReadExecute},
      {__text_end, __rodata_end, mm::kReadOnly},
      {__rodata_end, ax_boot_stack_guard, mm::kReadWrite},
      {ax_boot_stack_guard + GUARD_SIZE, ax_boot_emergency_stack_guard, mm::kReadWrite},
      {ax_boot_emergency_stack_guard + GUARD_SIZE, ax_boot_nmi_stack_guard, mm::kReadWrite},
      {ax_boot_nmi_stack_guard + GUARD_SIZE, __image_end, mm::kReadWrite},
  };
  for (const Section& section : sections) {
    const HpaRange range{address_of(section.begin), static_cast<u64>(section.end - section.begin)};
    TRY(table.map(pool, identity(range), range.base, section.attributes));
  }
  return {};
}

bool has_gigabyte_leaves() {
  constexpr u32 kExtendedFeatures = 0x8000'0001, kEdxGigabytePages = 1 << 26;
  return (arch::cpuid(kExtendedFeatures).edx & kEdxGigabytePages) != 0;
}

}  // namespace

Result<Hpa> TablePool::allocate_table() {
  if (used_ == TABLE_POOL_FRAMES) return fail(Error::OutOfMemory);
  return address_of(ax_table_pool) + kPageSize * used_++;
}

Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine) {
  const Hpa root = TRY(pool.allocate_table());
  mm::IdentityTableMemory{}.clear(root);
  HostTable table({.gigabyte_leaves = has_gigabyte_leaves()}, {.flush_others = flush_other_tlbs}, root);
  const auto map = [&](HpaRange range, mm::PageAttributes attributes) -> Result<void> {
    const HpaRange pages = whole_pages_around(range);
    return table.map(pool, identity(pages), pages.base, attributes);
  };

  TRY(map_image(table, pool));
  const Holes holes = TRY(holes_of(machine));
  for (const HpaRange& ram : machine.ram) {
    TRY(for_each_gap(ram, holes, [&](HpaRange gap) { return map(gap, mm::kReadWrite); }));
  }
  for (const ModuleInfo& module : machine.modules) TRY(map(module.data, mm::kReadOnly));
  TRY(map(machine.pc.local_apic, mm::kDeviceReadWrite));
  return table;
}

}  // namespace ax::platform
