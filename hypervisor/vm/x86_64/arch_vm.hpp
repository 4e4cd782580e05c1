// The x86 half of a VM: nested paging, the PC's devices, MSRs, boot protocol.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <type_traits>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/device/x86_64/pc_machine.hpp"
#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"
#include "hypervisor/vcpu/x86_64/msr_policy.hpp"
#include "hypervisor/vm/pci_passthrough.hpp"
#include "hypervisor/vm/x86_64/nested_paging.hpp"
#include "kernel/base/spinlock.hpp"
#include "kernel/base/static_vector.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

class Vcpu;
class Vm;

inline constexpr usize kMaxVcpus = kMaxPcVcpus;

class ArchVm final : private PcHost, private EndOfInterruptListener, private PciMessageSink {
 public:
  /// Of a kernel, the loader only looks at the first page.
  static constexpr bool kStreamsKernel = false;
  /// PCI functions: with I/O ports, and where firmware has put them.
  static constexpr bool kHasPorts = true, kPlacesPciMemory = false;

  explicit ArchVm(Vm& owner) : vm_(owner) {}

  // Called by Vm in this order, on the manager's thread; each logs why it fails.
  /// An address space that reaches all of the VM's memory; empty.
  Result<void> create_translation();
  /// Errors: those of mm::PageTable::map().
  Result<void> map(GpaRange range, Hpa target, mm::PageAttributes attributes) {
    return translation_->map(range, target, attributes);
  }
  // For PciPassthrough.
  void unmap(GpaRange range);
  Result<void> set_tables_aside(usize count) { return translation_->set_tables_aside(count); }
  bool open_ports(u16 first, u32 count, bool open);
  Result<PciMessage> give_message(u32 number);
  /// Firmware's word is the only one about where a pin arrives. Error: NotFound.
  Result<u32> find_pci_line(u8 device, u8 pin, u8 firmware_line);
  /// The guest has the line, under a number of its I/O APIC that is not `given`. Errors: those of PhysicalInterrupts::give_to_vm().
  Result<u32> give_pci_line(u32 gsi, std::span<const GuestPciLine> given);
  /// What the guest knows vCPU `index` by: its APIC id.
  static u64 guest_id(const VmConfig&, unsigned index) { return index; }
  /// A vCPU that was just made.
  Result<void> prepare(Vcpu& vcpu);
  /// vCPUs exist.
  Result<void> create_devices();
  Result<void> load_images();
  /// Passthrough of addresses, ports and interrupts.
  Result<void> give_devices();
  const StartState& start_state() const { return start_; }
  Gpa entry() const { return Gpa(start_.rip); }
  /// The guest's time begins.
  void begin_time();
  /// Devices of the machine do no DMA any more; nothing runs any more.
  void quiesce_devices() {
    if (pci_) pci_->quiesce();
  }
  /// Address space and tables go; nothing runs any more.
  void destroy_translation();

  /// Part of the host's own interrupt controllers and timers.
  static bool belongs_to_host(const MachineInfo& machine, HpaRange range);

  /// The first half of the watchdog's time is over: a WDAT describes no interrupt for that.
  void watchdog_warns() {}
  /// A character for the guest's serial port. Any CPU, interrupts masked.
  void console_input(char c);
  /// The physical line behind pin `pin` of the guest's I/O APIC has raised an interrupt. Any CPU, interrupts masked.
  void hardware_interrupt(u32 pin, bool level);

  /// A PCI function of the VM has sent the message that PhysicalInterrupts::give_message() gave it. As hardware_interrupt().
  void hardware_message(u32 number);

