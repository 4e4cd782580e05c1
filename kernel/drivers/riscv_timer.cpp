#include "kernel/drivers/riscv_timer.hpp"

#include "kernel/drivers/sbi.hpp"

namespace ax::drivers::riscv_timer {
namespace {

/// Tries to read the deadline register with a trap vector that leads past the attempt. The device tree says whether the CPU has
/// it, but not whether firmware lets supervisor mode use it.
bool can_read_deadline_register() {
  u64 readable, vector, scratch;
  asm volatile(
      "lla %1, 1f\n\t"
      "csrrw %1, stvec, %1\n\t"
      "li %0, 0\n\t"
      "csrr %2, 0x14d\n\t"
      "li %0, 1\n\t"
      ".balign 4\n"
      "1:\n\t"
      "csrw stvec, %1"
      : "=&r"(readable), "=&r"(vector), "=&r"(scratch)
      :
      : "memory");
  return readable != 0;
}

}  // namespace

void init(u64 frequency) {
  detail::ticks_per_second = frequency;
  detail::has_deadline_register = can_read_deadline_register();
}

void set_deadline(u64 ticks) { detail::has_deadline_register ? arch::STIMECMP::write(ticks) : sbi::set_timer(ticks); }
void cancel_deadline() { set_deadline(~u64{0}); }

}  // namespace ax::drivers::riscv_timer
