#include "tools/xtask/board/serial_line.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct Rate {
  std::uint32_t bits_per_second;
  speed_t constant;
};
constexpr std::array kRates{Rate{9600, B9600},       Rate{19200, B19200},     Rate{38400, B38400},     Rate{57600, B57600},
                            Rate{115200, B115200},   Rate{230400, B230400},   Rate{460800, B460800},   Rate{500000, B500000},
                            Rate{576000, B576000},   Rate{921600, B921600},   Rate{1000000, B1000000}, Rate{1152000, B1152000},
                            Rate{1500000, B1500000}, Rate{2000000, B2000000}, Rate{2500000, B2500000}, Rate{3000000, B3000000},
                            Rate{3500000, B3500000}, Rate{4000000, B4000000}};

speed_t rate_constant(std::uint32_t baud_rate) {
  const auto found = std::find_if(kRates.begin(), kRates.end(), [&](const Rate& rate) { return rate.bits_per_second == baud_rate; });
  if (found == kRates.end()) {
    std::string known;
    for (const Rate& rate : kRates) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", rate.bits_per_second);
    }
    throw Failure(ExitCode::Usage, fmt::format("baud_rate {} is none that this system knows", baud_rate), "rates: " + known);
  }
  return found->constant;
}

std::string hint_for(int error, const fs::path& device) {
  if (error == EACCES) {
    return fmt::format("serial lines belong to the group dialout: sudo usermod -aG dialout $USER, then log in again (or look at ls -l {})",
                       device.string());
  }
  return error == ENOENT ? "ls /dev/ttyUSB* /dev/ttyACM* shows the adapters that are plugged in" : "";
}

/// A folder that every user may write to, as locks of different users must meet.
fs::path lock_file(const fs::path& device) {
  std::error_code none;
  const fs::path real = fs::canonical(device, none);
  std::string name = (real.empty() ? fs::absolute(device) : real).string();
  std::replace(name.begin(), name.end(), '/', '-');
  return fs::path("/tmp") / ("axvisor-board" + name + ".lock");
}

int open_lock(const fs::path& device) {
  const fs::path file = lock_file(device);
  int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0 && errno == EACCES) {
    // In a sticky folder even root may not open a file of another user with O_CREAT.
    fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  }
  if (fd < 0) {
    throw Failure(ExitCode::Environment, fmt::format("cannot open the board's lock {}: {}", file.string(), std::strerror(errno)));
  }
  ::fchmod(fd, 0666);  // whatever the umask; fails for those who do not own it, and then it was done
  return fd;
}

std::string read_owner(int fd) {
  std::array<char, 256> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return size <= 0 ? "somebody" : std::string(text.data(), static_cast<size_t>(size));
}

std::string owner_text() {
  const passwd* user = ::getpwuid(::getuid());
  return fmt::format("{} (process {} since {:%F %T})", user == nullptr ? std::to_string(::getuid()) : user->pw_name, ::getpid(),
                     fmt::localtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace

BoardLock::BoardLock(const fs::path& device) : fd_(open_lock(device)) {
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const std::string owner = read_owner(fd_);
    ::close(fd_);
    throw Failure(ExitCode::Environment, fmt::format("{} is in use by {}", device.string(), owner), "./xtask board ls shows all boards");
  }
  const std::string text = owner_text();
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, text.data(), text.size(), 0) < 0) {
    ::close(fd_);
    throw Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", lock_file(device).string(), std::strerror(errno)));
  }
}

BoardLock::~BoardLock() { ::close(fd_); }

std::string BoardLock::holder(const fs::path& device) {
  const int fd = ::open(lock_file(device).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return {};
  }
  const std::string owner = ::flock(fd, LOCK_SH | LOCK_NB) == 0 ? "" : read_owner(fd);
  ::close(fd);
  return owner;
}

SerialLine::SerialLine(const fs::path& device, std::uint32_t baud_rate) {
  const speed_t rate = rate_constant(baud_rate);
  // Non-blocking: an open that waits for a carrier would wait for ever.
  fd_ = ::open(device.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) {
    const int error = errno;
    throw Failure(ExitCode::Environment, fmt::format("cannot open the serial line {}: {}", device.string(), std::strerror(error)), hint_for(error, device));
  }
  termios settings{};
  if (::tcgetattr(fd_, &settings) != 0) {
    ::close(fd_);
    throw Failure(ExitCode::Usage, fmt::format("serial: {} is no serial line", device.string()));
  }
  ::cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | CRTSCTS | HUPCL);
  ::cfsetspeed(&settings, rate);
  if (::tcsetattr(fd_, TCSANOW, &settings) != 0) {
    const int error = errno;
    ::close(fd_);
    throw Failure(ExitCode::Environment, fmt::format("{} cannot be set to {} baud: {}", device.string(), baud_rate, std::strerror(error)));
  }
  ::tcflush(fd_, TCIOFLUSH);
}

SerialLine::~SerialLine() { ::close(fd_); }

bool SerialLine::hung_up() const {
  pollfd entry{fd_, 0, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace ax::xtask
