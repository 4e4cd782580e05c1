#include "tools/xtask/board/tftp_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

using Clock = std::chrono::steady_clock;

enum Opcode : std::uint16_t { kReadRequest = 1, kWriteRequest = 2, kData = 3, kAcknowledge = 4, kError = 5, kOptions = 6 };
enum ErrorCode : std::uint16_t { kNotFound = 1, kAccess = 2, kIllegal = 4 };

constexpr size_t kDefaultBlock = 512;
constexpr size_t kLargestBlock = 65464;  // RFC 2348
constexpr size_t kSmallestBlock = 8;
constexpr std::chrono::seconds kRepeatAfter{1};
constexpr int kRepeats = 10;

std::string number(std::uint16_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)}; }
std::uint16_t number_at(std::string_view packet, size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(packet[at]) << 8 | static_cast<unsigned char>(packet[at + 1]));
}

void send_to(int fd, const std::string& packet, const sockaddr_in& client) {
  // What is lost on the way is repeated.
  (void)!::sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&client), sizeof client);
}

void send_error(int fd, ErrorCode code, const std::string& text, const sockaddr_in& client) {
  send_to(fd, number(kError) + number(code) + text + '\0', client);
}

int bind_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons(port);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (fd >= 0) {
      ::close(fd);
    }
    errno = error;
    return -1;
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// The zero-terminated strings of a request.
std::vector<std::string> fields(std::string_view packet) {
  std::vector<std::string> result;
  while (!packet.empty()) {
    const size_t end = packet.find('\0');
    if (end == std::string_view::npos) {
      break;
    }
    result.emplace_back(packet.substr(0, end));
    packet.remove_prefix(end + 1);
  }
  return result;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

struct TftpServer::Transfer {
  int fd;
  sockaddr_in client;
  std::string name;
  const std::string* content;
  size_t block_size = kDefaultBlock;
  size_t block = 0;      ///< the one that is under way, 1-based; 0: the options
  std::string last{};    ///< packet that awaits its acknowledgement
  Clock::time_point sent{};
  int repeats = 0;
};

TftpServer::TftpServer(std::uint16_t port) : fd_(bind_to(port)) {
  if (fd_ < 0 && errno == EACCES) {
    fd_ = bind_to(0);
  }
  if (fd_ < 0) {
    throw Failure(ExitCode::Environment, fmt::format("the TFTP server cannot have port {}: {}", port, std::strerror(errno)),
                  "another TFTP server may run here: name its folder as tftp_dir in [net]");
  }
  port_ = port_of(fd_);
}

TftpServer::~TftpServer() {
  for (const auto& [fd, transfer] : transfers_) {
    ::close(fd);
  }
  ::close(fd_);
}

std::vector<int> TftpServer::descriptors() const {
  std::vector<int> result{fd_};
  for (const auto& [fd, transfer] : transfers_) {
    result.push_back(fd);
  }
  return result;
}

void TftpServer::send_block(Transfer& transfer) {
  const size_t start = (transfer.block - 1) * transfer.block_size;
  const size_t size = std::min(transfer.block_size, transfer.content->size() - start);
  transfer.last = number(kData) + number(static_cast<std::uint16_t>(transfer.block)) + transfer.content->substr(start, size);
}

void TftpServer::accept(std::string_view packet, const sockaddr_in& client) {
  if (packet.size() < 4) {
    return;
  }
  if (number_at(packet, 0) != kReadRequest) {
    send_error(fd_, kIllegal, "read requests only", client);
    return;
  }
  const std::vector<std::string> words = fields(packet.substr(2));
  if (words.size() < 2) {
    return;
  }
  const auto file = files_.find(words[0]);
  if (file == files_.end()) {
    refused_ = words[0];
    send_error(fd_, kNotFound, "no such file", client);
    return;
  }
  const int fd = bind_to(0);
  if (fd < 0) {
    return;
  }
  // A request that is repeated starts anew: its first answer was lost.
  Transfer transfer{.fd = fd, .client = client, .name = file->first, .content = &file->second, .sent = Clock::now()};
  std::string accepted;
  for (size_t i = 2; i + 1 < words.size(); i += 2) {
    const std::string option = lower(words[i]);
    size_t value = 0;
    std::from_chars(words[i + 1].data(), words[i + 1].data() + words[i + 1].size(), value);
    if (option == "blksize" && value >= kSmallestBlock) {
      transfer.block_size = std::min(value, kLargestBlock);
      accepted += option + '\0' + std::to_string(transfer.block_size) + '\0';
    } else if (option == "tsize") {
      accepted += option + '\0' + std::to_string(file->second.size()) + '\0';
    } else if (option == "timeout") {
      accepted += option + '\0' + words[i + 1] + '\0';
    }
  }
  if (accepted.empty()) {
    transfer.block = 1;
    send_block(transfer);
  } else {
    transfer.last = number(kOptions) + accepted;
  }
  progress_ = {transfer.name, 0, file->second.size()};
  send_to(fd, transfer.last, client);
  transfers_.emplace(fd, std::move(transfer));
}

/// Returns whether there is more to do.
bool TftpServer::continue_transfer(Transfer& transfer) {
  std::array<char, 1024> buffer;
  sockaddr_in from{};
  socklen_t length = sizeof from;
  ssize_t size = 0;
  while ((size = ::recvfrom(transfer.fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length)) >= 0) {
    const std::string_view packet(buffer.data(), static_cast<size_t>(size));
    const bool of_client = from.sin_addr.s_addr == transfer.client.sin_addr.s_addr && from.sin_port == transfer.client.sin_port;
    if (packet.size() < 4 || !of_client) {
      continue;
    }
    if (number_at(packet, 0) == kError) {
      return false;
    }
    // Only the block that is under way: an answer to a repetition must not be answered twice (RFC 1123, 4.2.3.1).
    if (number_at(packet, 0) != kAcknowledge || number_at(packet, 2) != static_cast<std::uint16_t>(transfer.block)) {
      continue;
    }
    const size_t done = transfer.block * transfer.block_size;
    progress_ = {transfer.name, std::min(done, transfer.content->size()), transfer.content->size()};
    if (transfer.block != 0 && done > transfer.content->size()) {
      return false;  // that was the short block at the end
    }
    ++transfer.block;
    send_block(transfer);
    send_to(transfer.fd, transfer.last, transfer.client);
    transfer.sent = Clock::now();
    transfer.repeats = 0;
  }
  if (Clock::now() - transfer.sent >= kRepeatAfter) {
    send_to(transfer.fd, transfer.last, transfer.client);
    transfer.sent = Clock::now();
    return ++transfer.repeats < kRepeats;
  }
  return true;
}

void TftpServer::serve() {
  std::array<char, 2048> buffer;
  sockaddr_in client{};
  socklen_t length = sizeof client;
  ssize_t size = 0;
  while ((size = ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&client), &length)) >= 0) {
    accept({buffer.data(), static_cast<size_t>(size)}, client);
    length = sizeof client;
  }
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    if (continue_transfer(at->second)) {
      ++at;
    } else {
      ::close(at->first);
      at = transfers_.erase(at);
    }
  }
}

}  // namespace ax::xtask
