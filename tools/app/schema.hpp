// What may stand in an application's description, as one table. The reader, the reference page and the suggestions of
// error messages all come from it; nothing else knows a key.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax::app {

/// The shape of a value. Where Ruxgo wants a string for everything, the typed value is taken too.
enum class Form : u8 {
  Text,
  Flag,        ///< "y", "n", true or false
  Number,      ///< an integer, or a string with one
  TextOrList,  ///< a string, or a list of strings
  List,        ///< a list of strings
  Lines,       ///< a string that may have several lines
  Size,        ///< a string, or an integer
};

enum class Origin : u8 { Ruxgo, Ours };

struct Choice {
  std::string_view text;
  std::string_view doc;
};

struct Key {
  std::string_view name;
  Form form = Form::Text;
  std::string_view doc{};
  bool required = false;
  std::string_view default_value{};  ///< as text: "n", "1", "warn"
  std::string_view default_doc{};    ///< what absence means, where that is no plain value
  std::span<const Choice> choices{};
  u64 min = 0;
  u64 max = 0;  ///< of a Number
  Origin origin = Origin::Ruxgo;
  bool empty_elements = false;  ///< of a list
};

struct Table {
  std::string_view name;  ///< with dots: "os.platform.qemu"
  std::string_view doc;
  std::span<const Key> keys;
  bool repeated = false;  ///< [[name]]

  const Key* find(std::string_view key) const;
};

/// Every table, in the order of the reference page.
std::span<const Table> all_tables();
/// The table of that name, which must exist.
const Table& table_named(std::string_view name);

}  // namespace ax::app
