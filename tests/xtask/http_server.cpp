#include "tests/xtask/http_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>

namespace ax::xtask::test {
namespace {

constexpr std::chrono::seconds kPatience{10};

std::string header_value(const std::string& request, const std::string& name) {
  const size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) {
    return {};
  }
  const size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

}  // namespace

struct HttpServer::Tls {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};

  explicit Tls(const TlsIdentity& identity) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> certificate(BIO_new_mem_buf(identity.certificate.c_str(), -1), &BIO_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> key(BIO_new_mem_buf(identity.key.c_str(), -1), &BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> shown(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr), &X509_free);
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> proof(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr),
                                                                  &EVP_PKEY_free);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), shown.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), proof.get()), 1);
  }
};

/// One accepted connection, which it closes.
class HttpServer::Connection {
 public:
  Connection(int fd, const Tls* tls) : fd_(fd) {
    if (tls != nullptr) {
      ssl_.reset(SSL_new(tls->context.get()));
      SSL_set_fd(ssl_.get(), fd);
    }
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  /// False where the client does not like the certificate.
  bool begin() { return ssl_ == nullptr || SSL_accept(ssl_.get()) == 1; }
  /// The end is announced: what comes before it was meant to be all.
  void end() {
    if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  }
  ssize_t receive(char* buffer, size_t size) {
    return ssl_ == nullptr ? ::recv(fd_, buffer, size, 0) : SSL_read(ssl_.get(), buffer, static_cast<int>(size));
  }
  bool send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t sent = ssl_ == nullptr ? ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL)
                                           : SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size()));
      if (sent <= 0) {
        return false;
      }
      data.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

 private:
  int fd_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
};

HttpServer::HttpServer() { listen(); }

HttpServer::HttpServer(const TlsIdentity& identity) : tls_(std::make_unique<Tls>(identity)) { listen(); }

void HttpServer::listen() {
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

std::string HttpServer::url(const std::string& path) const {
  return fmt::format("{}://127.0.0.1:{}/{}", tls_ == nullptr ? "http" : "https", port_, path);
}

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
        Connection connection(fd, tls_.get());
        if (connection.begin()) {
          answer(connection);
        }
        --open_;
      });
    }
  }
}

void HttpServer::answer(Connection& connection) {
  std::string request;
  std::array<char, 4096> buffer;
  while (request.find("\r\n\r\n") == std::string::npos) {
    std::array<pollfd, 2> entries{{{stop_pipe_[0], POLLIN, 0}, {connection.fd(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    const ssize_t size = entries[0].revents != 0 ? 0 : connection.receive(buffer.data(), buffer.size());
    if (size <= 0) {
      return;
    }
    request.append(buffer.data(), static_cast<size_t>(size));
    if (std::isupper(static_cast<unsigned char>(request[0])) == 0) {
      connection.send("HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
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
    connection.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  std::string body = how.content;
  std::string extra;
  size_t start = 0;
  if (!range.empty() && how.ranges && std::sscanf(range.c_str(), "bytes=%zu-", &start) == 1) {
    if (start >= body.size()) {
      connection.send(fmt::format("HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", body.size()));
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
  if (connection.send(fmt::format("HTTP/1.1 {} X\r\n{}Connection: close\r\n\r\n", how.status, extra))) {
    send_body(connection, body, cut, stall, how.chunked);
  }
}

void HttpServer::send_body(Connection& connection, const std::string& body, size_t cut, size_t stall, bool chunked) {
  const std::string_view part = std::string_view(body).substr(0, std::min(cut, stall));
  const bool whole = part.size() == body.size() && cut == SIZE_MAX && stall == SIZE_MAX;
  if (chunked) {
    connection.send(part.empty() ? "" : fmt::format("{:x}\r\n{}\r\n", part.size(), part));
    connection.send(whole ? "0\r\n\r\n" : "");
  } else {
    connection.send(part);
  }
  if (stall != SIZE_MAX) {
    ++stalled_;
    std::array<pollfd, 2> entries{{{stop_pipe_[0], POLLIN, 0}, {connection.fd(), POLLIN | POLLRDHUP, 0}}};
    ::poll(entries.data(), entries.size(), -1);  // until the client goes, or the test ends
  } else if (whole) {
    connection.end();
  }
}

}  // namespace ax::xtask::test
