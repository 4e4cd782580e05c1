// The local APICs of a guest and the bus between them (SDM vol. 3 chapter 11, before 2023 chapter 10, APM vol. 2
// chapter 16).
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <span>

#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// SDM vol. 3 table 11-3, bits 10:8 of an interrupt command, an LVT entry and a redirection entry.
enum class ApicDelivery : u8 { Fixed, LowestPriority, Smi, Reserved, Nmi, Init, StartUp, ExtInt };

/// An interrupt on its way to local APICs.
struct ApicMessage {
  static constexpr u32 kBroadcast = ~0u;
  u32 destination = 0;  ///< an APIC id, a logical destination, or kBroadcast
  bool logical = false;
  ApicDelivery delivery = ApicDelivery::Fixed;
  u8 vector = 0;
  bool level = false;  ///< level-triggered: the EOI goes back to the I/O APIC
};

/// Who hears EOI messages: the I/O APIC.
class EndOfInterruptListener {
 public:
  virtual void end_of_interrupt(u8 vector) = 0;

 protected:
  ~EndOfInterruptListener() = default;
};

class LocalApicBus;

/// One local APIC. Its APIC id is the vCPU's number, in both modes, and read-only. Version 0x14, six LVT entries, no
/// suppression of EOI broadcasts. The timer's bus clock is the TSC itself (CPUID leaf 0x15: crystal = TSC frequency).
/// The spurious vector is kept and never delivered: no request goes away between pending() and acknowledge().
///
/// Context: the registers belong to the vCPU's own CPU, interrupts masked, and need no lock. What others send is put
/// into an inbox of atomics, which the owner empties before it looks. Functions for any CPU say so.
class VLocalApic {
 public:
  /// 32-bit words of the registers, of which every fourth is used: they lie as in memory, and as in a virtual-APIC page.
  static constexpr usize kRegisterWords = 0x100;
  static constexpr u64 kDefaultBase = 0xfee0'0000;
  static constexpr u32 kFirstMsr = 0x800;
  static constexpr u32 kLastMsr = 0x8ff;

  void attach(LocalApicBus& bus, unsigned index);
  /// The state after power-on. vCPU 0 is as firmware leaves it: software-enabled, LINT0 = ExtINT ("virtual wire").
  [[gnu::cold]] void power_on();

  /// The registers move to `page`, which the processor reads and writes while the guest runs (SDM vol. 3 chapter 30):
  /// it may have ended and requested interrupts behind our back. `page` outlives the APIC. Before power_on().
  void share_registers(std::span<u32, kRegisterWords> page) {
    registers_ = page.data();
    is_shared_ = true;
  }

  /// IA32_APIC_BASE. False: #GP (reserved bits, a forbidden change of mode).
  [[gnu::cold]] bool set_base(u64 value);
  /// Any CPU.
  u64 base() const { return base_.load(std::memory_order_relaxed); }
  /// False: the guest turned the APIC off; CPUID leaf 1 no longer reports it, INTR comes straight from the 8259.
  /// Any CPU.
  bool enabled() const { return (base() & kBaseEnable) != 0; }
  bool in_x2apic_mode() const { return (base() & (kBaseEnable | kBaseExtended)) == (kBaseEnable | kBaseExtended); }
  /// Guest-physical address of the register page, or an address no page has in x2APIC mode or with the APIC off.
  u64 page() const { return page_; }

  u64 mmio_read(u32 offset, u32 size) {
    const u32 value = (offset & 0xc) == 0 ? read_register(offset >> 4) : 0;
    return size >= 4 ? value : value >> (offset & 3) * 8 & ((1u << size * 8) - 1);
  }
  /// What is not an aligned access of 4 bytes or more to the start of a register is dropped (SDM: undefined).
  void mmio_write(u32 offset, u32 size, u32 value) {
    if ((offset & 0xf) == 0 && size >= 4) write_register(offset >> 4, value);
  }
  /// x2APIC registers, MSRs 0x800 to 0x8ff. Nothing or false: #GP, which is also the answer in the other modes.
  std::optional<u64> read_msr(u32 msr);
  bool write_msr(u32 msr, u64 value);

  /// IA32_TSC_DEADLINE: 0 while nothing is armed and outside the TSC-deadline mode, where writes are ignored.
  u64 tsc_deadline();
  void set_tsc_deadline(u64 value);
  /// CR8: the upper half of the task priority.
  u8 cr8() const { return static_cast<u8>(get(kTaskPriority) >> 4); }
  void set_cr8(u8 value) { write_register(kTaskPriority, u32{value} << 4 & 0xf0); }

  /// The vector to be delivered next, 0 for none.
  u8 pending() {
    look();
    if (is_shared_) pending_ = evaluate();
    return pending_;
  }
  /// What pending() has answered last has been injected: moves it into service.
  void acknowledge();

