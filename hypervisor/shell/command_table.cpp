#include "hypervisor/shell/command_table.hpp"

#include <algorithm>
#include <array>

#include "kernel/base/static_vector.hpp"

namespace hv {
namespace {

constexpr usize kMaxWords = 20;
constexpr std::string_view kHelp = "help";
using Table = std::span<const ShellCommand>;
using Words = StaticVector<std::string_view, kMaxWords>;

/// False: there are more words than a command may have.
bool split(std::string_view line, Words& words) {
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty()) return true;
    const bool quoted = line[0] == '"';
    if (quoted) line.remove_prefix(1);
    const usize end = std::min(line.find_first_of(quoted ? "\"" : " \t"), line.size());
    if (!words.push_back(line.substr(0, end))) return false;
    line.remove_prefix(std::min(end + quoted, line.size()));
  }
}

/// Characters to be added, removed or replaced to make one of the other; long names count as different.
unsigned distance(std::string_view a, std::string_view b) {
  constexpr usize kLongest = 24;
  if (a.size() > kLongest || b.size() > kLongest) return kLongest;
  std::array<unsigned, kLongest + 1> row{};
  for (usize j = 0; j <= b.size(); ++j) row[j] = static_cast<unsigned>(j);
  for (usize i = 1; i <= a.size(); ++i) {
    unsigned diagonal = row[0];
    row[0] = static_cast<unsigned>(i);
    for (usize j = 1; j <= b.size(); ++j) {
      const unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

const ShellCommand* find(Table table, std::string_view name) {
  const auto it = std::ranges::find(table, name, &ShellCommand::name);
  return it == table.end() ? nullptr : &*it;
}

/// The name in `table` that is nearest to `name`, if one is near.
std::string_view nearest(Table table, std::string_view name) {
  constexpr unsigned kNear = 2;
  std::string_view best;
  unsigned least = kNear + 1;
  for (const ShellCommand& command : table) {
    const unsigned d = distance(name, command.name);
    if (d < least && d < command.name.size()) {
      least = d;
      best = command.name;
    }
  }
  return best;
}

/// One run of words through the tables.
class Line {
 public:
  Line(ShellEnvironment& environment, Arguments words) : environment_(environment), out_(environment.out()), words_(words) {}

  void run(Table table) {
    for (;;) {
      if (words_.empty()) return list(table);
      if (words_[0] == kHelp) return help(table);
      const ShellCommand* command = find(table, words_[0]);
      if (command == nullptr) return unknown(table);
      begin_group(*command);
      if (command->subcommands.empty()) return call(*command);
      table = command->subcommands;
    }
  }

 private:
  // "vm " once the line is inside that group.
  std::string_view path() const { return path_; }

  void begin_group(const ShellCommand& command) {
    words_ = words_.subspan(1);
    if (!command.subcommands.empty()) path_ = command.name;
  }

  void call(const ShellCommand& command) {
    if (!words_.empty() && words_[0] == kHelp) return describe(command);
    if (words_.size() < command.fewest || words_.size() > command.most) return usage(command);
    const Result<void> done = command.run(environment_, words_);
    if (done) return;
    if (done.error() == Error::InvalidArgument) return usage(command);
    print(out_, "{}: {}\n", command.name, done.error());
  }

  void help(Table table) {
    words_ = words_.subspan(1);
    if (words_.empty()) return list(table);
    const ShellCommand* command = find(table, words_[0]);
    if (command == nullptr) return unknown(table);
    begin_group(*command);
    if (command->subcommands.empty()) return describe(*command);
    help_in(command->subcommands);
  }
  void help_in(Table table) {
    const ShellCommand* command = words_.empty() ? nullptr : find(table, words_[0]);
    command != nullptr ? describe(*command) : list(table);
  }

  void name(const ShellCommand& command) {
    if (!path_.empty()) print(out_, "{} ", path_);
    print(out_, "{}", command.name);
    if (!command.usage.empty()) print(out_, " {}", command.usage);
  }
  void usage(const ShellCommand& command) {
    print(out_, "usage: ");
    name(command);
    print(out_, "\n");
  }
  void describe(const ShellCommand& command) {
    usage(command);
    print(out_, "{}\n", command.help);
  }
  void list(Table table) {
    for (const ShellCommand& command : table) {
      print(out_, "  ");
      name(command);
      print(out_, "\n      {}\n", command.help);
    }
  }
  void unknown(Table table) {
    print(out_, "there is no command '");
    if (!path_.empty()) print(out_, "{} ", path_);
    print(out_, "{}'", words_[0]);
    const std::string_view near = nearest(table, words_[0]);
    if (near.empty()) return print(out_, "; 'help' lists them\n");
    print(out_, "; did you mean '{}'?\n", near);
  }

  ShellEnvironment& environment_;
  Sink& out_;
  Arguments words_;
  std::string_view path_;
};

}  // namespace

void run_command(std::span<const ShellCommand> table, std::string_view line, ShellEnvironment& environment) {
  Words words;
  if (!split(line, words)) return print(environment.out(), "too many words: at most {}\n", kMaxWords);
  if (!words.empty()) Line(environment, words).run(table);
}

}  // namespace hv