  // What a vCPU asks at an exit: on its CPU, interrupts masked, its state loaded. `size` is in bytes.
  /// Without the feature bit that repeats CR4.OSXSAVE.
  CpuidResult cpuid(Vcpu& vcpu, u32 leaf, u32 subleaf);
  /// Nothing or false: #GP.
  std::optional<u64> msr_read(Vcpu& vcpu, u32 index);
  bool msr_write(Vcpu& vcpu, u32 index, u64 value);
  /// Ports that nobody claims read as all ones and swallow what is written. Sizes 1, 2 and 4.
  u32 port_in(u16 port, u32 size);
  /// PortAccess::reads_low_byte().
  u32 board_port_in(u16 port) {
    if (port == V8254::kPort61) [[unlikely]] {
      if (const auto value = board_->without_lock().read_quiet_port61(ArchVm::now())) return *value;
    }
    return with_board([&](PcMachine& board) { return board.low_port_read(port); });
  }
  void port_out(u16 port, u32 size, u32 value);
  /// Nothing, false: nobody answers there. Sizes 1, 2, 4 and 8.
  std::optional<u64> mmio_read(Vcpu& vcpu, Gpa address, u32 size);
  bool mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value);
  /// The local APIC's task priority class, as CR8 has it: 0 to 15.
  u8 task_priority(Vcpu& vcpu);
  void set_task_priority(Vcpu& vcpu, u8 priority);
  /// Whether an interrupt waits that the vCPU's interrupt controller lets through.
  bool interrupt_pending(Vcpu& vcpu);
  /// Whether it is one that the CPU does not deliver by itself.
  bool must_inject(Vcpu& vcpu);
  /// Acknowledges such a one; it is in service from now on.
  std::optional<u8> take_interrupt(Vcpu& vcpu);
  /// The task priority class below which an interrupt that is held back now can be taken. 0: there is none.
  u8 priority_in_wait(Vcpu& vcpu);
  // APIC virtualisation: see VcpuBackend.
  ApicMode apic_mode(Vcpu& vcpu);
  InterruptState interrupt_state(Vcpu& vcpu);
  void apic_written(Vcpu& vcpu, u32 offset);
  void interrupt_ended(Vcpu& vcpu, u8 vector) { local_apic(vcpu).ended(vector); }
  /// The vCPU could not run for so many ticks although it wanted to.
  void report_wait(Vcpu& vcpu, u64 ticks);
  /// Sets the timer for what the vCPU's devices have due next, or for nothing.
  void arm_timer(Vcpu& vcpu);
  void cancel_timer(Vcpu& vcpu);
  /// Makes the vCPU's time-stamp counter what Vm::now() and the guest's own writes to it say.
  void adjust_counter(Vcpu& vcpu);

 private:
  /// A guest that reads ports this often without writing to one waits for input.
  static constexpr unsigned kReadsThatMeanWaiting = 16;

  /// Fires what is due in the machine. One per vCPU, on that vCPU's CPU; the first one's is for the chipset, too.
  struct Timer : Deadline {
    Timer() : Deadline(&ArchVm::timer_due) {}
    ArchVm* vm = nullptr;
    unsigned vcpu = 0;
  };
  class Msrs;

  // PcHost: called under the board's lock or by local APICs.
  u64 now() override;
  void kick(unsigned vcpu) override;
  void nmi(unsigned vcpu) override;
  void init(unsigned vcpu) override;
  void start(unsigned vcpu, u8 vector) override;
  void console_output(char c) override;
  void power_off() override;
  void reset() override;
  void debug_exit(u32 code) override;
  void deadline_changed(unsigned vcpu) override { changed_timers_.fetch_or(1u << vcpu, std::memory_order_relaxed); }
  void board_deadline_changed(u64 deadline) override {
    board_deadline_.store(deadline, std::memory_order_relaxed);
    deadline_changed(0);
  }
  void line_ended(u32 gsi) override;
  // EndOfInterruptListener: a local APIC's, without a lock.
  void end_of_interrupt(u8 vector) override;

  Result<void> virtualize_apic();
  Result<void> give_line(const PassthroughDevice& device);
  // PciMessageSink: called under the PCI bus's lock.
  void send(const PciMessage& message) override;

  Result<void> give_ports();
  static void timer_due(Deadline& deadline);
  /// Locks the board for `action(board)`, then sets the timers that it has changed.
  template <class Action>
  [[gnu::always_inline]] std::invoke_result_t<Action, PcMachine&> with_board(Action action) {
    const auto locked = [&] {
      const auto board = board_->lock_masked();
      return action(*board);
    };
    const auto result = locked();
    set_timers();
    return result;
  }
  VLocalApic& local_apic(const Vcpu& vcpu);
  bool takes_8259(Vcpu& vcpu);
  std::optional<u32> pci_port_in(u16 port, u32 size);
  bool pci_port_out(u16 port, u32 size, u32 value);
  Result<void> create_pci();
  std::optional<u64> board_read(Gpa address, u32 size);
  bool board_write(Gpa address, u32 size, u64 value);
  void feed(PcMachine& board);
  void set_timers() {
    if (changed_timers_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      set_changed_timers();
  }
  void set_changed_timers();
  void arm(unsigned vcpu);
  /// Writes the record of the paravirtual clock that the MSR `index` of `vcpu` points to, on its CPU.
  void update_clock(Vcpu& vcpu, u32 index);
  /// Returns the address of their root pointer.
  Result<Gpa> load_firmware_tables();

  Vm& vm_;
  std::optional<NestedPaging> translation_;
  std::optional<PortPermissions> ports_;
  std::optional<Hpa> apic_access_;     ///< a page behind the local APICs' address, for CPUs that virtualise them
  std::optional<LocalApicBus> apics_;  ///< without a lock: see VLocalApic
  std::optional<Locked<PcMachine, LockRank::VirtualDevice>> board_;
  mm::Box<PciPassthrough> pci_;       ///< empty: the VM has no PCI functions
  StaticVector<char, 1024> typed_{};  ///< input that does not fit into the serial port yet; under the board's lock
  unsigned port_reads_ = 0;           ///< since the last write; under the board's lock
  std::atomic<u64> board_deadline_{kNoDeadline};
  std::atomic<u32> changed_timers_{0};  ///< vCPUs, by bit, whose timers are to be set anew
  std::array<Timer, kMaxVcpus> timers_{};
  std::array<MsrState, kMaxVcpus> msrs_{};
  std::array<u64, kMaxVcpus> tsc_adjust_{};  ///< guest's counter - VM's time, after it was written
  u64 start_of_day_ = 0;                     ///< time of day at the VM's time 0, in seconds since 1970
  StartState start_{};
};

}  // namespace hv
