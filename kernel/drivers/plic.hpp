// Platform-Level Interrupt Controller of RISC-V machines (RISC-V PLIC specification 1.0): interrupts of devices.
#pragma once

#include <array>

#include "platforms/machine_info.hpp"

namespace ax::drivers {

/// Register accesses only; callers serialise changes of the same source. Registers are mapped at VA = PA.
class Plic {
 public:
  constexpr Plic() = default;

  /// `cpus` say which context is whose. Before all else.
  void attach(const PlicInfo& info, std::span<const CpuInfo> cpus);
  /// Every source is off for this CPU, whatever firmware left, and it takes interrupts of every priority. The CPU itself, once.
  void init_cpu(unsigned index);

  /// The source, 1 to sources(), is delivered to CPU `index` from now on, or not any more.
  void enable(u32 source, unsigned index);
  void disable(u32 source, unsigned index);
  u32 sources() const { return sources_; }

  /// The pending interrupt of the CPU, which is then its handler's until complete(); 0: none (another CPU was faster).
  u32 claim(unsigned index) const;
  void complete(unsigned index, u32 source) const;

 private:
  u64 enable_word(u32 source, unsigned index) const;
  u64 context(unsigned index) const;

  u64 base_ = 0;
  u32 sources_ = 0;
  std::array<u32, kMaxCpus> contexts_{};
};

}  // namespace ax::drivers
