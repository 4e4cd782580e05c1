// Decides how a run went from what appears on the console and when: a state machine without processes or clocks.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/xtask/run/console_text.hpp"
#include "tools/xtask/run/run_config.hpp"

namespace re2 {
class RE2;
}

namespace ax::xtask {

using TimePoint = std::chrono::steady_clock::time_point;

struct Verdict {
  enum class Kind { Success, Timeout, FailRegex, Exit };
  Kind kind = Kind::Success;
  std::string detail;  ///< what was seen or awaited

  /// "KIND: detail", what `fail_reason` is matched against.
  std::string text() const;
};

/// Feed it console bytes, time and the end of the emulator; it answers with bytes to type and, once, a verdict.
///
/// How the bytes are cut into chunks does not matter: an expression that needs the end of a line (`$`) matches an unfinished
/// line only after the console has been quiet for kSettle, or at the emulator's end. Success and fail expressions look at
/// one line at a time, with and without its escape sequences; a step's expression at all text since the previous step (at
/// most kStepWindow), without escape sequences.
class ConsoleJudge {
 public:
  static constexpr std::chrono::milliseconds kSettle{250};
  static constexpr std::chrono::milliseconds kTypingDelay{100};  ///< between shell_prefix and shell_init_cmd
  static constexpr size_t kStepWindow = 64 * 1024;

  /// `script` must outlive the judge.
  ConsoleJudge(const ConsoleScript& script, TimePoint start);
  ~ConsoleJudge();

  void feed(std::string_view bytes, TimePoint now);
  void tick(TimePoint now);
  /// The emulator ended by itself.
  void on_exit(int status, TimePoint now);

  /// What is to be typed now; empties it.
  std::string take_input();
  /// When tick() wants to be called at the latest.
  std::optional<TimePoint> deadline() const;
  const std::optional<Verdict>& verdict() const { return verdict_; }
  std::string last_lines(size_t count) const { return plain_.last_lines(count); }

 private:
  using Expression = std::unique_ptr<re2::RE2>;
  struct Match {
    size_t end;        ///< position after the match
    std::string line;  ///< the line in which it starts
  };

  void evaluate(TimePoint now, bool settled);
  void look_for_prefix(TimePoint now);
  void take_steps(TimePoint now, bool settled);
  std::optional<Match> search(const re2::RE2& expression, const ConsoleText& text, size_t from, bool settled) const;
  std::optional<Match> search_line(const re2::RE2& expression, bool settled) const;
  bool goals_met() const;
  bool has_goals() const;
  std::string awaited() const;
  void decide(Verdict::Kind kind, std::string detail);
  std::optional<TimePoint> step_deadline() const;

  const ConsoleScript& script_;
  std::vector<Expression> success_;
  std::vector<Expression> fail_;
  std::vector<Expression> steps_;

  ConsoleText plain_{ConsoleText::Escapes::Strip};
  ConsoleText raw_{ConsoleText::Escapes::Keep};
  size_t plain_line_ = 0;  ///< start of the first line that success and fail expressions have yet to judge as a whole
  size_t raw_line_ = 0;
  size_t step_from_ = 0;
  size_t next_step_ = 0;
  bool success_seen_ = false;
  bool prefix_seen_ = false;

  TimePoint start_;
  TimePoint step_start_;
  std::optional<TimePoint> settle_at_;
  std::optional<TimePoint> type_at_;
  std::string input_;
  std::optional<Verdict> verdict_;
};

}  // namespace ax::xtask
