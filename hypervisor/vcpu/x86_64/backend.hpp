// One virtual CPU as the hardware runs it, and one machine that can do so: AMD SVM and Intel VMX behind the same words.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "hypervisor/vcpu/x86_64/context.hpp"
#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"
#include "hypervisor/vm/vm_frames.hpp"
#include "hypervisor/vm/x86_64/nested_paging.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

/// Why a guest was left. What only concerns the backend itself is Handled.
enum class ExitReason : u8 {
  Handled,          ///< enter again
  Interrupt,        ///< a physical interrupt is pending, or the preemption timer ticked
  Nmi,              ///< a physical NMI: the host has taken it when enter() returns
  InterruptWindow,  ///< the guest can take an interrupt now
  NmiWindow,        ///< the guest can take an NMI now
  LostShadow,       ///< an InterruptWindow in front of an instruction that still has an interrupt shadow
  Cpuid,
  Hlt,
  Hypercall,  ///< VMMCALL, VMCALL
  MsrRead,
  MsrWrite,
  PortIo,
  NestedFault,
  Xsetbv,
  TaskPriority,          ///< MOV to or from CR8
  Cr4Write,              ///< MOV to CR4
  CacheInvalidation,     ///< INVD, WBINVD
  Pause,                 ///< spinning for long
  UndefinedInstruction,  ///< SVM, VMX and MONITOR instructions, and others that the guest was not promised
  ProtectedInstruction,  ///< one that raises #GP on the CPU that the guest was promised (RDPMC)
  Shutdown,              ///< triple fault
  TaskSwitch,
  MachineCheck,  ///< the hardware reports an error of its own
  InvalidState,  ///< the hardware refused to enter the guest
  Unexpected,
};
inline constexpr usize kExitReasons = static_cast<usize>(ExitReason::Unexpected) + 1;
std::string_view describe(ExitReason reason);

/// PortIo: one IN, OUT, INS or OUTS.
struct PortAccess {
  u16 port = 0;
  u8 size = 0;  ///< bytes: 1, 2 or 4
  bool in = false;
  bool string = false;
  bool repeat = false;
};

/// NestedFault: an access to guest-physical `address`.
struct NestedFault {
  Gpa address{};
  bool write = false;
  bool fetch = false;
  bool on_walk = false;  ///< the access was the CPU's own, to a page table of the guest
};

/// TaskPriority, Cr4Write: a move between a control register and a general-purpose one.
struct ControlMove {
  bool write = false;
  std::optional<Gpr> which{};  ///< nothing: the CPU does not say
};

/// The last exit. Members besides `reason` hold what that reason needs.
struct VmExit {
  ExitReason reason = ExitReason::Handled;
  u8 instruction_length = 0;     ///< of the instruction that caused it; 0: unknown
  bool during_delivery = false;  ///< an event was being delivered to the guest: it will be delivered again
  /// The guest has set another task priority class than at the entry, and the hardware has let it: the local APIC's
  /// model must know before anything asks it.
  std::optional<u8> new_task_priority{};
  PortAccess port{};
  ControlMove control_move{};
  NestedFault fault{};
  u64 code = 0;  ///< the hardware's own reason, for reports
};

/// What a vCPU's control block refers to. All outlive it.
struct VcpuSettings {
  const NestedPaging& translation;
  Hpa port_permissions;  ///< PortPermissions::address()
  u64 tsc_offset = 0;    ///< guest's time-stamp counter - host's
};

/// Where the guest finds its instructions. Of `paging`, `rflags` and the address width are not filled in.
struct CodeState {
  PagingState paging{};
  bool is_64bit = false;  ///< long mode, and CS says 64-bit code
};

/// One vCPU's control block and the hardware state around it.
///
/// load() puts its state on the calling CPU, put() takes it off; a vCPU is only ever loaded on one CPU. enter(), and
/// everything that reads or changes guest state, is for that CPU, interrupts masked; before the first load() anybody
/// may set state.
class VcpuBackend {
 public:
  virtual ~VcpuBackend() = default;
  VcpuBackend(const VcpuBackend&) = delete;
  VcpuBackend& operator=(const VcpuBackend&) = delete;

  virtual void load(unsigned cpu) = 0;
  virtual void put() = 0;

  /// Runs the guest until it is left. The answer is valid until the next call. FP registers are the guest's, before and
  /// after.
  virtual const VmExit& enter(GuestRegisters& registers) = 0;
  const VmExit& last_exit() const { return exit_; }

