#include "hypervisor/device/x86_64/pc_machine.hpp"

#include <algorithm>
#include <array>

#include "hypervisor/device/mmio.hpp"

namespace hv {
namespace {

constexpr u64 kMinimumTscHz = 1'000'000;
constexpr u64 kMaximumTscHz = 1'000'000'000'000;
static_assert(kMaximumTscHz < ~u64{0} / VAcpiPm::kHz, "DeviceClock multiplies the two");

constexpr u32 kIsaIrqs = 16;
constexpr u32 kTimerGsi = 2;  // of IRQ 0

constexpr u16 kSystemControlPort = 0x92;
constexpr u8 kFastReset = 1u << 0;
constexpr u8 kA20 = 1u << 1;

// The PCI configuration address and data ports, with the reset control register between them.
constexpr u16 kPciPort = 0xcf8;
constexpr unsigned kResetControlOffset = 1;
constexpr u8 kResetControlBits = 0x0a;  // full reset, hard reset
constexpr u8 kResetNow = 1u << 2;

constexpr u16 kDebugExitPort = 0xf4;
constexpr u8 kNothingThere = 0xff;

}  // namespace

struct PcMachine::Tables {
  using M = PcMachine;
  template <auto Read>
  static u32 read(M& machine, unsigned offset, u32 size) {
    return (machine.*Read)(offset, size);
  }
  template <auto Write>
  static void write(M& machine, unsigned offset, u32 size, u32 value) {
    (machine.*Write)(offset, size, value);
  }
  // What guests access most comes first.
  static constexpr Ports ports[] = {
      {V16550::kPort, 8, 1, &read<&M::read_uart>, &write<&M::write_uart>},
      {V8259Pair::kMasterPort, 1, 1, &read<&M::read_pic<V8259Pair::kMasterPort>>, &write<&M::write_pic<V8259Pair::kMasterPort>>},
      {V8259Pair::kMasterPort + 1, 1, 1, &read<&M::read_pic_data<V8259Pair::kMasterPort>>,
       &write<&M::write_pic<V8259Pair::kMasterPort + 1>>},
      {V8259Pair::kSlavePort, 1, 1, &read<&M::read_pic<V8259Pair::kSlavePort>>, &write<&M::write_pic<V8259Pair::kSlavePort>>},
      {V8259Pair::kSlavePort + 1, 1, 1, &read<&M::read_pic_data<V8259Pair::kSlavePort>>,
       &write<&M::write_pic<V8259Pair::kSlavePort + 1>>},
      {V8254::kPort, 4, 1, &read<&M::read_pit>, &write<&M::write_pit>},
      {VAcpiPm::kPort, VAcpiPm::kSize, 4, &read<&M::read_acpi>, &write<&M::write_acpi>},
      {V8254::kPort61, 1, 1, &read<&M::read_port61>, &write<&M::write_port61>},
      {VRtc::kPort, 2, 1, &read<&M::read_rtc>, &write<&M::write_rtc>},
      {VI8042::kDataPort, 1, 1, &read<&M::read_keyboard_data>, &write<&M::write_keyboard_data>},
      {VI8042::kCommandPort, 1, 1, &read<&M::read_keyboard_status>, &write<&M::write_keyboard_command>},
      {kPciPort, 4, 4, &read<&M::read_pci>, &write<&M::write_pci>},
      {kSystemControlPort, 1, 1, &read<&M::read_system_control>, &write<&M::write_system_control>},
      {V8259Pair::kElcrPort, 2, 1, &read<&M::read_pic<V8259Pair::kElcrPort>>, &write<&M::write_pic<V8259Pair::kElcrPort>>},
      {VFirmwareConfig::kPort, VFirmwareConfig::kPorts, 2, &read<&M::read_firmware_config>, &write<&M::write_firmware_config>},
      {kDebugExitPort, 4, 4, &read<&M::read_nothing>, &write<&M::write_debug_exit>},
  };
  static const std::array<u8, kLowPorts> low_ports;
};

Result<void> PcConfig::check() const {
  if (vcpus == 0 || vcpus > kMaxPcVcpus) return fail(Error::OutOfRange);
  if (tsc_hz < kMinimumTscHz || tsc_hz > kMaximumTscHz) return fail(Error::OutOfRange);
  return {};
}

PcMachine::PcMachine(const PcConfig& config, PcHost& host, LocalApicBus& apics)
    : host_(host),
      apics_(apics),
      io_apic_(line_ends_, apics_),
      console_(host),
      pic_(line_ends_, intr_),
      pit_(config.tsc_hz, timer_line_),
      rtc_(config.tsc_hz, config.wall_clock, config.ram, config.ram_below_4g, rtc_line_),
      uart_(console_, uart_line_),
      acpi_(config.tsc_hz, host, sci_line_),
      keyboard_(host),
      firmware_config_(config.ram, config.vcpus) {
  keyboard_.power_on();
}

void PcMachine::power_on() {
  apics_.set_8259(false);
  io_apic_.power_on();
  pic_.power_on();
  pit_.power_on();
  rtc_.power_on();
  uart_.power_on();
  acpi_.power_on();
  keyboard_.power_on();
  firmware_config_.power_on();
  outside_lines_ = 0;
  system_control_ = reset_control_ = 0;
  board_changed();
}

// ---- memory ----

std::optional<u64> PcMachine::mmio_read(Gpa address, u32 size) {
  if (align_down(address.value(), kPageSize) != VIoApic::kBase) return std::nullopt;
  return extract_bytes(io_apic_.mmio_read(static_cast<u32>(address.value() - VIoApic::kBase)), 0, size);
}

bool PcMachine::mmio_write(Gpa address, u64 value) {
  if (align_down(address.value(), kPageSize) != VIoApic::kBase) return false;
  io_apic_.mmio_write(static_cast<u32>(address.value() - VIoApic::kBase), static_cast<u32>(value));
  if (pic_.asserted()) kick_8259_takers();
  return true;
}

// ---- interrupts ----

void PcMachine::kick_8259_takers() {
  for (unsigned vcpu = 0; vcpu < apics_.size(); ++vcpu) {
    if (takes_8259(vcpu)) host_.kick(vcpu);
  }
}

void PcMachine::intr_changed(bool asserted) {
  apics_.set_8259(asserted);
  io_apic_.set_line(0, asserted);
  if (!asserted) return;
  kick_8259_takers();
  for (unsigned vcpu = 0; vcpu < apics_.size(); ++vcpu) apics_[vcpu].lint0_rises();
}

void PcMachine::set_irq(u32 irq, bool asserted) {
  pic_.set_line(irq, asserted);
  io_apic_.set_line(irq == 0 ? kTimerGsi : irq, asserted);
}

bool PcMachine::is_free_line(u32 gsi) {
  constexpr u32 kWired = 1 << 0 | 1 << kTimerGsi | 1 << kUartIrq | 1 << kRtcIrq | 1 << VAcpiPm::kSciIrq;  // 0: the 8259
  return gsi < VIoApic::kPins && (kWired >> gsi & 1) == 0;
}

void PcMachine::set_line(u32 gsi, bool asserted) {
  if (gsi < kIsaIrqs) pic_.set_line(gsi, asserted);
  io_apic_.set_line(gsi, asserted);
}

void PcMachine::interrupt(u32 gsi, bool level) {
  if (!is_free_line(gsi)) return;
  set_line(gsi, true);
  level ? static_cast<void>(outside_lines_ |= 1u << gsi) : set_line(gsi, false);
}

void PcMachine::line_ended(u32 gsi) {
  const u32 line = 1u << gsi;
  if ((outside_lines_ & line) != 0) {
    outside_lines_ &= ~line;
    set_line(gsi, false);
  }
  host_.line_ended(gsi);
}

// ---- timers ----

u64 PcMachine::board_deadline() const { return std::min({pit_.deadline(), rtc_.deadline(), acpi_.deadline()}); }

void PcMachine::board_changed() {
  const u64 deadline = board_deadline();
  if (deadline == board_deadline_) return;
  board_deadline_ = deadline;
  host_.board_deadline_changed(deadline);
}

void PcMachine::run_timers(u64 now) {
  if (board_deadline_ > now) return;
  pit_.run_timer(now);
  rtc_.run_timer(now);
  acpi_.run_timer(now);
  board_changed();
}

// ---- ports ----

/// Rows, from 1 on, of the ports that every PC has; 0: none.
constinit const std::array<u8, PcMachine::kLowPorts> PcMachine::Tables::low_ports = [] {
  std::array<u8, kLowPorts> rows{};
  for (usize row = 0; row < std::size(ports); ++row) {
    for (u32 i = 0; i < ports[row].count; ++i)
      if (ports[row].first + i < rows.size()) rows[ports[row].first + i] = static_cast<u8>(row + 1);
  }
  return rows;
}();

inline const PcMachine::Ports* PcMachine::find(u32 port) {
  if (port >= Tables::low_ports.size()) return find_high(port);
  const u8 row = Tables::low_ports[port];
  return row == 0 ? nullptr : &Tables::ports[row - 1];
}

const PcMachine::Ports* PcMachine::find_high(u32 port) {
  for (const Ports& row : Tables::ports) {
    if (port - row.first < row.count) return &row;
  }
  return nullptr;
}

bool PcMachine::whole(const Ports* ports, u32 port, u32 size) {
  return ports != nullptr && size <= ports->width && port - ports->first + size <= ports->count;
}

u32 PcMachine::low_port_read(u16 port) {
  const u8 row = Tables::low_ports[port];
  if (row == 0) return kNothingThere;
  const Ports& ports = Tables::ports[row - 1];
  return ports.read(*this, port - ports.first, 1);
}

u32 PcMachine::port_read(u16 port, u32 size) {
  const Ports* row = find(port);
  return whole(row, port, size) ? row->read(*this, port - row->first, size) : read_bytes(port, size);
}

u32 PcMachine::read_bytes(u32 port, u32 size) {
  u32 value = 0;
  for (u32 i = 0; i < size; ++i) {
    const u32 at = port + i;
    const Ports* row = find(at);
    const u32 byte = row != nullptr ? row->read(*this, at - row->first, 1) & 0xff : kNothingThere;
    value |= byte << i * 8;
  }
  return value;
}

void PcMachine::port_write(u16 port, u32 size, u32 value) {
  const Ports* row = find(port);
  if (whole(row, port, size)) return row->write(*this, port - row->first, size, value);
  for (u32 i = 0; i < size; ++i) {
    const u32 at = u32{port} + i;
    row = find(at);
    if (row != nullptr) row->write(*this, at - row->first, 1, value >> i * 8 & 0xff);
  }
}

u32 PcMachine::read_nothing(unsigned, u32 size) { return static_cast<u32>(extract_bytes(~u64{0}, 0, size)); }

u32 PcMachine::read_pit(unsigned offset, u32) { return pit_.read(static_cast<u16>(V8254::kPort + offset), host_.now()); }
void PcMachine::write_pit(unsigned offset, u32, u32 value) {
  pit_.write(static_cast<u16>(V8254::kPort + offset), static_cast<u8>(value), host_.now());
  board_changed();
}

u32 PcMachine::read_port61(unsigned, u32) { return pit_.read_port61(host_.now()); }
void PcMachine::write_port61(unsigned, u32, u32 value) { pit_.write_port61(static_cast<u8>(value), host_.now()); }

u32 PcMachine::read_rtc(unsigned offset, u32) {
  const u8 value = rtc_.read(static_cast<u16>(VRtc::kPort + offset), host_.now());
  board_changed();
  return value;
}
void PcMachine::write_rtc(unsigned offset, u32, u32 value) {
  rtc_.write(static_cast<u16>(VRtc::kPort + offset), static_cast<u8>(value), host_.now());
  board_changed();
}

u32 PcMachine::read_acpi(unsigned offset, u32 size) {
  const u32 value = acpi_.read(offset, size, host_.now());
  board_changed();
  return value;
}
void PcMachine::write_acpi(unsigned offset, u32 size, u32 value) {
  acpi_.write(offset, size, value, host_.now());
  board_changed();
}

void PcMachine::write_system_control(unsigned, u32, u32 value) {
  const bool reset = (value & ~system_control_ & kFastReset) != 0;
  system_control_ = static_cast<u8>(value & (kFastReset | kA20));
  if (reset) host_.reset();
}

/// No device answers at the PCI ports; a byte access to 0xcf9 is the reset control register of the chipset.
u32 PcMachine::read_pci(unsigned offset, u32 size) {
  return offset == kResetControlOffset && size == 1 ? reset_control_ : read_nothing(offset, size);
}
void PcMachine::write_pci(unsigned offset, u32 size, u32 value) {
  if (offset != kResetControlOffset || size != 1) return;
  reset_control_ = static_cast<u8>(value & kResetControlBits);
  if ((value & kResetNow) != 0) host_.reset();
}

}  // namespace hv
