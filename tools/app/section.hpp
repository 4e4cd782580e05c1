// One table of a description, read through the schema: typed values, with their places.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/app/schema.hpp"
#include "tools/config/value.hpp"

namespace ax::app {

using config::Diagnostics;
using config::Position;

/// A text and where it stands.
struct Located {
  std::string text;
  Position where;
};

/// Reads one table. Every mistake is reported by the constructor; a wrong or absent value then reads as its default.
/// Asking for a key that the schema does not have throws std::logic_error.
class Section {
 public:
  /// `value` may be null: the table is absent, everything has its default. `header` is where its name stands.
  Section(const Table& table, const config::Value* value, Position header, Diagnostics& diagnostics);

  bool has(std::string_view key) const;
  /// Present and right.
  bool usable(std::string_view key) const;
  Position where(std::string_view key) const;
  Position header() const { return header_; }

  std::string text(std::string_view key) const;
  bool flag(std::string_view key) const;
  u64 number(std::string_view key) const;
  /// A TextOrList or List; a plain text is a list of one.
  std::vector<Located> list(std::string_view key) const;

 private:
  void check(const Key& key, const config::Value& value, Diagnostics& diagnostics);
  const Key& key_of(std::string_view key) const;
  const config::Value* good(std::string_view key) const;

  const Table* table_;
  Position header_;
  std::map<std::string, const config::Value*, std::less<>> values_;
  std::set<std::string, std::less<>> wrong_;
};

/// "[build]", "[[targets]]"
std::string title_of(const Table& table);

}  // namespace ax::app
