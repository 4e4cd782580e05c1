// Tries what the flags of its memory regions forbid: every fault must be a general-protection fault.
#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u64 kScratch = 0x9000'0000;     ///< behind a hole
constexpr u32 kReturnInstruction = 0xc3;  // RET

u64 resume_address;  ///< where a fault continues
volatile u32 faults;
Gate table[256];

// Addresses that are not the guest's read as all ones.
bool try_read(u64 address) { return read32(address) != ~u32{0}; }

bool try_write(u64 address, u32 value) {
  const u32 before = faults;
  asm volatile("leaq 1f(%%rip), %%r15\n movq %%r15, %0\n movl %1, (%2)\n1:"
               : "=m"(resume_address)
               : "r"(value), "r"(address)
               : "r15", "memory");
  return faults == before;
}
bool try_execute(u64 address) {
  const u32 before = faults;
  asm volatile("movq %%rsp, %%r14\n leaq 1f(%%rip), %%r15\n movq %%r15, %0\n call *%1\n1: movq %%r14, %%rsp"
               : "=m"(resume_address)
               : "r"(address)
               : "r14", "r15", "memory");
  return faults == before;
}

void reset() { out8(0xcf9, 6); }

}  // namespace

#include "tests/guests/memory.hpp"

extern "C" void guest_interrupt(u64 vector, u64* rip) {
  constexpr u64 kGeneralProtection = 13;
  if (vector != kGeneralProtection) {
    print("memory: FAILED: unexpected exception\n");
    power_off();
  }
  faults = faults + 1;
  *rip = resume_address;
}

extern "C" void guest_main(u32, u64) {
  install_handlers(table);
  run();
}
