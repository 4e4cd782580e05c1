// The files that were read, kept so that a diagnostic can quote them, and positions inside them.
#pragma once

#include <deque>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax::config {

/// One TOML file in memory.
class SourceFile {
 public:
  SourceFile(usize order, std::filesystem::path path, std::string display, std::string text)
      : order_(order), path_(std::move(path)), display_(std::move(display)), text_(std::move(text)) {}

  /// Files are reported in the order in which they were opened.
  usize order() const { return order_; }
  const std::filesystem::path& path() const { return path_; }
  /// The path as the user gave it: how messages name the file.
  const std::string& display() const { return display_; }
  const std::string& text() const { return text_; }
  /// Line `number` (from 1) without its end-of-line characters; empty when there is none.
  std::string_view line(u32 number) const;

 private:
  usize order_;
  std::filesystem::path path_;
  std::string display_;
  std::string text_;
};

/// A place in a file. Lines and columns (code points) count from 1; line 0 means the file as a whole, and no file at
/// all means the command line.
struct Position {
  const SourceFile* file = nullptr;
  u32 line = 0;
  u32 column = 0;
  u32 length = 1;  ///< code points to underline
};

/// Owns every file of a run; references stay valid as long as it lives.
class SourceStore {
 public:
  /// Reads `path`, or returns the one already read from the same path. Error: a sentence for the user.
  std::expected<const SourceFile*, std::string> open(const std::filesystem::path& path, std::string display);
  /// Adds text that came from elsewhere, for tests.
  const SourceFile& add(std::string display, std::string text);
  const std::deque<SourceFile>& files() const { return files_; }

 private:
  std::deque<SourceFile> files_;
};

}  // namespace ax::config
