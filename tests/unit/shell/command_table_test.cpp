#include "hypervisor/shell/command_table.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hv {
namespace {

class Recorder final : public ShellEnvironment, private Sink {
 public:
  Sink& out() override { return *this; }
  std::string text;
  std::vector<std::string> called;

 private:
  void write(std::string_view piece) override { text += piece; }
};

Result<void> record(ShellEnvironment& environment, Arguments arguments) {
  std::string call = "called";
  for (const std::string_view argument : arguments) call += ":" + std::string(argument);
  static_cast<Recorder&>(environment).called.push_back(call);
  return {};
}
Result<void> misuse(ShellEnvironment&, Arguments) { return fail(Error::InvalidArgument); }
Result<void> refuse(ShellEnvironment&, Arguments) { return fail(Error::Busy); }

constexpr ShellCommand kSub[] = {
    {.name = "list", .help = "Lists.", .run = record},
    {.name = "start", .usage = "[NAME...]", .help = "Starts.", .run = record, .most = ShellCommand::kAnyNumber},
    {.name = "show", .usage = "NAME", .help = "Shows.", .run = record, .fewest = 1, .most = 1},
};
constexpr ShellCommand kCommands[] = {
    {.name = "vm", .usage = "COMMAND", .help = "Virtual machines.", .subcommands = kSub},
    {.name = "log", .usage = "[LINES]", .help = "Logs.", .run = record, .most = 1},
    {.name = "wrong", .usage = "NUMBER", .help = "Misused.", .run = misuse},
    {.name = "busy", .help = "Refuses.", .run = refuse},
};

/// What `line` prints, and calls.
Recorder run(std::string_view line) {
  Recorder recorder;
  run_command(kCommands, line, recorder);
  return recorder;
}

TEST(CommandTable, CallsACommandWithItsWords) {
  EXPECT_EQ(run("log").called, std::vector<std::string>{"called"});
  EXPECT_EQ(run("  vm   start one\ttwo ").called, std::vector<std::string>{"called:one:two"});
  EXPECT_EQ(run(R"(vm show "a name")").called, std::vector<std::string>{"called:a name"});
  EXPECT_EQ(run(R"(vm show "never closed)").called, std::vector<std::string>{"called:never closed"});
}

TEST(CommandTable, DoesNothingForAnEmptyLine) {
  const Recorder recorder = run("   ");
  EXPECT_TRUE(recorder.called.empty());
  EXPECT_EQ(recorder.text, "");
}

TEST(CommandTable, ShowsTheUsageForAWrongNumberOfArguments) {
  EXPECT_EQ(run("vm show").text, "usage: vm show NAME\n");
  EXPECT_EQ(run("vm show a b").text, "usage: vm show NAME\n");
  EXPECT_EQ(run("log 1 2").text, "usage: log [LINES]\n");
  EXPECT_TRUE(run("vm list now").called.empty());
}

TEST(CommandTable, ShowsTheUsageWhenTheCommandAsksForIt) { EXPECT_EQ(run("wrong").text, "usage: wrong NUMBER\n"); }
TEST(CommandTable, PrintsOtherErrors) { EXPECT_EQ(run("busy").text, "busy: busy\n"); }

TEST(CommandTable, SuggestsANameThatNearlyExists) {
  EXPECT_EQ(run("lgo").text, "there is no command 'lgo'; did you mean 'log'?\n");
  EXPECT_EQ(run("vm strat").text, "there is no command 'vm strat'; did you mean 'start'?\n");
  EXPECT_EQ(run("elephant").text, "there is no command 'elephant'; 'help' lists them\n");
  EXPECT_EQ(run("xy").text, "there is no command 'xy'; 'help' lists them\n") << "nothing of a short name is left";
}

TEST(CommandTable, ListsWhatThereIs) {
  const std::string all =
      "  vm COMMAND\n      Virtual machines.\n  log [LINES]\n      Logs.\n  wrong NUMBER\n      Misused.\n  busy\n      Refuses.\n";
  const std::string group = "  vm list\n      Lists.\n  vm start [NAME...]\n      Starts.\n  vm show NAME\n      Shows.\n";
  EXPECT_EQ(run("help").text, all);
  EXPECT_EQ(run("vm").text, group);
  EXPECT_EQ(run("vm help").text, group);
  EXPECT_EQ(run("help vm").text, group);
}

TEST(CommandTable, DescribesOneCommand) {
  for (const char* line : {"vm show help", "vm help show", "help vm show"})
    EXPECT_EQ(run(line).text, "usage: vm show NAME\nShows.\n") << line;
  EXPECT_EQ(run("help nonsense").text, "there is no command 'nonsense'; 'help' lists them\n");
}

TEST(CommandTable, RefusesMoreWordsThanItCanHold) {
  std::string line = "vm start";
  for (int i = 0; i < 30; ++i) line += " x";
  EXPECT_EQ(run(line).text, "too many words: at most 20\n");
}

}  // namespace
}  // namespace hv
