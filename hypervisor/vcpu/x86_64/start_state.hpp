// How a vCPU begins: as an INIT and a start-up IPI leave it, or as a boot protocol wants it.
#pragma once

#include "hypervisor/vcpu/x86_64/backend.hpp"

namespace hv {

struct StartState {
  enum class Mode : u8 {
    Real16,       ///< 16-bit code at real_segment:rip, as after INIT (SDM vol. 3 10.1.1)
    Protected32,  ///< flat 32-bit segments, no paging, interrupts off (Multiboot 1, PVH)
    Long64,       ///< flat 64-bit segments, paging on with cr3 (Linux boot protocol)
  };

  Mode mode = Mode::Real16;
  u64 rip = 0;
  u16 real_segment = 0;  ///< Real16: CS; a start-up IPI's vector is its upper byte
  u64 cr3 = 0;           ///< Long64: guest-physical address of a four-level table that maps this code and `gdt`
  TableState
      gdt{};  ///< not Real16: at guest-linear `base`; base 0: the guest loads its own before it reloads a segment
  u16 code_selector = 0x10;  ///< not Real16
  u16 data_selector = 0x18;
  u64 rax = 0, rbx = 0, rdx = 0, rsi = 0;
};

/// Puts a vCPU into that state, whatever it was in. Its control block is not loaded on another CPU.
void start(VcpuBackend& cpu, GuestRegisters& registers, const StartState& state);

}  // namespace hv
