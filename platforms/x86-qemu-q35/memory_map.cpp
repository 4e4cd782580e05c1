#include "platforms/x86-qemu-q35/memory_map.hpp"

#include <arch/cpuid.hpp>

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax::platform {
namespace {

static_assert(TABLE_SIZE == kPageSize && GUARD_SIZE == kPageSize);

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard, ax_boot_nmi_stack_guard};

bool has_gigabyte_leaves() {
  constexpr u32 kExtendedFeatures = 0x8000'0001, kEdxGigabytePages = 1 << 26;
  return (arch::cpuid(kExtendedFeatures).edx & kEdxGigabytePages) != 0;
}

}  // namespace

Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine) {
  const Hpa root = TRY(pool.allocate_table());
  mm::IdentityTableMemory{}.clear(root);
  HostTable table({.gigabyte_leaves = has_gigabyte_leaves()}, {.flush_others = flush_other_tlbs}, root);
  TRY(map_image(table, pool, kGuards));
  TRY(map_ram(table, pool, machine));
  TRY(map_identity(table, pool, machine.pc.local_apic, mm::kDeviceReadWrite));
  return table;
}

}  // namespace ax::platform
