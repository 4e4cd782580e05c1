// A serial line: a tty with the settings of a UART.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tools/xtask/core/files.hpp"

namespace ax::xtask {

/// One user at a time: a lock that everybody on this machine sees, named by the device behind all symbolic links, which says
/// who holds it. Released with the object, or with the process.
class BoardLock {
 public:
  /// Throws Failure(Environment) `... is in use by USER (process N since TIME)`.
  explicit BoardLock(const std::filesystem::path& device);
  ~BoardLock();
  BoardLock(const BoardLock&) = delete;
  BoardLock& operator=(const BoardLock&) = delete;

  /// Who holds the device's lock; empty: nobody.
  static std::string holder(const std::filesystem::path& device);

 private:
  int fd_ = -1;
};

/// 8N1 without flow control, raw, non-blocking.
class SerialLine {
 public:
  /// Opens and sets up the tty. Throws Failure(Environment) where it cannot be opened (with what to do), Failure(Usage)
  /// for a rate that the system has no constant for.
  SerialLine(const std::filesystem::path& device, std::uint32_t baud_rate);
  ~SerialLine();
  SerialLine(const SerialLine&) = delete;
  SerialLine& operator=(const SerialLine&) = delete;

  int fd() const { return fd_; }
  /// The other end is gone: the adapter was unplugged, the emulator ended.
  bool hung_up() const;

 private:
  int fd_ = -1;
};

}  // namespace ax::xtask
