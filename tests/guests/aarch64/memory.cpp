// Tries what the flags of its memory regions forbid: every fault must be a synchronous external abort.
#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u64 kScratch = 0x1'4000'0000;  ///< above 4 GiB, behind a hole
constexpr u32 kReturnInstruction = 0xd65f'03c0;  // RET

volatile u64 resume_address;  ///< where an instruction abort continues
volatile u32 aborts;

bool try_read(u64 address) {
  const u32 before = aborts;
  (void)read32(address);
  return aborts == before;
}
bool try_write(u64 address, u32 value) {
  const u32 before = aborts;
  write32(address, value);
  return aborts == before;
}
// The caches are off, so that the instruction is where it is fetched from.
bool try_execute(u64 address) {
  const u32 before = aborts;
  asm volatile("dsb sy\n isb\n adr x9, 1f\n str x9, %0\n blr %1\n1:" : "=m"(resume_address) : "r"(address) : "x9", "x30", "memory");
  return aborts == before;
}

}  // namespace

#include "tests/guests/memory.hpp"

extern "C" void tiny_unexpected() {
  print("memory: FAILED: unexpected exception\n");
  power_off();
}
extern "C" void tiny_interrupt() { tiny_unexpected(); }
extern "C" void tiny_synchronous(u64 syndrome, u64) {
  constexpr u64 kInstructionAbort = 0x21, kDataAbort = 0x25, kExternal = 0x10;
  const u64 exception_class = syndrome >> 26;
  if ((syndrome & 0x3f) != kExternal || (exception_class != kInstructionAbort && exception_class != kDataAbort)) tiny_unexpected();
  if (exception_class == kInstructionAbort) asm volatile("msr elr_el1, %0" : : "r"(resume_address - 4));
  aborts = aborts + 1;
}
extern "C" void tiny_main(u64) { run(); }
