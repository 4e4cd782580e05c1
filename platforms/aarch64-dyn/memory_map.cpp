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

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard};

}  // namespace

HostTable early_table() { return HostTable({}, {}, address_of(ax_early_tables)); }

Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine) {
  const Hpa root = TRY(pool.allocate_table());
  mm::IdentityTableMemory{}.clear(root);
  HostTable table({}, {}, root);
  TRY(map_image(table, pool, kGuards));
  TRY(map_ram(table, pool, machine));
  TRY(map_identity(table, pool, {address_of(machine.fdt.data()), machine.fdt.size()}, mm::kReadOnly));
  if (machine.console.kind != ConsoleInfo::Kind::None) {
    TRY(map_identity(table, pool, machine.console.registers, mm::kDeviceReadWrite));
  }
  return table;
}

}  // namespace ax::platform
