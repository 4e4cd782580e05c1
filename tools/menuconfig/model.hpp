// What menuconfig edits, and what may be done to it: files with their schemas, values, changes. Knows nothing of how it is
// shown. Not thread-safe.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/config/schema.hpp"
#include "tools/menuconfig/toml_text.hpp"

namespace ax::menuconfig {

enum class FileKind : u8 { Board, Vm, Qemu, Uboot };

/// One file that is edited. A file that does not exist yet starts as `text` and is made when it is saved.
struct EditedFile {
  FileKind kind;
  std::string title;            ///< "Board", "VM linux"
  std::filesystem::path path;   ///< absolute
  std::string shown;            ///< how people name it
  std::string original;         ///< its content on the disk, or what a new one begins with
  bool exists = false;
  std::string text;

  bool changed() const { return text != original; }
};

/// A place in a file's schema.
struct Row {
  const config::Section* section;
  const config::Key* key;
  std::string path;  ///< "kernel.entry_point"
};

/// One value that can be chosen. Of a list, several can.
struct Option {
  std::string value;
  std::string doc;
  bool selected = false;
  std::string note;       ///< "always on", "comes with sdmmc"
  std::string forbidden;  ///< why it cannot be chosen; empty: it can
};

struct Change {
  std::string path;
  std::string before;  ///< as written; empty: was not there
  std::string after;
};

struct SearchHit {
  usize file;
  usize row;
};

/// Where VMs and boards are looked for.
struct Places {
  std::filesystem::path root;                         ///< the repository
  std::vector<std::filesystem::path> config_folders;  ///< with vms/ and platforms/, most important first; configs/ among them
};

class Model {
 public:
  explicit Model(Places places) : places_(std::move(places)) {}

  /// Adds a file; `initial` is the content of one that does not exist. VMs that a board names are added behind it. Returns its
  /// index, that of the same file if it was added before, or a sentence: not readable, no TOML.
  std::expected<usize, std::string> open(FileKind kind, const std::filesystem::path& path, const std::string& initial = {});

  const std::vector<EditedFile>& files() const { return files_; }
  /// Every key of the file's schema that this version knows what to do with, in its order.
  std::vector<Row> rows(usize file) const;

  // ---- reading

  /// As the file has it, without quotes; nothing where it does not set the key.
  std::optional<std::string> value(usize file, const Row& row) const;
  /// Of a list, its elements; strings without their quotes.
  std::vector<std::string> items(usize file, const Row& row) const;
  /// For a list of rows: the value, or what stands for it while the key is absent, in brackets.
  std::string shown_value(usize file, const Row& row) const;
  /// What can be chosen; empty where anything may be typed.
  std::vector<Option> options(usize file, const Row& row) const;
  /// Everything that is known about a key, in lines.
  std::string help(const Row& row) const;
  /// What is wrong with the file now, one sentence each.
  std::vector<std::string> problems(usize file) const;
  std::vector<Change> changes(usize file) const;
  bool changed() const;
  /// Rows whose key, value or description has all the words of `query`, in any case.
  std::vector<SearchHit> search(std::string_view query) const;

  // ---- changing; each may be undone; an error leaves everything as it was

  /// `input` as a person types it: a string without quotes, a number in any base, true or false.
  std::expected<void, std::string> set(usize file, const Row& row, std::string_view input);
  std::expected<void, std::string> set_items(usize file, const Row& row, const std::vector<std::string>& items);
  /// A boolean, or one option of a list.
  std::expected<void, std::string> toggle(usize file, const Row& row, std::string_view option = {});
  /// Takes the key out of the file: its default holds.
  std::expected<void, std::string> unset(usize file, const Row& row);
  bool undo();
  bool redo();
  bool can_undo() const { return !done_.empty(); }
  bool can_redo() const { return !undone_.empty(); }

  /// Writes every changed file, in one step each; with `backup` the old content stays beside it as
  /// NAME.backup_YYYYmmdd_HHMMSS. Returns the files that were written, or a sentence; a file that somebody else has changed
  /// meanwhile is never overwritten.
  std::expected<std::vector<std::string>, std::string> save(bool backup);

 private:
  struct Step {
    usize file;
    std::string before, after;
  };

  const config::FileSchema& schema(usize file) const;
  std::expected<void, std::string> apply(usize file, TomlText changed);
  std::vector<std::string> errors(const EditedFile& file, const std::string& text) const;
  std::vector<Option> feature_options(usize file, const Row& row) const;
  std::vector<Option> vm_options(usize file, const Row& row) const;
  std::string shown_path(const std::filesystem::path& path) const;
  void open_vms();

  Places places_;
  std::vector<EditedFile> files_;
  std::vector<Step> done_;
  std::vector<Step> undone_;
};

/// "Integer, 1 to 64", "one of: ...": what may be typed.
std::string describe_type(const config::Key& key);

}  // namespace ax::menuconfig
