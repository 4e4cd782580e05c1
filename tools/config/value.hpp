// A TOML document as a tree in which every key and value knows where it stands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/config/diagnostics.hpp"

namespace ax::config {

struct Value {
  enum class Kind : u8 { Integer, Float, Boolean, String, DateTime, Array, Table };
  struct Member;

  Kind kind = Kind::Table;
  Position where{};
  i64 integer = 0;
  bool boolean = false;
  std::string text{};             ///< of a String
  std::vector<Value> items{};     ///< of an Array
  std::vector<Member> members;    ///< of a Table, in the order of the file

  /// The member called `key` of a table, or nothing.
  const Member* find(std::string_view key) const;
};

struct Value::Member {
  std::string key;
  Position key_where;
  Value value;
};

/// "an integer", "a string": for messages.
std::string_view describe(Value::Kind kind);

/// Reads a TOML document. A syntax error is reported and yields nothing; only the first one of a file is found.
std::optional<Value> parse_toml(const SourceFile& file, Diagnostics& diagnostics);

}  // namespace ax::config
