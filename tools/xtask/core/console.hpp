// What xtask says to its user. Messages go to stderr; stdout belongs to a command's data and to the guest's console.
#pragma once

#include <cstdio>
#include <string_view>

namespace ax::xtask {

enum class Verbosity { Quiet, Normal, Verbose };

class Console {
 public:
  /// Colour is used only where stderr is a terminal that wants it (NO_COLOR unset, TERM not "dumb").
  Console();

  void set_verbosity(Verbosity verbosity) { verbosity_ = verbosity; }
  Verbosity verbosity() const { return verbosity_; }
  /// A person can answer a question: stdin and stderr are terminals.
  bool interactive() const { return interactive_; }

  void step(std::string_view message) const;    ///< what happens now; silent with -q
  void detail(std::string_view message) const;  ///< only with -v
  void warn(std::string_view message) const;
  void error(std::string_view message, std::string_view hint = {}) const;
  /// Asks on the terminal; anything but y/yes is a no. Call only when interactive().
  bool confirm(std::string_view question) const;

 private:
  void line(std::string_view colour, std::string_view label, std::string_view message) const;

  Verbosity verbosity_ = Verbosity::Normal;
  bool interactive_ = false;
  bool colour_ = false;
};

/// Writes data to stdout.
void print_out(std::string_view text);

}  // namespace ax::xtask
