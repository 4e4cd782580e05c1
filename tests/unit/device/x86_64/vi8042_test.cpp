#include "hypervisor/device/x86_64/vi8042.hpp"

#include <gtest/gtest.h>

#include "tests/unit/device/x86_64/recording_host.hpp"

namespace hv {
namespace {

class VI8042Test : public testing::Test {
 protected:
  VI8042Test() { keyboard.power_on(); }
  /// The answer to a command, or -1.
  int ask(u8 command) {
    keyboard.write_command(command);
    return (keyboard.read_status() & 1) != 0 ? keyboard.read_data() : -1;
  }
  RecordingHost host;
  VI8042 keyboard{host};
};

TEST_F(VI8042Test, IsReadyAndEmpty) { EXPECT_EQ(keyboard.read_status() & 3, 0); }

TEST_F(VI8042Test, PassesItsSelfTestAndHasNoDevices) {
  EXPECT_EQ(ask(0xaa), 0x55);
  EXPECT_EQ(ask(0xab), 0x01);
  EXPECT_EQ(ask(0xa9), 0x01);
  keyboard.write_data(0xff);
  EXPECT_EQ(keyboard.read_data(), 0xfe);
  EXPECT_EQ(ask(0xae), -1);
}

TEST_F(VI8042Test, KeepsItsConfiguration) {
  keyboard.write_command(0x60);
  keyboard.write_data(0x47);
  EXPECT_EQ(ask(0x20), 0x47);
}

TEST_F(VI8042Test, A20GateCanBeReadBack) {
  keyboard.write_command(0xd1);
  keyboard.write_data(0xdd);
  EXPECT_EQ(ask(0xd0), 0xdd);
  EXPECT_EQ(host.take_events(), "");
}

TEST_F(VI8042Test, ResetLine) {
  keyboard.write_command(0xff);
  EXPECT_EQ(host.take_events(), "") << "pulses nothing";
  keyboard.write_command(0xfe);
  EXPECT_EQ(host.take_events(), "reset ");
  keyboard.write_command(0xd1);
  keyboard.write_data(0xfe);
  EXPECT_EQ(host.take_events(), "reset ");
}

}  // namespace
}  // namespace hv
