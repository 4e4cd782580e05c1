#include "platforms/x86-qemu-q35/descriptor_tables.hpp"

#include <arch/cpu.hpp>
#include <arch/cpuid.hpp>
#include <array>

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax::platform {
namespace {

static_assert(percpu::kStackTopOffset == PER_CPU_STACK_TOP);
static_assert(arch::CR4::PAE == CR4_PAE && arch::CR0::PG == u64{1} << 31);
static_assert((arch::IA32_EFER::LME | arch::IA32_EFER::NXE) == (EFER_LME | EFER_NXE) &&
              arch::IA32_EFER::kIndex == EFER_INDEX);

/// Task state: only the interrupt stacks are used.
struct [[gnu::packed]] TaskState {
  u32 reserved0 = 0;
  u64 rsp[3] = {};
  u64 reserved1 = 0;
  u64 interrupt_stacks[7] = {};  ///< IST1..IST7
  u64 reserved2 = 0;
  u16 reserved3 = 0;
  u16 io_map = sizeof(TaskState);  ///< beyond the limit: no I/O permission map
};
static_assert(sizeof(TaskState) == 104);

struct alignas(16) CpuTables {
  u64 gdt[5] = {0, CODE_DESCRIPTOR, DATA_DESCRIPTOR, 0, 0};
  TaskState tss;
};
static_assert(TSS_SELECTOR == 3 * sizeof(u64));

struct Gate {
  u64 low = 0, high = 0;

  static Gate interrupt(u64 handler, unsigned stack) {
    constexpr u64 kPresentInterruptGate = u64{0x8e} << 40;
    return {(handler & 0xffff) | u64{CODE_SELECTOR} << 16 | u64{stack} << 32 | kPresentInterruptGate |
                (handler >> 16 & 0xffff) << 48,
            handler >> 32};
  }
};

constinit std::array<CpuTables, board::kMaxCpus> cpu_tables{};
constinit std::array<Gate, VECTOR_COUNT> idt{};

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u64 base;
};

unsigned interrupt_stack(unsigned vector) {
  if (vector == NMI_VECTOR) return IST_NMI;
  return vector < FIRST_INTERRUPT_VECTOR ? IST_EMERGENCY : 0;
}

void fill_idt() {
  for (unsigned vector = 0; vector < VECTOR_COUNT; ++vector) {
    const u64 handler = address_of(ax_vectors).value() + vector * VECTOR_ENTRY_SIZE;
    idt[vector] = Gate::interrupt(handler, interrupt_stack(vector));
  }
}

void load_idt() {
  const TableRegister where{sizeof idt - 1, reinterpret_cast<u64>(idt.data())};
  asm volatile("lidt %0" : : "m"(where));
}

void load_gdt(CpuTables& tables) {
  constexpr u64 kPresentAvailableTss = u64{0x89} << 40;
  const u64 tss = reinterpret_cast<u64>(&tables.tss);
  u64* const descriptor = &tables.gdt[TSS_SELECTOR / sizeof(u64)];
  descriptor[0] = (sizeof(TaskState) - 1) | (tss & 0xff'ffff) << 16 | kPresentAvailableTss | (tss >> 24 & 0xff) << 56;
  descriptor[1] = tss >> 32;
  const TableRegister where{sizeof tables.gdt - 1, reinterpret_cast<u64>(tables.gdt)};
  asm volatile("lgdt %0" : : "m"(where));
  ax_load_segments();
  asm volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

}  // namespace

void load_descriptor_tables(percpu::PerCpu& block, u64 nmi_stack_top) {
  CpuTables& tables = cpu_tables[block.index];
  tables.tss.interrupt_stacks[IST_EMERGENCY - 1] = block.emergency_stack_top;
  tables.tss.interrupt_stacks[IST_NMI - 1] = nmi_stack_top;
  load_gdt(tables);
  if (block.index == 0) fill_idt();
  load_idt();
  block.self = &block;
  arch::set_per_cpu_base(&block);
}

void reset_cpu_state() {
  using namespace arch;
  constexpr u32 kFeatures = 1;
  constexpr u32 kEdxMachineCheck = 1 << 7, kEcxXsave = 1 << 26;
  const CpuidResult features = cpuid(kFeatures);
  u64 cr4 = CR4::PAE | CR4::OSFXSR | CR4::OSXMMEXCPT;
  if ((features.edx & kEdxMachineCheck) != 0) cr4 |= CR4::MCE;
  if ((features.ecx & kEcxXsave) != 0) cr4 |= CR4::OSXSAVE;
  CR4::write(cr4);
  IA32_PAT::write(IA32_PAT::kReset);
}

}  // namespace ax::platform
