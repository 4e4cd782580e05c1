// A read-only TFTP server for one board: RFC 1350 with blksize, tsize and timeout options (RFC 2347 to 2349).
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

/// Serves files of memory, by name; never touches the file system. Single-threaded: whoever waits on the serial line waits on
/// descriptors() too and calls serve().
class TftpServer {
 public:
  /// The well-known port, and what is taken where that is not allowed: U-Boot then needs CONFIG_TFTP_PORT.
  static constexpr std::uint16_t kPort = 69;

  /// Listens on all addresses: on `port`, or where that takes privileges that this user lacks on any free one. Throws
  /// Failure(Environment) where the port is taken.
  explicit TftpServer(std::uint16_t port = kPort);
  ~TftpServer();
  TftpServer(const TftpServer&) = delete;
  TftpServer& operator=(const TftpServer&) = delete;

  std::uint16_t port() const { return port_; }
  void offer(const std::string& name, std::string content) { files_[name] = std::move(content); }

  /// What is readable when there is something to do.
  std::vector<int> descriptors() const;
  /// Answers what has arrived, and repeats what was not acknowledged in time. Never blocks.
  void serve();
  /// When serve() wants to be called at the latest, if a transfer is under way.
  static constexpr std::chrono::milliseconds kTick{250};

  /// Bytes that the client has acknowledged of the transfer that is under way, and of how many.
  struct Progress {
    std::string name;
    size_t sent = 0;
    size_t size = 0;
  };
  const Progress& progress() const { return progress_; }
  /// What clients asked for that is not there, for a message; empty: nothing.
  const std::string& refused() const { return refused_; }

 private:
  struct Transfer;
  void accept(std::string_view packet, const sockaddr_in& client);
  bool continue_transfer(Transfer& transfer);
  static void send_block(Transfer& transfer);

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::map<std::string, std::string> files_;
  std::map<int, Transfer> transfers_;  ///< by socket
  Progress progress_;
  std::string refused_;
};

}  // namespace ax::xtask
