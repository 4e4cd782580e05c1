#include "platforms/x86-qemu-q35/exceptions.hpp"

#include <arch/cpu.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/memory_map.hpp"
#include "platforms/x86-qemu-q35/symbols.hpp"

namespace ax::platform {
namespace {

constexpr u64 kDoubleFault = 8, kPageFault = 14;

/// SDM vol. 3 6.15.
constexpr std::string_view kVectorNames[] = {
    "divide error",
    "debug exception",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "vector 15",
    "x87 error",
    "misaligned access",
    "machine check",
    "SIMD error",
    "virtualization exception",
    "control protection",
};

std::string_view vector_name(u64 vector) {
  return vector < std::size(kVectorNames) ? kVectorNames[vector] : "unexpected exception";
}

/// A stack grew into the hole below it: the boot CPU's into its guard page, any other into what is unmapped of its
/// place in the stack window.
bool is_stack_overflow(const CrashFrame& frame, u64 fault_address) {
  if (frame.vector != kPageFault && frame.vector != kDoubleFault) return false;
  const u64 page = align_down(fault_address, kPageSize);
  return page == address_of(ax_boot_stack_guard).value() ||
         (page >= StackWindow::kBase && page < StackWindow::kEnd && !is_readable(page)) || is_program_guard(fault_address);
}

/// Words for the most frequent causes.
std::string_view cause(const CrashFrame& frame, u64 fault_address, bool overflow) {
  if (overflow) return " (stack overflow)";
  if constexpr (kNamesNullPointers) {
    if (frame.vector == kPageFault && frame.rip < kPageSize) return " (call of a null pointer)";
    if (frame.vector == kPageFault && fault_address < kPageSize) return " (access through a null pointer)";
  }
  return "";
}

void print_registers(const CrashFrame& frame, u64 fault_address) {
  constexpr std::string_view kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  for (unsigned i = 0; i < std::size(kNames); i += 2) {
    log::print_line("  {:3} {:016x}  {:3} {:016x}", kNames[i], frame.x(i), kNames[i + 1], frame.x(i + 1));
  }
  log::print_line("  rip {:016x}  rflags {:08x}  cs {:x}  error {:x}  cr2 {:016x}", frame.rip, frame.rflags, frame.cs,
                  frame.error_code, fault_address);
}

}  // namespace

const u64 kCallSize = 1;  // instructions have many sizes: any byte of the call will do

bool is_readable(u64 address) {
  return is_aligned(address, sizeof(u64)) && live_table().translate(Hva(address)).has_value();
}

void print_control_registers() {
  using namespace arch;
  log::print_line("  rflags {:x}  cr0 {:x}  cr3 {:x}  cr4 {:x}  efer {:x}", read_flags(), CR0::read(), CR3::read(),
                  CR4::read(), IA32_EFER::read());
}

}  // namespace ax::platform

/// Called by vectors.S on the emergency stack.
extern "C" [[noreturn]] void ax_fatal_exception(const ax::platform::CrashFrame* frame) {
  using namespace ax::platform;
  const ax::u64 fault_address = ax::arch::CR2::read();
  begin_panic();
  const bool overflow = is_stack_overflow(*frame, fault_address);
  ax::log::print_line(AX_IMAGE_NAME ": fatal {} on CPU {}{}", vector_name(frame->vector), ax::percpu::this_cpu().index,
                      cause(*frame, fault_address, overflow));
  print_registers(*frame, fault_address);
  print_back_trace(frame->rip, frame->x(5), is_readable(frame->rsp) ? *reinterpret_cast<const ax::u64*>(frame->rsp) : 0);
  end_panic(overflow ? "stack overflow" : AX_FATAL_EXCEPTION);
}

extern "C" void ax_host_interrupt(ax::u64 vector) {
  ax::percpu::this_cpu().vector = vector;
  ax::platform::handle_interrupt();
}

extern "C" void ax_host_nmi() { ax::platform::handle_cpu_call(); }
