// One virtual CPU as the hardware runs it, and one machine that can do so: AMD SVM and Intel VMX behind the same words.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
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
  PriorityWindow,   ///< the guest's task priority has gone below what leave_below_priority() has said
  ApicWrite,        ///< the guest has written to a register of its local APIC, at `fault.address` of the page
  EndOfInterrupt,   ///< the guest has ended `ended_vector`, whose end others wait for
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
  static constexpr u8 kIn = 1 << 0, kString = 1 << 2, kRepeat = 1 << 3;
  u16 port = 0;
  u8 size = 0;  ///< bytes: 1, 2 or 4
  u8 kind = 0;  ///< the bits above

  /// Reads a byte below 0x100, where only the board of a PC has ports: the most frequent case.
  bool reads_low_byte() const {
    constexpr u32 kByte = u32{kIn} << 24 | 1u << 16;
    return (std::bit_cast<u32>(*this) & 0xffff'ff00) == kByte;
  }
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

/// What every exit says. A backend has a table of them, and copies one as a word.
struct alignas(u32) ExitKind {
  ExitReason reason = ExitReason::Handled;
  u8 instruction_length = 0;     ///< of the instruction that caused it; 0: unknown
  bool during_delivery = false;  ///< an event was being delivered to the guest: it will be delivered again
  u8 details = 0;                ///< for the backend: what else the control block says
};

/// The last exit. Members besides those of ExitKind hold what the reason needs.
struct VmExit {
  ExitReason reason = ExitReason::Handled;
  u8 instruction_length = 0;
  bool during_delivery = false;
  u8 details = 0;
  PortAccess port{};
  u8 ended_vector = 0;
  ControlMove control_move{};
  NestedFault fault{};
  u64 code = 0;  ///< the hardware's own reason, for reports

  void set_kind(const ExitKind& kind) { __builtin_memcpy(static_cast<void*>(this), &kind, sizeof(kind)); }
};
static_assert(offsetof(VmExit, during_delivery) == offsetof(ExitKind, during_delivery) &&
              offsetof(VmExit, details) == offsetof(ExitKind, details));

/// Local APIC registers as APIC virtualisation reads and writes them: every fourth word of a page.
using ApicPage = std::span<u32, 0x100>;

/// Where the guest reaches its local APIC.
enum class ApicMode : u8 { Elsewhere, Memory, Msrs };

/// What a CPU that delivers interrupts by itself has to know: the highest vectors that are requested and in service, 0 for
/// none, and a bit for each vector whose end is told.
struct InterruptState {
  u8 requested = 0;
  u8 in_service = 0;
  std::array<u64, 4> told{};
  friend constexpr bool operator==(const InterruptState&, const InterruptState&) = default;
};

/// What a vCPU's control block refers to. All outlive it.
struct VcpuSettings {
  const NestedPaging& translation;
  Hpa port_permissions;  ///< PortPermissions::address()
  u64 tsc_offset = 0;    ///< guest's time-stamp counter - host's
  /// A page that the guest finds where its local APIC is. Empty: the local APIC is not virtualised by the CPU.
  std::optional<Hpa> apic_access{};
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

  /// APIC virtualisation (SDM vol. 3 chapter 30). Registers that the CPU reads and writes while the guest runs, the task
  /// priority for CR8 at least: then TaskPriority exits do not happen. Nothing: it knows none.
  virtual std::optional<ApicPage> apic_page() { return std::nullopt; }
  /// Whether it takes interrupts from these registers by itself, as soon as the guest can take them: no
  /// inject_interrupt() for those. Then set_apic_mode() and show_interrupts() matter.
  bool delivers_interrupts() const { return delivers_interrupts_; }
  virtual void set_apic_mode(ApicMode) {}
  virtual void show_interrupts(const InterruptState&) {}
  /// Without delivers_interrupts(): a PriorityWindow as soon as the guest's task priority class is below `priority`,
  /// which it is not now.
  virtual void leave_below_priority(u8 /*priority*/) {}

  /// Bytes of the instruction that caused a NestedFault, when the CPU recorded them.
  virtual std::span<const u8> instruction_bytes() const { return {}; }

 protected:
  VcpuBackend() = default;

  VmExit exit_{};
  bool delivers_interrupts_ = false;
  bool completes_simply_ = false;
};

/// The machine's virtualisation extension.
class Virtualization {
 public:
  virtual ~Virtualization() = default;

  virtual std::string_view name() const = 0;
  virtual mm::NestedCapabilities nested() const = 0;
  /// Whether vCPUs want VcpuSettings::apic_access.
  virtual bool virtualizes_apic() const { return false; }
  /// Turns the extension on. Each CPU, for itself, before it enters a guest; interrupts masked. Errors: NotSupported
  /// (this CPU lacks what the boot CPU has, or its firmware has locked it off; the reason was logged), OutOfMemory.
  virtual Result<void> init_cpu(unsigned cpu) = 0;
  /// Errors: OutOfMemory. `frames` outlives the vCPU.
  virtual Result<mm::Box<VcpuBackend>> create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames, const VcpuSettings& settings) = 0;
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

  /// Lets the guest use `count` ports from `first` on, and no longer. One caller at a time; while vCPUs run, one of them may go by what
  /// was before until it leaves its guest. Error: OutOfRange.
  Result<void> allow(u16 first, u32 count);
  void forbid(u16 first, u32 count);

  /// Of a bit per port (APM vol. 2 15.10.1): 8 KiB as VMX has them, and the page that SVM reads beyond.
  Hpa address() const { return map_.base; }

 private:
  PortPermissions(HpaRange map, VmFrames& frames) : map_(map), frames_(frames) {}

  HpaRange map_;  ///< empty: moved from
  VmFrames& frames_;
};

}  // namespace hv
