// Guest state that is in this CPU's registers while a vCPU is loaded, on either kind of machine.
#pragma once

#include <array>

#include "hypervisor/vcpu/x86_64/context.hpp"
#include "hypervisor/vm/vm_frames.hpp"
#include "kernel/base/result.hpp"

namespace hv {

/// Breakpoint addresses: the host uses none.
using BreakpointAddresses = std::array<u64, 4>;
void load_breakpoints(const BreakpointAddresses& addresses);
void save_breakpoints(BreakpointAddresses& addresses);

/// A model-specific register that the guest may read and write itself; the host has no use for its value.
u64 read_guest_msr(u32 index);
void write_guest_msr(u32 index, u64 value);

/// CR2, DR6, or one that read_guest_msr() reads: VMX leaves them to software.
u64 read_hardware(GuestRegister which);
void write_hardware(GuestRegister which, u64 value);

/// What the host runs with on this CPU, for a VMCS. Fixed from the time a CPU enters its first guest.
struct HostState {
  u64 cr0 = 0, cr3 = 0, cr4 = 0, efer = 0, pat = 0;
  u16 es = 0, cs = 0, ss = 0, ds = 0, fs = 0, gs = 0, tr = 0;
  u64 fs_base = 0, gs_base = 0, tr_base = 0, gdtr_base = 0, idtr_base = 0;
};
HostState host_state();

/// Does what the CPU does for a physical interrupt that a VM exit has acknowledged already, or for an NMI that caused
/// it.
void take_host_interrupt(u8 vector);
void take_host_nmi();

/// Whether this CPU has RDTSCP, and with it IA32_TSC_AUX.
bool has_tsc_aux();

/// x87, SSE and extended registers. Host code never uses them: they are the guest's from load() to put().
class FloatingPointState {
 public:
  /// `components`: what any guest may enable in XCR0; 0 on a CPU without XSAVE. `frames` outlives the object. Error:
  /// OutOfMemory.
  static Result<FloatingPointState> create(u64 components, VmFrames& frames);
  FloatingPointState(FloatingPointState&& other) noexcept;
  FloatingPointState& operator=(FloatingPointState&&) = delete;
  ~FloatingPointState();

  /// To what INIT leaves (SDM vol. 3 table 10-1). Not while loaded.
  void reset();
  void load();
  void put();

  /// XCR0, loaded or not. `value` has been validated.
  u64 xcr0() const;
  void set_xcr0(u64 value);

 private:
  FloatingPointState(u64 components, HpaRange area, VmFrames& frames)
      : components_(components), area_(area), frames_(frames) {}

  u64 components_;
  HpaRange area_;  ///< empty: moved from
  VmFrames& frames_;
  u64 xcr0_ = 1;
  bool loaded_ = false;
};

/// Lets this CPU save and restore `components` and execute XSETBV (CR4.OSXSAVE). Each CPU, before any load().
void init_floating_point(u64 components);

}  // namespace hv
