// The headers of a static ELF program (System V gABI, chapters 4 and 5): what is loaded where. Plain logic, for the unikernel and
// for `xtask app`, which looks before it builds.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax::uni {

/// What is wrong with a program.
enum class ElfProblem : u8 {
  None,
  NotElf,
  NotThisClass,
  NotExecutable,
  WrongMachine,
  NeedsLinker,
  CutOff,
  NoSegments,
  BadSegment,
  BadEntry,
};

/// In words that follow the program's name.
std::string_view describe(ElfProblem problem);

/// e_machine of the three architectures.
enum class ElfMachine : u16 { X86_64 = 62, Aarch64 = 183, Riscv64 = 243 };
/// "x86_64"; "another machine".
std::string_view machine_name(u16 machine);

struct ElfSegment {
  u64 address = 0;  ///< before the program is moved
  u64 memory_size = 0;
  u64 offset = 0;  ///< in the file
  u64 file_size = 0;
  u8 protection = 0;  ///< PROT_READ and its like
};

struct ElfProgram {
  static constexpr usize kMaxSegments = 16;

  u16 machine = 0;
  bool movable = false;  ///< static-pie: anywhere
  u64 entry = 0;
  u64 headers = 0;  ///< address of the program headers; 0: no segment has them
  u16 header_count = 0;
  u64 low = 0, high = 0;  ///< whole pages around all segments
  StaticVector<ElfSegment, kMaxSegments> segments{};
};

inline constexpr u64 kElfHeaderSize = 56;  ///< of a program header

/// Reads a program of `file_size` bytes that begins with `head`: 4 KiB, or the whole file if it is smaller. `machine` is what it has
/// to be for. `program.machine` is set from WrongMachine on.
ElfProblem read_elf_program(std::span<const u8> head, u64 file_size, ElfMachine machine, ElfProgram& program);

}  // namespace ax::uni