  /// What the processor needs to deliver interrupts by itself: the highest vectors requested and in service (0: none),
  /// and those whose EOI others wait for.
  struct Delivery {
    u8 requested = 0;
    u8 in_service = 0;
    std::array<u64, 4> level{};
    friend constexpr bool operator==(const Delivery&, const Delivery&) = default;
  };
  Delivery delivery();
  /// The processor has written to the register at `offset` of the shared page; ended the level-triggered `vector` there.
  void register_written(u32 offset);
  void ended(u8 vector) { end_of_interrupt(vector); }
  /// The class of the highest request, if it is the task priority that holds it back; 0 otherwise.
  u8 class_in_wait() const;

  /// When run_timer() has something to do, in TSC ticks.
  u64 deadline() const { return (timer_entry_ & kLvtMasked) != 0 ? kNoDeadline : expiry_; }
  [[gnu::noinline]] void run_timer(u64 now);

  // ---- any CPU ----

  bool matches(const ApicMessage& message) const;
  void receive(const ApicMessage& message);
  /// Whether fixed interrupts are taken: the guest has enabled the APIC in its spurious-vector register.
  bool accepts() const { return software_enabled() && (inbox_.load(std::memory_order_relaxed) & kInit) == 0; }
  u32 processor_priority() const { return get(kProcessorPriority); }
  /// Whether the output of the 8259 reaches this vCPU through LINT0, or directly with the APIC off.
  bool takes_8259() const;
  /// The output of the 8259 rises: LINT0 in Fixed or NMI mode.
  void lint0_rises();

 private:
  static constexpr u64 kBaseEnable = 1u << 11, kBaseExtended = 1u << 10;
  static constexpr u32 kLvtMasked = 1u << 16;

  /// Registers by MMIO offset / 16, which is also the MSR number - 0x800. SDM tables 11-1 and 11-6.
  enum Index : u8 {
    kId = 0x02,
    kVersion = 0x03,
    kTaskPriority = 0x08,
    kArbitrationPriority = 0x09,
    kProcessorPriority = 0x0a,
    kEndOfInterrupt = 0x0b,
    kRemoteRead = 0x0c,
    kLogicalDestination = 0x0d,
    kDestinationFormat = 0x0e,
    kSpurious = 0x0f,
    kInService = 0x10,
    kTriggerMode = 0x18,
    kRequest = 0x20,
    kErrorStatus = 0x28,
    kCommand = 0x30,
    kCommandHigh = 0x31,
    kLvtTimer = 0x32,
    kLvtThermal = 0x33,
    kLvtPerformance = 0x34,
    kLvtLint0 = 0x35,
    kLvtLint1 = 0x36,
    kLvtError = 0x37,
    kInitialCount = 0x38,
    kCurrentCount = 0x39,
    kDivide = 0x3e,
    kSelfIpi = 0x3f,
  };
  static constexpr unsigned kRegisters = 0x40;
  static constexpr u64 kVectorSets = 0xff'ffffull << kInService;
  /// Registers whose value lies in regs_.
  static constexpr u64 kStored = (u64{1} << kId) | (u64{1} << kVersion) | (u64{1} << kTaskPriority) |
                                 (u64{1} << kProcessorPriority) | (u64{1} << kLogicalDestination) | (u64{1} << kSpurious) |
                                 kVectorSets | (u64{1} << kErrorStatus) | (u64{1} << kCommand) | 0x3full << kLvtTimer |
                                 (u64{1} << kInitialCount) | (u64{1} << kDivide);
  static constexpr u64 kStoredXapic = kStored | (u64{1} << kArbitrationPriority) | (u64{1} << kRemoteRead) |
                                      (u64{1} << kEndOfInterrupt) | (u64{1} << kDestinationFormat) | (u64{1} << kCommandHigh);

  struct Register {
    u8 index;
    u8 modes;
    u32 writable;
    void (*write)(VLocalApic& apic, unsigned index, u32 value);
  };
  struct Tables;
  static const Register* find(unsigned index, unsigned mode);

  /// What the inbox holds.
  enum Posted : u32 { kVectors = 1 << 0, kInit = 1 << 1 };

  // Others look at some of the registers while their owner runs.
  u32 get(unsigned index) const { return std::atomic_ref(registers_[index * 4]).load(std::memory_order_relaxed); }
  void set(unsigned index, u32 value) { std::atomic_ref(registers_[index * 4]).store(value, std::memory_order_relaxed); }

  unsigned mode() const { return base() >> 10 & 3; }
  bool software_enabled() const { return (get(kSpurious) & 1u << 8) != 0; }
  [[gnu::cold]] void reset_registers();
  [[gnu::cold]] void enter_mode();

