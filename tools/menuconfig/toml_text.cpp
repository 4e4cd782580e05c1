#include "tools/menuconfig/toml_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ax::menuconfig {
namespace {

constexpr usize kLongLine = 100;  // a list that would be longer is written one element a line

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Moves over parts of a TOML text. Every function takes a position and returns the one after what it read.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  usize blanks(usize at) const {
    while (at < text_.size() && is_blank(text_[at])) ++at;
    return at;
  }
  usize line_end(usize at) const { return std::min(text_.find('\n', at), text_.size()); }
  usize next_line(usize at) const { return std::min(line_end(at) + 1, text_.size()); }
  /// Blanks, newlines and comments.
  usize space(usize at) const {
    for (;;) {
      while (at < text_.size() && (is_blank(text_[at]) || text_[at] == '\n' || text_[at] == '\r')) ++at;
      if (at >= text_.size() || text_[at] != '#') return at;
      at = line_end(at);
    }
  }

  usize string(usize at) const {
    const char quote = text_[at];
    const std::string triple(3, quote);
    const bool is_long = text_.substr(at, 3) == triple;
    at += is_long ? 3 : 1;
    while (at < text_.size()) {
      if (text_[at] == '\\' && quote == '"') {
        at += 2;
      } else if (is_long && text_.substr(at, 3) == triple) {
        at += 3;
        while (at < text_.size() && text_[at] == quote) ++at;  // up to two quotes may stand before the end
        return at;
      } else if (!is_long && text_[at] == quote) {
        return at + 1;
      } else {
        ++at;
      }
    }
    return text_.size();
  }

  usize value(usize at) const {
    if (at >= text_.size()) return at;
    if (text_[at] == '"' || text_[at] == '\'') return string(at);
    if (text_[at] == '[' || text_[at] == '{') return brackets(at);
    const usize end = std::min(text_.find_first_of(",]}#\r\n", at), text_.size());
    usize last = end;
    while (last > at && is_blank(text_[last - 1])) --last;
    return last;
  }

  /// A key, bare, quoted or dotted: its normal form goes to `path`.
  usize key(usize at, std::string& path) const {
    for (;;) {
      at = blanks(at);
      if (at < text_.size() && (text_[at] == '"' || text_[at] == '\'')) {
        const usize end = string(at);
        path += text_.substr(at + 1, end - at - 2);
        at = end;
      } else {
        const usize end = std::min(text_.find_first_of(" \t.=]\r\n", at), text_.size());
        path += text_.substr(at, end - at);
        at = end;
      }
      at = blanks(at);
      if (at >= text_.size() || text_[at] != '.') return at;
      path += '.';
      ++at;
    }
  }

 private:
  usize brackets(usize at) const {
    usize depth = 0;
    while (at < text_.size()) {
      const char c = text_[at];
      if (c == '"' || c == '\'') {
        at = string(at);
        continue;
      }
      if (c == '#') {
        at = line_end(at);
        continue;
      }
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
      ++at;
      if (depth == 0) return at;
    }
    return at;
  }

  std::string_view text_;
};

std::string one_line(const std::vector<std::string>& elements) {
  std::string out = "[";
  for (const std::string& element : elements) out += (out.size() == 1 ? "" : ", ") + element;
  return out + "]";
}

