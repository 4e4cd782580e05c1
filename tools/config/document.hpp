// A TOML file that was checked against its schema, read by key path: "kernel.entry_point".
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/config/schema.hpp"
#include "tools/config/value.hpp"

namespace ax::config {

/// One row of a Rows value. Cells that are missing or wrong read as 0 or empty.
class Row {
 public:
  Row(const Value& value, const Key& key) : value_(&value), key_(&key) {}

  Position where() const { return value_->where; }
  usize size() const { return value_->items.size(); }
  u64 integer(std::string_view column) const;
  std::string text(std::string_view column) const;
  std::vector<u64> integers(std::string_view column) const;

 private:
  const Value* cell(std::string_view column) const;

  const Value* value_;
  const Key* key_;
};

/// The values of one file. Reading a key that the schema does not have is a programming error and throws
/// std::logic_error; an absent or invalid value reads as its default (0, false or empty when it has none).
class Document {
 public:
  /// Checks `root` and reports every mistake. The document is usable even then.
  Document(const SourceFile& file, const FileSchema& schema, Value root, Diagnostics& diagnostics);

  const SourceFile& file() const { return *file_; }
  /// Whether the file sets the key, correctly or not.
  bool has(std::string_view path) const;
  /// False when the value, or (with `index`) that element of it, was reported as wrong.
  bool valid(std::string_view path) const;
  bool valid(std::string_view path, usize index) const;

  u64 integer(std::string_view path) const;
  bool boolean(std::string_view path) const;
  std::string text(std::string_view path) const;
  /// The allowed value that a string key was given, by name or alias.
  const Choice& choice(std::string_view path) const;
  std::vector<std::string> strings(std::string_view path) const;
  std::vector<u64> integers(std::string_view path) const;
  std::vector<Row> rows(std::string_view path) const;
  /// The elements of a PathLists value, flattened, with their positions.
  std::vector<std::pair<std::string, Position>> paths(std::string_view path) const;
  /// The members of a free-form section.
  struct FreeMember {
    std::string name;
    std::string value;
    Position where;
  };
  std::vector<FreeMember> free_form(std::string_view section) const;

  /// Where the value stands; of an absent key, its section; else the file.
  Position where(std::string_view path) const;
  Position where(std::string_view path, usize index) const;

  /// Every path that was asked for so far: a test holds it against the schema.
  const std::set<std::string, std::less<>>& reads() const { return reads_; }

 private:
  struct Field {
    const Key* key = nullptr;
    const Value* value = nullptr;
    bool valid = true;
    std::set<usize> invalid_items{};
  };

  /// Returns the names that misspelt keys and tables probably meant.
  std::set<std::string> check_section(const Section& section, const Value& table, Position where,
                                      Diagnostics& diagnostics);
  void check_free_form(const Value& table, Diagnostics& diagnostics);
  /// Returns the known name that was probably meant, or an empty one.
  std::string unknown_key(const Section& section, const Value::Member& member, Diagnostics& diagnostics);
  const Key& key_of(std::string_view path) const;
  const Value* usable(std::string_view path, Value::Kind kind) const;

  const SourceFile* file_;
  const FileSchema* schema_;
  Value root_;
  std::map<std::string, Field, std::less<>> fields_;
  std::map<std::string, Position, std::less<>> sections_;
  mutable std::set<std::string, std::less<>> reads_;
};

/// Reads, parses and checks one file. Nothing when it cannot be read or is no TOML; both are reported.
std::optional<Document> load_document(const SourceFile& file, const FileSchema& schema, Diagnostics& diagnostics);

/// A number as the files write it: addresses, sizes and masks in hexadecimal, groups of four digits.
std::string format_number(u64 value, Unit unit);

}  // namespace ax::config
