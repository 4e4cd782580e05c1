#include "platforms/aarch64-dyn/exceptions.hpp"

#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/aarch64-dyn/memory_map.hpp"
#include "platforms/aarch64-dyn/symbols.hpp"
#include "platforms/platform.hpp"

namespace ax::platform {
namespace {

constexpr std::string_view kKindNames[] = {"synchronous exception", "IRQ on the wrong stack", "FIQ on the wrong stack", "SError"};

struct ClassName {
  u8 exception_class;
  std::string_view name;
};
/// ESR_EL2.EC (Arm ARM D17.2.37): what host code can cause.
constexpr ClassName kClassNames[] = {
    {0x00, "unknown instruction"}, {0x07, "FP or SIMD instruction"}, {0x0e, "illegal execution state"},
    {0x18, "trapped system register access"}, {0x19, "SVE instruction"}, {0x21, "instruction abort"},
    {0x22, "misaligned PC"}, {0x25, "data abort"}, {0x26, "misaligned SP"}, {0x2f, "SError"},
    {0x31, "breakpoint"}, {0x33, "software step"}, {0x35, "watchpoint"}, {0x3c, "BRK instruction"},
};

std::string_view class_name(u64 exception_class) {
  for (const ClassName& entry : kClassNames) {
    if (entry.exception_class == exception_class) return entry.name;
  }
  return "unexpected exception class";
}

/// A stack grew into the hole below it: the boot CPU's into its guard page, any other into what is unmapped of its place in the
/// stack window.
bool is_stack_overflow(const CrashFrame& frame) {
  constexpr u64 kDataAbort = 0x25;
  if (arch::ESR_EL2::exception_class(frame.esr) != kDataAbort) return false;
  const u64 boot_guard = address_of(ax_boot_stack_guard).value();
  const u64 page = align_down(frame.far, kPageSize);
  return page == boot_guard || (page >= StackWindow::kBase && !is_readable(page)) || is_program_guard(frame.far);
}

/// Words for the most frequent causes.
std::string_view cause(const CrashFrame& frame) {
  if (is_stack_overflow(frame)) return " (stack overflow)";
  if constexpr (kNamesNullPointers) {
    constexpr u64 kInstructionAbort = 0x21, kDataAbort = 0x25;
    const u64 exception_class = arch::ESR_ELX::exception_class(frame.esr);
    if (exception_class == kInstructionAbort && frame.elr < kPageSize) return " (call of a null pointer)";
    if (exception_class == kDataAbort && frame.far < kPageSize) return " (access through a null pointer)";
  }
  return "";
}

void print_registers(const CrashFrame& frame) {
  for (usize i = 0; i + 1 < frame.x.size(); i += 2) {
    log::print_line("  x{:02} {:016x}  x{:02} {:016x}", i, frame.x[i], i + 1, frame.x[i + 1]);
  }
  log::print_line("  x30 {:016x}  sp  {:016x}", frame.x[30], frame.sp);
  log::print_line("  elr {:016x}  spsr {:08x}  esr {:08x}  far {:016x}", frame.elr, frame.spsr, frame.esr, frame.far);
}

}  // namespace

const u64 kCallSize = 4;

/// By the hardware's own translation. Overwrites a guest's PAR_EL1.
bool is_readable(u64 address) {
  if (!is_aligned(address, sizeof(u64))) return false;
  if constexpr (kAtEl2) {
    asm volatile("at s1e2r, %0" : : "r"(address) : "memory");
  } else {
    asm volatile("at s1e1r, %0" : : "r"(address) : "memory");
  }
  arch::isb();
  return (arch::PAR_EL1::read() & 1) == 0;
}

void print_control_registers() {
  if constexpr (kAtEl2) {
    log::print_line("  daif {:x}  currentel {:x}  hcr {:x}  sctlr {:x}  vttbr {:x}", arch::DAIF::read(), arch::CURRENT_EL::read(),
                    arch::HCR_EL2::read(), arch::SCTLR_EL2::read(), arch::VTTBR_EL2::read());
  } else {
    log::print_line("  daif {:x}  sctlr {:x}  tpidr_el0 {:x}", arch::DAIF::read(), arch::SCTLR_EL1::read(), arch::TPIDR_EL0::read());
  }
}

}  // namespace ax::platform

/// Called by vectors.S on the emergency stack; `kind` is the vector's slot.
extern "C" [[noreturn]] void ax_fatal_exception(const ax::platform::CrashFrame* frame, ax::u64 kind) {
  using namespace ax::platform;
  begin_panic();
  const ax::u64 exception_class = ax::arch::ESR_EL2::exception_class(frame->esr);
  ax::log::print_line(AX_IMAGE_NAME ": fatal {} on CPU {}: {}{}", kKindNames[kind % std::size(kKindNames)],
                      ax::percpu::this_cpu().index, class_name(exception_class), cause(*frame));
  print_registers(*frame);
  print_back_trace(frame->elr, frame->x[29], frame->x[30]);
  end_panic(is_stack_overflow(*frame) ? "stack overflow" : AX_FATAL_EXCEPTION);
}

extern "C" void ax_host_interrupt() { ax::platform::handle_interrupt(); }
