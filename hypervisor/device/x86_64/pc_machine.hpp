// The board of the PC that an x86_64 guest sees: interrupt controllers, timers, serial port and system control, joined.
#pragma once

#include <optional>
#include <utility>

#include "hypervisor/device/x86_64/v16550.hpp"
#include "hypervisor/device/x86_64/v8254.hpp"
#include "hypervisor/device/x86_64/v8259.hpp"
#include "hypervisor/device/x86_64/vacpi_pm.hpp"
#include "hypervisor/device/x86_64/vfirmware_config.hpp"
#include "hypervisor/device/x86_64/vi8042.hpp"
#include "hypervisor/device/x86_64/vio_apic.hpp"
#include "hypervisor/device/x86_64/vlocal_apic.hpp"
#include "hypervisor/device/x86_64/vrtc.hpp"
#include "kernel/base/result.hpp"

namespace hv {

struct PcConfig {
  unsigned vcpus = 1;           ///< 1 to kMaxPcVcpus; APIC id = index
  u64 tsc_hz = 0;               ///< of the guest's TSC, 1 MHz to 1 THz
  u64 wall_clock = 0;           ///< seconds since 1970 (UTC) at guest TSC 0
  u64 ram = 0;                  ///< bytes
  u64 ram_below_4g = 3072_MiB;  ///< where the hole for devices begins

  /// Error: OutOfRange.
  Result<void> check() const;
};

/// Everything but the local APICs, which have a bus of their own. Context: every function is called under the VM's device
/// lock. `vcpu` is below PcConfig::vcpus. Nothing blocks, allocates or loops longer than the number of vCPUs and pins.
///
/// ISA interrupts: PIT 0, UART 4, RTC 8, ACPI (SCI) 9. Each is an input of the 8259 pair and, as GSI, a pin of the I/O
/// APIC; IRQ 0 is GSI 2 (MADT: one interrupt source override), pin 0 has the output of the 8259.
/// Absent, and therefore all ones: PCI configuration mechanism 1, DMA controllers, floppy, parallel port.
class PcMachine {
 public:
  /// `config` has passed check(); `host` and `apics` outlive the machine and are not called before the first call into it.
  [[gnu::cold]] PcMachine(const PcConfig& config, PcHost& host, LocalApicBus& apics);
  PcMachine(const PcMachine&) = delete;
  PcMachine& operator=(const PcMachine&) = delete;

  /// The state after power-on, apart from the time and the CMOS memory.
  [[gnu::cold]] void power_on();

  // ---- what a vCPU does ----

  /// The I/O APIC. Nothing or false: no device there.
  std::optional<u64> mmio_read(Gpa address, u32 size);
  bool mmio_write(Gpa address, u64 value);

  /// `size`: 1, 2 or 4. Ports at which nothing is read as all ones; writes to them are dropped.
  u32 port_read(u16 port, u32 size);
  void port_write(u16 port, u32 size, u32 value);
  /// A byte of a port below kLowPorts.
  u32 low_port_read(u16 port);
  static constexpr u16 kLowPorts = 0x100;
  /// V8254::read_quiet_port61(). Any CPU, without the lock.
  std::optional<u8> read_quiet_port61(u64 now) const { return pit_.read_quiet_port61(now); }

  // ---- interrupts ----

  /// The vector that the 8259 has for `vcpu`, when LocalApicBus::asserts_8259() and nothing of its APIC is before it.
  std::optional<u8> pending_8259(unsigned vcpu) const {
    if (pic_.asserted() && takes_8259(vcpu)) return pic_.vector();
    return std::nullopt;
  }
  /// pending_8259() has just been injected, under the same hold of the lock.
  void acknowledge_8259() { pic_.acknowledge(); }
  /// A local APIC ended a level-triggered interrupt.
  void end_of_interrupt(u8 vector) { io_apic_.end_of_interrupt(vector); }
  /// Whether a device outside this machine can have the line of `gsi`: it exists, and nothing inside is wired to it.
  static bool is_free_line(u32 gsi);
  /// A device outside, whose line is `gsi`, interrupts. PcHost::line_ended() tells that the guest has ended the
  /// interrupt of a `level`-triggered line, which falls then: who still has a reason to interrupt says so again.
  void interrupt(u32 gsi, bool level);

  // ---- timers ----

  /// Interrupts that are due at `now`, in guest TSC ticks, become pending. Afterwards the deadline that the host was told
  /// is later than `now`.
  void run_timers(u64 now);

  // ---- the outside ----

  bool can_receive() const { return uart_.can_receive(); }
  /// A character for the serial port.
  void receive(char character) { uart_.receive(character); }
  /// Asks the guest to shut down.
  void press_power_button() { acpi_.press_power_button(); }

 private:
  class IsaLine final : public InterruptLine {
   public:
    IsaLine(PcMachine& machine, u32 irq) : machine_(machine), irq_(irq) {}
    void set(bool asserted) override { machine_.set_irq(irq_, asserted); }

