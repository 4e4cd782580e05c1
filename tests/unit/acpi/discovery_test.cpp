#include "platforms/x86-qemu-q35/discovery.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "tests/unit/acpi/fake_pc.hpp"

namespace ax::platform {
namespace {

using test::BlobWriter;
using test::FakePhysicalMemory;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Protocol {
  const char* name;
  u32 magic;
  u64 (*put)(FakePhysicalMemory&);
  bool knows_rsdp;
};
constexpr Protocol kProtocols[] = {{"Multiboot", MULTIBOOT1_MAGIC, test::put_multiboot1, false},
                                   {"Multiboot 2", MULTIBOOT2_MAGIC, test::put_multiboot2, true},
                                   {"PVH", PVH_MAGIC, test::put_pvh, true}};

class EveryProtocol : public ::testing::TestWithParam<Protocol> {
 protected:
  Result<BootInfo> read() { return read_boot_info(memory, GetParam().magic, Hpa(address), texts); }

  FakePhysicalMemory memory = test::fake_pc();
  u64 address = GetParam().put(memory);
  std::array<char, 64> texts{};
};

TEST_P(EveryProtocol, GivesMemoryModulesAndCommandLine) {
  const auto info = read();
  ASSERT_TRUE(info);
  EXPECT_EQ(info->protocol, GetParam().name);
  ASSERT_EQ(info->ram.size(), 3u);
  EXPECT_EQ(info->ram[0], (HpaRange{Hpa(0), 0x9'f000}));  // whole pages
  EXPECT_EQ(info->ram[2], (HpaRange{Hpa(0x1'0000'0000), 1_GiB}));
  ASSERT_EQ(info->reserved.size(), 2u);
  EXPECT_EQ(info->reserved[0], (HpaRange{Hpa(0x9'f000), 0x1000}));
  ASSERT_EQ(info->modules.size(), 1u);
  EXPECT_EQ(info->modules[0].data, (HpaRange{Hpa(0x20'0000), 0x1234}));
  EXPECT_EQ(info->modules[0].name, "initrd");
  EXPECT_EQ(info->command_line, "log=debug");
  EXPECT_EQ(info->rsdp != Hpa(0), GetParam().knows_rsdp);
  EXPECT_FALSE(info->incomplete);
}

TEST_P(EveryProtocol, KeepsNoPointerIntoTheLoadersMemory) {
  const auto info = read();
  memory.regions.clear();
  const auto inside = [&](std::string_view text) {
    return text.data() >= texts.data() && text.data() + text.size() <= texts.data() + texts.size();
  };
  EXPECT_TRUE(inside(info->command_line));
  EXPECT_TRUE(inside(info->modules[0].name));
}

TEST_P(EveryProtocol, CutsTextsThatDoNotFit) {
  const auto info = read_boot_info(memory, GetParam().magic, Hpa(address), std::span(texts).first(4));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->command_line, "log=");
  EXPECT_EQ(info->modules[0].name, "");
}

TEST_P(EveryProtocol, FailsWhenTheInformationCannotBeRead) {
  FakePhysicalMemory empty;
  EXPECT_EQ(read_boot_info(empty, GetParam().magic, Hpa(address), texts).error(), Error::OutOfRange);
}

INSTANTIATE_TEST_SUITE_P(BootInfo, EveryProtocol, ::testing::ValuesIn(kProtocols));

TEST(BootInfo, RefusesAnUnknownProtocol) {
  FakePhysicalMemory memory;
  EXPECT_EQ(read_boot_info(memory, 0x1234, Hpa(0), {}).error(), Error::NotSupported);
}

TEST(BootInfo, RefusesPvhWithoutAMemoryMap) {
  FakePhysicalMemory memory;
  const u64 info = test::put_pvh(memory);
  BlobWriter writer{memory.regions[info]};
  memory.put(info, writer.set(4, u32{0}));
  EXPECT_EQ(read_boot_info(memory, PVH_MAGIC, Hpa(info), {}).error(), Error::NotFound);
}

struct Pc : ::testing::Test {
  Result<void> discover_with(FakePhysicalMemory& memory, BootFacts facts = {.boot_apic_id = 1, .has_x2apic = true}) {
    const u64 address = test::put_multiboot1(memory);
    const auto info = read_boot_info(memory, MULTIBOOT1_MAGIC, Hpa(address), texts);
    return info ? discover(memory, *info, facts, machine, findings) : fail(info.error());
  }
  std::vector<std::string> warnings() const { return {findings.warnings.begin(), findings.warnings.end()}; }

  std::array<char, 256> texts{};
  MachineInfo machine;
  DiscoveryFindings findings;
};

/// fake_pc() with its root pointer where a BIOS scan finds it.
FakePhysicalMemory pc_with_bios() {
  FakePhysicalMemory memory = test::fake_pc();
  test::Blob bios(128_KiB);
  const test::Blob pointer = test::root_pointer(2);
  std::copy(pointer.begin(), pointer.end(), bios.begin() + 0x1'0000);
  memory.put(0xe'0000, bios);
  return memory;
}

TEST_F(Pc, HasTheBootCpuFirstAndEachCpuOnce) {
  FakePhysicalMemory memory = pc_with_bios();
  ASSERT_TRUE(discover_with(memory));
  EXPECT_THAT(warnings(), IsEmpty());
  std::vector<u64> ids;
  for (const CpuInfo& cpu : machine.cpus) ids.push_back(cpu.hardware_id);
  EXPECT_EQ(ids, (std::vector<u64>{1, 0, 2, 300}));
}

TEST_F(Pc, LeavesCpusOutThatAnXapicCannotReach) {
  FakePhysicalMemory memory = pc_with_bios();
  ASSERT_TRUE(discover_with(memory, {.boot_apic_id = 0, .has_x2apic = false}));
  EXPECT_EQ(machine.cpus.size(), 3u);
  EXPECT_THAT(warnings(), Contains(HasSubstr("x2APIC")));
}

TEST_F(Pc, KnowsItsDevices) {
  FakePhysicalMemory memory = pc_with_bios();
  ASSERT_TRUE(discover_with(memory));
  EXPECT_EQ(machine.pc.hpet, Hpa(0xfed0'0000));
  EXPECT_EQ(machine.pc.io_apics.size(), 1u);
  EXPECT_EQ(machine.pc.pci.size(), 1u);
  EXPECT_EQ(machine.pc.power.pm1a_control_port, 0x604);
  ASSERT_TRUE(machine.pc.soft_off);
  EXPECT_EQ(machine.pc.soft_off->a, 5);
  EXPECT_EQ(machine.pc.route(0).gsi, 2u);
  EXPECT_TRUE(machine.pc.route(9).level);
  EXPECT_EQ(machine.pc.route(4).gsi, 4u);
}

TEST_F(Pc, ReservesPageZeroTheTrampolineAndModules) {
  FakePhysicalMemory memory = pc_with_bios();
  ASSERT_TRUE(discover_with(memory));
  EXPECT_EQ(findings.trampoline, Hpa(0x9'e000));
  const auto is_reserved = [&](Hpa at) {
    return std::ranges::any_of(machine.reserved, [&](const HpaRange& range) { return range.contains(at); });
  };
  EXPECT_TRUE(is_reserved(Hpa(0)));
  EXPECT_TRUE(is_reserved(findings.trampoline));
  EXPECT_TRUE(is_reserved(Hpa(0x20'1fff)));
  EXPECT_FALSE(is_reserved(Hpa(0x1000)));
  EXPECT_TRUE(std::ranges::is_sorted(machine.reserved, {}, &HpaRange::base));
}

TEST_F(Pc, IsOneCpuWithoutAcpi) {
  FakePhysicalMemory memory;
  ASSERT_TRUE(discover_with(memory));
  EXPECT_EQ(machine.cpus.size(), 1u);
  EXPECT_THAT(warnings(), Contains(HasSubstr("no ACPI")));
}

TEST_F(Pc, SaysWhichTableIsDamagedAndUsesTheOthers) {
  FakePhysicalMemory memory = pc_with_bios();
  memory.regions[test::at::kMadt][50] ^= std::byte{1};
  memory.regions.erase(test::at::kDsdt);
  ASSERT_TRUE(discover_with(memory));
  EXPECT_THAT(warnings(), Contains(HasSubstr("MADT")));
  EXPECT_THAT(warnings(), Contains(HasSubstr("DSDT")));
  EXPECT_EQ(machine.pc.pci.size(), 1u);
}

}  // namespace
}  // namespace ax::platform
