#include "hypervisor/device/x86_64/vi8042.hpp"

namespace hv {
namespace {

constexpr u8 kOutputFull = 1u << 0, kSelfTestPassed = 1u << 2, kCommandLast = 1u << 3, kNotLocked = 1u << 4;

enum Command : u8 {
  kReadConfiguration = 0x20,
  kWriteConfiguration = 0x60,
  kTestMouse = 0xa9,
  kSelfTest = 0xaa,
  kTestKeyboard = 0xab,
  kReadOutputPort = 0xd0,
  kWriteOutputPort = 0xd1,
  kWriteMouse = 0xd4,
  kFirstPulse = 0xf0,
};
constexpr u8 kClockStuckLow = 0x01;
constexpr u8 kPassed = 0x55;
constexpr u8 kResend = 0xfe;
constexpr u8 kNotReset = 1u << 0;  // output port, and pulse mask
constexpr u8 kA20 = 1u << 1;
constexpr u8 kBothDisabled = 0x34;  // configuration: system flag, no keyboard or mouse clock

}  // namespace

void VI8042::power_on() {
  configuration_ = kBothDisabled;
  output_port_ = kNotReset | kA20;
  output_ = argument_of_ = 0;
  full_ = last_was_command_ = false;
}

u8 VI8042::read_status() const {
  return kNotLocked | kSelfTestPassed | (last_was_command_ ? kCommandLast : 0) | (full_ ? kOutputFull : 0);
}

u8 VI8042::read_data() {
  full_ = false;
  return output_;
}

void VI8042::reply(u8 value) {
  output_ = value;
  full_ = true;
}

void VI8042::write_command(u8 value) {
  last_was_command_ = true;
  argument_of_ = 0;
  if (value >= kFirstPulse && (value & kNotReset) == 0) return host_.reset();
  switch (value) {
    case kReadConfiguration: return reply(configuration_);
    case kSelfTest: return reply(kPassed);
    case kTestMouse:
    case kTestKeyboard: return reply(kClockStuckLow);
    case kReadOutputPort: return reply(output_port_);
    case kWriteConfiguration:
    case kWriteOutputPort:
    case kWriteMouse: argument_of_ = value; return;
    default: return;
  }
}

void VI8042::write_data(u8 value) {
  const u8 command = argument_of_;
  last_was_command_ = false;
  argument_of_ = 0;
  if (command == kWriteConfiguration) {
    configuration_ = value;
  } else if (command == kWriteOutputPort) {
    output_port_ = value;
    if ((value & kNotReset) == 0) host_.reset();
  } else {
    reply(kResend);  // nobody answers at the port
  }
}

}  // namespace hv
