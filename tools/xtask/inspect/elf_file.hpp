// A 64-bit little-endian ELF file taken apart: sections, symbols, build id. Everything in it is checked before it is used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

struct ElfSection {
  std::string name;
  std::uint32_t type = 0;
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< bytes, also of a section without bytes in the file
  std::uint64_t alignment = 0;

  bool allocated() const;          ///< part of the running image
  bool has_bytes() const;          ///< part of the file
  std::string attributes() const;  ///< as objdump -h names them: "ALLOC, LOAD, READONLY, CODE"
};

struct ElfSymbol {
  std::string name;  ///< demangled
  std::uint64_t address = 0;
  std::uint64_t size = 0;  ///< bytes; 0 where nobody said
  char kind = '?';         ///< as nm has it: T, t, D, d, B, b, R, r, A, W
};

struct ElfFile {
  unsigned machine = 0;  ///< e_machine
  std::uint64_t entry = 0;
  std::vector<ElfSection> sections;  ///< in the file's order, without the empty first one
  std::vector<ElfSymbol> symbols;    ///< by address; functions, objects and labels
  std::string build_id;              ///< hexadecimal; may be empty
};

/// `name` appears in messages. Throws Failure(Usage) for anything that is no such file, or damaged.
ElfFile parse_elf(std::string_view bytes, const std::string& name);

/// "aarch64", "x86_64", "riscv64" or "machine N".
std::string elf_machine_name(unsigned machine);

}  // namespace ax::xtask
