// The physical CPU, played by the test: what the code under test asks of hypervisor/sched/cpu.hpp.
#pragma once

namespace hv {

class Cpu {
 public:
  static Cpu& current() { return *the_cpu; }
  void handle_interrupts() { ++interrupts; }

  bool reschedule = false;
  unsigned interrupts = 0;
  inline static Cpu* the_cpu = nullptr;
};

}  // namespace hv
