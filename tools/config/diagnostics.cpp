#include "tools/config/diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace ax::config {
namespace {

// Lines longer than this are quoted around the mistake only.
constexpr usize kMaxQuoted = 160;

/// Terminal escape sequences, or nothing.
struct Palette {
  std::string_view bold{}, error{}, warning{}, note{}, fix{}, off{};
};
constexpr Palette kPlain{};
constexpr Palette kColored{"\x1b[1m", "\x1b[1;31m", "\x1b[1;35m", "\x1b[1;36m", "\x1b[1;32m", "\x1b[0m"};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Splits UTF-8 text into code points; control characters and stray bytes become '?', a tab becomes a blank.
std::vector<std::string> code_points(std::string_view line) {
  std::vector<std::string> out;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_continuation(c)) {
      if (!out.empty() && static_cast<unsigned char>(out.back()[0]) >= 0xc0) out.back() += c;
      continue;
    }
    if (c == '\t')
      out.emplace_back(" ");
    else if (byte < 0x20 || byte == 0x7f)
      out.emplace_back("?");
    else
      out.emplace_back(1, c);
  }
  return out;
}

std::string location(const Position& where) {
  if (where.file == nullptr) return "axconfig";
  if (where.line == 0) return where.file->display();
  return fmt::format("{}:{}:{}", where.file->display(), where.line, where.column);
}

/// The source line with a caret under the mistake.
std::string excerpt(const Position& where, const Palette& p) {
  if (where.file == nullptr || where.line == 0) return {};
  std::vector<std::string> line = code_points(where.file->line(where.line));
  usize column = where.column == 0 ? 0 : where.column - 1;
  if (line.size() > kMaxQuoted) {
    const usize first = column > kMaxQuoted / 2 ? std::min(column - kMaxQuoted / 2, line.size()) : 0;
    line.erase(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(first));
    line.resize(std::min(line.size(), kMaxQuoted));
    column -= first;
  }
  column = std::min(column, line.size());
  const usize rest = line.size() - column;
  const usize tail = std::min<usize>(where.length == 0 ? 0 : where.length - 1, rest == 0 ? 0 : rest - 1);
  std::string text;
  for (const std::string& c : line) text += c;
  return fmt::format("{:5} | {}\n      | {}{}^{}{}\n", where.line, text, std::string(column, ' '), p.fix,
                     std::string(tail, '~'), p.off);
}

std::string heading(const Position& where, std::string_view color, std::string_view kind, const std::string& text,
                    const Palette& p) {
  return fmt::format("{}{}:{} {}{}:{} {}{}{}\n", p.bold, location(where), p.off, color, kind, p.off, p.bold, text,
                     p.off);
}

std::string render_one(const Diagnostic& d, const Palette& p) {
  const bool error = d.severity == Severity::Error;
  std::string out = heading(d.where, error ? p.error : p.warning, error ? "error" : "warning", d.text, p);
  out += excerpt(d.where, p);
  for (const Diagnostic::Note& note : d.notes) {
    out += heading(note.where, p.note, "note", note.text, p);
    out += excerpt(note.where, p);
  }
  if (!d.remedy.empty()) out += fmt::format("  {}fix:{} {}\n", p.fix, p.off, d.remedy);
  return out;
}

std::string plural(usize n, std::string_view what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

}  // namespace

Diagnostic& Diagnostic::note(Position at, std::string what) {
  notes.push_back({at, std::move(what)});
  return *this;
}

Diagnostic& Diagnostic::fix(std::string what) {
  remedy = std::move(what);
  return *this;
}

Diagnostic& Diagnostics::error(Position where, std::string text) {
  return items_.emplace_back(Diagnostic{Severity::Error, where, std::move(text)});
}

Diagnostic& Diagnostics::warning(Position where, std::string text) {
  return items_.emplace_back(Diagnostic{Severity::Warning, where, std::move(text)});
}

usize Diagnostics::errors() const {
  return static_cast<usize>(std::ranges::count(items_, Severity::Error, &Diagnostic::severity));
}

usize Diagnostics::warnings() const { return items_.size() - errors(); }

std::vector<const Diagnostic*> Diagnostics::sorted() const {
  std::vector<const Diagnostic*> order;
  for (const Diagnostic& d : items_) order.push_back(&d);
  const auto key = [](const Diagnostic* d) {
    const usize file = d->where.file == nullptr ? 0 : d->where.file->order() + 1;
    return std::tuple(file, d->where.line, d->where.column);
  };
  std::ranges::stable_sort(order, {}, key);
  return order;
}

std::string Diagnostics::render(bool color) const {
  if (items_.empty()) return {};
  const Palette& palette = color ? kColored : kPlain;
  std::string out;
  for (const Diagnostic* d : sorted()) out += render_one(*d, palette);
  if (errors() != 0 && warnings() != 0) {
    out += fmt::format("{} and {}\n", plural(errors(), "error"), plural(warnings(), "warning"));
  } else {
    out += fmt::format("{}\n", errors() != 0 ? plural(errors(), "error") : plural(warnings(), "warning"));
  }
  return out;
}

}  // namespace ax::config
