// AMD SVM: one vCPU (APM vol. 2 chapter 15).
#pragma once

#include "hypervisor/vcpu/x86_64/address_tags.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/events.hpp"
#include "hypervisor/vcpu/x86_64/hardware_state.hpp"
#include "hypervisor/vcpu/x86_64/svm_vmcb.hpp"

namespace hv::svm {

/// What CPUID Fn8000_000A says beyond the necessary.
struct Features {
  bool next_rip = false;
  bool decode_assists = false;
  bool flush_by_asid = false;
  bool pause_filter = false;
  bool tsc_aux = false;
  bool injects_twice = false;  ///< an interrupt may be delivered twice (docs/machines.md): QEMU's mistake
};

/// One CPU's part in running guests.
struct SvmCpu {
  Hpa host_state{};  ///< a VMCB for VMSAVE of the host's FS, GS, TR and system-call registers
  AddressTags asids{};
};

/// Shared by all vCPUs of the machine.
struct SvmMachineState {
  Features features{};
  Hpa msr_permissions{};
  std::span<SvmCpu> cpus{};
};

class SvmVcpu final : public VcpuBackend {
 public:
  /// `control_block`: one frame, given back to `frames` in the end.
  SvmVcpu(const SvmMachineState& machine, HpaRange control_block, VmFrames& frames, const VcpuSettings& settings);
  ~SvmVcpu() override;

  void load(unsigned cpu) override;
  void put() override;
  const VmExit& enter(GuestRegisters& registers) override;
  void complete_instruction(GuestRegisters& registers, unsigned length) override;

  u64 read(GuestRegister which) const override;
  void write(GuestRegister which, u64 value) override;
  SegmentState segment(SegmentRegister which) const override;
  void set_segment(SegmentRegister which, const SegmentState& state) override;
  TableState table(DescriptorTable which) const override;
  void set_table(DescriptorTable which, const TableState& state) override;
  unsigned privilege() const override { return vmcb_.save.cpl; }
  void set_privilege(unsigned level) override;

  bool inject_exception(u8 vector, std::optional<u32> error_code) override;
  void inject_interrupt(u8 vector) override;
  void inject_nmi() override;
  bool can_take_interrupt(const GuestRegisters& registers) const override;
  bool can_take_nmi(const GuestRegisters& registers) const override;
  void request_interrupt_window() override;
  void request_nmi_window() override;
  void reset_events() override;
  CodeState code() const override {
    const SaveArea& s = vmcb_.save;
    const bool long_code = (s.cs.attributes & SegmentState::kLong) != 0;
    return {{.cr0 = s.cr0, .cr3 = s.cr3, .cr4 = s.cr4, .efer = s.efer & ~x86::Efer::kSvme, .privilege = s.cpl},
            long_code && (s.efer & x86::Efer::kLma) != 0};
  }
  void set_tsc_offset(u64 offset) override;
  std::span<const u8> instruction_bytes() const override;

 private:
  /// Blocking by NMI: there is no bit for it, so the IRET that ends it is intercepted.
  enum class NmiState : u8 { Open, Masked, Returning };

  void renew_asid();
  void close_window();
  void set_intercept(u64 exit_code, bool on);
  bool follow_shadow(u64 rip);
  bool window_open() const { return (vmcb_.control.virtual_interrupt & VirtualInterrupt::kPending) != 0; }
  void prepare_entry(GuestRegisters& registers);
  void set_event(Event event);
  void offer_interrupt(u8 vector);
  void end_injection();
  void repeat_interrupted_event();
  void describe(GuestRegisters& registers);
  void classify_exception(GuestRegisters& registers);
  void step_over_return(GuestRegisters& registers);
  void end_step(GuestRegisters& registers);
  void describe_port(const GuestRegisters& registers);
  void describe_fault();

  const SvmMachineState& machine_;
  const VcpuSettings settings_;
  Vmcb& vmcb_;
  const Hpa address_;  ///< of the VMCB
  VmFrames& frames_;
  SvmCpu* cpu_ = nullptr;       ///< nullptr: not loaded
  SvmCpu* last_cpu_ = nullptr;  ///< that it was loaded on
  AddressTag asid_{};
  static constexpr u64 kFlush = ~u64{0};
  u64 epoch_ = 0;  ///< of the translation, at the last entry; kFlush: what the TLB knows is no longer true
  /// An instruction that may not be interrupted, behind STI or a load of SS. Emulators save the shadow at an exit and
  /// do not restore it at the entry, so it is remembered here.
  static constexpr u64 kNothingShadowed = ~u64{0};
  static constexpr u64 kInShadow = 1;
  u64 shadowed_ = kNothingShadowed;
  bool needs_preparation_ = false;  ///< the next entry: an event, or an NMI that waits
  bool injects_ = false;            ///< the entry that comes or has been: an event
  bool offers_ = false;             ///< which is a virtual interrupt
  NmiState nmi_ = NmiState::Open;
  bool nmi_waits_ = false;  ///< for the end of another NMI
  bool stepping_ = false;   ///< over the IRET that ends it
  u64 step_dr6_ = 0;        ///< the guest's
  u64 nmi_return_ = 0;      ///< RIP of the IRET in state Returning
  BreakpointAddresses breakpoints_{};
  u64 tsc_aux_ = 0;
};

/// Enters the guest whose VMCB lies at `vmcb`, and comes back at the next exit, with the host's state at `host_state`
/// loaded. RAX, RSP, RIP and RFLAGS are in the VMCB. Interrupts masked; afterwards pending NMIs have been taken.
extern "C" void ax_svm_enter(GuestRegisters* registers, u64 vmcb, u64 host_state);

}  // namespace hv::svm
