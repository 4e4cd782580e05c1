// The two cascaded 8259A interrupt controllers of a PC, with the edge/level control registers of later chipsets.
#pragma once

#include <array>

#include "hypervisor/device/wires.hpp"
#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// Both controllers have all interrupts masked after power-on. 8086 mode only; ICW1's LTIM gives way to the ELCR.
/// Context: under the VM's device lock.
class V8259Pair {
 public:
  static constexpr u16 kMasterPort = 0x20;
  static constexpr u16 kSlavePort = 0xa0;
  static constexpr u16 kElcrPort = 0x4d0;

  /// `output` is INTR. Both outlive the device.
  V8259Pair(LineEndListener& listener, InterruptLine& output) : listener_(listener), output_(output) { power_on(); }

  void power_on();

  /// `port`: 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1.
  u32 read(u16 port);
  /// The same for the data port of the controller at `Port`.
  template <u16 Port>
  u32 read_data() {
    Controller& c = Port == kSlavePort ? slave() : master();
    return c.poll ? poll(c) : c.mask;
  }
  void write(u16 port, u8 value);

  /// `irq`: 0 to 15; 2 is the cascade and cannot be driven.
  void set_line(unsigned irq, bool asserted);

  /// INTR.
  bool asserted() const { return asserted_; }
  /// The vector that acknowledge() would give.
  u8 vector() const;
  /// The INTA cycle. With nothing pending any more the vector is that of IRQ 7, or 15 when the slave's request went
  /// away.
  u8 acknowledge();

 private:
  static constexpr unsigned kCascade = 2;
  static constexpr unsigned kNone = 8;
  static constexpr unsigned kSpurious = 7;

  struct Controller {
    u8 line = 0;
    u8 latch = 0;  ///< edges; a fall takes the request back
    u8 service = 0;
    u8 mask = 0xff;
    u8 level = 0;  ///< ELCR, and the cascade
    u8 base = 0;
    u8 lowest = 7;     ///< the input with the lowest priority
    u8 init_step = 0;  ///< the ICW that the data port waits for, 0 for none
    bool wants_icw4 = false;
    bool single = false;
    bool auto_end = false;
    bool rotate_on_auto_end = false;
    bool special_mask = false;
    bool special_nested = false;
    bool poll = false;
    bool read_service = false;

    u8 requests() const { return static_cast<u8>(latch | (line & level)); }
    unsigned first(u8 inputs) const;
    unsigned priority(unsigned input) const { return (input - lowest - 1) & 7; }
    unsigned next(bool is_master) const;
    void set_line(unsigned input, bool asserted);
    void take(unsigned input);
  };

  Controller& master() { return pair_[0]; }
  Controller& slave() { return pair_[1]; }
  const Controller& master() const { return pair_[0]; }
  const Controller& slave() const { return pair_[1]; }
  bool is_master(const Controller& c) const { return &c == pair_.data(); }
  void update();
  void write_command(Controller& c, u8 value);
  void write_end(Controller& c, u8 value);
  void write_data(Controller& c, u8 value);
  u8 poll(Controller& c);
  void end(Controller& c, unsigned input);
  void take(Controller& c, unsigned input);

  LineEndListener& listener_;
  InterruptLine& output_;
  std::array<Controller, 2> pair_{};
  bool asserted_ = false;
};

}  // namespace hv
