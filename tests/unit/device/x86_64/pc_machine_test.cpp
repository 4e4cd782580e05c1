#include "hypervisor/device/x86_64/pc_machine.hpp"

#include <gtest/gtest.h>

#include "tests/unit/device/x86_64/whole_pc.hpp"

namespace hv {
namespace {

constexpr u64 kTscHz = 1'000'000'000;
constexpr Gpa kApic{0xfee0'0000}, kIoApic{0xfec0'0000};
constexpr u32 kMasked = 1u << 16;

class PcMachineTest : public testing::Test {
 protected:
  u32 in(u16 port, u32 size = 1) { return pc.port_read(port, size); }
  void out(u16 port, u32 value, u32 size = 1) { pc.port_write(port, size, value); }
  u32 apic(unsigned cpu, u32 offset) {
    return static_cast<u32>(pc.mmio_read(cpu, kApic + offset, 4).value_or(~u64{0}));
  }
  void apic(unsigned cpu, u32 offset, u32 value) { EXPECT_TRUE(pc.mmio_write(cpu, kApic + offset, 4, value)); }
  void redirect(unsigned pin, u32 low) {
    EXPECT_TRUE(pc.mmio_write(0, kIoApic, 4, 0x10 + pin * 2));
    EXPECT_TRUE(pc.mmio_write(0, kIoApic + 0x10, 4, low));
  }
  void set_up_8259(u8 unmasked) {
    for (const auto& [port, base, cascade] : {std::tuple<u16, u8, u8>{0x20, 0x30, 4}, {0xa0, 0x38, 2}}) {
      out(port, 0x11);
      out(port + 1, base);
      out(port + 1, cascade);
      out(port + 1, 1);
    }
    out(0x21, static_cast<u8>(~unmasked));
    out(0xa1, 0xff);
  }
  void start_pit(u16 count) {
    out(0x43, 0x34);
    out(0x40, count & 0xff);
    out(0x40, count >> 8);
  }
  /// Lets the time pass, as the host does: timers run at their deadlines only.
  void advance(u64 ticks) {
    const u64 end = host.time + ticks;
    for (;;) {
      u64 next = kNoDeadline;
      for (unsigned i = 0; i < config.vcpus; ++i) next = std::min(next, pc.next_deadline(i));
      if (next > end) break;
      host.time = next;
      for (unsigned i = 0; i < config.vcpus; ++i) pc.run_timers(i, next);
    }
    host.time = end;
  }
  unsigned take(unsigned cpu) {
    const std::optional<u8> vector = pc.pending_vector(cpu);
    if (vector) pc.acknowledge(cpu);
    return vector.value_or(0);
  }
  RecordingHost host;
  PcConfig config{.vcpus = 2, .tsc_hz = kTscHz, .wall_clock = 1'600'000'000, .ram = 512_MiB};
  WholePc pc{config, host};
};

TEST_F(PcMachineTest, ConfigurationIsChecked) {
  EXPECT_TRUE(config.check().has_value());
  EXPECT_EQ(PcConfig({.vcpus = 0, .tsc_hz = kTscHz}).check().error(), Error::OutOfRange);
  EXPECT_EQ(PcConfig({.vcpus = 17, .tsc_hz = kTscHz}).check().error(), Error::OutOfRange);
  EXPECT_EQ(PcConfig({.vcpus = 1, .tsc_hz = 0}).check().error(), Error::OutOfRange);
}

TEST_F(PcMachineTest, ConstructionDoesNotCallTheHost) {
  EXPECT_EQ(host.kicked | host.deadline_changes, 0u);
  EXPECT_EQ(host.events, "");
}

TEST_F(PcMachineTest, EachVcpuSeesItsOwnApicPage) {
  EXPECT_EQ(apic(0, 0x20), 0u);
  EXPECT_EQ(apic(1, 0x20), 1u << 24);
  EXPECT_EQ(pc.mmio_read(1, kApic + 0x23, 1), 1u);
}

TEST_F(PcMachineTest, NothingAnswersElsewhere) {
  EXPECT_FALSE(pc.mmio_read(0, Gpa{0xfed0'0000}, 4).has_value());
  EXPECT_FALSE(pc.mmio_write(0, Gpa{0xfed0'0000}, 4, 0));
  ASSERT_TRUE(pc.set_apic_base(0, pc.apic_base(0) | 1u << 10));
  EXPECT_FALSE(pc.mmio_read(0, kApic, 4).has_value()) << "x2APIC mode";
  EXPECT_TRUE(pc.mmio_read(1, kApic, 4).has_value());
  EXPECT_EQ(pc.apic_msr_read(0, 0x802), 0u);
}

TEST_F(PcMachineTest, AbsentPortsReadAsOnes) {
  for (const u16 port : {0x00, 0x80, 0x81, 0x378, 0x3f0, 0xcfc, 0xffff}) {
    EXPECT_EQ(in(port), 0xffu) << port;
    EXPECT_EQ(in(port, 2), 0xffffu) << port;
    EXPECT_EQ(in(port, 4), 0xffff'ffffu) << port;
    out(port, 0x12, 4);
  }
}

TEST_F(PcMachineTest, NoPciDevices) {
  out(0xcf8, 0x8000'0004, 4);
  EXPECT_EQ(in(0xcf8, 4), ~0u);
  EXPECT_EQ(in(0xcfc, 4), ~0u);
  EXPECT_EQ(host.events, "") << "the address is not a write to the reset control register";
}

TEST_F(PcMachineTest, WideAccessesToBytePortsAreSplit) {
  out(0x21, 0xa5fb, 2);
  EXPECT_EQ(in(0x20, 2) >> 8, 0xfbu);
  out(0x3ff, 0x5a);
  EXPECT_EQ(in(0x3fe, 4), 0xffff'5ab0u);
}

TEST_F(PcMachineTest, FirmwareConfigurationSaysHowLargeTheMachineIs) {
  const auto item = [&](u16 number, unsigned bytes) {
    out(0x510, number, 2);
    u64 value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= u64{in(0x511)} << 8 * i;
    return value;
  };
  EXPECT_EQ(item(0x00, 4), 0x554d'4551u);  // "QEMU"
  EXPECT_EQ(item(0x01, 4), 1u);
  EXPECT_EQ(item(0x03, 8), 512_MiB);
  EXPECT_EQ(item(0x05, 2), 2u);
  EXPECT_EQ(item(0x0f, 2), 2u);
  EXPECT_EQ(item(0x19, 4), 0u) << "there are no files";
  EXPECT_EQ(item(0x05, 8), 2u) << "zeros follow the end of an item";
  EXPECT_EQ(in(0x510, 2), 0xffffu);
}

TEST_F(PcMachineTest, PitThroughThe8259AndLint0) {
  set_up_8259(1);
  start_pit(11'932);
  (void)take(0);
  out(0x20, 0x20);
  host.take_kicks();
  advance(10'100'000);
  EXPECT_EQ(host.take_kicks(), 1u);
  EXPECT_FALSE(pc.pending_vector(1).has_value()) << "LINT0 of the other vCPU is masked";
  EXPECT_EQ(take(0), 0x30u);
  EXPECT_EQ(take(0), 0u);
  out(0x20, 0x20);
  advance(10'000'000);
  EXPECT_EQ(take(0), 0x30u);
}

TEST_F(PcMachineTest, PitThroughThe8259WithTheApicOff) {
  ASSERT_TRUE(pc.set_apic_base(0, 0xfee0'0000));
  set_up_8259(1);
  start_pit(1000);
  advance(2'000'000);
  EXPECT_EQ(take(0), 0x30u);
}

TEST_F(PcMachineTest, TurningTheApicOffLetsTheWaiting8259Through) {
  apic(0, 0x350, 0x700 | kMasked);
  set_up_8259(1);
  start_pit(1000);
  advance(2'000'000);
  EXPECT_FALSE(pc.pending_vector(0).has_value());
  host.take_kicks();
  ASSERT_TRUE(pc.set_apic_base(0, 0xfee0'0000));
  EXPECT_EQ(host.take_kicks(), 1u);
  EXPECT_EQ(take(0), 0x30u);
}

TEST_F(PcMachineTest, PitThroughPin0InExtIntMode) {
  apic(0, 0x350, 0x700 | kMasked);
  set_up_8259(1);
  start_pit(1000);
  advance(2'000'000);
  EXPECT_FALSE(pc.pending_vector(0).has_value());
  host.take_kicks();
  redirect(0, 0x700);
  EXPECT_EQ(host.take_kicks(), 1u) << "the 8259 waits already";
  EXPECT_EQ(take(0), 0x30u);
}

TEST_F(PcMachineTest, PitThroughLint0InFixedMode) {
  set_up_8259(0);
  apic(0, 0x350, 0x44);
  out(0x21, 0xfe);
  start_pit(1000);
  advance(3'000'000);
  EXPECT_EQ(take(0), 0x44u);
}

TEST_F(PcMachineTest, PitIsPin2OfTheIoApic) {
  redirect(2, 0x52);
  start_pit(1000);
  advance(2'000'000);
  EXPECT_EQ(take(0), 0x52u);
}

TEST_F(PcMachineTest, UartInterrupts) {
  redirect(4, 0x54);
  out(0x3f9, 1);
  EXPECT_TRUE(pc.can_receive());
  pc.receive('x');
  EXPECT_EQ(take(0), 0x54u);
  EXPECT_EQ(in(0x3f8), static_cast<u32>('x'));
  for (const char c : std::string("ok")) out(0x3f8, static_cast<u8>(c));
  EXPECT_EQ(host.output, "ok");
}

TEST_F(PcMachineTest, RtcInterrupts) {
  redirect(8, 0x58);
  out(0x70, 0x0b);
  out(0x71, 0x12);
  EXPECT_EQ(pc.next_deadline(0), kTscHz);
  EXPECT_EQ(pc.next_deadline(1), kNoDeadline) << "the board is vCPU 0's";
  EXPECT_EQ(host.deadline_changes, 1u);
  advance(kTscHz);
  EXPECT_EQ(take(0), 0x58u);
}

TEST_F(PcMachineTest, LocalTimersHaveDeadlinesOfTheirOwn) {
  apic(1, 0xf0, 0x1ff);
  apic(1, 0x320, 0x40);
  apic(1, 0x380, 1000);
  EXPECT_EQ(host.deadline_changes, 2u);
  EXPECT_EQ(pc.next_deadline(1), 2000u);
  EXPECT_EQ(pc.next_deadline(0), kNoDeadline);
  advance(2000);
  EXPECT_EQ(take(1), 0x40u);
}

TEST_F(PcMachineTest, PowerButtonIsALevelInterrupt) {
  redirect(9, 0x59 | 1u << 15);
  out(0x602, 0x100, 2);
  pc.press_power_button();
  EXPECT_EQ(take(0), 0x59u);
  out(0x600, 0x100, 2);
  apic(0, 0xb0, 0);
  EXPECT_EQ(take(0), 0u);
  EXPECT_EQ(host.take_events(), "eoi9 ");
}

TEST_F(PcMachineTest, WaysOut) {
  out(0x604, 5u << 10 | 1u << 13, 2);
  EXPECT_EQ(host.take_events(), "off ");
  out(0x64, 0xfe);
  EXPECT_EQ(host.take_events(), "reset ");
  out(0x92, 0x02);
  EXPECT_EQ(host.take_events(), "");
  EXPECT_EQ(in(0x92), 0x02u);
  out(0x92, 0x03);
  EXPECT_EQ(host.take_events(), "reset ");
  out(0xcf9, 0x02);
  EXPECT_EQ(in(0xcf9), 0x02u);
  EXPECT_EQ(host.take_events(), "");
  out(0xcf9, 0x06);
  EXPECT_EQ(host.take_events(), "reset ");
  out(0xf4, 0x10, 4);
  EXPECT_EQ(host.take_events(), "exit:16 ");
  out(0xf4, 0x31);
  EXPECT_EQ(host.take_events(), "exit:49 ");
}

TEST_F(PcMachineTest, ALevelFromOutsideLastsUntilTheGuestsEoi) {
  redirect(10, 0x5a | 1u << 15);
  pc.interrupt(10, true);
  EXPECT_EQ(take(0), 0x5au);
  EXPECT_EQ(host.take_events(), "");
  pc.interrupt(10, true);
  EXPECT_EQ(take(0), 0u) << "it is in service";
  apic(0, 0xb0, 0);
  EXPECT_EQ(host.take_events(), "eoi10 ");
  EXPECT_EQ(take(0), 0u) << "the line has fallen: the device has to say again that it interrupts";
  pc.interrupt(10, true);
  EXPECT_EQ(take(0), 0x5au);
}

TEST_F(PcMachineTest, ALevelFromOutsideWaitsForAMaskedPin) {
  redirect(17, 0x5b | 1u << 15 | 1u << 16);
  pc.interrupt(17, true);
  EXPECT_EQ(take(0), 0u);
  redirect(17, 0x5b | 1u << 15);
  EXPECT_EQ(take(0), 0x5bu);
  apic(0, 0xb0, 0);
  EXPECT_EQ(host.take_events(), "eoi17 ");
}

TEST_F(PcMachineTest, ALevelFromOutsideEndsAtThe8259Too) {
  for (const auto& [port, value] : std::initializer_list<std::pair<u16, u8>>{{0x20, 0x11},
                                                                             {0x21, 0x30},
                                                                             {0x21, 4},
                                                                             {0x21, 1},
                                                                             {0xa0, 0x11},
                                                                             {0xa1, 0x38},
                                                                             {0xa1, 2},
                                                                             {0xa1, 1},
                                                                             {0x21, 0xfb},
                                                                             {0xa1, 0xf7}})
    out(port, value);
  out(0x4d1, 1 << 3);
  pc.interrupt(11, true);
  EXPECT_EQ(take(0), 0x3bu);
  out(0xa0, 0x20);
  out(0x20, 0x20);
  EXPECT_EQ(host.take_events(), "eoi11 ");
  EXPECT_EQ(take(0), 0u);
}

TEST_F(PcMachineTest, AnEdgeFromOutsideIsOverAtOnce) {
  redirect(3, 0x53);
  pc.interrupt(3, false);
  EXPECT_EQ(take(0), 0x53u);
  apic(0, 0xb0, 0);
  pc.interrupt(3, false);
  EXPECT_EQ(take(0), 0x53u);
  EXPECT_EQ(host.take_events(), "");
}

TEST_F(PcMachineTest, LinesOfItsOwnDevicesAreNotForOthers) {
  for (const u32 gsi : {0u, 2u, 4u, 8u, 9u, 24u, 1000u}) {
    EXPECT_FALSE(PcMachine::is_free_line(gsi)) << gsi;
    if (gsi < 24) redirect(gsi, 0x60);
    pc.interrupt(gsi, false);
    EXPECT_EQ(take(0), 0u) << gsi;
  }
  for (const u32 gsi : {1u, 3u, 5u, 10u, 16u, 23u}) EXPECT_TRUE(PcMachine::is_free_line(gsi)) << gsi;
  pc.send({.destination = 0, .vector = 0x77});
  EXPECT_EQ(take(0), 0x77u);
}

TEST_F(PcMachineTest, PowerOnForgetsTheState) {
  redirect(4, 0x54);
  out(0x3f9, 2);
  start_pit(1000);
  out(0x21, 0);
  pc.power_on();
  EXPECT_EQ(pc.next_deadline(0), kNoDeadline);
  EXPECT_FALSE(pc.pending_vector(0).has_value());
  EXPECT_EQ(in(0x21), 0xffu);
  EXPECT_EQ(in(0x3f9), 0u);
}

}  // namespace
}  // namespace hv
