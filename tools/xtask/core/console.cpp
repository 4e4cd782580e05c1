#include "tools/xtask/core/console.hpp"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace ax::xtask {
namespace {

constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kYellow = "\x1b[1;33m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kReset = "\x1b[0m";

bool wants_colour() {
  const char* term = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

void put(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

Console::Console()
    : interactive_(isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0), colour_(wants_colour()) {}

void Console::line(std::string_view colour, std::string_view label, std::string_view message) const {
  std::string text;
  if (colour_) {
    text.append(colour).append(label).append(kReset);
  } else {
    text.append(label);
  }
  text.append(message).append("\n");
  put(stderr, text);
}

void Console::step(std::string_view message) const {
  if (verbosity_ != Verbosity::Quiet) {
    line(kBold, "xtask: ", message);
  }
}

void Console::detail(std::string_view message) const {
  if (verbosity_ == Verbosity::Verbose) {
    line("", "xtask: ", message);
  }
}

void Console::warn(std::string_view message) const { line(kYellow, "warning: ", message); }

void Console::error(std::string_view message, std::string_view hint) const {
  line(kRed, "error: ", message);
  if (!hint.empty()) {
    line(kBold, "hint: ", hint);
  }
}

bool Console::confirm(std::string_view question) const {
  put(stderr, std::string(question) + " [y/N] ");
  std::array<char, 64> answer{};
  if (std::fgets(answer.data(), answer.size(), stdin) == nullptr) {
    return false;
  }
  const std::string_view text(answer.data());
  return text == "y\n" || text == "Y\n" || text == "yes\n";
}

void print_out(std::string_view text) { put(stdout, text); }

}  // namespace ax::xtask
