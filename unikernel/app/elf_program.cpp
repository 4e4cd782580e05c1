#include "unikernel/app/elf_program.hpp"

#include <algorithm>

namespace ax::uni {
namespace {

constexpr std::string_view kWords[] = {
    "is right",
    "is not an ELF file",
    "is not a 64-bit little-endian ELF file",
    "is not an executable file",
    "is for another machine",
    "needs a dynamic linker: link it with -static",
    "is cut off: the file ends before its headers or segments do",
    "has nothing to load",
    "has segments that overlap, wrap or leave the page that the file gives them",
    "begins outside of its code",
};

/// Elf64_Ehdr and Elf64_Phdr: offsets of what is looked at.
namespace file_header {
enum Offset : usize {
  kClass = 4,
  kData = 5,
  kType = 16,
  kMachine = 18,
  kEntry = 24,
  kHeaders = 32,
  kHeaderSize = 54,
  kHeaderCount = 56,
  kSize = 64
};
}
namespace program_header {
enum Offset : usize { kType = 0, kFlags = 4, kOffset = 8, kAddress = 16, kFileSize = 32, kMemorySize = 40 };
}
enum HeaderType : u32 { kLoad = 1, kInterpreter = 3, kItself = 6 };

/// Little-endian, wherever it lies.
template <class T>
T read(std::span<const u8> bytes, u64 at) {
  T value = 0;
  for (usize i = sizeof(T); i > 0; --i) value = static_cast<T>(value << 7 << 1 | bytes[at + i - 1]);
  return value;
}

u8 protection_of(u32 flags) {
  constexpr u32 kExecute = 1, kWrite = 2, kRead = 4;
  return static_cast<u8>(((flags & kRead) != 0 ? 1 : 0) | ((flags & kWrite) != 0 ? 2 : 0) | ((flags & kExecute) != 0 ? 4 : 0));
}

/// Segments rise, as the ABI wants; two may share no page, because a page has one protection.
ElfProblem add_segment(std::span<const u8> header, u64 file_size, ElfProgram& program) {
  using namespace program_header;
  constexpr u64 kLimit = u64{1} << 46;
  const ElfSegment segment{.address = read<u64>(header, kAddress),
                           .memory_size = read<u64>(header, kMemorySize),
                           .offset = read<u64>(header, kOffset),
                           .file_size = read<u64>(header, kFileSize),
                           .protection = protection_of(read<u32>(header, kFlags))};
  if (segment.memory_size == 0) return ElfProblem::None;
  if (segment.offset > file_size || segment.file_size > file_size - segment.offset) return ElfProblem::CutOff;
  if (segment.address >= kLimit || segment.memory_size > kLimit - segment.address || segment.file_size > segment.memory_size) {
    return ElfProblem::BadSegment;
  }
  const u64 low = align_down(segment.address, kPageSize), high = align_up(segment.address + segment.memory_size, kPageSize);
  if (program.segments.empty())
    program.low = low;
  else if (low < program.high)
    return ElfProblem::BadSegment;
  program.high = high;
  return program.segments.push_back(segment) ? ElfProblem::None : ElfProblem::BadSegment;
}

}  // namespace

std::string_view describe(ElfProblem problem) { return kWords[static_cast<usize>(problem)]; }

std::string_view machine_name(u16 machine) {
  switch (static_cast<ElfMachine>(machine)) {
    case ElfMachine::X86_64: return "x86_64";
    case ElfMachine::Aarch64: return "aarch64";
    case ElfMachine::Riscv64: return "riscv64";
  }
  return "another machine";
}

ElfProblem read_elf_program(std::span<const u8> head, u64 file_size, ElfMachine machine, ElfProgram& program) {
  using namespace file_header;
  constexpr u8 kMagic[] = {0x7f, 'E', 'L', 'F'};
  constexpr u8 k64Bit = 2, kLittleEndian = 1;
  constexpr u16 kFixed = 2, kMovable = 3;
  program = {};
  if (head.size() < sizeof kMagic || !std::equal(std::begin(kMagic), std::end(kMagic), head.begin())) return ElfProblem::NotElf;
  if (head.size() < kSize) return ElfProblem::CutOff;
  if (head[kClass] != k64Bit || head[kData] != kLittleEndian) return ElfProblem::NotThisClass;
  const u16 type = read<u16>(head, kType);
  if (type != kFixed && type != kMovable) return ElfProblem::NotExecutable;
  program.machine = read<u16>(head, kMachine);
  if (program.machine != static_cast<u16>(machine)) return ElfProblem::WrongMachine;
  program.movable = type == kMovable;
  program.entry = read<u64>(head, kEntry);
  program.header_count = read<u16>(head, kHeaderCount);
  const u64 headers = read<u64>(head, kHeaders), size = program.header_count * kElfHeaderSize;
  if (program.header_count == 0) return ElfProblem::NoSegments;
  if (read<u16>(head, kHeaderSize) != kElfHeaderSize) return ElfProblem::NotThisClass;
  if (headers > head.size() || size > head.size() - headers) return ElfProblem::CutOff;
  for (u64 i = 0; i < program.header_count; ++i) {
    const std::span<const u8> header = head.subspan(headers + i * kElfHeaderSize, kElfHeaderSize);
    const u32 kind = read<u32>(header, program_header::kType);
    if (kind == kInterpreter) return ElfProblem::NeedsLinker;
    if (kind == kItself) program.headers = read<u64>(header, program_header::kAddress);
    if (kind != kLoad) continue;
    if (const ElfProblem problem = add_segment(header, file_size, program); problem != ElfProblem::None) return problem;
  }
  if (program.segments.empty()) return ElfProblem::NoSegments;
  constexpr u8 kExecute = 4;
  bool inside = false;
  for (const ElfSegment& segment : program.segments) {
    // Without a header of their own (PT_PHDR) the headers are where the segment that begins the file has them.
    if (program.headers == 0 && segment.offset <= headers && headers + size <= segment.offset + segment.file_size)
      program.headers = segment.address + (headers - segment.offset);
    inside |= (segment.protection & kExecute) != 0 && program.entry - segment.address < segment.memory_size;
  }
  return inside ? ElfProblem::None : ElfProblem::BadEntry;
}

}  // namespace ax::uni
