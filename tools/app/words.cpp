#include "tools/app/words.hpp"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>

namespace ax::app {
namespace {

constexpr std::string_view kBlanks = " \t\n";
constexpr std::string_view kOperators = ";|&<>()";
constexpr std::string_view kPattern = "*?[";
constexpr std::string_view kEscapableInQuotes = "\"\\$`";

class Splitter {
 public:
  Splitter(std::string_view text, const PkgConfig& pkg_config) : text_(text), pkg_config_(pkg_config) {}

  std::expected<Words, WordsError> split() {
    while (at_ < text_.size() && error_.text.empty()) step();
    finish_word();
    if (!error_.text.empty()) return std::unexpected(error_);
    return words_;
  }

 private:
  void step() {
    const char c = text_[at_++];
    if (kBlanks.find(c) != std::string_view::npos) {
      finish_word();
    } else if (c == '\'') {
      single_quoted();
    } else if (c == '"') {
      double_quoted();
    } else if (c == '\\') {
      escaped();
    } else if (c == '`') {
      append_split(command('`'));
    } else if (c == '$') {
      append_split(dollar());
    } else if (kOperators.find(c) != std::string_view::npos || (c == '#' && !in_word_)) {
      fail(fmt::format("'{}' has a meaning for a shell, and none is used", c), fmt::format("write '{}' in quotes", c));
    } else if (c == '~' && !in_word_) {
      fail("'~' is the home folder for a shell, and none is used", "write the whole path");
    } else {
      pattern_ |= kPattern.find(c) != std::string_view::npos;
      add(c);
    }
  }

  void add(char c) {
    word_ += c;
    in_word_ = true;
  }

  void finish_word() {
    // Of an option, a shell too would make nothing else: no file is called like it.
    if (pattern_ && !word_.starts_with('-')) {
      fail(fmt::format("'{}' is a pattern for a shell, and none is used", word_), "name the files, or write it in quotes");
    }
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
    pattern_ = false;
  }

  void fail(std::string text, std::string fix) {
    if (error_.text.empty()) error_ = {std::move(text), std::move(fix)};
    at_ = text_.size();
  }

  void single_quoted() {
    const size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) return fail("a ' is not closed", "close it, or write \\'");
    word_ += text_.substr(at_, end - at_);
    in_word_ = true;
    at_ = end + 1;
  }

  void double_quoted() {
    in_word_ = true;
    while (at_ < text_.size() && text_[at_] != '"') {
      const char c = text_[at_++];
      if (c == '\\' && at_ < text_.size() && kEscapableInQuotes.find(text_[at_]) != std::string_view::npos) {
        word_ += text_[at_++];
      } else if (c == '`') {
        word_ += command('`');
      } else if (c == '$') {
        word_ += dollar();
      } else {
        word_ += c;
      }
    }
    if (!error_.text.empty()) return;
    if (at_ == text_.size()) return fail("a \" is not closed", "close it, or write \\\"");
    ++at_;
  }

  void escaped() {
    if (at_ == text_.size()) return fail("a \\ at the end quotes nothing", "remove it");
    if (text_[at_] == '\n') {
      ++at_;  // a continued line
    } else {
      add(text_[at_++]);
    }
  }

  /// After a '$': the output of $(...), or the dollar sign itself.
  std::string dollar() {
    const char next = at_ < text_.size() ? text_[at_] : ' ';
    if (next == '(') {
      ++at_;
      return command(')');
    }
    if (std::isalnum(static_cast<unsigned char>(next)) != 0 || next == '_' || next == '{') {
      fail("variables are not expanded here", "write the value itself; for a dollar sign, use '...'");
    }
    return "$";
  }

  /// Runs what stands before `end`.
  std::string command(char end) {
    const size_t close = text_.find(end, at_);
    if (close == std::string_view::npos) {
      fail(fmt::format("the command's closing {} is missing", end), "close it");
      return {};
    }
    const std::string_view inner = text_.substr(at_, close - at_);
    at_ = close + 1;
    const auto words = split_words(inner, pkg_config_);
    if (!words) {
      fail(words.error().text, words.error().fix);
      return {};
    }
    const std::string program = words->empty() ? "" : std::filesystem::path(words->front()).filename().string();
    if (program != "pkg-config" && program != "pkgconf" && !program.ends_with("-pkg-config")) {
      fail(fmt::format("only pkg-config may be run, not '{}'", words->empty() ? "" : words->front()),
           "write what it prints");
      return {};
    }
    auto output = pkg_config_(*words);
    if (output) return *std::move(output);
    const bool no_program = output.error().starts_with("cannot run");
    fail(output.error(),
         no_program ? "install the package pkg-config" : "install the library's development package, or correct its name");
    return {};
  }

  /// Unquoted output joins the word it stands in, and is split at blanks.
  void append_split(const std::string& output) {
    for (const char c : output) {
      if (kBlanks.find(c) != std::string_view::npos) {
        finish_word();
      } else {
        add(c);
      }
    }
  }

  std::string_view text_;
  const PkgConfig& pkg_config_;
  size_t at_ = 0;
  Words words_;
  std::string word_;
  bool in_word_ = false;
  bool pattern_ = false;  ///< the word has an unquoted character of kPattern
  WordsError error_;
};

}  // namespace

std::expected<Words, WordsError> split_words(std::string_view text, const PkgConfig& pkg_config) {
  return Splitter(text, pkg_config).split();
}

std::string join_words(const Words& words) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  std::string out;
  for (const std::string& word : words) {
    out += out.empty() ? "" : " ";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char c : word) c == '\'' ? out.append("'\\''") : out.append(1, c);
    out += '\'';
  }
  return out;
}

}  // namespace ax::app
