#include "platforms/aarch64-dyn/memory_map.hpp"

#include "platforms/aarch64-dyn/boot_layout.h"
#include "platforms/aarch64-dyn/symbols.hpp"

namespace ax::platform {
namespace {

// boot.S has made tables of this format before C++ ran.
static_assert(HostFormat::kMair == MAIR_VALUE);
static_assert(HostFormat::tcr(0) == u64{TCR_BASE});
static_assert(HostFormat::leaf(Hpa(0), mm::kReadWriteExecute, 1) == EARLY_BLOCK_DESCRIPTOR);
static_assert(HostFormat::table(Hpa(0)) == TABLE_DESCRIPTOR);
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
      {ax_boot_emergency_stack_guard + GUARD_SIZE, __image_end, mm::kReadWrite},
  };
  for (const Section& section : sections) {
    const HpaRange range{address_of(section.begin), static_cast<u64>(section.end - section.begin)};
    TRY(table.map(pool, identity(range), range.base, section.attributes));
  }
  return {};
}

}  // namespace

Result<Hpa> TablePool::allocate_table() {
  if (used_ == TABLE_POOL_FRAMES) return fail(Error::OutOfMemory);
  return address_of(ax_table_pool) + kPageSize * used_++;
}

HostTable early_table() { return HostTable({}, {}, address_of(ax_early_tables)); }

Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine) {
  const Hpa root = TRY(pool.allocate_table());
  mm::IdentityTableMemory{}.clear(root);
  HostTable table({}, {}, root);
  const auto map = [&](HpaRange range, mm::PageAttributes attributes) -> Result<void> {
    const HpaRange pages = whole_pages_around(range);
    return table.map(pool, identity(pages), pages.base, attributes);
  };

  TRY(map_image(table, pool));
  const Holes holes = TRY(holes_of(machine));
  for (const HpaRange& ram : machine.ram) {
    TRY(for_each_gap(ram, holes, [&](HpaRange gap) { return map(gap, mm::kReadWrite); }));
  }
  TRY(map({address_of(machine.fdt.data()), machine.fdt.size()}, mm::kReadOnly));
  for (const ModuleInfo& module : machine.modules) TRY(map(module.data, mm::kReadOnly));
  if (machine.console.kind != ConsoleInfo::Kind::None) TRY(map(machine.console.registers, mm::kDeviceReadWrite));
  return table;
}

}  // namespace ax::platform
