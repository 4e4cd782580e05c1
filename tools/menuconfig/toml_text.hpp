// Changes to the text of a TOML file, key by key: comments, blank lines, order and spelling of everything else stay.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.hpp"

namespace ax::menuconfig {

/// A TOML text taken apart into its statements. Keys are named by path: "kernel.entry_point". The text must be valid TOML;
/// tables in [[double brackets]] are left alone.
class TomlText {
 public:
  explicit TomlText(std::string text);

  const std::string& text() const { return text_; }
  bool has(std::string_view path) const { return find(path) != nullptr; }
  /// The value as it is written; of an absent key, nothing.
  std::optional<std::string> value(std::string_view path) const;
  /// The elements of a list as they are written. Of a value that is no list, and of an absent key: none.
  std::vector<std::string> elements(std::string_view path) const;

  /// Gives the key `path` (its table is `section`, which may be "") a value in TOML syntax. Error: a sentence.
  std::expected<void, std::string> set(std::string_view section, std::string_view path, std::string_view value);
  /// As set(), for a list: elements that stay are not touched, nor are the comments between them.
  std::expected<void, std::string> set_elements(std::string_view section, std::string_view path,
                                                const std::vector<std::string>& elements);
  /// Takes the key out, with its line. An absent key is none the less absent.
  void remove(std::string_view path);

 private:
  struct Statement {
    std::string path;
    usize line_start, value_start, value_end, line_end;  ///< line_end: after the newline
    bool in_array_table;
  };
  struct Header {
    std::string path;
    usize line_end;
    bool array;
  };
  struct Span {
    usize start, end;
  };

  void scan();
  const Statement* find(std::string_view path) const;
  std::vector<Span> element_spans(const Statement& statement) const;
  void replace(usize start, usize end, std::string_view with);
  void remove_element(const Statement& statement, usize index);
  void append_element(const Statement& statement, std::string_view element);
  usize insertion_point(std::string_view section) const;

  std::string text_;
  std::vector<Statement> statements_;
  std::vector<Header> headers_;
};

/// "text" with TOML's quotes and escapes.
std::string toml_string(std::string_view text);

}  // namespace ax::menuconfig
