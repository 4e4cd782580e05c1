#include "hypervisor/device/vpl011.hpp"

namespace hv {
namespace {

// UARTDR and UARTRSR, DDI 0183 3.3.1 and 3.3.2.
constexpr u16 kDataOverrun = 1u << 11;
constexpr u32 kStatusMask = 0xf;
constexpr unsigned kDataErrorShift = 8;

// UARTFR, 3.3.3. The other end of the cable is always ready.
constexpr u32 kFlagClearToSend = 1u << 0;
constexpr u32 kFlagDataSetReady = 1u << 1;
constexpr u32 kFlagDataCarrierDetect = 1u << 2;
constexpr u32 kFlagReceiveEmpty = 1u << 4;
constexpr u32 kFlagReceiveFull = 1u << 6;
constexpr u32 kFlagTransmitEmpty = 1u << 7;

// UARTLCR_H and UARTCR, 3.3.7 and 3.3.8.
constexpr u32 kLineControlFifoEnable = 1u << 4;
constexpr u32 kControlLoopback = 1u << 7;
constexpr u32 kControlReset = 0x300;  // transmitter and receiver enabled, UART not

// UARTIFLS, 3.3.9: eighths of the FIFO, transmit level in bits 2:0, receive level in 5:3.
constexpr u32 kFifoLevelsReset = 0x12;
constexpr std::array<u8, 8> kLevelEighths = {1, 2, 4, 6, 7, 7, 7, 7};  // 5 to 7 are reserved

// UARTIMSC, UARTRIS, UARTMIS, UARTICR, 3.3.10 to 3.3.13.
constexpr u32 kInterruptReceive = 1u << 4;
constexpr u32 kInterruptTransmit = 1u << 5;
constexpr u32 kInterruptReceiveTimeout = 1u << 6;
constexpr u32 kInterruptOverrun = 1u << 10;
constexpr u32 kInterruptAll = 0x7ff;

// UARTPeriphID0-3 and UARTPCellID0-3, 3.3.15 on: part 0x011, designer 0x41, revision 3.
constexpr u16 kIdentificationOffset = 0xfe0;
constexpr std::array<u8, 8> kIdentification = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

struct VPl011::Tables {
  using U = VPl011;
  static constexpr Register registers[] = {
      {0x000, &U::read_data, &U::write_data},                                                      // UARTDR
      {0x018, &U::read_flags, &U::write_nothing},                                                  // UARTFR
      {0x040, &U::read_masked_interrupts, &U::write_nothing},                                      // UARTMIS
      {0x044, &U::read_nothing, &U::write_interrupt_clear},                                        // UARTICR
      {0x038, &U::read_field<&U::mask_>, &U::write_mask},                                          // UARTIMSC
      {0x03c, &U::read_raw_interrupts, &U::write_nothing},                                         // UARTRIS
      {0x004, &U::read_status, &U::write_error_clear},                                             // UARTRSR/ECR
      {0x020, &U::read_field<&U::low_power_>, &U::write_field<&U::low_power_, 0xff>},              // UARTILPR
      {0x024, &U::read_field<&U::integer_baud_>, &U::write_field<&U::integer_baud_, 0xffff>},      // UARTIBRD
      {0x028, &U::read_field<&U::fractional_baud_>, &U::write_field<&U::fractional_baud_, 0x3f>},  // UARTFBRD
      {0x02c, &U::read_field<&U::line_control_>, &U::write_line_control},                          // UARTLCR_H
      {0x030, &U::read_field<&U::control_>, &U::write_field<&U::control_, 0xff87>},                // UARTCR
      {0x034, &U::read_field<&U::fifo_levels_>, &U::write_field<&U::fifo_levels_, 0x3f>},          // UARTIFLS
      {0x048, &U::read_field<&U::dma_control_>, &U::write_field<&U::dma_control_, 0x7>},           // UARTDMACR
  };
};

const VPl011::Register* VPl011::find(u64 offset) {
  for (const Register& row : Tables::registers) {
    if (row.offset == offset) return &row;
  }
  return nullptr;
}

void VPl011::reset() {
  clear_fifo();
  receive_status_ = 0;
  low_power_ = integer_baud_ = fractional_baud_ = line_control_ = 0;
  control_ = kControlReset;
  fifo_levels_ = kFifoLevelsReset;
  mask_ = raw_ = dma_control_ = 0;
  update_interrupt();
}

// An access narrower than the register sees its low bytes; there is nothing at the other byte addresses.
std::optional<u64> VPl011::read(const MmioAccess& access) {
  if (access.size > 4) return std::nullopt;
  u32 value = 0;
  if (access.offset >= kIdentificationOffset) {
    const u64 index = (access.offset - kIdentificationOffset) / 4;
    if (access.offset % 4 == 0 && index < kIdentification.size()) value = kIdentification[index];
  } else if (const Register* row = find(access.offset)) {
    value = (this->*row->read)();
  }
  return extract_bytes(value, 0, access.size);
}

bool VPl011::write(const MmioAccess& access, u64 value) {
  if (access.size > 4) return false;
  if (const Register* row = find(access.offset)) (this->*row->write)(static_cast<u32>(value));
  return true;
}

usize VPl011::capacity() const { return (line_control_ & kLineControlFifoEnable) != 0 ? kFifoSize : 1; }

usize VPl011::trigger_level() const {
  if ((line_control_ & kLineControlFifoEnable) == 0) return 1;
  return kFifoSize / 8 * kLevelEighths[fifo_levels_ >> 3 & 7];
}

void VPl011::clear_fifo() {
  first_ = received_ = 0;
  overrun_ = false;
  raw_ &= ~(kInterruptReceive | kInterruptReceiveTimeout);
}

void VPl011::update_interrupt() {
  const bool assert = (raw_ & mask_) != 0;
  if (assert == asserted_) return;
  asserted_ = assert;
  interrupt_.set(assert);
}

void VPl011::receive(char character) {
  if (!can_receive()) {
    overrun_ = true;
    raw_ |= kInterruptOverrun;
    return update_interrupt();
  }
  u16 entry = static_cast<u8>(character);
  if (overrun_) entry |= kDataOverrun;
  overrun_ = false;
  fifo_[(first_ + received_++) % kFifoSize] = entry;
  raw_ |= received_ >= trigger_level() ? kInterruptReceive : kInterruptReceiveTimeout;
  update_interrupt();
}

u32 VPl011::read_data() {
  if (received_ == 0) return 0;
  const u16 entry = fifo_[first_];
  first_ = (first_ + 1) % kFifoSize;
  --received_;
  receive_status_ = entry >> kDataErrorShift & kStatusMask;
  if (received_ < trigger_level()) raw_ &= ~kInterruptReceive;
  // What is left below the trigger level has been waiting since it arrived.
  if (received_ == 0)
    raw_ &= ~kInterruptReceiveTimeout;
  else if ((raw_ & kInterruptReceive) == 0)
    raw_ |= kInterruptReceiveTimeout;
  update_interrupt();
  return entry;
}

void VPl011::write_data(u32 value) {
  const char character = static_cast<char>(value);
  if ((control_ & kControlLoopback) != 0)
    receive(character);
  else
    sink_.put(character);
  raw_ |= kInterruptTransmit;
  update_interrupt();
}

u32 VPl011::read_flags() {
  return kFlagTransmitEmpty | kFlagClearToSend | kFlagDataSetReady | kFlagDataCarrierDetect |
         (received_ == 0 ? kFlagReceiveEmpty : 0) | (can_receive() ? 0 : kFlagReceiveFull);
}

void VPl011::write_interrupt_clear(u32 value) {
  raw_ &= ~value;
  update_interrupt();
}

void VPl011::write_line_control(u32 value) {
  const u32 old = line_control_;
  line_control_ = value & 0xff;
  if (((old ^ line_control_) & kLineControlFifoEnable) == 0) return;
  clear_fifo();
  update_interrupt();
}

void VPl011::write_mask(u32 value) {
  mask_ = value & kInterruptAll;
  update_interrupt();
}

}  // namespace hv