  /// Steps over an emulated instruction of `length` bytes: its interrupt shadow ends, and a guest that single-steps
  /// traps.
  virtual void complete_instruction(GuestRegisters& registers, unsigned length) = 0;
  /// Whether that is, since the last exit and unless the guest single-steps, to add `length` to RIP, and nothing else.
  bool completes_simply() const { return completes_simply_; }

  virtual u64 read(GuestRegister which) const = 0;
  virtual void write(GuestRegister which, u64 value) = 0;
  virtual SegmentState segment(SegmentRegister which) const = 0;
  virtual void set_segment(SegmentRegister which, const SegmentState& state) = 0;
  virtual TableState table(DescriptorTable which) const = 0;
  virtual void set_table(DescriptorTable which, const TableState& state) = 0;
  virtual unsigned privilege() const = 0;
  virtual void set_privilege(unsigned level) = 0;

  /// At the next entry the guest takes this event. An exception replaces an event that was to be delivered again; two
  /// faults in a row become what the architecture says (SDM vol. 3 table 6-5), down to the triple fault, for which they
  /// return false.
  [[nodiscard]] virtual bool inject_exception(u8 vector, std::optional<u32> error_code) = 0;
  virtual void inject_interrupt(u8 vector) = 0;  ///< can_take_interrupt()
  virtual void inject_nmi() = 0;                 ///< can_take_nmi()
  virtual bool can_take_interrupt(const GuestRegisters& registers) const = 0;
  virtual bool can_take_nmi(const GuestRegisters& registers) const = 0;
  /// The next time the guest could take one, it is left with InterruptWindow or NmiWindow.
  virtual void request_interrupt_window() = 0;
  virtual void request_nmi_window() = 0;
  /// Forgets events to be injected and everything that blocks them: the vCPU starts anew.
  virtual void reset_events() = 0;

  /// read() and privilege() at once, for what the guest's page walks and instruction fetches depend on.
  virtual CodeState code() const;

  virtual void set_tsc_offset(u64 offset) = 0;

  /// Whether the hardware keeps the task priority for CR8. Then TaskPriority exits do not happen, and whoever changes
  /// the priority in the local APIC's model says so here.
  bool shadows_task_priority() const { return shadows_task_priority_; }
  virtual void set_task_priority(u8) {}

  /// Bytes of the instruction that caused a NestedFault, when the CPU recorded them.
  virtual std::span<const u8> instruction_bytes() const { return {}; }

 protected:
  VcpuBackend() = default;

  VmExit exit_{};
  bool shadows_task_priority_ = false;
  bool completes_simply_ = false;
};

/// The machine's virtualisation extension.
class Virtualization {
 public:
  virtual ~Virtualization() = default;

  virtual std::string_view name() const = 0;
  virtual mm::NestedCapabilities nested() const = 0;
  /// Turns the extension on. Each CPU, for itself, before it enters a guest; interrupts masked. Errors: NotSupported
  /// (this CPU lacks what the boot CPU has, or its firmware has locked it off; the reason was logged), OutOfMemory.
  virtual Result<void> init_cpu(unsigned cpu) = 0;
  /// Errors: OutOfMemory. `frames` outlives the vCPU.
  virtual Result<mm::Box<VcpuBackend>> create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames,
                                                   const VcpuSettings& settings) = 0;
};

/// What the boot CPU offers. `frames`: the host's own. Errors: NotSupported (neither extension, or without what a guest
/// needs, or locked off by the firmware: the reason was logged), OutOfMemory.
Result<mm::Box<Virtualization>> create_virtualization(mm::ObjectAllocator& heap, VmFrames& frames);

/// Where a model-specific register that is part of a guest's state is kept; nothing for all others.
std::optional<GuestRegister> register_of_msr(u32 index);
/// The other way round. `which` is one of them.
u32 msr_of_register(GuestRegister which);

/// The ports that one VM reaches without an exit: none, until they are allowed.
class PortPermissions {
 public:
  /// Error: OutOfMemory. `frames` outlives the object.
  static Result<PortPermissions> create(VmFrames& frames);
  PortPermissions(PortPermissions&& other) noexcept;
  PortPermissions& operator=(PortPermissions&&) = delete;
  ~PortPermissions();

  /// Lets the guest use `count` ports from `first` on. Before the VM runs. Error: OutOfRange.
  Result<void> allow(u16 first, u32 count);

  /// Of a bit per port (APM vol. 2 15.10.1): 8 KiB as VMX has them, and the page that SVM reads beyond.
  Hpa address() const { return map_.base; }

 private:
  PortPermissions(HpaRange map, VmFrames& frames) : map_(map), frames_(frames) {}

  HpaRange map_;  ///< empty: moved from
  VmFrames& frames_;
};

}  // namespace hv
