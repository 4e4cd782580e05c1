#include "tools/xtask/core/job_pool.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <thread>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

struct Job {
  std::unique_ptr<ChildProcess> process;
  CapturedOutput result;
  bool open = true;  ///< the output may still grow
};

Argv with_merged_output(const Argv& command) {
  Argv merged{"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"};
  merged.insert(merged.end(), command.begin(), command.end());
  return merged;
}

void read_output(Job& job) {
  std::array<char, 1 << 16> buffer;
  const ssize_t size = ::read(job.process->output_fd(), buffer.data(), buffer.size());
  if (size > 0) {
    job.result.output.append(buffer.data(), static_cast<size_t>(size));
  } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
    job.open = false;
  }
}

/// Waits until some output, end or signal may be there.
void wait(const std::map<size_t, Job>& running, const SignalWatch& signals) {
  std::vector<pollfd> entries{{signals.fd(), POLLIN, 0}};
  for (const auto& [index, job] : running) {
    if (job.open) {
      entries.push_back({job.process->output_fd(), POLLIN, 0});
    }
  }
  ::poll(entries.data(), entries.size(), -1);
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) > 0;
}

}  // namespace

size_t default_jobs() { return std::max(1U, std::thread::hardware_concurrency()); }

void run_jobs(const std::vector<Argv>& commands, const std::filesystem::path& folder, size_t width,
              const std::function<bool(size_t, const CapturedOutput&)>& done) {
  SignalWatch signals;
  std::map<size_t, Job> running;
  size_t next = 0;
  while (next < commands.size() || !running.empty()) {
    for (; next < commands.size() && running.size() < width; ++next) {
      running[next].process = std::make_unique<ChildProcess>(ChildProcess::Options{
          .argv = with_merged_output(commands[next]), .folder = folder, .console = ChildProcess::Console::Capture});
    }
    wait(running, signals);
    if (signals.take() != 0) {
      throw Failure(ExitCode::Interrupted, "interrupted");
    }
    for (auto at = running.begin(); at != running.end();) {
      Job& job = at->second;
      if (job.open && readable(job.process->output_fd())) {
        read_output(job);
      }
      const std::optional<int> status = job.open ? std::nullopt : job.process->poll_status();
      if (!status) {
        ++at;
        continue;
      }
      job.result.status = *status;
      const size_t index = at->first;
      const CapturedOutput result = std::move(job.result);
      at = running.erase(at);
      if (!done(index, result)) {
        return;
      }
    }
  }
}

}  // namespace ax::xtask