   private:
    PcMachine& machine_;
    u32 irq_;
  };
  class Intr final : public InterruptLine {
   public:
    explicit Intr(PcMachine& machine) : machine_(machine) {}
    void set(bool asserted) override { machine_.intr_changed(asserted); }

   private:
    PcMachine& machine_;
  };
  class LineEnds final : public LineEndListener {
   public:
    explicit LineEnds(PcMachine& machine) : machine_(machine) {}
    void line_ended(u32 gsi) override { machine_.line_ended(gsi); }

   private:
    PcMachine& machine_;
  };
  class Console final : public ConsoleSink {
   public:
    explicit Console(PcHost& host) : host_(host) {}
    void put(char character) override { host_.console_output(character); }

   private:
    PcHost& host_;
  };
  /// `count` ports from `first` on whose registers are up to `width` bytes wide: wider accesses are split into bytes.
  struct Ports {
    u16 first;
    u8 count;
    u8 width;
    u32 (*read)(PcMachine& machine, unsigned offset, u32 size);
    void (*write)(PcMachine& machine, unsigned offset, u32 size, u32 value);
  };
  static constexpr u32 kUartIrq = 4, kRtcIrq = 8;
  struct Tables;
  static const Ports* find(u32 port);
  [[gnu::noinline]] static const Ports* find_high(u32 port);
  u32 read_bytes(u32 port, u32 size);
  static bool whole(const Ports* ports, u32 port, u32 size);

  bool takes_8259(unsigned vcpu) const { return apics_[vcpu].takes_8259() || io_apic_.takes_8259(vcpu); }
  void kick_8259_takers();
  void intr_changed(bool asserted);
  void set_irq(u32 irq, bool asserted);
  void set_line(u32 gsi, bool asserted);
  void line_ended(u32 gsi);
  u64 board_deadline() const;
  void board_changed();

  u32 read_nothing(unsigned, u32 size);
  u32 read_uart(unsigned offset, u32) { return uart_.read(offset); }
  void write_uart(unsigned offset, u32, u32 value) { uart_.write(offset, static_cast<u8>(value)); }
  template <u16 Base>
  u32 read_pic(unsigned offset, u32) {
    return pic_.read(static_cast<u16>(Base + offset));
  }
  template <u16 Port>
  u32 read_pic_data(unsigned, u32) {
    return pic_.read_data<Port>();
  }
  template <u16 Base>
  void write_pic(unsigned offset, u32, u32 value) {
    pic_.write(static_cast<u16>(Base + offset), static_cast<u8>(value));
  }
  u32 read_pit(unsigned offset, u32);
  void write_pit(unsigned offset, u32, u32 value);
  u32 read_port61(unsigned, u32);
  void write_port61(unsigned, u32, u32 value);
  u32 read_keyboard_data(unsigned, u32) { return keyboard_.read_data(); }
  void write_keyboard_data(unsigned, u32, u32 value) { keyboard_.write_data(static_cast<u8>(value)); }
  u32 read_keyboard_status(unsigned, u32) { return keyboard_.read_status(); }
  void write_keyboard_command(unsigned, u32, u32 value) { keyboard_.write_command(static_cast<u8>(value)); }
  u32 read_rtc(unsigned offset, u32);
  void write_rtc(unsigned offset, u32, u32 value);
  u32 read_acpi(unsigned offset, u32 size);
  void write_acpi(unsigned offset, u32 size, u32 value);
  u32 read_system_control(unsigned, u32) { return system_control_; }
  void write_system_control(unsigned, u32, u32 value);
  u32 read_pci(unsigned offset, u32 size);
  void write_pci(unsigned offset, u32 size, u32 value);
  u32 read_firmware_config(unsigned offset, u32 size) {
    return offset == 0 ? read_nothing(offset, size) : firmware_config_.read_data();
  }
  void write_firmware_config(unsigned offset, u32, u32 value) {
    if (offset == 0) firmware_config_.select(static_cast<u16>(value));
  }
  void write_debug_exit(unsigned, u32, u32 value) { host_.debug_exit(value); }

  PcHost& host_;
  LocalApicBus& apics_;
  LineEnds line_ends_{*this};
  VIoApic io_apic_;
  Intr intr_{*this};
  Console console_;
  IsaLine timer_line_{*this, 0};
  IsaLine uart_line_{*this, kUartIrq};
  IsaLine rtc_line_{*this, kRtcIrq};
  IsaLine sci_line_{*this, VAcpiPm::kSciIrq};
  V8259Pair pic_;
  V8254 pit_;
  VRtc rtc_;
  V16550 uart_;
  VAcpiPm acpi_;
  VI8042 keyboard_;
  VFirmwareConfig firmware_config_;
  u64 board_deadline_ = kNoDeadline;  ///< as the host knows it
  u32 outside_lines_ = 0;             ///< level-triggered ones, by GSI, that wait for the guest's EOI
  u8 system_control_ = 0;             ///< port 0x92
  u8 reset_control_ = 0;              ///< port 0xcf9
};

}  // namespace hv
