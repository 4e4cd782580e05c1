#include <fmt/format.h>
#include <re2/re2.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <memory>

#include "tools/xtask/build/board.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/json.hpp"
#include "tools/xtask/inspect/elf_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct InspectOptions {
  fs::path file;
  std::string match;
  bool by_size = false;
  bool json = false;
  std::uint64_t offset = 0;
  std::uint64_t length = 512;
  unsigned top = 20;
};

/// The file that was named, else what the chosen board's build made.
fs::path file_of(const Context& context, const InspectOptions& options, std::string_view product) {
  if (!options.file.empty()) {
    return context.resolve(options.file);
  }
  const fs::path file = context.root / "build" / current_board(context.root).name / product;
  if (!fs::is_regular_file(file)) {
    throw Failure(ExitCode::Usage, fmt::format("there is no {}", file.string()), "./xtask build makes it; or name a file");
  }
  return file;
}

ElfFile elf_of(const Context& context, const InspectOptions& options) {
  const fs::path file = file_of(context, options, "axvisor");
  return parse_elf(read_file(file), file.string());
}

/// [item, item] with one item to a line.
std::string json_lines(const std::vector<std::string>& items) { return fmt::format("[\n  {}\n]\n", fmt::join(items, ",\n  ")); }

// ---- sections

std::string section_json(const ElfSection& section) {
  return fmt::format("{{\"name\": {}, \"size\": {}, \"address\": {}, \"offset\": {}, \"alignment\": {}, \"attributes\": {}}}",
                     json_quote(section.name), section.size, section.address, section.offset, section.alignment,
                     json_quote(section.attributes()));
}

ExitCode sections(const Context& context, const InspectOptions& options) {
  const ElfFile elf = elf_of(context, options);
  if (options.json) {
    std::vector<std::string> items;
    for (const ElfSection& section : elf.sections) {
      items.push_back(section_json(section));
    }
    print_out(json_lines(items));
    return ExitCode::Success;
  }
  std::string text =
      fmt::format("{}, entry {:#x}, build id {}\n\nIdx Name                Size      VMA               File off  Algn\n",
                  elf_machine_name(elf.machine), elf.entry, elf.build_id.empty() ? "none" : elf.build_id);
  for (size_t i = 0; i < elf.sections.size(); ++i) {
    const ElfSection& section = elf.sections[i];
    unsigned power = 0;
    while (power < 63 && (std::uint64_t{1} << power) < section.alignment) {
      ++power;
    }
    text += fmt::format("{:3} {:<19} {:08x}  {:016x}  {:08x}  2**{}\n    {}\n", i, section.name, section.size, section.address,
                        section.offset, power, section.attributes());
  }
  print_out(text);
  return ExitCode::Success;
}

// ---- symbols

std::vector<ElfSymbol> chosen_symbols(ElfFile& elf, const InspectOptions& options) {
  const RE2 pattern(options.match, RE2::Quiet);
  if (!pattern.ok()) {
    throw Failure(ExitCode::Usage, fmt::format("--match: '{}' is not a regular expression: {}", options.match, pattern.error()));
  }
  std::vector<ElfSymbol> symbols = std::move(elf.symbols);
  std::erase_if(symbols, [&](const ElfSymbol& symbol) { return !RE2::PartialMatch(symbol.name, pattern); });
  if (options.by_size) {
    std::ranges::stable_sort(symbols, std::ranges::greater(), &ElfSymbol::size);
  }
  return symbols;
}

ExitCode symbols(const Context& context, const InspectOptions& options) {
  ElfFile elf = elf_of(context, options);
  std::vector<std::string> items;
  std::string text;
  for (const ElfSymbol& symbol : chosen_symbols(elf, options)) {
    if (options.json) {
      items.push_back(fmt::format("{{\"name\": {}, \"address\": {}, \"size\": {}, \"kind\": \"{}\"}}", json_quote(symbol.name),
                                  symbol.address, symbol.size, symbol.kind));
    } else {
      text += fmt::format("{:016x} {:8} {} {}\n", symbol.address, symbol.size, symbol.kind, symbol.name);
    }
  }
  print_out(options.json ? json_lines(items) : text);
  return ExitCode::Success;
}

// ---- hex

constexpr std::uint64_t kRow = 16;

std::string hex_row(std::uint64_t offset, std::string_view row) {
  std::string bytes;
  std::string text;
  for (std::uint64_t i = 0; i < kRow; ++i) {
    bytes += i == kRow / 2 ? " " : "";
    bytes += i < row.size() ? fmt::format("{:02x} ", static_cast<unsigned char>(row[i])) : "   ";
    if (i < row.size()) {
      text += row[i] >= ' ' && row[i] <= '~' ? row[i] : '.';
    }
  }
  return fmt::format("{:08x}  {} |{}|\n", offset, bytes, text);
}

