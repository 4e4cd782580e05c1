#include "hypervisor/vm/x86_64/boot_plan.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace hv {
namespace {

using Bytes = std::vector<std::byte>;

template <class T>
void put(Bytes& bytes, usize at, T value) {
  if (bytes.size() < at + sizeof value) bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

/// A relocatable bzImage of protocol 2.15 with one setup sector, `payload` bytes of kernel and 32 MiB of needed memory.
Bytes bzimage(usize payload = 4096) {
  Bytes file(2 * 512 + payload, std::byte{0xcc});
  std::memset(file.data(), 0, 1024);
  put<u8>(file, 0x1f1, 1);
  put<u16>(file, 0x1fe, 0xaa55);
  put<u16>(file, 0x200, 0x6aeb);  // the header ends at 0x26c
  std::memcpy(file.data() + 0x202, "HdrS", 4);
  put<u16>(file, 0x206, 0x20f);
  put<u8>(file, 0x211, 1);
  put<u32>(file, 0x22c, 0x7fff'ffff);
  put<u32>(file, 0x230, 0x20'0000);
  put<u8>(file, 0x234, 1);
  put<u16>(file, 0x236, 0x3f);
  put<u32>(file, 0x238, 2047);
  put<u64>(file, 0x258, 0x100'0000);
  put<u32>(file, 0x260, 0x200'0000);
  put<u32>(file, 0x268, 0x1234'5678);
  return file;
}

struct Segment {
  u64 address;
  Bytes bytes;
  u64 memory_size;
};

/// An ELF file of 32 or 64 bits; a PVH note if `pvh` is not 0.
Bytes elf(bool wide, u64 entry, const std::vector<Segment>& segments, u32 pvh = 0, u64 virtual_offset = 0) {
  Bytes file;
  const usize header = wide ? 64 : 52, program = wide ? 56 : 32, word = wide ? 8 : 4;
  const auto put_word = [&](usize at, u64 value) {
    wide ? put<u64>(file, at, value) : put<u32>(file, at, static_cast<u32>(value));
  };
  put<u32>(file, 0, 0x464c'457f);
  put<u8>(file, 4, wide ? 2 : 1);
  put<u8>(file, 5, 1);
  put<u16>(file, 16, 2);
  put<u16>(file, 18, wide ? 62 : 3);
  put_word(24, entry + virtual_offset);
  put_word(24 + word, header);
  put<u16>(file, wide ? 54 : 42, static_cast<u16>(program));
  const usize count = segments.size() + (pvh != 0);
  put<u16>(file, wide ? 56 : 44, static_cast<u16>(count));
  file.resize(header + program * count);
  const auto add = [&](usize i, u32 type, u64 address, const Bytes& bytes, u64 memory_size) {
    const usize at = header + program * i, offset = file.size();
    put<u32>(file, at, type);
    put_word(at + (wide ? 8 : 4), offset);
    put_word(at + (wide ? 16 : 8), address + virtual_offset);
    put_word(at + (wide ? 24 : 12), address);
    put_word(at + (wide ? 32 : 16), bytes.size());
    put_word(at + (wide ? 40 : 20), memory_size);
    file.insert(file.end(), bytes.begin(), bytes.end());
  };
  for (usize i = 0; i < segments.size(); ++i)
    add(i, 1, segments[i].address, segments[i].bytes, segments[i].memory_size);
  if (pvh != 0) {
    Bytes notes;
    put<u32>(notes, 0, 4);  // a note of somebody else first
    put<u32>(notes, 4, 2);
    put<u32>(notes, 8, 18);
    std::memcpy((notes.resize(20), notes.data() + 12), "GNU\0", 4);
    put<u32>(notes, 20, 4);
    put<u32>(notes, 24, 4);
    put<u32>(notes, 28, 18);
    std::memcpy((notes.resize(36), notes.data() + 32), "Xen\0", 4);
    put<u32>(notes, 36, pvh);
    add(segments.size(), 4, 0, notes, notes.size());
  }
  return file;
}

Bytes with_multiboot_header(u32 flags = 3) {
  Bytes bytes(64);
  put<u32>(bytes, 16, 0x1bad'b002);
  put<u32>(bytes, 20, flags);
  put<u32>(bytes, 24, 0 - (0x1bad'b002 + flags));
  return bytes;
}

/// A flat kernel of 256 bytes, linked at `load`, whose header says so; entered at its byte 0x40.
Bytes with_addresses(u32 load, u32 load_end = 0, u32 bss_end = 0) {
  Bytes bytes = with_multiboot_header(1 << 16);
  put<u32>(bytes, 28, load + 16);
  put<u32>(bytes, 32, load);
  put<u32>(bytes, 36, load_end);
  put<u32>(bytes, 40, bss_end);
  put<u32>(bytes, 44, load + 0x40);
  bytes.resize(256);
  return bytes;
}

class X86Boot : public ::testing::Test {
 protected:
  X86Boot() : scratch(boot_area::kScratchSize) {
    config.kernel_places_itself = true;
    config.command_line = "console=ttyS0 quiet";
  }

  std::expected<BootPlan, LayoutError> plan(const Bytes& kernel) {
    std::memset(scratch.data(), 0, scratch.size());
    return plan_x86_boot({.config = config,
                          .ram = ram,
                          .kernel = kernel,
                          .ramdisk = ramdisk,
                          .bios = bios,
                          .rsdp = Gpa(0xe'0000),
                          .scratch = scratch});
  }
  std::string_view error(const Bytes& kernel) {
    const auto result = plan(kernel);
    return result ? "no error" : result.error().what;
  }

  /// Memory as the guest finds it, from the plan's pieces.
  template <class T>
  static T at(const BootPlan& plan, u64 address) {
    T value{};
    for (const BootPiece& piece : plan.pieces) {
      const GpaRange range{piece.to, piece.bytes.size()};
      if (range.contains(GpaRange{Gpa(address), sizeof value}))
        std::memcpy(&value, piece.bytes.data() + (Gpa(address) - piece.to), sizeof value);
    }
    return value;
  }
  static std::string text_at(const BootPlan& plan, u64 address) {
    std::string text;
    for (char c; (c = at<char>(plan, address++)) != 0;) text += c;
    return text;
  }
  static const BootPiece* piece_at(const BootPlan& plan, u64 address) {
    for (const BootPiece& piece : plan.pieces)
      if (piece.to == Gpa(address)) return &piece;
    return nullptr;
  }

  VmConfig config;
  std::vector<GpaRange> ram{{Gpa(0), 512_MiB}};
  Bytes ramdisk, bios, scratch;
};

// ---- bzImage ---------------------------------------------------------------------------------------------------------

TEST_F(X86Boot, EntersABzImageInLongMode) {
  const Bytes kernel = bzimage();
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  const StartState& start = result->start;
  EXPECT_EQ(start.mode, StartState::Mode::Long64);
  EXPECT_EQ(start.rip, 0x100'0200u);
  EXPECT_EQ(start.rsi, 0x1'0000u);
  ASSERT_NE(piece_at(*result, 0x100'0000), nullptr);
  EXPECT_EQ(piece_at(*result, 0x100'0000)->bytes.data(), kernel.data() + 1024);
  EXPECT_EQ(piece_at(*result, 0x100'0000)->bytes.size(), 4096u);
  // GDT: a 64-bit code segment at 0x10, data at 0x18.
  EXPECT_EQ(at<u64>(*result, start.gdt.base + 0x10), 0x00af'9b00'0000'ffffu);
  EXPECT_EQ(at<u64>(*result, start.gdt.base + 0x18), 0x00cf'9300'0000'ffffu);
  EXPECT_GE(start.gdt.limit, 0x1f);
}

TEST_F(X86Boot, MapsTheFirst4GiBOneToOne) {
  const Bytes kernel = bzimage();
  const auto result = plan(kernel);
  ASSERT_TRUE(result);
  for (u64 address : {u64{0}, u64{0x1'2345}, u64{0x100'0200}, 1_GiB + 5_MiB, 4_GiB - 1}) {
    const u64 pml4e = at<u64>(*result, result->start.cr3 + (address >> 39) * 8);
    const u64 pdpte = at<u64>(*result, (pml4e & ~u64{0xfff}) + (address >> 30 & 511) * 8);
    const u64 pde = at<u64>(*result, (pdpte & ~u64{0xfff}) + (address >> 21 & 511) * 8);
    EXPECT_EQ(pml4e & 3, 3u);
    EXPECT_EQ(pdpte & 0x83, 3u);
    EXPECT_EQ(pde, align_down(address, 2_MiB) | 0x83) << address;
  }
}

TEST_F(X86Boot, FillsBootParams) {
  const Bytes kernel = bzimage();
  ramdisk.resize(5000);
  const auto result = plan(kernel);
  ASSERT_TRUE(result);
  const u64 params = result->start.rsi;
  EXPECT_EQ(at<u32>(*result, params + 0x202), 0x5372'6448u);
  EXPECT_EQ(at<u32>(*result, params + 0x268), 0x1234'5678u);
  EXPECT_EQ(at<u32>(*result, params + 0x26c), 0u) << "beyond the header";
  EXPECT_EQ(at<u8>(*result, params + 0x1ef), 0u) << "sentinel";
  EXPECT_EQ(at<u8>(*result, params + 0x210), 0xffu);
  EXPECT_EQ(at<u64>(*result, params + 0x70), 0xe'0000u);
  EXPECT_EQ(text_at(*result, at<u32>(*result, params + 0x228)), "console=ttyS0 quiet");
  EXPECT_EQ(at<u32>(*result, params + 0x218), 512_MiB - 8192);
  EXPECT_EQ(at<u32>(*result, params + 0x21c), 5000u);
  EXPECT_EQ(piece_at(*result, 512_MiB - 8192)->bytes.size(), 5000u);
  ASSERT_EQ(at<u8>(*result, params + 0x1e8), 3u);
  EXPECT_EQ(at<u64>(*result, params + 0x2d0), 0u);
  EXPECT_EQ(at<u64>(*result, params + 0x2d8), 0xa'0000u);
  EXPECT_EQ(at<u32>(*result, params + 0x2e0), 1u);
  EXPECT_EQ(at<u32>(*result, params + 0x2e0 + 20), 2u);
  EXPECT_EQ(at<u64>(*result, params + 0x2d0 + 40), 0x10'0000u);
}

TEST_F(X86Boot, KeepsTheRamdiskWhereTheKernelReachesIt) {
  ram = {{Gpa(0), 3_GiB}};
  ramdisk.resize(4096);
  const Bytes kernel = bzimage();
  auto result = plan(kernel);
  ASSERT_TRUE(result);
  EXPECT_NE(piece_at(*result, 2_GiB - 4096), nullptr);
  config.ramdisk.load_address = Gpa(0x800'0000);
  result = plan(kernel);
  ASSERT_TRUE(result);
  EXPECT_NE(piece_at(*result, 0x800'0000), nullptr);
  config.ramdisk.load_address = Gpa(2_GiB);
  EXPECT_EQ(error(kernel), "ramdisk_load_addr is higher than the kernel can reach");
  config.ramdisk.load_address = Gpa(0x100'0000 + 31_MiB);
  EXPECT_EQ(error(kernel), "two images overlap");
}

TEST_F(X86Boot, PutsTheRamdiskBelowAKernelAtTheTop) {
  ram = {{Gpa(0), 64_MiB}};
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(32_MiB);
  ramdisk.resize(4096);
  const auto result = plan(bzimage());
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_NE(piece_at(*result, 32_MiB - 4096), nullptr);
  ramdisk.resize(31_MiB + 1);
  EXPECT_EQ(error(bzimage()), "no room for the ramdisk");
}

TEST_F(X86Boot, PutsTheRamdiskIntoTheMainMemoryWhereverThatIs) {
  ram = {{Gpa(0), 1_MiB}, {Gpa(512_MiB), 64_MiB}, {Gpa(4_GiB), 1_GiB}};
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(512_MiB);
  ramdisk.resize(4096);
  const auto result = plan(bzimage());
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_NE(piece_at(*result, 576_MiB - 4096), nullptr);
  ramdisk.resize(64_MiB);
  EXPECT_EQ(error(bzimage()), "no room for the ramdisk");
}

TEST_F(X86Boot, MovesARelocatableKernel) {
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(0x400'0000);
  Bytes kernel = bzimage();
  ASSERT_TRUE(plan(kernel));
  EXPECT_EQ(plan(kernel)->start.rip, 0x400'0200u);
  config.kernel.load_address = Gpa(0x410'0000);
  EXPECT_EQ(error(kernel), "kernel_load_addr is not aligned as the kernel wants");
  put<u8>(kernel, 0x234, 0);
  config.kernel.load_address = Gpa(0x400'0000);
  EXPECT_EQ(error(kernel), "the kernel cannot run at kernel_load_addr: it is not relocatable");
}

TEST_F(X86Boot, CountsTheMemoryThatAKernelDecompressesInto) {
  ram = {{Gpa(0), 40_MiB}};
  EXPECT_EQ(error(bzimage()), "an image does not fit into the memory at its address");
}

TEST_F(X86Boot, RefusesBzImagesThatItCannotEnter) {
  Bytes kernel = bzimage();
  put<u16>(kernel, 0x206, 0x20b);
  EXPECT_EQ(error(kernel), "the kernel is a bzImage without a 64-bit entry point (boot protocol 2.12)");
  kernel = bzimage();
  put<u16>(kernel, 0x236, 0);
  EXPECT_EQ(error(kernel), "the kernel is a bzImage without a 64-bit entry point (boot protocol 2.12)");
  kernel = bzimage();
  kernel.resize(1024);
  EXPECT_EQ(error(kernel), "the kernel is a damaged bzImage");
  kernel.resize(0x240);
  EXPECT_EQ(error(kernel), "the kernel is a damaged bzImage");
  kernel = bzimage();
  config.boot_protocol = BootProtocol::Multiboot;
  EXPECT_EQ(error(kernel), "a bzImage is no Multiboot kernel");
}

TEST_F(X86Boot, LimitsTheCommandLine) {
  const std::string exact(2047, 'x'), longer(2048, 'x');
  const Bytes kernel = bzimage();
  config.command_line = exact;
  ASSERT_TRUE(plan(kernel));
  EXPECT_EQ(text_at(*plan(kernel), 0x1'8000), exact);
  config.command_line = longer;
  EXPECT_EQ(error(kernel), "the command line is longer than the kernel takes");
}

TEST_F(X86Boot, SaysHowMuchLowMemoryThereIsWhereABiosWould) {
  constexpr u64 kBaseMemory = 0x413;
  auto result = plan(bzimage());
  ASSERT_TRUE(result);
  EXPECT_EQ(at<u16>(*result, kBaseMemory), 640u);
  result = plan(elf(false, 0x10'0020, {{0x10'0000, with_multiboot_header(), 4_MiB}}));
  ASSERT_TRUE(result);
  EXPECT_EQ(at<u16>(*result, kBaseMemory), 640u);
}

TEST_F(X86Boot, LeavesTheBiosDataAreaToAnImageThatCoversIt) {
  const Bytes kernel = elf(false, 0x400, {{0x400, Bytes(100, std::byte{7}), 100}}, 0x400);
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(at<u16>(*result, 0x413), 0x0707u);
}

TEST_F(X86Boot, NeedsMemoryAtZero) {
  ram = {{Gpa(1_MiB), 256_MiB}};
  EXPECT_EQ(error(bzimage()), "an x86 guest needs memory at address 0");
}

// ---- ELF -------------------------------------------------------------------------------------------------------------

TEST_F(X86Boot, EntersAPvhKernel) {
  for (bool wide : {false, true}) {
    const Bytes kernel = elf(wide, 0x20'0000, {{0x20'0000, Bytes(100), 1_MiB}, {0x40'0000, Bytes(10), 10}}, 0x20'0040);
    ramdisk.resize(3000);
    const auto result = plan(kernel);
    ASSERT_TRUE(result) << result.error().what;
    EXPECT_EQ(result->start.mode, StartState::Mode::Protected32);
    EXPECT_EQ(result->start.rip, 0x20'0040u);
    const u64 info = result->start.rbx;
    EXPECT_EQ(at<u32>(*result, info), 0x336e'c578u);
    EXPECT_EQ(at<u32>(*result, info + 4), 1u);
    EXPECT_EQ(at<u32>(*result, info + 12), 1u);
    const u64 module = at<u64>(*result, info + 16);
    EXPECT_EQ(at<u64>(*result, module), 512_MiB - 4096);
    EXPECT_EQ(at<u64>(*result, module + 8), 3000u);
    EXPECT_EQ(text_at(*result, at<u64>(*result, info + 24)), "console=ttyS0 quiet");
    EXPECT_EQ(at<u64>(*result, info + 32), 0xe'0000u);
    const u64 map = at<u64>(*result, info + 40);
    ASSERT_EQ(at<u32>(*result, info + 48), 3u);
    EXPECT_EQ(at<u64>(*result, map + 48), 0x10'0000u);
    EXPECT_EQ(at<u64>(*result, map + 56), 511_MiB);
    EXPECT_EQ(at<u32>(*result, map + 64), 1u);
  }
}

TEST_F(X86Boot, EntersAMultibootKernelWithCompleteInformation) {
  Bytes code = with_multiboot_header();
  const Bytes kernel = elf(false, 0x10'0020, {{0x10'0000, code, 4_MiB}});
  ramdisk.resize(100);
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.mode, StartState::Mode::Protected32);
  EXPECT_EQ(result->start.rip, 0x10'0020u);
  EXPECT_EQ(result->start.rax, 0x2bad'b002u);
  const u64 info = result->start.rbx;
  EXPECT_EQ(at<u32>(*result, info), 0x24du);
  EXPECT_EQ(at<u32>(*result, info + 4), 640u);
  EXPECT_EQ(at<u32>(*result, info + 8), 511u * 1024);
  EXPECT_EQ(text_at(*result, at<u32>(*result, info + 16)), "console=ttyS0 quiet");
  ASSERT_EQ(at<u32>(*result, info + 20), 1u);
  const u64 module = at<u32>(*result, info + 24);
  EXPECT_EQ(at<u32>(*result, module), 512_MiB - 4096);
  EXPECT_EQ(at<u32>(*result, module + 4), 512_MiB - 4096 + 100);
  EXPECT_EQ(text_at(*result, at<u32>(*result, module + 8)), "");
  EXPECT_EQ(at<u32>(*result, info + 44), 72u);
  const u64 map = at<u32>(*result, info + 48);
  EXPECT_EQ(at<u32>(*result, map), 20u);
  EXPECT_EQ(at<u64>(*result, map + 4), 0u);
  EXPECT_EQ(at<u64>(*result, map + 12), 0xa'0000u);
  EXPECT_EQ(at<u32>(*result, map + 20), 1u);
  EXPECT_EQ(at<u64>(*result, map + 48 + 4), 0x10'0000u);
  EXPECT_EQ(text_at(*result, at<u32>(*result, info + 64)), "AxVisor");
}

TEST_F(X86Boot, PrefersPvhUnlessMultibootIsAsked) {
  const Bytes kernel = elf(true, 0x20'0010, {{0x20'0000, with_multiboot_header(), 4096}}, 0x20'0040);
  EXPECT_EQ(plan(kernel)->start.rip, 0x20'0040u);
  config.boot_protocol = BootProtocol::Multiboot;
  EXPECT_EQ(plan(kernel)->start.rip, 0x20'0010u);
  EXPECT_EQ(plan(kernel)->start.rax, 0x2bad'b002u);
}

TEST_F(X86Boot, EntersAKernelThatIsLinkedHighAtItsPhysicalAddress) {
  const Bytes kernel = elf(true, 0x20'0010, {{0x20'0000, with_multiboot_header(), 4096}}, 0, 0xffff'8000'0000'0000);
  ASSERT_TRUE(plan(kernel));
  EXPECT_EQ(plan(kernel)->start.rip, 0x20'0010u);
}

TEST_F(X86Boot, FindsTheMultibootHeaderOnlyWhereItMayBe) {
  Bytes code(8200);
  const Bytes header = with_multiboot_header();
  std::copy(header.begin() + 16, header.begin() + 28, code.begin() + 8088);
  EXPECT_TRUE(plan(elf(false, 0x10'0000, {{0x10'0000, code, 8200}}))) << "within the first 8 KiB";
  code = Bytes(8300);
  std::copy(header.begin() + 16, header.begin() + 28, code.begin() + 8192);
  EXPECT_EQ(error(elf(false, 0x10'0000, {{0x10'0000, code, 8300}})),
            "the kernel is an ELF file without a PVH note or a Multiboot header");
}

TEST_F(X86Boot, RefusesWhatAMultibootHeaderCannotHave) {
  EXPECT_EQ(error(elf(false, 0x10'0000, {{0x10'0000, with_multiboot_header(1 << 5), 64}})),
            "the kernel's Multiboot header wants what is not there");
}

TEST_F(X86Boot, RefusesDamagedElfFiles) {
  const Bytes good = elf(true, 0x20'0000, {{0x20'0000, Bytes(100), 4096}}, 0x20'0000);
  ASSERT_TRUE(plan(good));
  Bytes bad = good;
  put<u16>(bad, 18, 183);
  EXPECT_EQ(error(bad), "the kernel is an ELF file for another machine");
  bad = good;
  put<u64>(bad, 32, ~u64{0});  // program headers
  EXPECT_EQ(error(bad), "the kernel is a damaged ELF file");
  bad = good;
  put<u64>(bad, 64 + 8, good.size());  // offset of the first segment
  EXPECT_EQ(error(bad), "the kernel is a damaged ELF file");
  bad = good;
  put<u64>(bad, 64 + 40, 1);  // smaller in memory than in the file
  EXPECT_EQ(error(bad), "the kernel is a damaged ELF file");
  bad = good;
  bad.resize(40);
  EXPECT_EQ(error(bad), "the kernel is a damaged ELF file");
  EXPECT_EQ(error(elf(true, 0, {}, 0x20'0000)), "the kernel is an ELF file with nothing to load");
  EXPECT_EQ(error(elf(true, 0, std::vector<Segment>(17, {0x20'0000, {}, 1}), 1)), "the kernel has too many segments");
}

TEST_F(X86Boot, RefusesKernelsOutsideTheMemory) {
  EXPECT_EQ(error(elf(true, 0x20'0000, {{1_GiB, Bytes(10), 10}}, 0x20'0000)),
            "an image does not fit into the memory at its address");
  EXPECT_EQ(error(elf(true, 0x20'0000, {{~u64{0} - 4, Bytes(10), 10}}, 0x20'0000)),
            "an image does not fit into the memory at its address");
  EXPECT_EQ(error(elf(true, 0x20'0000, {{0x20'0000, Bytes(10), 10}}, 0x4000'0000)),
            "the kernel's entry point is not in the memory");
  EXPECT_EQ(error(elf(true, 0x20'0000, {{0x1'1000, Bytes(10), 10}}, 0x20'0000)),
            "an image covers the boot information at 0x10000");
  EXPECT_EQ(error(elf(true, 0x20'0000, {{0xf'0000, Bytes(10), 10}}, 0x20'0000)),
            "an image covers the ACPI tables at 0xe0000");
  EXPECT_EQ(error(elf(true, 0x20'0000, {{0x20'0000, Bytes(10), 10}, {0x20'0005, Bytes(10), 10}}, 0x20'0000)),
            "two images overlap");
}

// ---- flat ------------------------------------------------------------------------------------------------------------

TEST_F(X86Boot, StartsAFlatKernelThroughItsBios) {
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(0x20'0000);
  config.bios.load_address = Gpa(0x8000);
  config.entry_point = Gpa(0x8000);
  bios.resize(512);
  const Bytes kernel(1000);
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.mode, StartState::Mode::Real16);
  EXPECT_EQ(result->start.real_segment, 0);
  EXPECT_EQ(result->start.rip, 0x8000u);
  EXPECT_EQ(piece_at(*result, 0x8000)->bytes.size(), 512u);
  EXPECT_EQ(piece_at(*result, 0x20'0000)->bytes.data(), kernel.data());
  config.entry_point = Gpa(0x2'8010);
  EXPECT_EQ(plan(kernel)->start.real_segment, 0x2000);
  EXPECT_EQ(plan(kernel)->start.rip, 0x8010u);
  config.entry_point = Gpa(0x10'0000);
  EXPECT_EQ(error(kernel), "entry_point cannot be reached in real mode");
}

TEST_F(X86Boot, TellsABiosStubWhatAMultibootKernelWants) {
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(0x20'0000);
  config.bios.load_address = config.entry_point = Gpa(0x8000);
  bios.resize(512);
  ramdisk.resize(100);
  const auto result = plan(Bytes(1000));
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.mode, StartState::Mode::Real16);
  EXPECT_EQ(result->start.rax, 0x2bad'b002u);
  const u64 info = result->start.rbx;
  EXPECT_EQ(at<u32>(*result, info), 0x24du);
  EXPECT_EQ(text_at(*result, at<u32>(*result, info + 16)), "console=ttyS0 quiet");
  EXPECT_EQ(at<u32>(*result, at<u32>(*result, info + 24)), 512_MiB - 4096);
}

TEST_F(X86Boot, PlacesAFlatKernelByTheAddressesOfItsMultibootHeader) {
  config.kernel_places_itself = false;
  config.kernel.load_address = config.entry_point = Gpa(0x20'0000);
  ramdisk.resize(100);
  config.ramdisk.load_address = Gpa(0x50'0000);
  Bytes kernel = with_addresses(0x40'0000);
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.rip, 0x40'0040u);
  EXPECT_EQ(result->start.rax, 0x2bad'b002u);
  EXPECT_EQ(piece_at(*result, 0x40'0000)->bytes.size(), 256u);
  kernel = with_addresses(0x40'0000, 0x40'0080, 0x50'0001);
  EXPECT_EQ(error(kernel), "two images overlap") << "the bss counts";
  config.ramdisk.load_address = Gpa(0x50'1000);
  EXPECT_EQ(piece_at(*plan(kernel), 0x40'0000)->bytes.size(), 0x80u);
}

TEST_F(X86Boot, TheAddressesOfAMultibootHeaderCountMoreThanAnElfHeader) {
  const Bytes kernel = elf(true, 0x20'0000, {{0x20'0000, with_addresses(0x40'0000), 4096}});
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.rip, 0x40'0040u);
  const BootPiece* piece = piece_at(*result, 0x40'0000);
  ASSERT_NE(piece, nullptr);
  EXPECT_EQ(piece->bytes.data(), kernel.data() + 64 + 56) << "behind the ELF and program headers";
}

TEST_F(X86Boot, RefusesImpossibleAddressesInAMultibootHeader) {
  config.kernel_places_itself = false;
  constexpr std::string_view kDamaged = "the addresses in the kernel's Multiboot header are impossible";
  const struct {
    usize field;
    u32 value;
    const char* why;
  } damages[] = {
      {28, 0x40'0011, "the file does not begin that far before the header"},
      {28, 0x3f'ffff, "the header is not loaded"},
      {36, 0x40'0101, "the file ends before that"},
      {36, 0x3f'ffff, "ends before it begins"},
      {40, 0x40'00ff, "the bss ends in what is loaded"},
      {40, 0x3f'ffff, "the bss ends before the kernel"},
      {44, 0x40'0100, "enters behind the kernel"},
      {44, 0x3f'ffff, "enters before the kernel"},
  };
  for (const auto& damage : damages) {
    Bytes kernel = with_addresses(0x40'0000);
    put<u32>(kernel, damage.field, damage.value);
    EXPECT_EQ(error(kernel), kDamaged) << damage.why;
  }
  Bytes kernel = with_addresses(0x40'0000);
  kernel.resize(16 + 31);
  EXPECT_EQ(error(kernel), kDamaged) << "half a header";
  EXPECT_EQ(error(with_addresses(0x2000'0000)), "an image does not fit into the memory at its address");
}

TEST_F(X86Boot, GivesAFlatKernelMultibootInformation) {
  config.kernel_places_itself = false;
  config.boot_protocol = BootProtocol::Multiboot;
  config.kernel.load_address = Gpa(0x20'0000);
  config.entry_point = Gpa(0x20'0000);
  const Bytes kernel(1000);
  const auto result = plan(kernel);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->start.rax, 0x2bad'b002u);
  EXPECT_EQ(result->start.rip, 0x20'0000u);
}

TEST_F(X86Boot, RefusesWhatNothingStarts) {
  EXPECT_EQ(error(Bytes(1000)),
            "the kernel is neither a bzImage nor an ELF file, and has neither a Multiboot header nor a bios_path");
  Bytes image(100);
  std::memcpy(image.data() + 56, "ARM\x64", 4);
  EXPECT_EQ(error(image), "the kernel is an arm64 Image");
}

TEST_F(X86Boot, DamageDoesNoHarm) {
  std::mt19937 random(4);
  const Bytes seeds[] = {bzimage(), elf(true, 0x20'0000, {{0x20'0000, with_multiboot_header(), 4096}}, 0x20'0040),
                         elf(false, 0x20'0000, {{0x20'0000, with_multiboot_header(), 4096}}, 0x20'0040),
                         with_addresses(0x40'0000, 0x40'00c0, 0x40'1000)};
  config.kernel_places_itself = false;
  config.kernel.load_address = Gpa(0x100'0000);
  constexpr u32 kInteresting[] = {0, 1, 4, 0xff, 0x7fff'ffff, 0x8000'0000, 0xffff'fff0, 0xffff'ffff};
  ramdisk.resize(5000);
  for (unsigned round = 0; round < 12000; ++round) {
    Bytes kernel = seeds[round % std::size(seeds)];
    for (unsigned hits = 1 + random() % 3; hits > 0; --hits)
      put<u32>(kernel, random() % 0x270 % (kernel.size() - 4), kInteresting[random() % 8]);
    if (random() % 8 == 0) kernel.resize(random() % kernel.size());
    kernel.shrink_to_fit();
    const auto result = plan(kernel);
    if (!result) continue;
    for (const BootPiece& piece : result->pieces) EXPECT_TRUE(ram[0].contains(GpaRange{piece.to, piece.bytes.size()}));
  }
}

}  // namespace
}  // namespace hv
