#include "tools/xtask/inspect/elf_file.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  ElfFile parse() {
    if (bytes_.size() < sizeof(Elf64_Ehdr) || !bytes_.starts_with(ELFMAG) || bytes_[EI_CLASS] != ELFCLASS64 ||
        bytes_[EI_DATA] != ELFDATA2LSB) {
      fail("no 64-bit little-endian ELF file");
    }
    const auto header = at<Elf64_Ehdr>(0);
    ElfFile file;
    file.machine = header.e_machine;
    file.entry = header.e_entry;
    read_headers(header);
    const Elf64_Shdr* names = header.e_shstrndx < headers_.size() ? &headers_[header.e_shstrndx] : nullptr;
    for (const Elf64_Shdr& section : headers_) {
      file.sections.push_back({names == nullptr ? "" : text(*names, section.sh_name), section.sh_type, section.sh_flags,
                               section.sh_addr, section.sh_offset, section.sh_size, section.sh_addralign});
    }
    for (const Elf64_Shdr& section : headers_) {
      if (section.sh_type == SHT_SYMTAB) {
        read_symbols(section, file);
      } else if (section.sh_type == SHT_NOTE) {
        read_notes(section, file);
      }
    }
    if (!file.sections.empty()) {
      file.sections.erase(file.sections.begin());
    }
    std::ranges::stable_sort(file.symbols, {}, &ElfSymbol::address);
    return file;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Failure(ExitCode::Usage, name_ + ": " + what); }

  template <class T>
  T at(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) {
      fail("damaged: something lies outside of the file");
    }
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  std::string_view content(const Elf64_Shdr& section) const {
    if (section.sh_offset > bytes_.size() || bytes_.size() - section.sh_offset < section.sh_size) {
      fail("damaged: a section lies outside of the file");
    }
    return bytes_.substr(section.sh_offset, section.sh_size);
  }

  std::string text(const Elf64_Shdr& strings, std::uint64_t offset) const {
    const std::string_view all = content(strings);
    return offset < all.size() ? std::string(all.substr(offset, all.find('\0', offset) - offset)) : std::string();
  }

  void read_headers(const Elf64_Ehdr& header) {
    if (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr)) {
      fail("damaged: section headers of an unknown size");
    }
    for (unsigned i = 0; i < header.e_shnum; ++i) {
      headers_.push_back(at<Elf64_Shdr>(header.e_shoff + std::uint64_t{i} * sizeof(Elf64_Shdr)));
    }
  }

  char kind_of(const Elf64_Sym& symbol) const {
    if (symbol.st_shndx == SHN_ABS) {
      return 'A';
    }
    if (symbol.st_shndx >= headers_.size()) {
      return '?';
    }
    const Elf64_Shdr& section = headers_[symbol.st_shndx];
    const char kind = (section.sh_flags & SHF_EXECINSTR) != 0 ? 'T'
                      : section.sh_type == SHT_NOBITS         ? 'B'
                      : (section.sh_flags & SHF_WRITE) != 0   ? 'D'
                                                              : 'R';
    const unsigned binding = ELF64_ST_BIND(symbol.st_info);
    return binding == STB_WEAK ? 'W' : binding == STB_LOCAL ? static_cast<char>(kind - 'A' + 'a') : kind;
  }

  void read_symbols(const Elf64_Shdr& table, ElfFile& file) const {
    if (table.sh_link >= headers_.size()) {
      fail("damaged: symbols without names");
    }
    const Elf64_Shdr& strings = headers_[table.sh_link];
    const std::uint64_t count = content(table).size() / sizeof(Elf64_Sym);
    for (std::uint64_t i = 1; i < count; ++i) {
      const auto symbol = at<Elf64_Sym>(table.sh_offset + i * sizeof(Elf64_Sym));
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      const std::string name = text(strings, symbol.st_name);
      if (symbol.st_shndx == SHN_UNDEF || type == STT_FILE || type == STT_SECTION || name.empty() || name[0] == '$') {
        continue;
      }
      file.symbols.push_back({demangled(name.c_str()), symbol.st_value, symbol.st_size, kind_of(symbol)});
    }
  }

  void read_notes(const Elf64_Shdr& section, ElfFile& file) const {
    const std::string_view notes = content(section);
    if (notes.size() < sizeof(Elf64_Nhdr)) {
      return;
    }
    const auto note = at<Elf64_Nhdr>(section.sh_offset);
    constexpr std::uint64_t kWord = 4;
    const std::uint64_t start = sizeof(Elf64_Nhdr) + (note.n_namesz + kWord - 1) / kWord * kWord;
    if (note.n_type != NT_GNU_BUILD_ID || start > notes.size() || notes.size() - start < note.n_descsz) {
      return;
    }
    for (const char byte : notes.substr(start, note.n_descsz)) {
      file.build_id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
  }

  std::string_view bytes_;
  const std::string& name_;
  std::vector<Elf64_Shdr> headers_;
};

}  // namespace

bool ElfSection::allocated() const { return (flags & SHF_ALLOC) != 0; }
bool ElfSection::has_bytes() const { return type != SHT_NOBITS; }

std::string ElfSection::attributes() const {
  std::string text = has_bytes() ? "CONTENTS" : "";
  const auto add = [&text](std::string_view word) { text.append(text.empty() ? "" : ", ").append(word); };
  if (allocated()) {
    add("ALLOC");
    if (has_bytes()) {
      add("LOAD");
    }
  }
  if ((flags & SHF_WRITE) == 0) {
    add("READONLY");
  }
  if (allocated() && has_bytes()) {
    add((flags & SHF_EXECINSTR) != 0 ? "CODE" : "DATA");
  }
  return text;
}

ElfFile parse_elf(std::string_view bytes, const std::string& name) { return Parser(bytes, name).parse(); }

std::string elf_machine_name(unsigned machine) {
  switch (machine) {
    case EM_AARCH64: return "aarch64";
    case EM_X86_64: return "x86_64";
    case EM_RISCV: return "riscv64";
    default: return fmt::format("machine {}", machine);
  }
}

}  // namespace ax::xtask
