// A real HTTP/1.1 server on loopback, over TLS if wanted, with the manners of bad ones. Each connection has a thread and one request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/xtask/certificates.hpp"

namespace ax::xtask::test {

/// How one path is answered.
struct HttpAnswer {
  std::string content{};
  int status = 200;
  std::string location{};         ///< of a redirection
  bool ranges = true;             ///< parts can be asked for
  bool lie_about_range = false;   ///< answers with a part that was not asked for
  size_t cut_after = SIZE_MAX;    ///< ends the connection after so many bytes of the answer's body ...
  int cut_times = INT32_MAX;      ///< ... so many times
  size_t stall_after = SIZE_MAX;  ///< sends so many bytes, then nothing, until the server ends
  int stall_times = INT32_MAX;
  bool chunked = false;           ///< without a length
  int fail_times = 0;             ///< answers with status 503 so many times first
};

struct HttpRequest {
  std::string path;
  std::string range;  ///< the header's value; empty: none
};

class HttpServer {
 public:
  HttpServer();
  explicit HttpServer(const TlsIdentity& identity);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:PORT/path", or https.
  std::string url(const std::string& path) const;
  void serve(const std::string& path, HttpAnswer answer);
  std::vector<HttpRequest> requests() const;
  size_t requests_for(const std::string& path) const;
  /// Waits until a connection stalls; false after ten seconds.
  bool wait_for_stall();
  /// The most connections that were open at the same time.
  int most_at_once() const { return most_at_once_; }
  /// Holds every answer back until `count` requests are there.
  void gather(int count) { gather_ = count; }

 private:
  class Connection;
  struct Tls;

  void listen();
  void accept_all();
  void answer(Connection& connection);
  void send_body(Connection& connection, const std::string& body, size_t cut, size_t stall, bool chunked);
  bool wait_until(const std::function<bool()>& condition) const;

  std::unique_ptr<Tls> tls_;  ///< none: plain HTTP
  int listener_ = -1;
  int stop_pipe_[2] = {-1, -1};  ///< readable once the server ends: what stalls waits on it
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::map<std::string, HttpAnswer> answers_;
  std::vector<HttpRequest> requests_;
  std::vector<std::thread> workers_;
  std::atomic<int> stalled_ = 0;
  std::atomic<int> open_ = 0;
  std::atomic<int> most_at_once_ = 0;
  std::atomic<int> arrived_ = 0;
  std::atomic<int> gather_ = 0;
};

}  // namespace ax::xtask::test
