#include "hypervisor/vm/boot_layout.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace hv {
namespace {

constexpr GpaRange kRam[] = {{Gpa(0x8000'0000), 64_MiB}};

VmConfig config_at(u64 kernel) {
  VmConfig config;
  config.entry_point = Gpa(kernel);
  config.kernel.load_address = Gpa(kernel);
  return config;
}

std::vector<std::byte> image_header(u64 size) {
  std::vector<std::byte> bytes(64);
  std::memcpy(bytes.data() + 16, &size, 8);
  std::memcpy(bytes.data() + 56, "ARM\x64", 4);
  return bytes;
}

TEST(Arm64Image, IsRecognisedByItsMagicAlone) {
  EXPECT_EQ(Arm64Image::parse(image_header(0x1234))->image_size, 0x1234u);
  EXPECT_FALSE(Arm64Image::parse(std::vector<std::byte>(64)));
  auto cut = image_header(1);
  cut.pop_back();
  EXPECT_FALSE(Arm64Image::parse(cut));
}

TEST(Arm64Image, IsRefusedWhereItsPagesDoNotExist) {
  constexpr u64 kOnly4And64 = 0, kNo4 = u64{15} << 28, kNo64 = u64{15} << 24, kHas16 = u64{1} << 20;
  const auto with_pages = [](unsigned granule) {
    auto bytes = image_header(0x1000);
    bytes[24] = std::byte(granule << 1 | 8);  // bit 3: may lie anywhere
    return *Arm64Image::parse(bytes);
  };
  for (const u64 mmfr0 : {kOnly4And64, kNo4, kNo64, kHas16}) EXPECT_EQ(with_pages(0).why_not_on(mmfr0), "");
  EXPECT_EQ(with_pages(1).why_not_on(kOnly4And64), "");
  EXPECT_EQ(with_pages(1).why_not_on(kNo4), "has a kernel with 4 KiB pages, which this CPU lacks");
  EXPECT_EQ(with_pages(2).why_not_on(kOnly4And64), "has a kernel with 16 KiB pages, which this CPU lacks");
  EXPECT_EQ(with_pages(2).why_not_on(kHas16), "");
  EXPECT_EQ(with_pages(3).why_not_on(kOnly4And64), "");
  EXPECT_EQ(with_pages(3).why_not_on(kNo64), "has a kernel with 64 KiB pages, which this CPU lacks");
}

TEST(BootLayout, PutsTheDeviceTreeAtTheTopAndTheRamdiskBelow) {
  const auto layout = plan_boot(config_at(0x8020'0000), kRam, {.kernel_size = 1_MiB, .ramdisk_size = 5000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->fdt.base, Gpa(0x8000'0000 + 62_MiB));
  EXPECT_EQ(layout->ramdisk.base, Gpa(0x8000'0000 + 62_MiB - 8192));
  EXPECT_EQ(layout->ramdisk.size, 5000u);
}

TEST(BootLayout, KeepsTheDeviceTreeWithinReachOfTheKernel) {
  const GpaRange big[] = {{Gpa(0x8000'0000), 4_GiB}};
  EXPECT_EQ(plan_boot(config_at(0x8020'0000), big, {.kernel_size = 1_MiB})->fdt.base, Gpa(0x8000'0000 + 510_MiB));
}

TEST(BootLayout, HonoursConfiguredAddresses) {
  VmConfig config = config_at(0x8020'0000);
  config.dtb.load_address = Gpa(0x8000'0000);
  config.ramdisk.load_address = Gpa(0x8100'0000);
  const auto layout = plan_boot(config, kRam, {.kernel_size = 1_MiB, .ramdisk_size = 5000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->fdt, (GpaRange{Gpa(0x8000'0000), 2_MiB - 4_KiB}));
  EXPECT_EQ(layout->ramdisk.base, Gpa(0x8100'0000));
}

TEST(BootLayout, LimitsTheDeviceTreeToTheSpaceBeforeTheKernel) {
  VmConfig config = config_at(0x8008'0000);
  config.dtb.load_address = Gpa(0x8000'0000);
  EXPECT_EQ(plan_boot(config, kRam, {.kernel_size = 1_MiB})->fdt.size, 508_KiB);
}

TEST(BootLayout, CountsTheKernelsZeroInitialisedData) {
  const auto error = plan_boot(config_at(0x8020'0000), kRam, {.kernel_size = 1_MiB, .kernel_header = Arm64Image{.image_size = 64_MiB}});
  EXPECT_EQ(error.error().error, Error::OutOfRange);
}

TEST(BootLayout, RefusesImagesThatCollide) {
  VmConfig config = config_at(0x8020'0000);
  config.ramdisk.load_address = Gpa(0x8028'0000);
  EXPECT_EQ(plan_boot(config, kRam, {.kernel_size = 1_MiB, .ramdisk_size = 10}).error().what, "the ramdisk would overwrite the kernel");
  config = config_at(0x8020'0000);
  config.dtb.load_address = Gpa(0x8020'1000);
  EXPECT_EQ(plan_boot(config, kRam, {.kernel_size = 1_MiB}).error().error, Error::Overlap);
}

TEST(BootLayout, RefusesAnEntryOutsideTheMemory) {
  VmConfig config = config_at(0x8020'0000);
  config.entry_point = Gpa(0x4000'0000);
  EXPECT_EQ(plan_boot(config, kRam, {.kernel_size = 1_MiB}).error().what, "entry_point is not in the kernel's memory");
}

TEST(BootLayout, RefusesAddressesThatWrapAround) {
  VmConfig config = config_at(~u64{0} - 0xfff);
  EXPECT_FALSE(plan_boot(config, kRam, {.kernel_size = 1_MiB}));
}

}  // namespace
}  // namespace hv