/// As hexdump -C: rows equal to the one before are a single "*".
ExitCode hex(const Context& context, const InspectOptions& options) {
  fs::path file = options.file;
  if (file.empty()) {
    file = file_of(context, options, current_board(context.root).to_bin ? "axvisor.bin" : "axvisor");
  }
  const std::string all = read_file(file_of(context, {.file = file, .match = {}}, ""));
  const std::string_view part = std::string_view(all).substr(std::min<std::uint64_t>(options.offset, all.size()), options.length);
  std::string text;
  std::string_view before;
  bool folded = false;
  for (std::uint64_t at = 0; at < part.size(); at += kRow) {
    const std::string_view row = part.substr(at, kRow);
    if (row == before) {
      text += folded ? "" : "*\n";
      folded = true;
      continue;
    }
    folded = false;
    before = row;
    text += hex_row(options.offset + at, row);
  }
  print_out(text + fmt::format("{:08x}\n", options.offset + part.size()));
  return ExitCode::Success;
}

// ---- size

struct Sizes {
  std::uint64_t code = 0;
  std::uint64_t constants = 0;
  std::uint64_t data = 0;
  std::uint64_t zeroed = 0;
};

Sizes sizes_of(const ElfFile& elf) {
  Sizes sizes;
  for (const ElfSection& section : elf.sections) {
    if (!section.allocated()) {
      continue;
    }
    const std::string attributes = section.attributes();
    std::uint64_t& sum = !section.has_bytes()                               ? sizes.zeroed
                         : attributes.find("CODE") != std::string::npos     ? sizes.code
                         : attributes.find("READONLY") != std::string::npos ? sizes.constants
                                                                            : sizes.data;
    sum += section.size;
  }
  return sizes;
}

ExitCode size(const Context& context, const InspectOptions& options) {
  const Sizes sizes = sizes_of(elf_of(context, options));
  const std::uint64_t total = sizes.code + sizes.constants + sizes.data + sizes.zeroed;
  if (options.json) {
    print_out(fmt::format("{{\"code\": {}, \"constants\": {}, \"data\": {}, \"zeroed\": {}, \"total\": {}}}\n", sizes.code,
                          sizes.constants, sizes.data, sizes.zeroed, total));
    return ExitCode::Success;
  }
  constexpr double kKibi = 1024;
  const auto line = [](std::string_view what, std::uint64_t bytes) {
    return fmt::format("{:<10} {:>10} {:>9.1f} KiB\n", what, bytes, static_cast<double>(bytes) / kKibi);
  };
  print_out(line("code", sizes.code) + line("constants", sizes.constants) + line("data", sizes.data) +
            line("zeroed", sizes.zeroed) + line("total", total));
  return ExitCode::Success;
}

// ---- map

/// The image as it lies in memory: each section, and in it the largest symbols.
ExitCode map(const Context& context, const InspectOptions& options) {
  ElfFile elf = elf_of(context, options);
  std::vector<ElfSection> sections = elf.sections;
  std::erase_if(sections, [](const ElfSection& section) { return !section.allocated() || section.size == 0; });
  std::ranges::stable_sort(sections, {}, &ElfSection::address);
  std::vector<ElfSymbol> largest = elf.symbols;
  std::ranges::stable_sort(largest, std::ranges::greater(), &ElfSymbol::size);
  std::string text;
  std::uint64_t end = 0;
  for (const ElfSection& section : sections) {
    if (end != 0 && section.address > end) {
      text += fmt::format("{:016x} {:>10}  (unused)\n", end, section.address - end);
    }
    end = std::max(end, section.address + section.size);
    text += fmt::format("{:016x} {:>10}  {}  {}\n", section.address, section.size, section.name, section.attributes());
    unsigned shown = 0;
    for (const ElfSymbol& symbol : largest) {
      const bool inside = symbol.address >= section.address && symbol.address - section.address < section.size;
      if (inside && symbol.size != 0 && shown < options.top) {
        text += fmt::format("  {:016x} {:>8}    {}\n", symbol.address, symbol.size, symbol.name);
        ++shown;
      }
    }
  }
  print_out(text);
  return ExitCode::Success;
}

using Options = std::shared_ptr<InspectOptions>;

Options declared(CLI::App& app, bool json) {
  const auto options = std::make_shared<InspectOptions>();
  app.add_option("FILE", options->file, "An image (default: what the chosen board's build made)")
      ->type_name("")
      ->check(existing_file());
  if (json) {
    app.add_flag("--json", options->json, "For programs");
  }
  return options;
}

Handler handler(const Options& options, ExitCode (*action)(const Context&, const InspectOptions&)) {
  return [options, action](Context& context) { return action(context, *options); };
}

}  // namespace

Handler declare_inspect_sections(CLI::App& app) { return handler(declared(app, true), sections); }

Handler declare_inspect_symbols(CLI::App& app) {
  const Options options = declared(app, true);
  app.add_option("--match", options->match, "Only symbols whose demangled name matches")->type_name("REGEX")->check(expression());
  app.add_flag("--by-size", options->by_size, "The largest first, instead of by address");
  return handler(options, symbols);
}

Handler declare_inspect_hex(CLI::App& app) {
  const Options options = declared(app, false);
  app.add_option("--offset", options->offset, "First byte")->type_name("BYTES");
  app.add_option("--length", options->length, "How many (default: 512)")->type_name("BYTES");
  return handler(options, hex);
}

Handler declare_inspect_size(CLI::App& app) { return handler(declared(app, true), size); }

Handler declare_inspect_map(CLI::App& app) {
  const Options options = declared(app, false);
  app.add_option("--top", options->top, "How many symbols of each section (default: 20)");
  return handler(options, map);
}

}  // namespace ax::xtask
