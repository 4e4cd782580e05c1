#include "tools/xtask/board/uboot_session.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tools/xtask/board/ymodem.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/substitution.hpp"
#include "tools/xtask/run/console_text.hpp"

namespace ax::xtask {
namespace {

constexpr char kInterrupt = '\x03';
constexpr std::chrono::milliseconds kInterruptEvery{50};
constexpr std::chrono::milliseconds kQuiet{150};      // after which an unfinished line is a prompt
constexpr std::chrono::milliseconds kSilent{1000};    // after which a prompt without an answer is all that comes
constexpr std::chrono::milliseconds kEcho{2000};      // for a few typed characters
constexpr size_t kTypedAtOnce = 16;  // a UART without flow control has a FIFO of that size
constexpr int kAttempts = 3;
constexpr size_t kReportedLines = 10;

std::string plain(std::string_view text) {
  ConsoleText console;
  console.append(text);
  return std::string(console.kept());
}

/// Bytes that no console of ours writes: what another baud rate makes of text.
size_t garbage_in(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte < ' ' && c != '\r' && c != '\n' && c != '\t' && c != '\b' && c != '\x1b' && c != '\a' && c != kInterrupt);
  }));
}

}  // namespace

UbootSession::UbootSession(const Console& console, const SerialLine& line, std::filesystem::path device)
    : console_(console), line_(line), device_(std::move(device)), last_byte_(Clock::now()), nonce_(random_nonce()) {}

void UbootSession::receive() {
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = ::read(line_.fd(), buffer.data(), buffer.size())) > 0) {
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    text_.append(bytes);
    last_byte_ = Clock::now();
    print_out(bytes);
  }
  if (size < 0 && errno != EAGAIN && errno != EINTR) {
    throw Failure(ExitCode::Failure, fmt::format("the serial line {} went away", device_.string()),
                  "was the adapter unplugged, or the board's own USB port powered off?");
  }
}

bool UbootSession::wait(Clock::time_point deadline, const std::function<bool()>& done, Clock::duration tick) {
  while (!done()) {
    const Clock::time_point now = Clock::now();
    if (now >= deadline) {
      return false;
    }
    std::vector<pollfd> entries{{signals_.fd(), POLLIN, 0}, {line_.fd(), POLLIN, 0}};
    if (server_ != nullptr) {
      for (const int fd : server_->descriptors()) {
        entries.push_back({fd, POLLIN, 0});
      }
    }
    const Clock::duration left = std::min<Clock::duration>(deadline - now, tick);
    ::poll(entries.data(), entries.size(), static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    if (signals_.take() != 0) {
      throw Failure(ExitCode::Interrupted, "interrupted");
    }
    receive();
    if (line_.hung_up()) {
      throw Failure(ExitCode::Failure, fmt::format("the serial line {} went away", device_.string()),
                    "was the adapter unplugged, or the board's own USB port powered off?");
    }
    if (server_ != nullptr) {
      server_->serve();
    }
  }
  return true;
}

void UbootSession::send(std::string_view bytes) {
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(10);
  while (!bytes.empty()) {
    const ssize_t written = ::write(line_.fd(), bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
      throw Failure(ExitCode::Failure, fmt::format("the serial line {} went away", device_.string()));
    } else if (Clock::now() >= deadline) {
      throw Failure(ExitCode::Timeout, fmt::format("the serial line {} takes no bytes", device_.string()));
    } else {
      pollfd entry{line_.fd(), POLLOUT, 0};
      ::poll(&entry, 1, 100);
      receive();  // the other side may wait for us to read
    }
  }
}

void UbootSession::no_prompt(Patience patience) const {
  const std::string where = fmt::format("{} did not show U-Boot's prompt within {:g} s", device_.string(), patience.count());
  const size_t garbage = garbage_in(text_);
  if (text_.empty()) {
    throw Failure(ExitCode::Timeout, where + ": nothing came",
                  "is the board powered and the cable at the right UART? board_reset_cmd can switch it on");
  }
  if (garbage * 4 > text_.size()) {
    throw Failure(ExitCode::Timeout, fmt::format("{}: {} of {} bytes are garbage", where, garbage, text_.size()), "baud_rate is probably another one");
  }
  ConsoleText console;
  console.append(text_);
  throw Failure(ExitCode::Timeout, fmt::format("{}; it says:\n{}", where, console.last_lines(kReportedLines)),
                "another program answers there, or U-Boot takes other keys: reset the board with board_reset_cmd");
}

void UbootSession::interrupt(Patience patience) {
  static const RE2 kAnswered("<INTERRUPT>\\s*\\n([^\\n]*\\S ?)$");
  const Clock::time_point deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience);
  const size_t mark = text_.size();
  const auto answered = [&] { return since(mark).find("<INTERRUPT>") != std::string_view::npos; };
  while (!wait(std::min(Clock::now() + kInterruptEvery, deadline), answered)) {
    if (Clock::now() >= deadline) {
      no_prompt(patience);
    }
    send({&kInterrupt, 1});
  }
  // The answers to what else was sent come too: the prompt is what stays.
  const bool quiet = wait(deadline, [&] { return Clock::now() - last_byte_ >= kQuiet && RE2::PartialMatch(plain(since(mark)), kAnswered, &prompt_); });
  if (!quiet) {
    no_prompt(patience);
  }
}

/// Types without Enter; true once the board has echoed exactly that.
bool UbootSession::type(const std::string& text) {
  const size_t mark = text_.size();
  for (size_t at = 0; at < text.size(); at += kTypedAtOnce) {
    const std::string piece = text.substr(at, kTypedAtOnce);
    send(piece);
    const size_t typed = at + piece.size();
    const bool echoed = wait(Clock::now() + kEcho, [&] { return plain(since(mark)).size() >= typed; });
    if (!echoed || plain(since(mark)) != text.substr(0, typed)) {
      return false;
    }
  }
  return true;
}

