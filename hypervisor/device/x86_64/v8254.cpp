#include "hypervisor/device/x86_64/v8254.hpp"

namespace hv {
namespace {

constexpr u16 kControlPort = 3;
constexpr u8 kReadBack = 3;  // in the place of a channel number
constexpr u8 kReadBackNoCount = 1u << 5;
constexpr u8 kReadBackNoStatus = 1u << 4;
constexpr u8 kStatusOutput = 1u << 7;
constexpr u8 kStatusNullCount = 1u << 6;
constexpr u8 kPort61Writable = 0x0f;

constexpr u64 kMinimumPeriod = (V8254::kHz * kMinimumTimerPeriodMicroseconds + 999'999) / 1'000'000;

constexpr u16 to_bcd(u32 value) {
  return static_cast<u16>(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12);
}
constexpr u32 from_bcd(u16 value) {
  return (value & 15u) + (value >> 4 & 15u) * 10 + (value >> 8 & 15u) * 100 + (value >> 12 & 15u) * 1000;
}

}  // namespace

// ---- one channel ----

bool V8254::Channel::output(u64 time) const {
  const u64 passed = elapsed(time);
  if (mode == 0) return loaded && passed >= reload;
  if (!running) return true;
  switch (mode) {
    case 1: return passed >= reload;
    case 2: return passed % reload != reload - 1;
    case 3: return passed % reload < (reload + 1) / 2;
    default: return passed != reload;
  }
}

u16 V8254::Channel::count(u64 time) const {
  if (!loaded) return 0;
  const u64 passed = elapsed(time);
  const u32 modulus = bcd ? 10'000 : 65'536;
  u64 value = reload + modulus - passed % modulus;
  if (mode == 2) value = reload - passed % reload;
  if (mode == 3) {
    // Each half of the cycle counts the whole range down by twos.
    const u64 phase = passed % reload, half = (reload + 1) / 2;
    value = (reload & ~1u) - 2 * (phase < half ? phase : phase - half);
  }
  value %= modulus;
  return bcd ? to_bcd(static_cast<u32>(value)) : static_cast<u16>(value);
}

void V8254::Channel::control(u8 value) {
  const bool old_gate = gate;
  *this = {};
  gate = old_gate;
  access = value >> 4 & 3;
  mode = value >> 1 & 7;
  if (mode > 5) mode -= 4;
  bcd = (value & 1) != 0;
}

void V8254::Channel::load(u16 value, u64 time) {
  reload = bcd ? from_bcd(value) : value;
  if (reload == 0) reload = bcd ? 10'000 : 65'536;
  loaded = true;
  if (one_shot_by_gate()) return;
  start = time;
  held = 0;
  running = gate;
}

void V8254::Channel::set_gate(bool high, u64 time) {
  if (high == gate) return;
  gate = high;
  if (!loaded || (one_shot_by_gate() && !high)) return;
  if (high) {
    start = mode == 0 || mode == 4 ? time - held : time;
    running = true;
  } else {
    held = elapsed(time);
    running = false;
  }
}

void V8254::Channel::latch_count(u64 time) {
  if (latched_bytes != 0) return;  // the first latch holds until it is read
  latch = count(time);
  latched_bytes = access == 3 ? 2 : 1;
}

u8 V8254::Channel::status_byte(u64 time) const {
  return static_cast<u8>((output(time) ? kStatusOutput : 0) | (loaded ? 0 : kStatusNullCount) | access << 4 | mode << 1 |
                         (bcd ? 1 : 0));
}

u8 V8254::Channel::read(u64 time) {
  if (status_latched) {
    status_latched = false;
    return status;
  }
  const u16 value = latched_bytes != 0 ? latch : count(time);
  bool high = access == 2;
  if (access == 3) {
    high = read_high;
    read_high = !read_high;
  }
  if (latched_bytes != 0) --latched_bytes;
  return static_cast<u8>(high ? value >> 8 : value);
}

/// True: the count is complete.
bool V8254::Channel::write(u8 value, u64 time) {
  if (access == 3 && !write_high) {
    write_low = value;
    write_high = true;
    return false;
  }
  const bool high = access != 1;
  load(static_cast<u16>(high ? value << 8 | write_low : value), time);
  write_high = false;
  write_low = 0;
  return true;
}

// ---- the chip ----

void V8254::drive(bool output) {
  if (output == output_) return;
  output_ = output;
  irq0_.set(output);
}

void V8254::power_on() {
  channels_ = {};
  channels_[kSpeaker].gate = false;
  show(0);
  deadline_ = kNoDeadline;
  drive(false);
}

u8 V8254::read(u16 port, u64 now) {
  const unsigned channel = port & 3;
  return channel == kControlPort ? 0xff : channels_[channel].read(clock_.ticks(now));
}

void V8254::write(u16 port, u8 value, u64 now) {
  const unsigned channel = port & 3;
  if (channel == kControlPort) return write_control(value, now);
  const u64 time = clock_.ticks(now);
  const bool complete = channels_[channel].write(value, time);
  if (complete && channel == 0) schedule(time);
  if (channel == kSpeaker) show(static_cast<u8>(shown_.load(std::memory_order_relaxed)));
}

void V8254::write_control(u8 value, u64 now) {
  const u64 time = clock_.ticks(now);
  if (value >> 6 == kReadBack) {
    for (unsigned i = 0; i < channels_.size(); ++i) {
      Channel& channel = channels_[i];
      if ((value >> (i + 1) & 1) == 0) continue;
      if ((value & kReadBackNoCount) == 0) channel.latch_count(time);
      if ((value & kReadBackNoStatus) == 0 && !channel.status_latched) {
        channel.status = channel.status_byte(time);
        channel.status_latched = true;
      }
    }
    return;
  }
  Channel& channel = channels_[value >> 6];
  if ((value >> 4 & 3) == 0) return channel.latch_count(time);
  channel.control(value);
  if (value >> 6 == kSpeaker) show(static_cast<u8>(shown_.load(std::memory_order_relaxed)));
  if (value >> 6 != 0) return;
  deadline_ = kNoDeadline;
  drive(channel.output(time));
}

/// Channel 0 has a new count. Its gate is always high.
void V8254::schedule(u64 time) {
  const Channel& channel = channels_[0];
  drive(channel.output(time));
  deadline_ = kNoDeadline;
  if (channel.one_shot_by_gate()) return;
  event_ = time + channel.reload + (channel.mode == 4 ? 1 : 0);
  deadline_ = clock_.tsc(event_);
}

void V8254::run_timer(u64 now) {
  if (deadline_ > now) return;
  const Channel& channel = channels_[0];
  deadline_ = kNoDeadline;
  if (channel.periodic()) {
    const u64 cycles = (kMinimumPeriod + channel.reload - 1) / channel.reload;
    const u64 step = cycles * channel.reload;
    event_ += ((clock_.ticks(now) - event_) / step + 1) * step;
    deadline_ = clock_.tsc(event_);
  }
  if (channel.mode != 0) drive(false);
  drive(true);
}

u8 V8254::speaker_output(u64 now) const { return channels_[kSpeaker].output(clock_.ticks(now)) ? kOutput : 0; }

void V8254::write_port61(u8 value, u64 now) {
  channels_[kSpeaker].set_gate((value & kGate) != 0, clock_.ticks(now));
  show(value & kPort61Writable);
}

void V8254::show(u8 port61) {
  const bool speaks = channels_[kSpeaker].mode != 0 || channels_[kSpeaker].loaded;
  shown_.store(static_cast<u16>(port61 | (speaks ? kSpeaks : 0)), std::memory_order_relaxed);
}

}  // namespace hv
