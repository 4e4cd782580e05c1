#include "hypervisor/device/x86_64/v16550.hpp"

namespace hv {
namespace {

// PC16550D section 8.
enum Offset : u8 {
  kData,
  kInterruptEnable,
  kIdentification,
  kLineControl,
  kModemControl,
  kLineStatus,
  kModemStatus,
  kScratch
};

// IER, 8.7.
constexpr u8 kEnableReceive = 1u << 0;
constexpr u8 kEnableTransmit = 1u << 1;
constexpr u8 kEnableLineStatus = 1u << 2;
constexpr u8 kEnableModemStatus = 1u << 3;
constexpr u8 kEnableBits = 0x0f;

// IIR, 8.6, by priority.
constexpr u8 kSourceLineStatus = 0x06;
constexpr u8 kSourceReceive = 0x04;
constexpr u8 kSourceTimeout = 0x0c;
constexpr u8 kSourceTransmit = 0x02;
constexpr u8 kSourceModemStatus = 0x00;
constexpr u8 kSourceNone = 0x01;
constexpr u8 kFifosEnabled = 0xc0;

// FCR, 8.5.
constexpr u8 kFifoEnable = 1u << 0;
constexpr u8 kClearReceive = 1u << 1;
constexpr u8 kTriggers[] = {1, 4, 8, 14};

constexpr u8 kDivisorAccess = 1u << 7;  // LCR, 8.1

// LSR, 8.4.
constexpr u8 kDataReady = 1u << 0;
constexpr u8 kOverrun = 1u << 1;
constexpr u8 kTransmitterEmpty = 3u << 5;

// MCR and MSR, 8.8 and 8.9. The other end of the cable is always ready.
constexpr u8 kLoopback = 1u << 4;
constexpr u8 kModemControlBits = 0x1f;
constexpr u8 kClearToSend = 1u << 4;
constexpr u8 kDataSetReady = 1u << 5;
constexpr u8 kRing = 1u << 6;
constexpr u8 kCarrierDetect = 1u << 7;
constexpr u8 kRingEnds = 1u << 2;

}  // namespace

void V16550::power_on() {
  first_ = received_ = 0;
  trigger_ = 1;
  divisor_ = 0;
  interrupt_enable_ = line_control_ = modem_control_ = modem_delta_ = scratch_ = 0;
  fifo_enabled_ = overrun_ = transmit_interrupt_ = false;
  update_interrupt();
}

bool V16550::divisor_access() const { return (line_control_ & kDivisorAccess) != 0; }

u8 V16550::interrupt_identification() const {
  if ((interrupt_enable_ & kEnableLineStatus) != 0 && overrun_) return kSourceLineStatus;
  if ((interrupt_enable_ & kEnableReceive) != 0 && received_ != 0)
    return received_ >= trigger_ ? kSourceReceive : kSourceTimeout;
  if ((interrupt_enable_ & kEnableTransmit) != 0 && transmit_interrupt_) return kSourceTransmit;
  if ((interrupt_enable_ & kEnableModemStatus) != 0 && modem_delta_ != 0) return kSourceModemStatus;
  return kSourceNone;
}

void V16550::update_interrupt() {
  const bool assert = interrupt_identification() != kSourceNone;
  if (assert == asserted_) return;
  asserted_ = assert;
  interrupt_.set(assert);
}

void V16550::store(char character) {
  if (can_receive())
    fifo_[(first_ + received_++) % kFifoSize] = static_cast<u8>(character);
  else
    overrun_ = true;
  update_interrupt();
}

void V16550::receive(char character) {
  if ((modem_control_ & kLoopback) == 0) store(character);
}

u8 V16550::take() {
  if (received_ == 0) return 0;
  const u8 character = fifo_[first_];
  first_ = (first_ + 1) % kFifoSize;
  --received_;
  return character;
}

u8 V16550::read_identification() {
  const u8 source = interrupt_identification();
  if (source == kSourceTransmit) transmit_interrupt_ = false;
  return source | (fifo_enabled_ ? kFifosEnabled : 0);
}

u8 V16550::read_line_status() {
  const u8 value = kTransmitterEmpty | (received_ != 0 ? kDataReady : 0) | (overrun_ ? kOverrun : 0);
  overrun_ = false;
  return value;
}

/// In loopback DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
u8 V16550::modem_lines() const {
  if ((modem_control_ & kLoopback) == 0) return kClearToSend | kDataSetReady | kCarrierDetect;
  constexpr u8 kBack[] = {kDataSetReady, kClearToSend, kRing, kCarrierDetect};
  u8 lines = 0;
  for (unsigned i = 0; i < 4; ++i) lines |= (modem_control_ >> i & 1) != 0 ? kBack[i] : 0;
  return lines;
}

u8 V16550::read_modem_status() {
  const u8 value = modem_lines() | modem_delta_;
  modem_delta_ = 0;
  return value;
}

u8 V16550::read(unsigned offset) {
  u8 value = 0;
  switch (offset) {
    case kData: value = divisor_access() ? static_cast<u8>(divisor_) : take(); break;
    case kInterruptEnable: value = divisor_access() ? static_cast<u8>(divisor_ >> 8) : interrupt_enable_; break;
    case kIdentification: value = read_identification(); break;
    case kLineControl: value = line_control_; break;
    case kModemControl: value = modem_control_; break;
    case kLineStatus: value = read_line_status(); break;
    case kModemStatus: value = read_modem_status(); break;
    default: value = scratch_;
  }
  update_interrupt();
  return value;
}

void V16550::transmit(u8 value) {
  if ((modem_control_ & kLoopback) != 0)
    store(static_cast<char>(value));
  else
    sink_.put(static_cast<char>(value));
  transmit_interrupt_ = true;
}

void V16550::write_fifo_control(u8 value) {
  const bool enable = (value & kFifoEnable) != 0;
  if (enable != fifo_enabled_ || (value & kClearReceive) != 0) received_ = 0;
  fifo_enabled_ = enable;
  trigger_ = enable ? kTriggers[value >> 6] : 1;
}

void V16550::write_modem_control(u8 value) {
  const u8 before = modem_lines();
  modem_control_ = value & kModemControlBits;
  const u8 changed = before ^ modem_lines();
  modem_delta_ |= changed >> 4 & ~kRingEnds;
  if ((changed & before & kRing) != 0) modem_delta_ |= kRingEnds;
}

void V16550::write(unsigned offset, u8 value) {
  switch (offset) {
    case kData:
      if (divisor_access())
        divisor_ = static_cast<u16>((divisor_ & 0xff00) | value);
      else
        transmit(value);
      break;
    case kInterruptEnable:
      if (divisor_access()) {
        divisor_ = static_cast<u16>((divisor_ & 0xff) | value << 8);
        break;
      }
      // Enabling it while the holding register is empty, which it always is, interrupts.
      if ((value & ~interrupt_enable_ & kEnableTransmit) != 0) transmit_interrupt_ = true;
      interrupt_enable_ = value & kEnableBits;
      break;
    case kIdentification: write_fifo_control(value); break;
    case kLineControl: line_control_ = value; break;
    case kModemControl: write_modem_control(value); break;
    case kScratch: scratch_ = value; break;
    default: break;  // the status registers are read-only
  }
  update_interrupt();
}

}  // namespace hv
