#include "hypervisor/device/x86_64/vlocal_apic.hpp"

#include <algorithm>
#include <bit>

namespace hv {
namespace {

// IA32_APIC_BASE, SDM figure 11-26: bits 11:10 are the mode.
constexpr u64 kBaseBootstrap = 1u << 8;
constexpr u64 kBaseReserved = 0xfff0'0000'0000'02ffull;
constexpr u64 kBaseAddress = 0x000f'ffff'ffff'f000ull;
enum Mode : u8 { kOff = 0, kInvalid = 1, kXapic = 2, kX2apic = 3 };
/// A bit per permitted successor of each mode. SDM figure 11-27.
constexpr u8 kSuccessors[] = {1 << kOff | 1 << kXapic, 0, 1 << kOff | 1 << kXapic | 1 << kX2apic, 1 << kOff | 1 << kX2apic};
constexpr u64 kNoPage = ~u64{0};

constexpr u32 kVersionValue = 0x0005'0014;
constexpr u32 kSpuriousReset = 0xff;
constexpr u32 kSpuriousEnabled = 1u << 8;
constexpr unsigned kFirstLegalVector = 16;

// Error status, SDM figure 11-9.
constexpr u32 kSendIllegalVector = 1u << 5;
constexpr u32 kReceiveIllegalVector = 1u << 6;
constexpr u32 kIllegalRegister = 1u << 7;

// Interrupt command, SDM figure 11-12.
constexpr u32 kCommandLogical = 1u << 11;
constexpr u32 kCommandAssert = 1u << 14;
constexpr u32 kCommandLevel = 1u << 15;
constexpr unsigned kShorthandShift = 18;
enum Shorthand : u8 { kNoShorthand, kSelf, kAll, kOthers };

// LVT, SDM figure 11-8.
constexpr u32 kLvtReset = 1u << 16;
constexpr u32 kLvtLint0ExtInt = 7u << 8;
/// These can only be read: to write them is no error, and Linux writes both when it powers off.
constexpr u32 kLvtDeliveryStatus = 1u << 12;
constexpr u32 kLvtRemoteIrr = 1u << 14;  // LINT0 and LINT1
enum TimerMode : u8 { kOneShot, kPeriodic, kTscDeadline, kReservedTimerMode };

constexpr ApicDelivery delivery_mode(u32 value) { return static_cast<ApicDelivery>(value >> 8 & 7); }

}  // namespace

struct VLocalApic::Tables {
  using A = VLocalApic;
  template <auto Write>
  static void write(A& apic, unsigned index, u32 value) {
    (apic.*Write)(index, value);
  }
  static constexpr u8 kBoth = 1 << kXapic | 1 << kX2apic, kOld = 1 << kXapic, kNew = 1 << kX2apic;
  // What guests write most comes first. x2APIC: a write of 1 to a reserved bit is #GP.
  static constexpr Register registers[] = {
      {kEndOfInterrupt, kBoth, 0, &write<&A::write_end_of_interrupt>},
      {kInitialCount, kBoth, ~0u, &write<&A::write_initial_count>},
      {kCommand, kOld, 0xc'cfff, &write<&A::write_command>},
      {kCommandHigh, kOld, 0xff00'0000, &write<&A::store>},
      {kSelfIpi, kNew, 0xff, &write<&A::write_self_ipi>},
      {kTaskPriority, kBoth, 0xff, &write<&A::write_task_priority>},
      {kLvtTimer, kBoth, 0x7'00ff, &write<&A::write_lvt_timer>},
      {kLvtThermal, kBoth, 0x1'07ff, &write<&A::write_lvt>},
      {kLvtPerformance, kBoth, 0x1'07ff, &write<&A::write_lvt>},
      {kLvtLint0, kBoth, 0x1'a7ff, &write<&A::write_lvt>},
      {kLvtLint1, kBoth, 0x1'a7ff, &write<&A::write_lvt>},
      {kLvtError, kBoth, 0x1'00ff, &write<&A::write_lvt>},
      {kDivide, kBoth, 0xb, &write<&A::write_divide>},
      {kSpurious, kBoth, 0x1ff, &write<&A::write_spurious>},
      {kErrorStatus, kBoth, 0, &write<&A::write_error_status>},
      {kLogicalDestination, kOld, 0xff00'0000, &write<&A::write_logical_destination>},
      {kDestinationFormat, kOld, 0xf000'0000, &write<&A::write_destination_format>},
  };
  /// From 1 on; 0: none.
  static constexpr auto rows = [] {
    std::array<u8, kRegisters> table{};
    for (usize row = 0; row < std::size(registers); ++row) table[registers[row].index] = static_cast<u8>(row + 1);
    return table;
  }();
  /// Bits of a register that are neither writable nor reserved.
  static constexpr u32 read_only_bits(unsigned index) {
    if (index < kLvtTimer || index > kLvtError) return 0;
    return kLvtDeliveryStatus | (index == kLvtLint0 || index == kLvtLint1 ? kLvtRemoteIrr : 0);
  }
  /// Read-only: a write is dropped (xAPIC).
  static constexpr u64 kReadOnly = u64{1} << kId | u64{1} << kVersion | u64{1} << kArbitrationPriority |
                                   u64{1} << kProcessorPriority | u64{1} << kRemoteRead | kVectorSets | u64{1} << kCurrentCount;
};

inline const VLocalApic::Register* VLocalApic::find(unsigned index, unsigned mode) {
  const u8 row = index < kRegisters ? Tables::rows[index] : 0;
  if (row == 0 || (Tables::registers[row - 1].modes >> mode & 1) == 0) return nullptr;
  return &Tables::registers[row - 1];
}

// ---- modes and reset ----

void VLocalApic::attach(LocalApicBus& bus, unsigned index) {
  bus_ = &bus;
  index_ = static_cast<u8>(index);
}

void VLocalApic::power_on() {
  const bool bootstrap = index_ == 0;
  base_ = kDefaultBase | kBaseEnable | (bootstrap ? kBaseBootstrap : 0);
  waiting_ = !bootstrap;
  inbox_ = 0;
  reset_registers();
  enter_mode();
  if (!bootstrap) return;
  set(kSpurious, kSpuriousReset | kSpuriousEnabled);
  set(kLvtLint0, kLvtLint0ExtInt);
}

/// SDM 11.4.7.1. The registers whose value follows from the mode are left to enter_mode().
void VLocalApic::reset_registers() {
  for (unsigned index = 0; index < kRegisters; ++index) set(index, 0);
  for (auto& word : posted_vectors_) word = 0;
  set(kVersion, kVersionValue);
  set(kDestinationFormat, ~0u);
  set(kSpurious, kSpuriousReset);
  for (unsigned lvt = kLvtTimer; lvt <= kLvtError; ++lvt) set(lvt, kLvtReset);
  timer_entry_ = kLvtReset;
  divide_ = 0;
  errors_ = 0;
  pending_ = 0;
  period_ = 0;
  set_expiry(kNoDeadline);
}

void VLocalApic::enter_mode() {
  page_ = mode() == kXapic ? base() & kBaseAddress : kNoPage;
  if (mode() == kX2apic) {
    set(kLogicalDestination, static_cast<u32>(index_) >> 4 << 16 | 1u << (index_ & 15));
    set(kCommandHigh, 0);
  }
  set(kId, id());
}

bool VLocalApic::set_base(u64 value) {
  const unsigned next = value >> 10 & 3;
  if ((value & kBaseReserved) != 0 || (kSuccessors[mode()] >> next & 1) == 0) return false;
  const bool changed = next != mode();
  base_ = value;
  if (changed && next == kOff) reset_registers();
  if (changed) enter_mode();
  if (next == kXapic) page_ = value & kBaseAddress;
  if (changed) bus_->host_.kick(index_);  // the 8259's output may reach it now
  return true;
}

// ---- registers ----

u32 VLocalApic::read_special(unsigned index) {
  if (index == kCurrentCount) {
    const u64 now = bus_->host_.now();
    run_timer(now);
    return current_count(now);
  }
  error(kIllegalRegister);
  return 0;
}

void VLocalApic::write_register(unsigned index, u32 value) {
  if (const Register* row = find(index, kXapic)) return row->write(*this, index, value & row->writable);
  if (index >= kRegisters || (Tables::kReadOnly >> index & 1) == 0) error(kIllegalRegister);
}

// The value is in the page as it was written, reserved bits and all.
void VLocalApic::register_written(u32 offset) {
  const unsigned index = offset >> 4;
  if (index == kId) return set(kId, id());
  const Register* row = find(index, mode());
  if (row != nullptr) row->write(*this, index, get(index) & row->writable);
}

std::optional<u64> VLocalApic::read_msr(u32 msr) {
  const u32 index = msr - kFirstMsr;
  if (mode() != kX2apic || index >= kRegisters) return std::nullopt;
  if (index == kCommand) return u64{get(kCommandHigh)} << 32 | get(kCommand);
  if (((kStored | u64{1} << kCurrentCount) >> index & 1) == 0) return std::nullopt;
  return read_register(index);
}

bool VLocalApic::write_msr(u32 msr, u64 value) {
  constexpr u32 kCommandBits = 0xc'cfff;
  const u32 index = msr - kFirstMsr;
  const u32 low = static_cast<u32>(value);
  if (mode() != kX2apic) return false;
  if (index == kCommand) {
    if ((low & ~kCommandBits) != 0) return false;
    set(kCommand, low);
    set(kCommandHigh, static_cast<u32>(value >> 32));
    send_command(low, get(kCommandHigh));
    return true;
  }
  const Register* row = find(index, kX2apic);
  if (row == nullptr || (value & ~u64{row->writable | Tables::read_only_bits(index)}) != 0) return false;
  row->write(*this, index, low & row->writable);
  return true;
}

void VLocalApic::write_task_priority(unsigned, u32 value) {
  look();
  set(kTaskPriority, value);
  update();
}

// Pin 0 of the I/O APIC may pass the 8259's request on to the new logical destination.
void VLocalApic::write_logical_destination(unsigned, u32 value) {
  set(kLogicalDestination, value);
  bus_->host_.kick(index_);
}

void VLocalApic::write_destination_format(unsigned, u32 value) {
  set(kDestinationFormat, value | 0x0fff'ffff);
  bus_->host_.kick(index_);
}

void VLocalApic::write_spurious(unsigned, u32 value) {
  set(kSpurious, value);
  if (software_enabled()) return;
  for (unsigned lvt = kLvtTimer; lvt <= kLvtError; ++lvt) set(lvt, get(lvt) | kLvtMasked);
  timer_entry_ |= kLvtMasked;
  bus_->host_.deadline_changed(index_);
}

void VLocalApic::write_error_status(unsigned, u32) {
  set(kErrorStatus, errors_);
  errors_ = 0;
}

void VLocalApic::error(u32 which) {
  errors_ |= which;
  const u32 entry = get(kLvtError);
  const u8 vector = static_cast<u8>(entry);
  // An illegal vector here would be an error again.
  if ((entry & kLvtMasked) == 0 && vector >= kFirstLegalVector) accept(vector, false);
}

void VLocalApic::write_lvt(unsigned index, u32 value) {
  if (!software_enabled()) value |= kLvtMasked;
  set(index, value);
  if (index == kLvtLint0 && takes_8259()) bus_->host_.kick(index_);
}

// ---- sending ----

void VLocalApic::write_command(unsigned, u32 value) {
  set(kCommand, value);
  const u32 destination = get(kCommandHigh) >> 24;
  const bool broadcast = destination == 0xff && (value & kCommandLogical) == 0;
  send_command(value, broadcast ? ApicMessage::kBroadcast : destination);
}

void VLocalApic::write_self_ipi(unsigned, u32 value) { send_command(value | u32{kSelf} << kShorthandShift | kCommandAssert, 0); }

/// Combinations that SDM table 11-4 calls invalid send nothing.
void VLocalApic::send_command(u32 command, u32 destination) {
  const unsigned shorthand = command >> kShorthandShift & 3;
  ApicMessage message{.destination = shorthand == kNoShorthand ? destination : ApicMessage::kBroadcast,
                      .logical = (command & kCommandLogical) != 0,
                      .delivery = delivery_mode(command),
                      .vector = static_cast<u8>(command)};
  const bool fixed = message.delivery == ApicDelivery::Fixed;
  if ((fixed || message.delivery == ApicDelivery::LowestPriority) && message.vector < kFirstLegalVector)
    return error(kSendIllegalVector);
  // An INIT level de-assert only synchronised arbitration ids, in processors that are long gone.
  if (message.delivery == ApicDelivery::Init && (command & (kCommandLevel | kCommandAssert)) == kCommandLevel) return;
  if (shorthand == kSelf || shorthand == kAll) {
    if (!fixed) return;
    if (shorthand == kSelf) return accept(message.vector, false);
  }
  bus_->deliver(message, shorthand == kOthers ? index_ : LocalApicBus::kNobody);
}

// ---- receiving ----

/// SDM 11.6.2.
bool VLocalApic::matches(const ApicMessage& message) const {
  if (!enabled()) return false;
  const u32 destination = message.destination;
  if (destination == ApicMessage::kBroadcast) return true;
  if (!message.logical) return destination == index_;
  const u32 own = get(kLogicalDestination);
  if (mode() == kX2apic) return destination >> 16 == own >> 16 && (destination & own & 0xffff) != 0;
  if (destination > 0xff) return false;
  const u32 common = destination & own >> 24;
  const u32 model = get(kDestinationFormat) >> 28;
  if (model == 0xf) return common != 0;
  const u32 cluster = destination >> 4;
  return model == 0 && (cluster == 0xf || cluster == own >> 28) && (common & 0xf) != 0;
}

void VLocalApic::receive(const ApicMessage& message) {
  switch (message.delivery) {
    case ApicDelivery::Fixed:
    case ApicDelivery::LowestPriority: return post(message.vector, message.level);
    case ApicDelivery::Nmi:
      if (!waiting_.load(std::memory_order_relaxed)) bus_->host_.nmi(index_);
      return;
    case ApicDelivery::Init:
      if (index_ == 0) return bus_->host_.reset();
      waiting_ = true;
      inbox_.fetch_or(kInit, std::memory_order_release);
      return bus_->host_.init(index_);
    case ApicDelivery::StartUp:
      if (waiting_.exchange(false)) bus_->host_.start(index_, message.vector);
      return;
    case ApicDelivery::Smi:
    case ApicDelivery::Reserved:
    case ApicDelivery::ExtInt: return;  // ExtINT is a wire of the 8259: see takes_8259() and VIoApic
  }
}

/// The owner may be anywhere: it hears of the vector before it enters its guest or sleeps the next time.
void VLocalApic::post(u8 vector, bool level) {
  if (!accepts() || !enabled()) return;
  const unsigned word = vector / 32;
  const u32 mask = 1u << vector % 32;
  if (level)
    posted_level_[word].fetch_or(mask, std::memory_order_relaxed);
  else if ((posted_level_[word].load(std::memory_order_relaxed) & mask) != 0)
    posted_level_[word].fetch_and(~mask, std::memory_order_relaxed);
  // Who has set the bit before says so, too.
  if ((posted_vectors_[word].fetch_or(mask, std::memory_order_release) & mask) != 0) return;
  inbox_.fetch_or(kVectors, std::memory_order_release);
  bus_->host_.kick(index_);
}

/// What others have posted. After an INIT (SDM 11.4.7.3: the mode and the id stay) nothing counts that came before.
void VLocalApic::collect() {
  const u32 posted = inbox_.exchange(0, std::memory_order_acquire);
  if ((posted & kInit) != 0) {
    reset_registers();
    return enter_mode();
  }
  constexpr u32 kIllegal = (1u << kFirstLegalVector) - 1;
  u32 illegal = kIllegal;
  bool has_illegal = false;
  for (unsigned word = 0; word < posted_vectors_.size(); ++word, illegal = 0) {
    if (posted_vectors_[word].load(std::memory_order_relaxed) == 0) continue;
    const u32 vectors = posted_vectors_[word].exchange(0, std::memory_order_acquire);
    const u32 level = posted_level_[word].load(std::memory_order_relaxed);
    has_illegal |= (vectors & illegal) != 0;
    set(kTriggerMode + word, (get(kTriggerMode + word) & ~vectors) | (level & vectors & ~illegal));
    set(kRequest + word, get(kRequest + word) | (vectors & ~illegal));
  }
  pending_ = evaluate();  // who posted has kicked, or will
  if (has_illegal) error(kReceiveIllegalVector);
}

/// The highest vector of the set of eight registers from `first` on, 0 for none (0 to 15 are never set).
unsigned VLocalApic::highest(unsigned first) const {
  constexpr unsigned kHalf = 4;
  u32* const set = &registers_[first * 4];
  const auto at = [=](unsigned word) { return std::atomic_ref(set[word * 4]).load(std::memory_order_relaxed); };
  const auto any = [=](unsigned from) { return (at(from) | at(from + 1) | at(from + 2) | at(from + 3)) != 0; };
  unsigned word = kHalf;
  if (!any(word)) {
    word = 0;
    if (!any(word)) return 0;
  }
  word += kHalf - 1;
  while (at(word) == 0) --word;
  return word * 32 + 31 - static_cast<unsigned>(std::countl_zero(at(word)));
}

/// Processor priority and the request that it lets through, SDM 11.8.3.1.
u8 VLocalApic::evaluate() {
  const u32 task = get(kTaskPriority);
  const u32 service = highest(kInService);
  const u32 priority = task >> 4 >= service >> 4 ? task : service & 0xf0;
  set(kProcessorPriority, priority);
  const unsigned request = highest(kRequest);
  return request >> 4 > priority >> 4 ? static_cast<u8>(request) : 0;
}

void VLocalApic::update() {
  const u8 pending = evaluate();
  // Also when the vCPU's own EOI or lower task priority lets it through: nobody asks again without a kick. A processor
  // that delivers by itself has to be told of every change.
  const bool kick = is_shared_ || (pending != 0 && pending != pending_);
  pending_ = pending;
  if (kick) bus_->host_.kick(index_);
}

VLocalApic::Delivery VLocalApic::delivery() {
  look();
  Delivery now{.requested = static_cast<u8>(highest(kRequest)), .in_service = static_cast<u8>(highest(kInService))};
  for (unsigned word = 0; word < 8; ++word) now.level[word / 2] |= u64{get(kTriggerMode + word)} << word % 2 * 32;
  return now;
}

u8 VLocalApic::class_in_wait() const {
  const u32 request = highest(kRequest) >> 4;
  return request <= get(kTaskPriority) >> 4 ? static_cast<u8>(request) : 0;
}

void VLocalApic::accept(u8 vector, bool level) {
  if (!software_enabled() || !enabled()) return;
  if (vector < kFirstLegalVector) return error(kReceiveIllegalVector);
  const unsigned word = vector / 32;
  const u32 mask = 1u << vector % 32;
  if ((get(kRequest + word) & mask) != 0) return;
  set(kRequest + word, get(kRequest + word) | mask);
  set(kTriggerMode + word, (get(kTriggerMode + word) & ~mask) | (level ? mask : 0));
  update();
}

void VLocalApic::acknowledge() {
  if (pending_ == 0) return;
  const unsigned word = pending_ / 32;
  const u32 mask = 1u << pending_ % 32;
  set(kRequest + word, get(kRequest + word) & ~mask);
  set(kInService + word, get(kInService + word) | mask);
  update();
}

void VLocalApic::write_end_of_interrupt(unsigned, u32) {
  look();
  const unsigned vector = highest(kInService);
  if (vector == 0) return;
  set(kInService + vector / 32, get(kInService + vector / 32) & ~(1u << vector % 32));
  update();
  end_of_interrupt(static_cast<u8>(vector));
}

void VLocalApic::end_of_interrupt(u8 vector) {
  if ((get(kTriggerMode + vector / 32) >> vector % 32 & 1) != 0) bus_->listener_.end_of_interrupt(vector);
}

bool VLocalApic::takes_8259() const {
  if (!enabled()) return index_ == 0;
  const u32 entry = get(kLvtLint0);
  return (entry & kLvtMasked) == 0 && delivery_mode(entry) == ApicDelivery::ExtInt;
}

void VLocalApic::lint0_rises() {
  const u32 entry = get(kLvtLint0);
  if (!enabled() || (entry & kLvtMasked) != 0) return;
  if (delivery_mode(entry) == ApicDelivery::Fixed) post(static_cast<u8>(entry), false);
  if (delivery_mode(entry) == ApicDelivery::Nmi) bus_->host_.nmi(index_);
}

// ---- timer, SDM 11.5.4 ----

/// Bits 3, 1 and 0 give the power of two, less one, with 7 for 1.
unsigned VLocalApic::divide_shift() const { return ((divide_ >> 1 & 4) + (divide_ & 3) + 1) & 7; }

u32 VLocalApic::current_count(u64 now) const {
  if (timer_mode() == kTscDeadline || expiry_ <= now || expiry_ == kNoDeadline) return 0;
  const u64 unit = (u64{1} << divide_shift()) - 1;
  return static_cast<u32>(std::min<u64>((expiry_ - now + unit) >> divide_shift(), get(kInitialCount)));
}

void VLocalApic::set_expiry(u64 expiry) {
  if (expiry == expiry_) return;
  expiry_ = expiry;
  bus_->host_.deadline_changed(index_);
}

/// Counts down from `remaining`, then, in periodic mode, from the initial count.
void VLocalApic::start_count(u64 now, u32 remaining) {
  const auto ticks = [this](u32 count) { return u64{count} << divide_shift(); };
  const bool periodic = timer_mode() == kPeriodic;
  period_ = periodic ? std::max(ticks(get(kInitialCount)), bus_->minimum_period_) : 0;
  set_expiry(remaining == 0 ? kNoDeadline : now + ticks(remaining));
}

void VLocalApic::run_timer(u64 now) {
  look();
  if (expiry_ > now) return;
  const u64 missed = period_ == 0 ? 0 : (now - expiry_) / period_;
  set_expiry(period_ == 0 ? kNoDeadline : expiry_ + (missed + 1) * period_);
  if ((timer_entry_ & kLvtMasked) == 0) accept(static_cast<u8>(timer_entry_), false);
}

void VLocalApic::write_initial_count(unsigned, u32 value) {
  if (timer_mode() == kTscDeadline) return set(kInitialCount, 0);
  set(kInitialCount, value);
  start_count(bus_->host_.now(), value);
}

void VLocalApic::write_divide(unsigned, u32 value) {
  const u64 now = bus_->host_.now();
  run_timer(now);
  const u32 remaining = current_count(now);
  set(kDivide, value);
  divide_ = value;
  if (timer_mode() != kTscDeadline) start_count(now, remaining);
}

void VLocalApic::write_lvt_timer(unsigned, u32 value) {
  const u64 now = bus_->host_.now();
  run_timer(now);
  const u32 remaining = current_count(now);
  const u32 old_mode = timer_mode();
  write_lvt(kLvtTimer, value);
  timer_entry_ = get(kLvtTimer);
  if (timer_mode() == old_mode) return bus_->host_.deadline_changed(index_);
  if (timer_mode() == kTscDeadline || old_mode == kTscDeadline) {
    set(kInitialCount, 0);
    return start_count(now, 0);
  }
  start_count(now, remaining);
}

u64 VLocalApic::tsc_deadline() {
  run_timer(bus_->host_.now());
  return timer_mode() != kTscDeadline || expiry_ == kNoDeadline ? 0 : expiry_;
}

void VLocalApic::set_tsc_deadline(u64 value) {
  if (timer_mode() != kTscDeadline) return;
  set_expiry(value == 0 ? kNoDeadline : value);
  run_timer(bus_->host_.now());
}

// ---- bus ----

LocalApicBus::LocalApicBus(PcHost& host, EndOfInterruptListener& listener, unsigned vcpus, u64 tsc_hz)
    : host_(host), listener_(listener), count_(vcpus), minimum_period_(tsc_hz / 1'000'000 * kMinimumTimerPeriodMicroseconds) {
  for (unsigned vcpu = 0; vcpu < kMaxPcVcpus; ++vcpu) apics_[vcpu].attach(*this, vcpu);
  power_on();
}

void LocalApicBus::power_on() {
  for (unsigned vcpu = 0; vcpu < count_; ++vcpu) apics_[vcpu].power_on();
}

bool LocalApicBus::deliver(const ApicMessage& message, unsigned excluded) {
  const bool one = message.delivery == ApicDelivery::LowestPriority;
  VLocalApic* best = nullptr;
  bool accepted = false;
  // Starting after the last one chosen makes equals take turns.
  unsigned vcpu = last_chosen_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < count_; ++i) {
    vcpu = vcpu + 1 < count_ ? vcpu + 1 : 0;
    VLocalApic& apic = apics_[vcpu];
    if (vcpu == excluded || !apic.matches(message)) continue;
    accepted |= apic.accepts();
    if (!one) {
      apic.receive(message);
    } else if (apic.accepts() && (best == nullptr || apic.processor_priority() < best->processor_priority())) {
      best = &apic;
      last_chosen_.store(vcpu, std::memory_order_relaxed);
    }
  }
  if (best != nullptr) best->receive(message);
  return accepted;
}

}  // namespace hv
