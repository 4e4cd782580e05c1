#include "tests/xtask/http_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace ax::xtask::test {
namespace {

constexpr std::chrono::seconds kPatience{10};

bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    data.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string header_value(const std::string& request, const std::string& name) {
  const size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) {
    return {};
  }
  const size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

}  // namespace

HttpServer::HttpServer() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0 || ::pipe(stop_pipe_) != 0) {
    ADD_FAILURE() << "no server on loopback";
    return;
  }
  port_ = ntohs(address.sin_port);
  // Signals are for the thread that runs the test: what waits for children there must see all of them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  acceptor_ = std::thread([this] { accept_all(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HttpServer::~HttpServer() {
  ::close(stop_pipe_[1]);
  acceptor_.join();
  for (std::thread& worker : workers_) {
    worker.join();
  }
  ::close(stop_pipe_[0]);
  ::close(listener_);
}

std::string HttpServer::url(const std::string& path) const { return fmt::format("http://127.0.0.1:{}/{}", port_, path); }

void HttpServer::serve(const std::string& path, HttpAnswer answer) {
  const std::lock_guard held(mutex_);
  answers_["/" + path] = std::move(answer);
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard held(mutex_);
  return requests_;
}

size_t HttpServer::requests_for(const std::string& path) const {
  size_t count = 0;
  for (const HttpRequest& request : requests()) {
    count += request.path == "/" + path ? 1 : 0;
  }
  return count;
}

bool HttpServer::wait_until(const std::function<bool()>& condition) const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    pollfd stop{stop_pipe_[0], POLLIN, 0};
    if (::poll(&stop, 1, 2) > 0) {
      break;
    }
  }
  return condition();
}

bool HttpServer::wait_for_stall() {
  return wait_until([this] { return stalled_ > 0; });
}

void HttpServer::accept_all() {
  while (true) {
    std::array<pollfd, 2> entries{{{stop_pipe_[0], POLLIN, 0}, {listener_, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    if (entries[0].revents != 0) {
      return;
    }
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      workers_.emplace_back([this, fd] {
        const int now = ++open_;
        most_at_once_ = std::max<int>(most_at_once_, now);
        answer(fd);
        --open_;
        ::close(fd);
      });
    }
  }
}

void HttpServer::answer(int fd) {
  std::string request;
  std::array<char, 4096> buffer;
  while (request.find("\r\n\r\n") == std::string::npos) {
    std::array<pollfd, 2> entries{{{stop_pipe_[0], POLLIN, 0}, {fd, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    const ssize_t size = entries[0].revents != 0 ? 0 : ::recv(fd, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      return;
    }
    request.append(buffer.data(), static_cast<size_t>(size));
  }
  const size_t begin = request.find(' ') + 1;
  const std::string path = request.substr(begin, request.find(' ', begin) - begin);
  const std::string range = header_value(request, "Range");
  HttpAnswer how;
  bool fail = false;
  size_t cut = SIZE_MAX;
  size_t stall = SIZE_MAX;
  {
    const std::lock_guard held(mutex_);
    requests_.push_back({path, range});
    const auto found = answers_.find(path);
    if (found == answers_.end()) {
      how.status = 404;
    } else {
      fail = found->second.fail_times-- > 0;
      how = found->second;
      cut = how.cut_after != SIZE_MAX && found->second.cut_times-- > 0 ? how.cut_after : SIZE_MAX;
      stall = how.stall_after != SIZE_MAX && found->second.stall_times-- > 0 ? how.stall_after : SIZE_MAX;
    }
  }
  ++arrived_;
  wait_until([this] { return arrived_ >= gather_; });
  if (fail) {
    send_all(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  std::string body = how.content;
  std::string extra;
  size_t start = 0;
  if (!range.empty() && how.ranges && std::sscanf(range.c_str(), "bytes=%zu-", &start) == 1) {
    if (start >= body.size()) {
      send_all(fd, fmt::format("HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", body.size()));
      return;
    }
    how.status = 206;
    const size_t claimed = how.lie_about_range ? start + 1 : start;
    extra = fmt::format("Content-Range: bytes {}-{}/{}\r\n", claimed, body.size() - 1, body.size());
    body = body.substr(start);
  }
  if (!how.location.empty()) {
    extra += "Location: " + how.location + "\r\n";
  }
  extra += how.chunked ? "Transfer-Encoding: chunked\r\n" : fmt::format("Content-Length: {}\r\n", body.size());
  if (send_all(fd, fmt::format("HTTP/1.1 {} X\r\n{}Connection: close\r\n\r\n", how.status, extra))) {
    send_body(fd, path, body, cut, stall, how.chunked);
  }
}

void HttpServer::send_body(int fd, const std::string&, const std::string& body, size_t cut, size_t stall, bool chunked) {
  const std::string_view part = std::string_view(body).substr(0, std::min(cut, stall));
  const bool whole = part.size() == body.size() && cut == SIZE_MAX && stall == SIZE_MAX;
  if (chunked) {
    send_all(fd, part.empty() ? "" : fmt::format("{:x}\r\n{}\r\n", part.size(), part));
    send_all(fd, whole ? "0\r\n\r\n" : "");
  } else {
    send_all(fd, part);
  }
  if (stall != SIZE_MAX) {
    ++stalled_;
    std::array<pollfd, 2> entries{{{stop_pipe_[0], POLLIN, 0}, {fd, POLLIN | POLLRDHUP, 0}}};
    ::poll(entries.data(), entries.size(), -1);  // until the client goes, or the test ends
  }
}

}  // namespace ax::xtask::test
