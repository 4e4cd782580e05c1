// The rules as the hypervisor uses them: on plain VmConfigs, also in constant expressions.
#include <gtest/gtest.h>

#include <vector>

#include "hypervisor/config/checks.hpp"

namespace hv {
namespace {

constexpr MemoryRegion kRam[] = {{Gpa(0x8000'0000), 0x100'0000, {true, true, true, false}, MapType::Alloc}};

constexpr VmConfig good_vm() {
  VmConfig vm;
  vm.id = 1;
  vm.name = "guest";
  vm.entry_point = Gpa(0x8000'0000);
  vm.kernel.path = "kernel";
  vm.kernel.load_address = Gpa(0x8000'0000);
  vm.memory = kRam;
  return vm;
}

template <class Facts = NoFacts>
std::vector<Violation> violations(std::vector<VmConfig> vms, const Facts& facts = {}) {
  std::vector<Violation> out;
  check(std::span<const VmConfig>(vms), facts, [&out](const Violation& v) { out.push_back(v); });
  return out;
}

constexpr usize count_violations(std::span<const VmConfig> vms) {
  usize n = 0;
  check(vms, NoFacts{}, [&n](const Violation&) { ++n; });
  return n;
}

constexpr VmConfig kGood[] = {good_vm()};
static_assert(count_violations(kGood) == 0, "the rules are usable at compile time");
constexpr VmConfig kEmpty[] = {VmConfig{}};
static_assert(count_violations(kEmpty) > 0);

TEST(Checks, AcceptAPlainVm) { EXPECT_TRUE(violations({good_vm()}).empty()); }

TEST(Checks, RefuseAnEmptyName) {
  VmConfig vm = good_vm();
  vm.name = {};
  const auto found = violations({vm});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].rule, Rule::NameEmpty);
}

TEST(Checks, RefuseNoAndTooManyCpus) {
  for (const u32 count : {0U, kMaxConfiguredVcpus + 1}) {
    VmConfig vm = good_vm();
    vm.cpu_count = count;
    const auto found = violations({vm});
    ASSERT_EQ(found.size(), 1U) << count;
    EXPECT_EQ(found[0].rule, Rule::CpuCountOutOfRange);
    EXPECT_EQ(found[0].a, count);
  }
}

TEST(Checks, WarnAboutATakenId) {
  VmConfig second = good_vm();
  second.name = "second";
  const auto found = violations({good_vm(), second});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].rule, Rule::IdTaken);
  EXPECT_FALSE(is_error(found[0].rule));
}

TEST(Checks, UseTheBytesOfEmbeddedImages) {
  static constexpr std::byte kBytes[0x2000] = {};
  VmConfig vm = good_vm();
  vm.kernel.begin = kBytes;
  vm.kernel.end = kBytes + sizeof kBytes;
  EXPECT_TRUE(violations({vm}, TargetFacts{}).empty());
  vm.entry_point = Gpa(0x8000'2000);
  const auto found = violations({vm}, TargetFacts{});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].rule, Rule::EntryOutsideImage);
}

TEST(Checks, AcceptAnEntryPointInTheBios) {
  VmConfig vm = good_vm();
  vm.bios.path = "bios";
  vm.bios.load_address = Gpa(0x8000'8000);
  vm.kernel.load_address = Gpa(0x8020'0000);
  vm.entry_point = Gpa(0x8000'8000);
  EXPECT_TRUE(violations({vm}).empty());
}

TEST(Checks, LetSeveralVmsHaveTheWildcard) {
  static constexpr PassthroughDevice kAll[] = {{.name = "/", .by_path = true}};
  VmConfig first = good_vm(), second = good_vm();
  first.passthrough_devices = second.passthrough_devices = kAll;
  second.name = "second";
  second.id = 2;
  EXPECT_TRUE(violations({first, second}).empty());
}

TEST(Checks, TreatACoveringRangeAsAWildcard) {
  static constexpr PassthroughRange kWide[] = {{Gpa(0x0), 0x8000'0000}};
  static constexpr PassthroughRange kNarrow[] = {{Gpa(0x900'0000), 0x1000}};
  VmConfig first = good_vm(), second = good_vm();
  first.passthrough_ranges = kWide;
  second.passthrough_ranges = kNarrow;
  second.name = "second";
  second.id = 2;
  EXPECT_TRUE(violations({first, second}).empty());
  EXPECT_TRUE(violations({second, first}).empty());
}

TEST(Checks, AllowRepeatedInterruptsInsideOneVm) {
  static constexpr PassthroughDevice kTwo[] = {
      {.name = "a", .gpa = Gpa(0x1000'0000), .hpa = Hpa(0x1000'0000), .size = 0x1000, .irq = 1},
      {.name = "b", .gpa = Gpa(0x1000'1000), .hpa = Hpa(0x1000'1000), .size = 0x1000, .irq = 1}};
  VmConfig vm = good_vm();
  vm.passthrough_devices = kTwo;
  EXPECT_TRUE(violations({vm}).empty());
}

TEST(Checks, MoveTheIdenticalRegionAwayFromTheReservedOne) {
  static constexpr MemoryRegion kIdentical[] = {
      {Gpa(0x8000'0000), 0x100'0000, {true, true, true, false}, MapType::Identical}};
  static constexpr MemoryRegion kReserved[] = {
      {Gpa(0x8000'0000), 0x100'0000, {true, true, true, false}, MapType::Reserved}};
  VmConfig first = good_vm(), second = good_vm();
  first.memory = kIdentical;
  second.memory = kReserved;
  second.name = "second";
  second.id = 2;
  const auto found = violations({first, second});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].rule, Rule::IdenticalMoves);
  EXPECT_EQ(found[0].where.vm, 0U) << "reserved memory cannot be had elsewhere";
}

TEST(Checks, DescribeEveryPlaceByItsTomlPath) {
  EXPECT_EQ(toml_path(ConfigKey::Id), "base.id");
  EXPECT_EQ(toml_path(ConfigKey::MemoryRegions), "kernel.memory_regions");
  EXPECT_EQ(toml_path(ConfigKey::EmuDevices), "devices.emu_devices");
}

}  // namespace
}  // namespace hv
