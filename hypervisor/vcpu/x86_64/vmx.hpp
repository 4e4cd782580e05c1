// Intel VMX: one vCPU (SDM vol. 3 chapters 24 to 28).
#pragma once

#include "hypervisor/vcpu/x86_64/address_tags.hpp"
#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/events.hpp"
#include "hypervisor/vcpu/x86_64/hardware_state.hpp"
#include "hypervisor/vcpu/x86_64/vmx_fields.hpp"

namespace hv::vmx {

/// What this machine's capability MSRs make of the controls that are wanted; the same on all CPUs.
struct Controls {
  u32 pin = 0;
  u32 primary = 0;
  u32 secondary = 0;
  u32 exit = 0;
  u32 entry = 0;
  friend constexpr bool operator==(const Controls&, const Controls&) = default;
};

/// One CPU's part in running guests.
struct VmxCpu {
  AddressTags vpids{};
};

/// Shared by all vCPUs of the machine.
struct VmxMachineState {
  Controls controls{};
  u32 revision = 0;          ///< of a VMCS: IA32_VMX_BASIC[30:0]
  u32 preemption_ticks = 0;  ///< longest uninterrupted time in a guest, in ticks of the preemption timer; 0: the CPU has none
  bool tsc_aux = false;
  Hpa msr_permissions{};
  Hpa x2apic_msr_permissions{};  ///< the same, and registers of a virtual x2APIC
  std::span<VmxCpu> cpus{};
};

/// Controls that together let guests use their local APIC without exits; with less of it, the task priority alone is.
inline constexpr u32 kVirtualApicControls = Secondary::kApicAccess | Secondary::kApicRegisters | Secondary::kInterruptDelivery;

class VmxVcpu final : public VcpuBackend {
 public:
  /// Bytes of a vCPU's own frames: the VMCS and the virtual-APIC page.
  static constexpr u64 kRegionSize = 2 * kPageSize;

  /// `region`: kRegionSize, given back to `frames` in the end. On a CPU in VMX operation, interrupts masked.
  VmxVcpu(const VmxMachineState& machine, HpaRange region, VmFrames& frames, const VcpuSettings& settings);
  ~VmxVcpu() override;

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
  unsigned privilege() const override;
  void set_privilege(unsigned level) override;

  bool inject_exception(u8 vector, std::optional<u32> error_code) override;
  void inject_interrupt(u8 vector) override;
  void inject_nmi() override;
  bool can_take_interrupt(const GuestRegisters& registers) const override;
  bool can_take_nmi(const GuestRegisters& registers) const override;
  void request_interrupt_window() override;
  void request_nmi_window() override;
  void reset_events() override;
  void set_tsc_offset(u64 offset) override;
  std::optional<ApicPage> apic_page() override;
  void set_apic_mode(ApicMode mode) override;
  void show_interrupts(const InterruptState& state) override;
  void leave_below_priority(u8 priority) override;

 private:
  /// Makes this vCPU's VMCS the current one for a moment, unless it is loaded.
  class Current;

  /// Registers that stay in the hardware while the vCPU is loaded: no field of the VMCS holds them.
  static constexpr usize kSwitched = 8;

  void write_constant_fields();
  void write_host_state();
  void renew_translation();
  u32 secondary_controls(ApicMode mode) const;
  void set_primary(u32 bits, bool on);
  void block_nmis();
  void write_registers(const GuestRegisters& registers);
  void read_registers(GuestRegisters& registers);
  void repeat_interrupted_event();
  void classify(GuestRegisters& registers, u32 reason);
  void classify_exception(GuestRegisters& registers);
  void classify_control_register(const GuestRegisters& registers);
  void describe_port();
  void describe_violation();
  void describe_apic_access();
  u64 read_switched(GuestRegister which) const;
  bool shadows_task_priority() const { return (machine_.controls.primary & Primary::kTprShadow) != 0; }

  const VmxMachineState& machine_;
  const VcpuSettings settings_;
  const Hpa region_;
  VmFrames& frames_;
  VmxCpu* cpu_ = nullptr;       ///< nullptr: not loaded
  VmxCpu* last_cpu_ = nullptr;  ///< whose state the VMCS has as the host's
  bool launched_ = false;
  u32 primary_;    ///< the primary controls as they are in the VMCS
  u64 epoch_ = 0;  ///< of the translation, at the last entry
  AddressTag vpid_{};
  u8 threshold_ = 0;           ///< of the task priority, as it is in the VMCS
  std::array<u64, 4> told_{};  ///< the vectors whose end is told, as they are in the VMCS
  Event event_{};
  u64 rsp_ = 0, rip_ = 0, rflags_ = 0;  ///< as they are in the VMCS
  BreakpointAddresses breakpoints_{};
  std::array<u64, kSwitched> switched_{};  ///< while not loaded
};

/// Enters the guest of the current VMCS and comes back at the next exit. RSP, RIP and RFLAGS are in the VMCS.
/// Interrupts masked. False: the CPU refused at once, and the VMCS says why.
extern "C" bool ax_vmx_enter(GuestRegisters* registers, bool launched);
/// Where exits continue: the VMCS's host RIP.
extern "C" void ax_vmx_exit();

}  // namespace hv::vmx