  u32 read_register(unsigned index) {
    look();
    if (index < kRegisters && (kStoredXapic >> index & 1) != 0) [[likely]]
      return get(index);
    return read_special(index);
  }
  [[gnu::cold]] u32 read_special(unsigned index);
  void write_register(unsigned index, u32 value);
  void store(unsigned index, u32 value) { set(index, value); }
  void write_task_priority(unsigned, u32 value);
  void write_end_of_interrupt(unsigned, u32);
  void write_logical_destination(unsigned, u32 value);
  void write_destination_format(unsigned, u32 value);
  [[gnu::cold]] void write_spurious(unsigned, u32 value);
  void write_error_status(unsigned, u32);
  void write_command(unsigned, u32 value);
  void write_lvt(unsigned index, u32 value);
  [[gnu::cold]] void write_lvt_timer(unsigned, u32 value);
  void write_initial_count(unsigned, u32 value);
  [[gnu::cold]] void write_divide(unsigned, u32 value);
  void write_self_ipi(unsigned, u32 value);
  void send_command(u32 command, u32 destination);

  unsigned highest(unsigned set) const;
  u8 evaluate();
  void update();
  void accept(u8 vector, bool level);
  void end_of_interrupt(u8 vector);
  void post(u8 vector, bool level);
  /// Takes in what others have posted.
  void look() {
    if (inbox_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      collect();
  }
  [[gnu::noinline]] void collect();
  void error(u32 bit);

  u32 id() const { return in_x2apic_mode() ? index_ : u32{index_} << 24; }
  u32 timer_mode() const { return timer_entry_ >> 17 & 3; }
  unsigned divide_shift() const;
  [[gnu::noinline]] u32 current_count(u64 now) const;
  [[gnu::noinline]] void start_count(u64 now, u32 remaining);
  void set_expiry(u64 expiry);

  std::array<u32, kRegisterWords> own_registers_{};
  u32* registers_ = own_registers_.data();
  LocalApicBus* bus_ = nullptr;
  u64 page_ = ~u64{0};
  std::atomic<u64> base_{0};
  u64 expiry_ = kNoDeadline;  ///< of the timer, masked or not
  u64 period_ = 0;            ///< TSC ticks, not below the minimum; 0 without a periodic timer
  u32 timer_entry_ = 0;       ///< of the LVT, and the divider, as they are in force
  u32 divide_ = 0;
  u32 errors_ = 0;  ///< since the last write to the ESR
  u8 pending_ = 0;
  u8 index_ = 0;
  bool is_shared_ = false;            ///< share_registers()
  std::atomic<bool> waiting_{false};  ///< for a SIPI
  std::atomic<u32> inbox_{0};         ///< Posted: what the owner has not looked at
  std::array<std::atomic<u32>, 8> posted_vectors_{};
  std::array<std::atomic<u32>, 8> posted_level_{};  ///< which vectors were level-triggered when they came last
};

/// All local APICs of a VM, and the way of an interrupt to them.
/// Context: any CPU, without a lock, but for what belongs to one of the APICs.
class LocalApicBus {
 public:
  /// `vcpus`: 1 to kMaxPcVcpus. `host` and `listener` outlive the bus.
  [[gnu::cold]] LocalApicBus(PcHost& host, EndOfInterruptListener& listener, unsigned vcpus, u64 tsc_hz);
  LocalApicBus(const LocalApicBus&) = delete;
  LocalApicBus& operator=(const LocalApicBus&) = delete;

  void power_on();
  unsigned size() const { return count_; }
  VLocalApic& operator[](unsigned vcpu) { return apics_[vcpu]; }
  const VLocalApic& operator[](unsigned vcpu) const { return apics_[vcpu]; }

  /// Delivers to all matching APICs but `excluded`, or, by lowest priority, to the one with the lowest processor
  /// priority; several of those take turns. False: nobody is there who takes it.
  bool deliver(const ApicMessage& message, unsigned excluded = kNobody);

  /// The output of the 8259: whoever has set it looks for takers afterwards, and a taker looks at it again when it
  /// begins to be one.
  void set_8259(bool asserted) { asserted_8259_.store(asserted, std::memory_order_seq_cst); }
  bool asserts_8259() const { return asserted_8259_.load(std::memory_order_seq_cst); }

  static constexpr unsigned kNobody = ~0u;

 private:
  friend class VLocalApic;

  PcHost& host_;
  EndOfInterruptListener& listener_;
  unsigned count_;
  std::atomic<unsigned> last_chosen_{0};
  std::atomic<bool> asserted_8259_{false};
  u64 minimum_period_;
  std::array<VLocalApic, kMaxPcVcpus> apics_;
};

}  // namespace hv