std::string list_text(const std::vector<std::string>& elements) {
  std::string line = one_line(elements);
  if (line.size() <= kLongLine) return line;
  std::string out = "[\n";
  for (const std::string& element : elements) out += "  " + element + ",\n";
  return out + "]";
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

TomlText::TomlText(std::string text) : text_(std::move(text)) { scan(); }

void TomlText::scan() {
  statements_.clear();
  headers_.clear();
  const Scanner scanner(text_);
  std::string table;
  bool array = false;
  for (usize at = scanner.space(0); at < text_.size(); at = scanner.space(at)) {
    if (text_[at] == '[') {
      array = text_.compare(at, 2, "[[") == 0;
      table.clear();
      scanner.key(at + (array ? 2 : 1), table);
      at = scanner.next_line(at);
      headers_.push_back({table, at, array});
      continue;
    }
    const usize line_start = text_.rfind('\n', at) == std::string::npos ? 0 : text_.rfind('\n', at) + 1;
    std::string path = table.empty() ? "" : table + ".";
    const usize equals = scanner.key(at, path);
    const usize start = scanner.blanks(equals + 1);
    const usize end = scanner.value(start);
    at = scanner.next_line(end);
    statements_.push_back({std::move(path), line_start, start, end, at, array});
  }
}

const TomlText::Statement* TomlText::find(std::string_view path) const {
  const auto it = std::ranges::find_if(statements_, [&](const Statement& s) { return !s.in_array_table && s.path == path; });
  return it == statements_.end() ? nullptr : &*it;
}

std::optional<std::string> TomlText::value(std::string_view path) const {
  const Statement* s = find(path);
  return s == nullptr ? std::nullopt : std::optional(text_.substr(s->value_start, s->value_end - s->value_start));
}

std::vector<TomlText::Span> TomlText::element_spans(const Statement& statement) const {
  std::vector<Span> spans;
  if (text_[statement.value_start] != '[') return spans;
  const Scanner scanner(text_);
  usize at = scanner.space(statement.value_start + 1);
  while (at < statement.value_end - 1) {
    const usize end = scanner.value(at);
    spans.push_back({at, end});
    at = scanner.space(end);
    if (at < statement.value_end - 1 && text_[at] == ',') at = scanner.space(at + 1);
  }
  return spans;
}

std::vector<std::string> TomlText::elements(std::string_view path) const {
  std::vector<std::string> out;
  const Statement* s = find(path);
  if (s == nullptr) return out;
  for (const Span& span : element_spans(*s)) out.push_back(text_.substr(span.start, span.end - span.start));
  return out;
}

void TomlText::replace(usize start, usize end, std::string_view with) {
  text_.replace(start, end - start, with);
  scan();
}

/// Where a new key of the table is put: after its last one.
usize TomlText::insertion_point(std::string_view section) const {
  const usize table_end = headers_.empty() ? text_.size() : headers_.front().line_end;
  usize at = std::string::npos;
  if (section.empty()) {
    for (const Statement& s : statements_) {
      if (headers_.empty() || s.line_end <= table_end) at = s.line_end;
    }
    if (at != std::string::npos) return at;
    // After the comment that the file begins with.
    at = 0;
    while (at < text_.size() && text_[at] == '#') at = Scanner(text_).next_line(at);
    return at;
  }
  for (usize i = 0; i < headers_.size(); ++i) {
    if (headers_[i].array || headers_[i].path != section) continue;
    at = headers_[i].line_end;
    const usize end = i + 1 < headers_.size() ? headers_[i + 1].line_end : text_.size() + 1;
    for (const Statement& s : statements_) {
      if (s.line_end > at && s.line_end < end) at = s.line_end;
    }
    return at;
  }
  return at;
}

std::expected<void, std::string> TomlText::set(std::string_view section, std::string_view path, std::string_view value) {
  if (const Statement* s = find(path)) {
    replace(s->value_start, s->value_end, value);
    return {};
  }
  if (!section.empty() && has(section)) {
    return std::unexpected(fmt::format("'{}' is written as a table in one line: make it a table with a line [{}] first", section,
                                       section));
  }
  const std::string_view key = section.empty() ? path : path.substr(section.size() + 1);
  const std::string line = fmt::format("{} = {}\n", key, value);
  const usize at = insertion_point(section);
  if (at == std::string::npos) {
    const std::string_view gap = text_.empty() ? "" : text_.ends_with('\n') ? "\n" : "\n\n";
    replace(text_.size(), text_.size(), fmt::format("{}[{}]\n{}", gap, section, line));
    return {};
  }
  const bool open_line = at > 0 && text_[at - 1] != '\n';
  replace(at, at, (open_line ? "\n" : "") + line);
  return {};
}

void TomlText::remove_element(const Statement& statement, usize index) {
  const std::vector<Span> spans = element_spans(statement);
  const Scanner scanner(text_);
  usize start = spans[index].start;
  usize end = scanner.space(spans[index].end);
  const bool comma = end < statement.value_end - 1 && text_[end] == ',';
  end = comma ? end + 1 : spans[index].end;
  const usize before = text_.find_last_not_of(" \t", start - 1);
  const usize after = scanner.blanks(end);
  const bool alone = text_[before] == '\n' && (after >= text_.size() || text_[after] == '\n' || text_[after] == '#');
  if (alone) {
    // Its line, with the comment behind it.
    start = before + 1;
    end = scanner.next_line(end);
  } else if (comma) {
    end = scanner.blanks(end);
  } else if (index > 0) {
    start = spans[index - 1].end;
  }
  replace(start, end, "");
}

void TomlText::append_element(const Statement& statement, std::string_view element) {
  const std::vector<Span> spans = element_spans(statement);
  const usize close = statement.value_end - 1;
  const bool many_lines = text_.substr(statement.value_start, close - statement.value_start).find('\n') != std::string::npos;
  if (spans.empty()) {
    replace(close, close, many_lines ? fmt::format("  {},\n", element) : std::string(element));
    return;
  }
  const usize last = spans.back().end;
  const Scanner scanner(text_);
  const usize next = scanner.space(last);
  const bool comma = next < close && text_[next] == ',';
  if (!many_lines) {
    replace(last, comma ? next + 1 : last, fmt::format(", {}", element));
    return;
  }
  const usize line = text_.rfind('\n', spans.back().start) + 1;
  const std::string indent = text_.substr(line, scanner.blanks(line) - line);
  const bool closes_here = text_.substr(last, close - last).find('\n') == std::string::npos;
  if (closes_here) {
    replace(last, comma ? next + 1 : last, fmt::format(",\n{}{}", indent, element));
    return;
  }
  // After the line of the last one, which gets its comma; a comment behind it stays where it is.
  const usize at = scanner.next_line(comma ? next : last);
  text_.insert(at, fmt::format("{}{},\n", indent, element));
  if (!comma) text_.insert(last, ",");
  scan();
}

std::expected<void, std::string> TomlText::set_elements(std::string_view section, std::string_view path,
                                                        const std::vector<std::string>& wanted) {
  const Statement* statement = find(path);
  if (statement == nullptr || text_[statement->value_start] != '[') return set(section, path, list_text(wanted));
  std::vector<std::string> present = elements(path);
  for (usize i = present.size(); i-- > 0;) {
    if (std::ranges::find(wanted, present[i]) != wanted.end()) continue;
    remove_element(*find(path), i);
    present.erase(present.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const bool same_start = present.size() <= wanted.size() && std::equal(present.begin(), present.end(), wanted.begin());
  if (!same_start) return set(section, path, list_text(wanted));
  for (usize i = present.size(); i < wanted.size(); ++i) append_element(*find(path), wanted[i]);
  return {};
}

void TomlText::remove(std::string_view path) {
  if (const Statement* s = find(path)) replace(s->line_start, s->line_end, "");
}

}  // namespace ax::menuconfig
