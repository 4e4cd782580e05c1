// What the generator reads out of kernels.
#include "tools/config/kernel_image.hpp"

#include <gmock/gmock.h>

#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using hv::KernelFormat;
using ::testing::HasSubstr;

KernelImage inspect(const std::string& bytes) {
  TemporaryFolder folder;
  write_file(folder / "kernel", bytes);
  return inspect_kernel(folder / "kernel").value();
}

TEST(KernelFiles, AMissingOneIsNothing) { EXPECT_FALSE(inspect_kernel("/nonexistent")); }

TEST(KernelFiles, AFlatOneNeedsItsSize) {
  const KernelImage image = inspect("flat");
  EXPECT_EQ(image.format, KernelFormat::Flat);
  EXPECT_EQ(image.memory_size, 4U);
}

TEST(KernelFiles, AnArm64ImageNeedsTheMemoryItsHeaderAsksFor) {
  Binary header = Binary(64).put(56, "ARM\x64").put(16, 0x20'0000, 8);
  EXPECT_EQ(inspect(header.bytes()).format, KernelFormat::Arm64Image);
  EXPECT_EQ(inspect(header.bytes()).memory_size, 0x20'0000U);
  header.put(16, ~u64{0}, 8);
  EXPECT_EQ(inspect(header.bytes()).memory_size, 64U) << "a damaged header must not count";
}

TEST(KernelFiles, ABzImageSaysWhereItGoesAndHowMuchItNeeds) {
  const KernelImage image = inspect(bzimage());
  EXPECT_EQ(image.format, KernelFormat::BzImage);
  EXPECT_EQ(image.load_address, 0x100'0000U);
  EXPECT_EQ(image.alignment, 0x20'0000U);
  EXPECT_EQ(image.memory_size, 0x40'0000U);
  EXPECT_EQ(image.problem, "");
  EXPECT_EQ(inspect(bzimage_parts().put(0x234, 0, 1).bytes()).alignment, 0U) << "not relocatable";
}

TEST(KernelFiles, ABzImageWithoutA64BitEntryIsRefused) {
  EXPECT_THAT(inspect(bzimage_parts().put(0x206, 0x20b, 2).bytes()).problem, HasSubstr("64-bit entry point"));
  EXPECT_THAT(inspect(bzimage_parts().put(0x236, 0, 2).bytes()).problem, HasSubstr("64-bit entry point"));
}

TEST(KernelFiles, ADamagedBzImageIsRefused) {
  EXPECT_THAT(inspect(bzimage_parts().put(0x1f1, 40, 1).bytes()).problem, HasSubstr("damaged"));
  EXPECT_THAT(inspect(bzimage_parts().put(0x258, ~u64{0}, 8).bytes()).problem, HasSubstr("damaged"));
}

TEST(KernelFiles, AnElfFileOfEitherClassSaysWhereItsSegmentsGo) {
  const KernelImage wide = inspect(elf_kernel(0x40'0000, 0x5000));
  EXPECT_EQ(wide.format, KernelFormat::Elf);
  EXPECT_EQ(wide.load_address, 0x40'0000U);
  EXPECT_EQ(wide.memory_size, 0x5000U);
  const std::string narrow = Binary(0x34 + 2 * 0x20)
                                 .put(0,
                                      "\x7f"
                                      "ELF\x01\x01\x01")
                                 .put(0x12, 3, 2)
                                 .put(0x1c, 0x34, 4)
                                 .put(0x2a, 0x20, 2)
                                 .put(0x2c, 2, 2)
                                 .put(0x34, 1, 4)
                                 .put(0x34 + 0x0c, 0x20'0000, 4)
                                 .put(0x34 + 0x14, 0x1000, 4)
                                 .put(0x54, 1, 4)
                                 .put(0x54 + 0x0c, 0x10'0000, 4)
                                 .put(0x54 + 0x14, 0x800, 4)
                                 .bytes();
  EXPECT_EQ(inspect(narrow).load_address, 0x10'0000U);
  EXPECT_EQ(inspect(narrow).memory_size, 0x10'1000U);
  EXPECT_EQ(inspect(narrow).problem, "");
}

TEST(KernelFiles, DamagedAndForeignElfFilesAreRefused) {
  EXPECT_THAT(inspect("\x7f"
                      "ELF")
                  .problem,
              HasSubstr("another machine"));
  EXPECT_THAT(inspect(elf_kernel(~u64{0}, 1)).problem, HasSubstr("damaged"));
  EXPECT_THAT(inspect(elf_kernel(0, 0)).problem, HasSubstr("nothing to load"));
  EXPECT_THAT(inspect(elf_kernel(0, 1).substr(0, 0x50)).problem, HasSubstr("damaged"));
}

TEST(KernelFiles, NoCutOfAHeaderIsAProblemForTheReader) {
  for (const std::string& whole : {bzimage(), elf_kernel(0x1000, 0x1000)}) {
    for (usize size = 0; size < whole.size(); size += 7)
      EXPECT_LE(inspect(whole.substr(0, size)).memory_size, 0x40'0000U);
  }
}

}  // namespace
}  // namespace ax::config::testing
