// What may stand in a TOML file, declared once as tables. The validator, the JSON Schemas for editors, the reference
// page and whatever asks a user for values all read these tables; nothing else knows a key.
#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax::config {

/// The shape of a value.
enum class Type : u8 {
  Integer,  ///< 0 or above
  Boolean,
  String,
  StringList,
  IntegerList,
  Rows,       ///< a list of lists with one typed cell per column
  PathLists,  ///< a list of lists of strings
};

/// What a number counts; decides how it is printed.
enum class Unit : u8 { None, Bytes, Address, Hertz, CpuMask, CpuId, Flags };

/// Where a key comes from.
enum class Origin : u8 {
  AxVisor,       ///< AxVisor's own files
  AxVisorNewer,  ///< its later development
  Ours,
};

/// One allowed value of a string (`text`) or of an integer (`number`).
struct Choice {
  std::string_view text;
  u64 number = 0;
  std::string_view doc{};
  std::span<const std::string_view> aliases{};
  std::string_view not_built{};  ///< why the value is refused in this version; empty when it works
};

/// One cell of a row.
struct Column {
  std::string_view name;
  Type type = Type::Integer;
  Unit unit = Unit::None;
  bool required = true;  ///< required cells come first; a missing one is 0 or empty
  u64 max = std::numeric_limits<i64>::max();
  std::span<const Choice> choices{};
  std::string_view doc{};
};

struct Key {
  std::string_view name;
  Type type = Type::String;
  std::string_view doc{};
  Unit unit = Unit::None;
  bool required = false;
  std::string_view default_value{};  ///< in TOML syntax; empty: no default, the key is simply absent
  std::string_view default_doc{};    ///< what absence means, where that is no plain value
  u64 min = 0;
  u64 max = std::numeric_limits<i64>::max();
  usize max_length = 1024;  ///< bytes of a string
  bool may_be_empty = false;
  std::span<const Choice> choices{};
  bool open_choices = false;  ///< other values are accepted too: the choices only name the known ones
  std::span<const Column> columns{};
  Origin origin = Origin::AxVisor;
  std::string_view since = "0.1";
  std::string_view not_built{};  ///< why the key is refused in this version
};

/// The keys below one `[name]`; the empty name is the top of the file.
struct Section {
  std::string_view name;
  std::string_view doc;
  std::span<const Key> keys;
  bool required = false;
  bool free_form = false;  ///< any key, each with a string as its value
};

/// One kind of file.
struct FileSchema {
  std::string_view id;  ///< "vm": names the JSON Schema file
  std::string_view title;
  std::string_view where;  ///< "configs/vms/*.toml"
  std::string_view doc;
  std::span<const Section> sections;

  const Section* find(std::string_view section) const;
  /// By path: "kernel.entry_point", or "smp" at the top of the file.
  const Key* find_key(std::string_view path) const;
};

extern const FileSchema kDefconfigSchema;
extern const FileSchema kBoardSchema;
extern const FileSchema kPlatformSchema;
extern const FileSchema kVmSchema;

/// Every kind of file, in the order of the reference page.
std::span<const FileSchema* const> all_schemas();

}  // namespace ax::config
