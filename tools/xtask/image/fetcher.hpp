// Files and documents by address: several at once, continued where they broke off, within bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "tools/xtask/core/console.hpp"

namespace ax::xtask {

struct FetchSettings {
  std::filesystem::path ca_file;  ///< empty: the system's certificates
  std::chrono::seconds timeout{30};  ///< without a connection, or without a byte
  int jobs = 4;
  bool offline = false;  ///< only local files
};

/// http:, https:, file:, or an absolute path.
struct FileRequest {
  std::string title;            ///< what it is called in messages
  std::string address;
  std::string sha256;           ///< of the whole; empty: whatever comes, and nothing is continued from another run
  std::filesystem::path file;   ///< grows there, and stays there when the transfer breaks off; checked when it is whole
};

class Fetcher {
 public:
  Fetcher(const Console& console, FetchSettings settings) : console_(console), settings_(std::move(settings)) {}

  /// A small document. Throws Unreachable, or Failure(Failure) where it is larger than `limit` bytes.
  std::string document(const std::string& address, std::uint64_t limit) const;

  /// All of them; with several failures the first one's is thrown when the others have ended. Throws Unreachable, and
  /// Failure(Failure) where the content is not what its SHA-256 says (the file is gone then), Failure(Interrupted) on Ctrl-C.
  void files(std::span<const FileRequest> requests) const;

 private:
  const Console& console_;
  FetchSettings settings_;
};

/// Goes to the network: http: or https:.
bool is_network_address(const std::string& address);

}  // namespace ax::xtask
