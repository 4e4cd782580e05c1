// Errors and warnings that point at a line of a TOML file, collected over a whole run.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "tools/config/source.hpp"

namespace ax::config {

enum class Severity : u8 { Error, Warning };

/// One mistake. Texts are single sentences without a full stop.
struct Diagnostic {
  struct Note {
    Position where;
    std::string text;
  };

  Severity severity;
  Position where;
  std::string text;
  std::vector<Note> notes{};
  std::string remedy{};

  /// Who else is involved, and where.
  Diagnostic& note(Position at, std::string what);
  /// How to repair it; an empty text adds nothing.
  Diagnostic& fix(std::string what);
};

/// Collects diagnostics; prints them sorted by file, line and column.
class Diagnostics {
 public:
  /// The result may be extended until the next call of render().
  Diagnostic& error(Position where, std::string text);
  Diagnostic& warning(Position where, std::string text);

  usize errors() const;
  usize warnings() const;
  bool ok() const { return errors() == 0; }
  const std::deque<Diagnostic>& all() const { return items_; }

  /// Everything as text, closed by a line with the counts; empty when there is nothing to say.
  std::string render(bool color) const;

 private:
  std::vector<const Diagnostic*> sorted() const;

  std::deque<Diagnostic> items_;
};

}  // namespace ax::config