void UbootSession::clear_line() {
  const size_t mark = text_.size();
  send({&kInterrupt, 1});
  wait(Clock::now() + kEcho, [&] { return since(mark).find("<INTERRUPT>") != std::string_view::npos && Clock::now() - last_byte_ >= kQuiet; });
}

UbootSession::Answer UbootSession::run(const std::string& command, Patience patience) {
  const std::string id = fmt::format("{}-{}", nonce_, ++commands_);
  const std::string line = fmt::format("{} && echo good-{} || echo bad-{}", command, id, id);
  bool typed = type(line);
  for (int attempt = 1; !typed && attempt < kAttempts; ++attempt) {
    console_.detail(fmt::format("{} garbled '{}', typing it again", device_.string(), command));
    clear_line();
    typed = type(line);
  }
  if (!typed) {
    throw Failure(ExitCode::Failure, fmt::format("{} garbles what is typed: '{}' did not come back as it was sent", device_.string(), command),
                  "is baud_rate right, and does nobody else read this line?");
  }
  const RE2 end(fmt::format("(?m)^(good|bad)-{}\\s*$", id));
  const size_t mark = text_.size();
  send("\n");
  std::string output;
  std::string verdict;
  const Clock::time_point deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience);
  // The line after the answer is the prompt: only then everything of the answer is there.
  const bool ended = wait(deadline, [&] {
    output = plain(since(mark));
    // A command that U-Boot takes for misused ends the whole line: then there is a prompt and no answer.
    return output.ends_with(prompt_) && (RE2::PartialMatch(output, end, &verdict) || (output.ends_with("\n" + prompt_) && Clock::now() - last_byte_ >= kSilent));
  });
  if (!ended) {
    throw Failure(ExitCode::Timeout, fmt::format("U-Boot's '{}' did not end within {:g} s", command, patience.count()));
  }
  output.erase(verdict.empty() ? output.size() - prompt_.size() : output.rfind(verdict + "-" + id));
  return {verdict == "good", output.starts_with('\n') ? output.substr(1) : output};
}

std::string UbootSession::require(const std::string& command, Patience patience) {
  Answer answer = run(command, patience);
  if (!answer.good) {
    throw Failure(ExitCode::Failure, fmt::format("U-Boot's '{}' failed:\n{}", command, answer.output));
  }
  return std::move(answer.output);
}

void UbootSession::start(const std::string& command) {
  bool typed = type(command);
  for (int attempt = 1; !typed && attempt < kAttempts; ++attempt) {
    clear_line();
    typed = type(command);
  }
  if (!typed) {
    throw Failure(ExitCode::Failure, fmt::format("{} garbles what is typed: '{}' did not come back as it was sent", device_.string(), command));
  }
  send("\n");
}

std::string UbootSession::variable(const std::string& name) {
  constexpr std::chrono::seconds kAtOnce{5};
  static const RE2 kValue("\\[(.*)\\]");
  std::string value;
  RE2::PartialMatch(require(fmt::format("echo [${{{}}}]", name), kAtOnce), kValue, &value);
  return value;
}

bool UbootSession::send_ymodem(const std::string& name, std::string_view content, std::uint64_t address, Patience patience) {
  const Clock::time_point deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience);
  const std::string id = fmt::format("{}-{}", nonce_, ++commands_);
  const size_t begin = text_.size();
  start(fmt::format("loady {:x} && echo good-{} || echo bad-{}", address, id, id));
  const auto ready = [&] { return since(begin).find("ymodem) download") != std::string_view::npos && since(begin).find("bps") != std::string_view::npos; };
  if (!wait(std::min(deadline, Clock::now() + std::chrono::seconds(10)), ready)) {
    clear_line();
    console_.warn("U-Boot has no loady: YMODEM is not possible");
    return false;
  }
  YmodemSender sender(name, content);
  size_t seen = begin + since(begin).find("bps");
  Clock::time_point repeat_at = Clock::now() + sender.patience();
  size_t reported = 0;
  while (sender.state() == YmodemSender::State::Running) {
    if (Clock::now() >= deadline) {
      constexpr std::string_view kCancel = "\x18\x18\x18\x18\x18";
      send(kCancel);
      throw Failure(ExitCode::Timeout, fmt::format("YMODEM did not send {} within {:g} s ({} of {} bytes are there)", name, patience.count(),
                                                   sender.acknowledged(), content.size()));
    }
    std::string reply;
    if (wait(std::min(deadline, repeat_at), [&] { return text_.size() > seen; })) {
      const std::string bytes = text_.substr(seen);
      seen = text_.size();
      reply = sender.receive(bytes);
    } else {
      reply = sender.repeat();
    }
    repeat_at = Clock::now() + sender.patience();
    send(reply);
    constexpr size_t kReportEvery = 1 << 20;
    if (sender.acknowledged() >= reported + kReportEvery) {
      reported = sender.acknowledged();
      console_.step(fmt::format("{} of {} KiB are there", reported / 1024, content.size() / 1024));
    }
  }
  if (sender.state() == YmodemSender::State::Failed) {
    clear_line();
    console_.warn("YMODEM: " + sender.failure());
    return false;
  }
  const RE2 end(fmt::format("(?m)^(good|bad)-{}\\s*$", id));
  std::string verdict;
  const bool ended = wait(deadline, [&] {
    const std::string output = plain(since(begin));
    return output.ends_with(prompt_) && RE2::PartialMatch(output, end, &verdict);
  });
  return ended && verdict == "good";
}

}  // namespace ax::xtask
