// The x86 half of a virtual CPU: its registers, its control block, and one turn in the guest.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"
#include "hypervisor/vcpu/x86_64/decoder.hpp"
#include "hypervisor/vcpu/x86_64/hardware_state.hpp"
#include "hypervisor/vcpu/x86_64/known_instructions.hpp"
#include "hypervisor/vcpu/x86_64/start_state.hpp"

namespace hv {

class ArchVm;
class Cpu;
class Vcpu;

/// Members are for the vCPU's own CPU, interrupts masked, unless they say otherwise.
class ArchVcpu {
 public:
  /// Both outlive it.
  ArchVcpu(Vcpu& owner, ArchVm& vm) : owner_(owner), vm_(vm) {}

  /// Before any other function. `xcr0`, `cr4`: what any guest may enable there; XCR0 is 0 on a CPU without XSAVE.
  /// Manager thread, interrupts masked. Errors: OutOfMemory.
  Result<void> create(Virtualization& machine, mm::ObjectAllocator& heap, VmFrames& frames, const VcpuSettings& settings,
                      u64 xcr0, u64 cr4);

  /// Takes the state that a start-up IPI or a boot protocol asks for. Not while loaded.
  void reset(const StartState& state);

  /// Puts its state on CPU `cpu`, and takes it off. A vCPU is only ever loaded on one CPU.
  void load(unsigned cpu);
  void put();

  /// Delivers interrupts, enters the guest and answers the exit, until somebody wants something of the vCPU or its CPU.
  /// Loaded. A vCPU that has halted and has nothing to wake up for asks its VM to wait instead.
  void run_guest(Cpu& cpu);

  /// Requests of this architecture (VcpuRequest).
  static constexpr u32 kArmTimer = 1 << 8;  ///< a deadline of its devices has changed
  void serve(u32 asked);
  /// How long it could not run although it wanted to, in host timer ticks. Loaded.
  void report_wait(u64 ticks);
  void cancel_timers();
  /// It leaves for another CPU, put away; it has come from one. Its timers go with it.
  void suspend_timers() { cancel_timers(); }
  void resume_timers() { serve(kArmTimer); }
  u64 program_counter() const { return registers.rip; }
  /// The VM goes on after a pause, with another Vm::time_offset().
  void resume_time();

  /// Whether a halted vCPU has a reason to go on.
  bool has_deliverable();

  /// Something may have become pending at the vCPU's interrupt controller. Any CPU; the vCPU must be notified by the
  /// caller.
  void interrupts_changed() { attention_.fetch_or(kLook, std::memory_order_seq_cst); }
  /// Non-maskable; several before the vCPU runs count as one. Any CPU; the vCPU must be notified by the caller.
  void post_nmi() { attention_.fetch_or(kNmi, std::memory_order_release); }

  GuestRegisters registers;
  DecodeCache decoded;  ///< instructions that were emulated for it
  KnownInstructions known;
  VcpuBackend& backend() { return *backend_; }
  Vcpu& owner() { return owner_; }
  ArchVm& vm() { return vm_; }

  u8 physical_address_bits() const { return physical_address_bits_; }
  u64 xcr0() const { return floating_point_->xcr0(); }
  /// XSETBV. False: #GP.
  bool set_xcr0(u64 value);
  /// MOV to CR4 by a guest that is in the state `now`. False: #GP.
  bool set_cr4(u64 value, const PagingState& now);

  /// HLT: the next run_guest() waits.
  void halt() { attention_.fetch_or(kHalted, std::memory_order_relaxed); }
  /// Both end in the guest or, when the architecture says so, in a shutdown of the VM.
  void inject(u8 vector, std::optional<u32> error_code = {});
  void complete(unsigned length) {
    const bool steps = (registers.rflags & x86::Rflags::kTf) != 0;
    if (!backend_->completes_simply() || steps) [[unlikely]]
      return backend_->complete_instruction(registers, length);
    registers.rip += length;
  }

  /// What CPUID says now.
  CpuidResult cpuid(u32 leaf, u32 subleaf);
  /// Something that answers depend on has changed, beyond CR4 and XCR0.
  void forget_cpuid() { answers_ = {}; }

 private:
  /// What has to be seen to before the next entry.
  enum Attention : u32 {
    kLook = 1 << 0,    ///< something may be pending at the interrupt controller
    kNmi = 1 << 1,     ///< one is waiting
    kWindow = 1 << 2,  ///< an interrupt waits for its window
    kHalted = 1 << 3,
  };
  struct CpuidAnswer {
    u32 leaf = ~u32{0};  ///< whose answer is all zeros
    u32 subleaf = 0;
    CpuidResult result{};
  };
  static constexpr usize kAnswers = 16;

  bool attend();
  CpuidResult ask_cpuid(CpuidAnswer& answer, u32 leaf, u32 subleaf);
  bool needs(Attention what) const { return (attention_.load(std::memory_order_relaxed) & what) != 0; }
  void done_with(Attention what) { attention_.fetch_and(~u32{what}, std::memory_order_seq_cst); }
  void deliver_interrupts();
  void deliver_nmi();

  Vcpu& owner_;
  ArchVm& vm_;
  mm::Box<VcpuBackend> backend_;
  std::optional<FloatingPointState> floating_point_;
  u64 supported_xcr0_ = 0;
  u64 supported_cr4_ = 0;
  u8 physical_address_bits_ = 0;
  std::atomic<u32> attention_{0};
  std::array<CpuidAnswer, kAnswers> answers_{};  ///< those that stay as they are
};

}  // namespace hv
