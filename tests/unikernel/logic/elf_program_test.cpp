#include "unikernel/app/elf_program.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace ax::uni {
namespace {

/// A file with headers only: the parts that are looked at can be set by offset.
class File {
 public:
  File() : bytes_(kSize) {
    constexpr u8 kIdentification[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    std::memcpy(bytes_.data(), kIdentification, sizeof kIdentification);
    set<u16>(16, 2);    // executable
    set<u16>(18, 183);  // aarch64
    set<u64>(24, 0x400100);
    set<u64>(32, 64);
    set<u16>(54, 56);
    set<u16>(56, 2);
    segment(0, 0x400000, 0, 0x200, 0x200, 5);
    segment(1, 0x411000, 0x200, 0x100, 0x2000, 6);
  }

  template <class T>
  void set(usize at, T value) {
    std::memcpy(&bytes_[at], &value, sizeof value);
  }
  void segment(usize index, u64 address, u64 offset, u64 file_size, u64 memory_size, u32 flags, u32 type = 1) {
    const usize at = 64 + 56 * index;
    set<u32>(at, type);
    set<u32>(at + 4, flags);
    set<u64>(at + 8, offset);
    set<u64>(at + 16, address);
    set<u64>(at + 32, file_size);
    set<u64>(at + 40, memory_size);
  }

  ElfProblem read(ElfProgram& program, usize size = kSize) const {
    return read_elf_program(std::span(bytes_).first(size), size, ElfMachine::Aarch64, program);
  }
  ElfProblem read() const {
    ElfProgram program;
    return read(program);
  }

 private:
  static constexpr usize kSize = 0x300;
  std::vector<u8> bytes_;
};

TEST(ElfProgram, FindsWhatIsLoadedWhere) {
  ElfProgram program;
  ASSERT_EQ(File().read(program), ElfProblem::None);
  EXPECT_FALSE(program.movable);
  EXPECT_EQ(program.entry, 0x400100);
  EXPECT_EQ(program.headers, 0x400040);
  EXPECT_EQ(program.low, 0x400000);
  EXPECT_EQ(program.high, 0x413000);
  ASSERT_EQ(program.segments.size(), 2);
  EXPECT_EQ(program.segments[0].protection, 5);
  EXPECT_EQ(program.segments[1].protection, 3);
  EXPECT_EQ(program.segments[1].offset, 0x200);
}

TEST(ElfProgram, MayBeMovable) {
  File file;
  file.set<u16>(16, 3);
  ElfProgram program;
  ASSERT_EQ(file.read(program), ElfProblem::None);
  EXPECT_TRUE(program.movable);
}

TEST(ElfProgram, IsRefusedForWhatItIs) {
  const auto changed = [](usize at, auto value) {
    File file;
    file.set(at, value);
    return file.read();
  };
  EXPECT_EQ(changed(0, u8{1}), ElfProblem::NotElf);
  EXPECT_EQ(changed(4, u8{1}), ElfProblem::NotThisClass);
  EXPECT_EQ(changed(5, u8{2}), ElfProblem::NotThisClass);
  EXPECT_EQ(changed(16, u16{1}), ElfProblem::NotExecutable);
  EXPECT_EQ(changed(18, u16{62}), ElfProblem::WrongMachine);
  EXPECT_EQ(changed(56, u16{0}), ElfProblem::NoSegments);
  EXPECT_EQ(changed(56, u16{0xffff}), ElfProblem::CutOff);
  EXPECT_EQ(changed(32, ~u64{0}), ElfProblem::CutOff);
  EXPECT_EQ(changed(24, u64{0x411000}), ElfProblem::BadEntry);
  EXPECT_EQ(changed(64, u32{3}), ElfProblem::NeedsLinker);
}

TEST(ElfProgram, IsRefusedWhenItIsCutOff) {
  ElfProgram program;
  for (const usize size : {10, 63, 100, 0x2ff}) EXPECT_EQ(File().read(program, size), ElfProblem::CutOff) << size;
  EXPECT_EQ(File().read(program, 3), ElfProblem::NotElf);
}

TEST(ElfProgram, HasSegmentsThatRiseAndFit) {
  const auto with = [](u64 address, u64 offset, u64 file_size, u64 memory_size) {
    File file;
    file.segment(1, address, offset, file_size, memory_size, 6);
    return file.read();
  };
  EXPECT_EQ(with(0x400800, 0, 0x100, 0x100), ElfProblem::BadSegment);
  EXPECT_EQ(with(0x300000, 0, 0x100, 0x100), ElfProblem::BadSegment);
  EXPECT_EQ(with(~u64{0} - 0x1000, 0, 0x100, 0x1000), ElfProblem::BadSegment);
  EXPECT_EQ(with(0x411000, 0, 0x100, ~u64{0}), ElfProblem::BadSegment);
  EXPECT_EQ(with(0x411000, 0, 0x200, 0x100), ElfProblem::BadSegment);
  EXPECT_EQ(with(0x411000, ~u64{0}, 0x200, 0x200), ElfProblem::CutOff);
  EXPECT_EQ(with(0x411000, 0x200, 0x101, 0x200), ElfProblem::CutOff);
}

}  // namespace
}  // namespace ax::uni
