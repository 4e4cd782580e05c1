#include "tools/xtask/run/console_judge.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

namespace ax::xtask {
namespace {

/// Stands for the bytes that are still to come: `$` does not match before it.
constexpr char kUnfinished = '\x01';

constexpr std::array<std::string_view, 4> kKindNames{"success", "timeout", "fail_regex", "exit"};

std::vector<std::unique_ptr<RE2>> compile(const std::vector<std::string>& expressions) {
  std::vector<std::unique_ptr<RE2>> compiled;
  for (const std::string& expression : expressions) {
    compiled.push_back(std::make_unique<RE2>("(?m)" + expression));
  }
  return compiled;
}

std::vector<std::string> step_expressions(const ConsoleScript& script) {
  std::vector<std::string> expressions;
  for (const ConsoleStep& step : script.steps) {
    expressions.push_back(step.expect);
  }
  return expressions;
}

TimePoint after(TimePoint start, Seconds duration) {
  return start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration);
}

void earliest(std::optional<TimePoint>& best, const std::optional<TimePoint>& candidate) {
  if (candidate && (!best || *candidate < *best)) {
    best = candidate;
  }
}

std::string quoted(const std::vector<std::string>& expressions) {
  std::string text;
  for (const std::string& expression : expressions) {
    text += (text.empty() ? "/" : ", /") + expression + "/";
  }
  return text;
}

}  // namespace

std::string Verdict::text() const { return fmt::format("{}: {}", kKindNames[static_cast<size_t>(kind)], detail); }

ConsoleJudge::ConsoleJudge(const ConsoleScript& script, TimePoint start)
    : script_(script),
      success_(compile(script.success_regex)),
      fail_(compile(script.fail_regex)),
      steps_(compile(step_expressions(script))),
      start_(start),
      step_start_(start) {}

ConsoleJudge::~ConsoleJudge() = default;

void ConsoleJudge::feed(std::string_view bytes, TimePoint now) {
  plain_.append(bytes);
  raw_.append(bytes);
  evaluate(now, false);
  settle_at_ = now + kSettle;
}

void ConsoleJudge::tick(TimePoint now) {
  if (settle_at_ && now >= *settle_at_) {
    settle_at_.reset();
    evaluate(now, true);
  }
  if (type_at_ && now >= *type_at_) {
    type_at_.reset();
    input_ += script_.shell_init_cmd + "\n";
  }
  const std::optional<TimePoint> step_end = step_deadline();
  const bool step_late = step_end && now >= *step_end;
  const bool run_late = script_.timeout && now >= after(start_, *script_.timeout);
  if (!step_late && !run_late) {
    return;
  }
  evaluate(now, true);
  if (step_late && step_deadline() == step_end) {
    decide(Verdict::Kind::Timeout,
           fmt::format("awaited {} for {:g} s", awaited(), script_.steps[next_step_].timeout->count()));
  } else if (run_late) {
    decide(Verdict::Kind::Timeout, fmt::format("awaited {}; the run's {:g} s are over", awaited(), script_.timeout->count()));
  }
}

void ConsoleJudge::on_exit(int status, TimePoint now) {
  evaluate(now, true);
  if (has_goals() && !goals_met()) {
    decide(Verdict::Kind::Exit, fmt::format("the emulator ended with status {}, still awaited: {}", status, awaited()));
    return;
  }
  const int expected = script_.expect_exit.value_or(0);
  if (status == expected) {
    decide(Verdict::Kind::Success, fmt::format("the emulator ended with status {}", status));
  } else {
    decide(Verdict::Kind::Exit, fmt::format("the emulator ended with status {}, expected {}", status, expected));
  }
}

std::string ConsoleJudge::take_input() { return std::exchange(input_, {}); }

std::optional<TimePoint> ConsoleJudge::step_deadline() const {
  if (next_step_ == script_.steps.size() || !script_.steps[next_step_].timeout) {
    return std::nullopt;
  }
  return after(step_start_, *script_.steps[next_step_].timeout);
}

std::optional<TimePoint> ConsoleJudge::deadline() const {
  std::optional<TimePoint> best = settle_at_;
  earliest(best, type_at_);
  earliest(best, step_deadline());
  if (script_.timeout) {
    earliest(best, after(start_, *script_.timeout));
  }
  return best;
}

