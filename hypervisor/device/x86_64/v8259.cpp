#include "hypervisor/device/x86_64/v8259.hpp"

#include <bit>

namespace hv {
namespace {

// Command port: ICW1, OCW2, OCW3.
constexpr u8 kIcw1 = 1u << 4;
constexpr u8 kIcw1WantsIcw4 = 1u << 0;
constexpr u8 kIcw1Single = 1u << 1;
constexpr u8 kOcw3 = 1u << 3;
constexpr u8 kOcw3ReadService = 1u << 0;
constexpr u8 kOcw3Read = 1u << 1;
constexpr u8 kOcw3Poll = 1u << 2;
constexpr u8 kOcw3SpecialMask = 1u << 5;
constexpr u8 kOcw3SetSpecialMask = 1u << 6;
constexpr u8 kIcw4AutoEnd = 1u << 1;
constexpr u8 kIcw4SpecialNested = 1u << 4;
constexpr u8 kBaseBits = 0xf8;
constexpr u8 kPollPending = 0x80;

// OCW2 bits 7:5: rotate, specific, end of interrupt.
constexpr u8 kRotate = 4, kSpecific = 2, kEnd = 1;

/// Inputs that can be level-triggered: not IRQ 0, 1, 2, 8 and 13.
constexpr std::array<u8, 2> kElcrBits = {0xf8, 0xde};

}  // namespace

// ---- one controller ----

/// The input of `inputs` with the highest priority, or kNone.
unsigned V8259Pair::Controller::first(u8 inputs) const {
  const int rotated = std::countr_zero(std::rotr(inputs, (lowest + 1) & 7));
  return rotated >= 8 ? kNone : (static_cast<unsigned>(rotated) + lowest + 1) & 7;
}

/// The input that may interrupt now, or kNone.
unsigned V8259Pair::Controller::next(bool is_master) const {
  const unsigned candidate = first(requests() & ~mask);
  if (candidate == kNone || init_step != 0) return kNone;
  u8 holding = service;
  if (special_mask) holding &= static_cast<u8>(~mask);
  if (special_nested && is_master) holding &= static_cast<u8>(~(1u << kCascade));
  const unsigned holder = first(holding);
  return holder == kNone || priority(candidate) < priority(holder) ? candidate : kNone;
}

void V8259Pair::Controller::set_line(unsigned input, bool asserted) {
  const u8 bit = static_cast<u8>(1u << input);
  if (((line & bit) != 0) == asserted) return;
  line ^= bit;
  latch = asserted ? latch | (bit & ~level) : latch & ~bit;
}

void V8259Pair::Controller::take(unsigned input) {
  const u8 bit = static_cast<u8>(1u << input);
  latch &= static_cast<u8>(~bit);
  if (!auto_end) {
    service |= bit;
  } else if (rotate_on_auto_end) {
    lowest = static_cast<u8>(input);
  }
}

// ---- the pair ----

void V8259Pair::power_on() {
  pair_ = {};
  master().level = 1u << kCascade;
  update();
}

void V8259Pair::update() {
  master().set_line(kCascade, slave().next(false) != kNone);
  const bool asserted = master().next(true) != kNone;
  if (asserted == asserted_) return;
  asserted_ = asserted;
  output_.set(asserted);
}

void V8259Pair::set_line(unsigned irq, bool asserted) {
  if (irq >= 16 || irq == kCascade) return;
  pair_[irq / 8].set_line(irq % 8, asserted);
  update();
}

u8 V8259Pair::vector() const {
  unsigned input = master().next(true);
  if (input != kCascade) return static_cast<u8>(master().base + (input == kNone ? kSpurious : input));
  input = slave().next(false);
  return static_cast<u8>(slave().base + (input == kNone ? kSpurious : input));
}

void V8259Pair::take(Controller& c, unsigned input) {
  c.take(input);
  if (c.auto_end) end(c, input);
}

u8 V8259Pair::acknowledge() {
  const u8 result = vector();
  const unsigned input = master().next(true);
  if (input == kCascade) {
    const unsigned behind = slave().next(false);
    if (behind != kNone) take(slave(), behind);
  }
  if (input != kNone) take(master(), input);
  update();
  return result;
}

/// Tells who drives a level-triggered line.
void V8259Pair::end(Controller& c, unsigned input) {
  const bool cascade = is_master(c) && input == kCascade;
  if ((c.level >> input & 1) != 0 && !cascade) listener_.line_ended(input + (is_master(c) ? 0 : 8));
}

u8 V8259Pair::poll(Controller& c) {
  c.poll = false;
  const unsigned input = c.next(is_master(c));
  if (input == kNone) return 0;
  take(c, input);
  update();
  return static_cast<u8>(kPollPending | input);
}

u32 V8259Pair::read(u16 port) {
  if (port >= kElcrPort) return pair_[port & 1].level & kElcrBits[port & 1];
  Controller& c = port >= kSlavePort ? slave() : master();
  if (c.poll) return poll(c);
  if ((port & 1) != 0) return c.mask;
  return c.read_service ? c.service : c.requests();
}

void V8259Pair::write(u16 port, u8 value) {
  if (port >= kElcrPort) {
    Controller& c = pair_[port & 1];
    c.level = static_cast<u8>((value & kElcrBits[port & 1]) | (c.level & ~kElcrBits[port & 1]));
    c.latch &= static_cast<u8>(~c.level);
  } else {
    Controller& c = port >= kSlavePort ? slave() : master();
    (port & 1) != 0 ? write_data(c, value) : write_command(c, value);
  }
  update();
}

void V8259Pair::write_command(Controller& c, u8 value) {
  if ((value & kIcw1) != 0) {
    const Controller old = c;
    c = {};
    c.line = old.line;
    c.level = old.level;
    c.base = old.base;
    c.mask = 0;
    c.init_step = 2;
    c.wants_icw4 = (value & kIcw1WantsIcw4) != 0;
    c.single = (value & kIcw1Single) != 0;
  } else if ((value & kOcw3) != 0) {
    if ((value & kOcw3Poll) != 0) c.poll = true;
    if ((value & kOcw3Read) != 0) c.read_service = (value & kOcw3ReadService) != 0;
    if ((value & kOcw3SetSpecialMask) != 0) c.special_mask = (value & kOcw3SpecialMask) != 0;
  } else {
    write_end(c, value);
  }
}

void V8259Pair::write_end(Controller& c, u8 value) {
  const u8 operation = value >> 5;
  if ((operation & kEnd) == 0 && (operation & kSpecific) == 0) {
    c.rotate_on_auto_end = (operation & kRotate) != 0;
    return;
  }
  if (operation == kSpecific) return;  // no operation
  u8 served = c.service;
  if (c.special_mask) served &= static_cast<u8>(~c.mask);  // a masked level ends by a specific EOI only
  const unsigned input = (operation & kSpecific) != 0 ? value & 7u : c.first(served);
  if (input == kNone) return;
  const bool was_served = (c.service >> input & 1) != 0;
  if ((operation & kRotate) != 0) c.lowest = static_cast<u8>(input);
  if ((operation & kEnd) == 0) return;
  c.service &= static_cast<u8>(~(1u << input));
  if (was_served) end(c, input);
}

void V8259Pair::write_data(Controller& c, u8 value) {
  switch (c.init_step) {
    case 2:
      c.base = value & kBaseBits;
      c.init_step = c.single ? (c.wants_icw4 ? 4 : 0) : 3;
      return;
    case 3:  // which input is the cascade: wired
      c.init_step = c.wants_icw4 ? 4 : 0;
      return;
    case 4:
      c.auto_end = (value & kIcw4AutoEnd) != 0;
      c.special_nested = (value & kIcw4SpecialNested) != 0;
      c.init_step = 0;
      return;
    default: c.mask = value;
  }
}

}  // namespace hv
