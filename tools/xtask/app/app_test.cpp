#include "tools/xtask/app/app_test.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "tools/xtask/app/app_machine.hpp"
#include "tools/xtask/app/app_unikernel.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace {

using Clock = std::chrono::steady_clock;

struct Outcome {
  std::string name;
  double seconds = 0;
  std::string complaint;  ///< empty: passed
  std::string output;
};

struct ProgramEnd {
  std::string output;
  std::optional<int> status;  ///< absent: it took too long
};

ProgramEnd run_to_end(const ChildProcess::Options& options, Clock::time_point deadline) {
  SignalWatch signals;
  ChildProcess child(options);
  ProgramEnd end;
  bool open = true;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return end;
    }
    std::array<pollfd, 2> entries{{{signals.fd(), POLLIN, 0}, {open ? child.output_fd() : -1, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), static_cast<int>(std::min<long long>(left, 60'000)));
    if (signals.take() != 0) {
      throw Failure(ExitCode::Interrupted, "interrupted");
    }
    // What it left in the pipe is read before its end is noticed.
    const std::optional<int> status = child.poll_status();
    std::array<char, 65536> buffer;
    ssize_t size = 0;
    while (open && (entries[1].revents != 0 || status)) {
      size = ::read(child.output_fd(), buffer.data(), buffer.size());
      open = size > 0;
      end.output.append(buffer.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
      if (!status) {
        break;
      }
    }
    if (status) {
      end.status = status;
      return end;
    }
  }
}

bool found(const std::string& expression, const std::string& text) {
  return RE2::PartialMatch(text, "(?m)" + expression);
}

std::string judge(const app::Test& test, const ProgramEnd& end) {
  if (!end.status) {
    return fmt::format("it took longer than {} s", test.timeout_seconds);
  }
  if (*end.status != test.status) {
    return fmt::format("its exit status is {}, not {}", *end.status, test.status);
  }
  for (const std::string& expression : test.fail_regex) {
    if (found(expression, end.output)) {
      return fmt::format("its output has '{}'", expression);
    }
  }
  for (const std::string& expression : test.success_regex) {
    if (!found(expression, end.output)) {
      return fmt::format("its output does not have '{}'", expression);
    }
  }
  if (!test.output.empty() && end.output != read_file(test.output)) {
    return fmt::format("its output is not that of {}", test.output.string());
  }
  return "";
}

/// What a test runs on this machine: the program, or a machine with it.
struct Runnable {
  Argv command;
  std::filesystem::path elf;  ///< of a machine's program; empty: the program itself runs
  std::string prefix{};       ///< of the program's lines
};

Runnable runnable(const Context& context, const LoadedApp& loaded, const app::Test& test, bool hypervisor) {
  if (loaded.application().os) {
    MachineTest machine = machine_test(context, loaded, test.args, hypervisor);
    return {std::move(machine.command), std::move(machine.elf), std::move(machine.prefix)};
  }
  Argv command{loaded.program().string()};
  command.insert(command.end(), test.args.begin(), test.args.end());
  return {std::move(command), {}, {}};
}

/// The text without `prefix` at the beginning of its lines.
std::string without_prefix(const std::string& text, const std::string& prefix) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const size_t begin = at + (!prefix.empty() && text.compare(at, prefix.size(), prefix) == 0 ? prefix.size() : 0);
    out.append(text, begin, end - begin);
    at = end;
  }
  return out;
}

/// A console has no end of its input but the one that a person types. What arrives before a PC's port is switched on is lost,
/// one byte at most: a NUL, which no line has.
std::filesystem::path console_input(const app::Test& test, const TemporaryFolder& folder) {
  if (test.input.empty()) {
    return {};
  }
  const std::filesystem::path file = folder.path() / "input";
  write_file(file, std::string(1, '\0') + read_file(test.input) + "\x04");
  return file;
}

Outcome run_one(const Context& context, const LoadedApp& loaded, const app::Test& test, bool hypervisor) {
  const Runnable what = runnable(context, loaded, test, hypervisor);
  const TemporaryFolder work;
  const Clock::time_point start = Clock::now();
  ProgramEnd end = run_to_end({.argv = what.command,
                               .folder = loaded.application().folder,
                               .console = ChildProcess::Console::Capture,
                               .input = what.elf.empty() ? test.input : console_input(test, work)},
                              start + std::chrono::seconds(test.timeout_seconds));
  if (!what.elf.empty()) {
    MachineEnd machine = read_console(loaded.application(), without_prefix(end.output, what.prefix), what.elf);
    end.output = std::move(machine.output);
    if (end.status) {
      end.status = machine.status.value_or(static_cast<int>(ExitCode::Failure));
    }
  }
  return {test.name, std::chrono::duration<double>(Clock::now() - start).count(), judge(test, end), end.output};
}

/// Bytes of the character that `text` begins with; 0 where it is no UTF-8, or nothing that XML 1.0 (2.2) allows.
size_t character_size(std::string_view text) {
  struct Lead {
    unsigned char mask, bits;
    char32_t smallest;
  };
  static constexpr Lead kLeads[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  const auto first = static_cast<unsigned char>(text[0]);
  for (size_t size = 1; size <= std::min(std::size(kLeads), text.size()); ++size) {
    const Lead& lead = kLeads[size - 1];
    if ((first & lead.mask) != lead.bits) {
      continue;
    }
    char32_t code = first & static_cast<unsigned char>(~lead.mask);
    for (const char c : text.substr(1, size - 1)) {
      const auto byte = static_cast<unsigned char>(c);
      code = (byte & 0xc0) == 0x80 ? code << 6 | (byte & 0x3f) : 0x110000;
    }
    const bool control = code < 0x20 && code != '\n' && code != '\t';
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    const bool good = code >= lead.smallest && code < 0x110000 && code != 0xfffe && code != 0xffff;
    return good && !control && !surrogate ? size : 0;
  }
  return 0;
}

std::string xml(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = character_size(text);
    switch (text[0]) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: size == 0 ? out.append("?") : out.append(text.substr(0, size));
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

std::string junit(const std::vector<Outcome>& outcomes, size_t failed) {
  std::string text =
      fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"app\" tests=\"{}\" failures=\"{}\">\n",
                  outcomes.size(), failed);
  for (const Outcome& outcome : outcomes) {
    text += fmt::format("  <testcase name=\"{}\" time=\"{:.3f}\" status=\"{}\">\n", xml(outcome.name), outcome.seconds,
                        outcome.complaint.empty() ? "run" : "fail");
    if (!outcome.complaint.empty()) {
      text += fmt::format("    <failure message=\"{}\"/>\n", xml(outcome.complaint));
    }
    text += fmt::format("    <system-out>{}</system-out>\n  </testcase>\n", xml(outcome.output));
  }
  return text + "</testsuite>\n";
}

}  // namespace

ExitCode run_app_tests(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  std::vector<app::Test> tests = loaded.application().tests;
  if (tests.empty()) {
    throw Failure(ExitCode::Usage, "the description has no tests", "add [[tests]] with a name and what is expected");
  }
  const RE2 wanted(options.test_regex, RE2::Quiet);
  if (!wanted.ok()) {
    throw Failure(ExitCode::Usage,
                  fmt::format("'{}' is no regular expression: {}", options.test_regex, wanted.error()));
  }
  std::erase_if(tests, [&](const app::Test& test) { return !RE2::PartialMatch(test.name, wanted); });
  if (tests.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("no test's name has '{}'", options.test_regex));
  }
  std::vector<Outcome> outcomes;
  size_t failed = 0;
  for (const app::Test& test : tests) {
    if (context.dry_run) {
      print_out(format_command(runnable(context, loaded, test, options.hypervisor).command) + "\n");
      continue;
    }
    outcomes.push_back(run_one(context, loaded, test, options.hypervisor));
    const Outcome& outcome = outcomes.back();
    if (outcome.complaint.empty()) {
      context.console.step(fmt::format("passed: {} ({:.2f} s)", outcome.name, outcome.seconds));
      continue;
    }
    ++failed;
    context.console.error(fmt::format("{}: {}", outcome.name, outcome.complaint));
    fmt::print(stderr, "{}", outcome.output);
  }
  if (context.dry_run) {
    return ExitCode::Success;
  }
  if (!options.junit.empty()) {
    write_file(context.resolve(options.junit), junit(outcomes, failed));
  }
  print_out(fmt::format("{} passed, {} failed\n", outcomes.size() - failed, failed));
  return failed == 0 ? ExitCode::Success : ExitCode::Failure;
}

}  // namespace ax::xtask