void ConsoleJudge::evaluate(TimePoint now, bool settled) {
  if (verdict_) {
    return;
  }
  for (size_t i = 0; i < fail_.size(); ++i) {
    if (const std::optional<Match> match = search_line(*fail_[i], settled)) {
      decide(Verdict::Kind::FailRegex, fmt::format("/{}/ matched '{}'", script_.fail_regex[i], match->line));
      return;
    }
  }
  look_for_prefix(now);
  take_steps(now, settled);
  for (size_t i = 0; i < success_.size() && !success_seen_; ++i) {
    success_seen_ = search_line(*success_[i], settled).has_value();
  }
  plain_line_ = plain_.line_start(plain_.end());
  raw_line_ = raw_.line_start(raw_.end());
  if (has_goals() && goals_met() && !script_.expect_exit) {
    decide(Verdict::Kind::Success, "everything awaited was seen");
  }
}

void ConsoleJudge::look_for_prefix(TimePoint now) {
  if (prefix_seen_ || script_.shell_init_cmd.empty()) {
    return;
  }
  prefix_seen_ = plain_.from(plain_line_).find(script_.shell_prefix) != std::string_view::npos ||
                 raw_.from(raw_line_).find(script_.shell_prefix) != std::string_view::npos;
  if (prefix_seen_) {
    type_at_ = now + kTypingDelay;
  }
}

void ConsoleJudge::take_steps(TimePoint now, bool settled) {
  while (next_step_ < steps_.size()) {
    const size_t oldest = plain_.end() > kStepWindow ? plain_.end() - kStepWindow : 0;
    const std::optional<Match> match = search(*steps_[next_step_], plain_, std::max(step_from_, oldest), settled);
    if (!match) {
      return;
    }
    step_from_ = match->end;
    input_ += script_.steps[next_step_].send;
    step_start_ = now;
    ++next_step_;
  }
}

std::optional<ConsoleJudge::Match> ConsoleJudge::search(const RE2& expression, const ConsoleText& text, size_t from,
                                                        bool settled) const {
  const size_t base = text.line_start(from);
  std::string window(text.from(base));
  const size_t size = window.size();
  if (!settled) {
    window += kUnfinished;
  }
  re2::StringPiece found;
  const size_t start = std::min(from > base ? from - base : 0, size);
  if (!expression.Match(window, start, window.size(), RE2::UNANCHORED, &found, 1)) {
    return std::nullopt;
  }
  const size_t begin = static_cast<size_t>(found.data() - window.data());
  if (begin + found.size() > size) {
    return std::nullopt;
  }
  const size_t line = begin == 0 ? 0 : window.rfind('\n', begin - 1) + 1;
  return Match{base + begin + found.size(), window.substr(line, std::min(window.find('\n', begin), size) - line)};
}

std::optional<ConsoleJudge::Match> ConsoleJudge::search_line(const RE2& expression, bool settled) const {
  const std::optional<Match> match = search(expression, plain_, plain_line_, settled);
  return match ? match : search(expression, raw_, raw_line_, settled);
}

bool ConsoleJudge::has_goals() const { return !steps_.empty() || !success_.empty(); }

bool ConsoleJudge::goals_met() const {
  return next_step_ == steps_.size() && (success_.empty() || success_seen_);
}

std::string ConsoleJudge::awaited() const {
  if (next_step_ < steps_.size()) {
    const ConsoleStep& step = script_.steps[next_step_];
    return fmt::format("'{}' (step {} of {}): /{}/", step.name, next_step_ + 1, steps_.size(), step.expect);
  }
  if (!success_.empty() && !success_seen_) {
    return "success_regex " + quoted(script_.success_regex);
  }
  return script_.expect_exit ? fmt::format("the emulator's end with status {}", *script_.expect_exit)
                             : "the emulator's end";
}

void ConsoleJudge::decide(Verdict::Kind kind, std::string detail) {
  if (!verdict_) {
    verdict_ = Verdict{kind, std::move(detail)};
  }
}

}  // namespace ax::xtask
