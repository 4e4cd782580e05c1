#include "platforms/riscv64-qemu-virt/memory_map.hpp"

#include <arch/csr.hpp>

#include "platforms/platform.hpp"
#include "platforms/riscv64-qemu-virt/boot_layout.h"
#include "platforms/riscv64-qemu-virt/symbols.hpp"

/// satp of every CPU; secondary ones load it before they have a stack.
extern "C" {
constinit ax::u64 ax_translation = 0;
}

namespace ax::platform {
namespace {

static_assert(TABLE_SIZE == kPageSize && GUARD_SIZE == kPageSize);

/// Tables that may be damaged, or be changed by another CPU meanwhile: what is no memory holds nothing.
struct SuspiciousTableMemory : mm::IdentityTableMemory {
  u64 read(Hpa address) const {
    for (const HpaRange& ram : machine().ram) {
      if (ram.contains(address)) return IdentityTableMemory::read(address);
    }
    return 0;
  }
};
using ReportTable = mm::PageTable<mm::RiscvSv39Format, mm::RiscvTlb<arch::Tlb>, SuspiciousTableMemory>;

constexpr const char* kGuards[] = {ax_boot_stack_guard, ax_boot_emergency_stack_guard};

}  // namespace

Result<HostTable> build_final_table(TablePool& pool, const MachineInfo& machine) {
  const Hpa root = TRY(pool.allocate_table());
  mm::IdentityTableMemory{}.clear(root);
  HostTable table({}, {.flush_others = flush_other_tlbs}, root);
  TRY(map_image(table, pool, kGuards));
  TRY(map_ram(table, pool, machine));
  TRY(map_identity(table, pool, {address_of(machine.fdt.data()), machine.fdt.size()}, mm::kReadOnly));
  if (!machine.console.registers.empty()) TRY(map_identity(table, pool, machine.console.registers, mm::kDeviceReadWrite));
  return table;
}

std::optional<mm::Translation> live_translation(Hva address) {
  const u64 satp = arch::SATP::read();
  if (satp == 0) return std::nullopt;
  return ReportTable({}, {}, Hpa((satp & arch::SATP::kFrameMask) << kPageShift)).translate(address);
}

void use_table(const HostTable& table) {
  ax_translation = arch::SATP::kSv39 | table.root().value() >> kPageShift;
  arch::SATP::write(ax_translation);
  arch::Tlb::sfence_vma_all();
}

}  // namespace ax::platform
