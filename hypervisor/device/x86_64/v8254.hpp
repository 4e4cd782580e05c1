// The 8254 interval timer of a PC and port 0x61, which has the gate and the output of its channel 2.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "hypervisor/device/wires.hpp"
#include "hypervisor/device/x86_64/device_clock.hpp"
#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// Counts are derived from the time. A new count takes effect at once, also in modes 2 and 3, where the chip finishes
/// the cycle first. The output of channel 0 is IRQ 0; in modes 2 to 5 its low phase is too short to be seen there.
/// Context: under the VM's device lock; `now` is guest TSC.
class V8254 {
 public:
  static constexpr u16 kPort = 0x40;
  static constexpr u16 kPort61 = 0x61;
  static constexpr u64 kHz = 1'193'182;

  V8254(u64 tsc_hz, InterruptLine& irq0) : clock_(tsc_hz, kHz), refresh_period_(clock_.tsc(kRefreshTicks)), irq0_(irq0) {
    power_on();
  }

  void power_on();

  /// `port`: 0x40 to 0x43.
  u8 read(u16 port, u64 now);
  void write(u16 port, u8 value, u64 now);
  u8 read_port61(u64 now) const {
    if (const auto value = read_quiet_port61(now)) return *value;
    return static_cast<u8>(shown_.load(std::memory_order_relaxed) | refresh(now) | speaker_output(now));
  }
  /// The same without the lock, for guests that time themselves by its refresh bit; nothing where channel 2 is in use.
  std::optional<u8> read_quiet_port61(u64 now) const {
    const u16 shown = shown_.load(std::memory_order_relaxed);
    if ((shown & kSpeaks) != 0) [[unlikely]]
      return std::nullopt;
    return static_cast<u8>(shown | refresh(now));
  }
  void write_port61(u8 value, u64 now);

  u64 deadline() const { return deadline_; }
  void run_timer(u64 now);

 private:
  static constexpr unsigned kSpeaker = 2;
  // Port 0x61 (ISA system control port B).
  static constexpr u8 kGate = 1u << 0, kRefresh = 1u << 4, kOutput = 1u << 5;
  static constexpr u16 kSpeaks = 1u << 8;
  static constexpr u64 kRefreshTicks = 18;  // 15 us

  /// Times are in ticks of the 8254.
  struct Channel {
    u8 mode = 0;
    u8 access = 3;  ///< 1: low byte, 2: high byte, 3: low then high
    bool bcd = false;
    bool gate = true;
    bool loaded = false;   ///< a count was written since the control word
    bool running = false;  ///< counts; else `held` stands still
    bool read_high = false;
    bool write_high = false;
    bool status_latched = false;
    u8 status = 0;
    u8 write_low = 0;
    u8 latched_bytes = 0;  ///< of `latch` that are still to be read
    u16 latch = 0;
    u32 reload = 0;  ///< 1 to 65536, or 10000 in BCD
    u64 start = 0;
    u64 held = 0;

    u64 elapsed(u64 time) const { return !running ? held : time > start ? time - start : 0; }
    bool one_shot_by_gate() const { return mode == 1 || mode == 5; }
    bool periodic() const { return mode == 2 || mode == 3; }
    bool output(u64 time) const;
    u16 count(u64 time) const;
    void control(u8 value);
    void load(u16 value, u64 time);
    void set_gate(bool high, u64 time);
    void latch_count(u64 time);
    u8 status_byte(u64 time) const;
    u8 read(u64 time);
    bool write(u8 value, u64 time);
  };

  u8 refresh(u64 now) const { return static_cast<u8>(now / refresh_period_ % 2 * kRefresh); }
  u8 speaker_output(u64 now) const;
  void show(u8 port61);
  void write_control(u8 value, u64 now);
  void schedule(u64 time);
  void drive(bool output);

  DeviceClock clock_;
  u64 refresh_period_;  ///< of TSC ticks
  InterruptLine& irq0_;
  std::array<Channel, 3> channels_{};
  u64 event_ = 0;  ///< when channel 0 interrupts next
  u64 deadline_ = kNoDeadline;
  std::atomic<u16> shown_{0};  ///< what was written to port 0x61, and kSpeaks
  bool output_ = false;        ///< of channel 0
};

}  // namespace hv
