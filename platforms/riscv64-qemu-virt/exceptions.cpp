#include "platforms/riscv64-qemu-virt/exceptions.hpp"

#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/riscv64-qemu-virt/memory_map.hpp"
#include "platforms/riscv64-qemu-virt/symbols.hpp"

namespace ax::platform {
namespace {

/// scause of exceptions (privileged specification, table 4.2).
constexpr std::string_view kCauseNames[] = {
    "misaligned instruction address",
    "instruction access fault",
    "illegal instruction",
    "breakpoint",
    "misaligned load",
    "load access fault",
    "misaligned store",
    "store access fault",
    "call from user mode",
    "call from supervisor mode",
    "reserved exception",
    "reserved exception",
    "instruction page fault",
    "load page fault",
    "reserved exception",
    "store page fault",
};
enum Cause : u64 { kInstructionPage = 12, kLoadPage = 13, kStorePage = 15 };

bool is_data_fault(const CrashFrame& frame) { return frame.cause == kLoadPage || frame.cause == kStorePage; }

/// A stack grew into the hole below it: the boot CPU's into its guard page, any other into what is unmapped of its place in the
/// stack window.
bool is_stack_overflow(const CrashFrame& frame) {
  if (!is_data_fault(frame)) return false;
  const u64 page = align_down(frame.value, kPageSize);
  const bool in_window = page >= StackWindow::kBase && page < StackWindow::kEnd;
  return page == address_of(ax_boot_stack_guard).value() || (in_window && !is_readable(page)) || is_program_guard(frame.value);
}

/// Words for the most frequent causes.
std::string_view reason(const CrashFrame& frame) {
  if (is_stack_overflow(frame)) return " (stack overflow)";
  if constexpr (kNamesNullPointers) {
    if (frame.cause == kInstructionPage && frame.pc < kPageSize) return " (call of a null pointer)";
    if (is_data_fault(frame) && frame.value < kPageSize) return " (access through a null pointer)";
  }
  return "";
}

/// A page fault of an access that the tables allow: this CPU has remembered an entry as it was before.
bool is_outdated(const CrashFrame& frame) {
  if (frame.cause != kInstructionPage && !is_data_fault(frame)) return false;
  const auto found = live_translation(Hva(frame.value));
  if (!found) return false;
  return frame.cause == kInstructionPage ? found->attributes.execute : frame.cause == kLoadPage || found->attributes.write;
}

void print_registers(const CrashFrame& frame) {
  constexpr std::string_view kNames[] = {"ra", "sp", "gp", "tp", "t0", "t1",  "t2",  "s0", "s1", "a0",
                                         "a1", "a2", "a3", "a4", "a5", "a6",  "a7",  "s2", "s3", "s4",
                                         "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5"};
  for (usize i = 0; i < std::size(kNames); i += 2) {
    log::print_line("  {:3} {:016x}  {:3} {:016x}", kNames[i], frame.x[i], kNames[i + 1], frame.x[i + 1]);
  }
  log::print_line("  t6  {:016x}  pc  {:016x}", frame.x.back(), frame.pc);
  log::print_line("  sstatus {:016x}  scause {:x}  stval {:016x}", frame.status, frame.cause, frame.value);
}

}  // namespace

const u64 kCallSize = 2;  // calls have two sizes: the last two bytes belong to the call of either

bool is_readable(u64 address) { return is_aligned(address, sizeof(u64)) && live_translation(Hva(address)).has_value(); }

void print_control_registers() {
  log::print_line("  sstatus {:x}  sie {:x}  sip {:x}  satp {:x}", arch::SSTATUS::read(), arch::SIE::read(), arch::SIP::read(),
                  arch::SATP::read());
}

}  // namespace ax::platform

/// Called by vectors.S on the emergency stack. Returns when the access is to be tried again.
extern "C" void ax_exception(const ax::platform::CrashFrame* frame) {
  using namespace ax::platform;
  if (is_outdated(*frame)) return ax::arch::Tlb::sfence_vma_all();
  begin_panic();
  const std::string_view name = frame->cause < std::size(kCauseNames) ? kCauseNames[frame->cause] : "unexpected exception";
  ax::log::print_line(AX_IMAGE_NAME ": fatal exception on CPU {}: {}{}", ax::percpu::this_cpu().index, name, reason(*frame));
  print_registers(*frame);
  print_back_trace(frame->pc, frame->frame(), frame->return_address());
  end_panic(is_stack_overflow(*frame) ? "stack overflow" : AX_FATAL_EXCEPTION);
}

extern "C" void ax_host_interrupt() { ax::platform::handle_interrupt(); }
