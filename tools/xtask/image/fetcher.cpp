#include "tools/xtask/image/fetcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/image/apt_root.hpp"
#include "tools/xtask/image/curl_library.hpp"
#include "tools/xtask/image/progress.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAttempts = 5;
constexpr std::chrono::milliseconds kFirstPause{100};  // before the second attempt; doubled each time
constexpr long kRedirections = 10;

// HTTP, RFC 9110.
constexpr long kPartialContent = 206;
constexpr long kFirstRedirection = 300;
constexpr long kRequestTimeout = 408;
constexpr long kRangeNotSatisfiable = 416;
constexpr long kTooManyRequests = 429;
constexpr long kFirstServerError = 500;

struct CloseEasy {
  void operator()(CURL* handle) const { curl().easy_cleanup(handle); }
};
struct CloseMulti {
  void operator()(CURLM* handle) const { curl().multi_cleanup(handle); }
};
using EasyHandle = std::unique_ptr<CURL, CloseEasy>;
using MultiHandle = std::unique_ptr<CURLM, CloseMulti>;

/// Where the bytes of one transfer go.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual std::uint64_t size() const = 0;
  virtual void restart() = 0;                     ///< throw away what there is
  virtual bool append(std::string_view part) = 0;  ///< false: cannot, see problem()
  virtual std::optional<Failure> problem() const = 0;
};

class StringSink : public Sink {
 public:
  StringSink(std::string address, std::uint64_t limit) : address_(std::move(address)), limit_(limit) {}
  std::uint64_t size() const override { return content.size(); }
  void restart() override { content.clear(); }
  bool append(std::string_view part) override {
    too_large_ = content.size() + part.size() > limit_;
    if (!too_large_) content.append(part);
    return !too_large_;
  }
  std::optional<Failure> problem() const override {
    if (!too_large_) return std::nullopt;
    return Failure(ExitCode::Failure, fmt::format("{} is larger than {}: that is no registry", address_, format_bytes(limit_)));
  }

  std::string content;

 private:
  std::string address_;
  std::uint64_t limit_;
  bool too_large_ = false;
};

class FileSink : public Sink {
 public:
  explicit FileSink(fs::path path) : path_(std::move(path)) {
    fs::create_directories(path_.parent_path());
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0) {
      throw Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
    }
    size_ = static_cast<std::uint64_t>(::lseek(fd_, 0, SEEK_END));
  }
  ~FileSink() override { ::close(fd_); }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  std::uint64_t size() const override { return size_; }
  void restart() override {
    error_ = ::ftruncate(fd_, 0) == 0 ? error_ : errno;
    size_ = 0;
  }
  bool append(std::string_view part) override {
    while (!part.empty() && error_ == 0) {
      const ssize_t written = ::write(fd_, part.data(), part.size());
      if (written >= 0) {
        part.remove_prefix(static_cast<size_t>(written));
        size_ += static_cast<std::uint64_t>(written);
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    return error_ == 0;
  }
  std::optional<Failure> problem() const override {
    if (error_ == 0) return std::nullopt;
    return Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", path_.string(), std::strerror(error_)),
                   "make room, or choose another folder with --local-storage");
  }
  /// Whether `more` bytes have room beside what is there.
  std::optional<Failure> no_room_for(std::uint64_t more) const {
    std::error_code error;
    const fs::space_info space = fs::space(path_.parent_path(), error);
    if (error || space.available >= more) return std::nullopt;
    return Failure(ExitCode::Environment,
                   fmt::format("{} has room for {}, and {} are to come", path_.parent_path().string(), format_bytes(space.available),
                               format_bytes(more)),
                   "make room, or choose another folder with --local-storage");
  }

 private:
  fs::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  int error_ = 0;
};

/// One address on its way into one sink, over as many attempts as it takes.
class Transfer {
 public:
  Transfer(std::string title, std::string address, Sink& sink, const FetchSettings& settings)
      : title_(std::move(title)), address_(std::move(address)), sink_(sink), settings_(settings) {}

  /// A handle for the next attempt. The transfer outlives it.
  CURL* prepare() {
    handle_.reset(curl().easy_init());
    if (handle_ == nullptr) {
      throw Failure(ExitCode::Environment, "libcurl cannot start a transfer");
    }
    ++attempts_;
    begun_ = false;
    content_range_start_.reset();
    total_ = 0;
    offset_ = resumable() ? sink_.size() : 0;
    set_options();
    return handle_.get();
  }

  /// The attempt has ended. Returns whether another one is worth it; failure() says how it went otherwise.
  bool again(CURLcode result) {
    long status = 0;
    curl().easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    const char* effective = nullptr;
    curl().easy_getinfo(handle_.get(), CURLINFO_EFFECTIVE_URL, &effective);
    const std::string last = effective == nullptr ? address_ : effective;
    failure_ = nullptr;
    if (status == kRangeNotSatisfiable && offset_ > 0) {
      range_refused_ = true;  // what is there may be the whole; if it is not, the caller starts over
      return false;
    }
    if (own_failure_ != nullptr) {
      failure_ = std::exchange(own_failure_, nullptr);
      return false;
    }
    if (const std::optional<Failure> problem = sink_.problem()) {
      failure_ = std::make_exception_ptr(*problem);
      return false;
    }
    if (result == CURLE_OK && status < kFirstRedirection) {
      return false;
    }
    const bool refused = status >= kFirstRedirection && (result == CURLE_OK || result == CURLE_HTTP_RETURNED_ERROR);
    const std::string reason = refused ? fmt::format("the server answered with status {}", status) : describe(result, last);
    const std::string where = last == address_ ? address_ : fmt::format("{} (redirected to {})", address_, last);
    failure_ = std::make_exception_ptr(
        Unreachable(fmt::format("{}: cannot fetch {}: {}", title_, where, reason), hint(result, status)));
    const bool server_may_recover = status >= kFirstServerError || status == kTooManyRequests || status == kRequestTimeout;
    const bool worth_it = refused ? server_may_recover : may_pass(result);
    if (worth_it && attempts_ < kAttempts) {
      not_before_ = Clock::now() + kFirstPause * (1 << (attempts_ - 1));
      return true;
    }
    return false;
  }

  void forbid_resuming() { may_resume_ = false; }
  bool resumed() const { return resumed_; }
  bool range_refused() const { return range_refused_; }
  std::exception_ptr failure() const { return failure_; }
  Clock::time_point not_before() const { return not_before_; }
  CURL* handle() const { return handle_.get(); }
  const std::string& title() const { return title_; }
  const std::string& address() const { return address_; }
  Sink& sink() const { return sink_; }
  std::uint64_t expected() const { return total_; }
  int attempts() const { return attempts_; }

 private:
  bool resumable() const { return may_resume_ && is_network_address(address_); }

  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode result = curl().easy_setopt(handle_.get(), option, value); result != CURLE_OK) {
      throw Failure(ExitCode::Environment, fmt::format("{}: libcurl: {}", address_, curl().easy_strerror(result)));
    }
  }

  void set_options() {
    const bool network = is_network_address(address_);
    const bool secure = address_.starts_with("https://");
    set(CURLOPT_URL, address_.starts_with('/') ? ("file://" + escaped_path(address_)).c_str() : address_.c_str());
    set(CURLOPT_PROTOCOLS_STR, network ? "http,https" : "file");
    set(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_MAXREDIRS, kRedirections);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "axvisor-xtask");
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(settings_.timeout.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings_.timeout.count()));
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_data);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_PRIVATE, this);
    reason_[0] = '\0';
    set(CURLOPT_ERRORBUFFER, reason_.data());
    if (!settings_.ca_file.empty()) {
      set(CURLOPT_CAINFO, settings_.ca_file.c_str());
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // else the system's folder counts too
    }
    if (offset_ > 0) {
      set(CURLOPT_RANGE, fmt::format("{}-", offset_).c_str());
    }
  }

  static std::string escaped_path(const std::string& path) {
    std::string text;
    for (const char c : path) {
      const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("/-._~").find(c) != std::string_view::npos;
      text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return text;
  }

  static size_t on_header(const char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->header(std::string_view(data, size)) ? size : 0;
  }
  static size_t on_data(const char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->body(std::string_view(data, size)) ? size : CURL_WRITEFUNC_ERROR;
  }

  bool header(std::string_view line) {
    static constexpr char kHeader[] = "content-range:";
    constexpr std::string_view kName = kHeader;
    if (line.starts_with("HTTP/")) {
      content_range_start_.reset();  // of a redirection, perhaps
    }
    const std::string name(line.substr(0, kName.size()));
    if (line.size() > kName.size() && ::strcasecmp(name.c_str(), kHeader) == 0) {
      unsigned long long start = 0;
      if (std::sscanf(std::string(line.substr(kName.size())).c_str(), " bytes %llu-", &start) == 1) {
        content_range_start_ = start;
      }
    }
    return true;
  }

  /// The first bytes of an answer decide whether it goes on where the file ends.
  bool begin() {
    long status = 0;
    curl_off_t length = 0;
    curl().easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    curl().easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (status >= kFirstRedirection) {
      return true;  // an error page, which nobody keeps
    }
    const bool continues = offset_ > 0 && status == kPartialContent && content_range_start_ == offset_;
    if (status == kPartialContent && !continues) {
      own_failure_ = std::make_exception_ptr(
          Failure(ExitCode::Failure, fmt::format("{}: the server of {} sent a part that was not asked for", title_, address_)));
      return false;
    }
    if (!continues) {
      sink_.restart();
    }
    resumed_ = resumed_ || continues;
    total_ = length > 0 ? sink_.size() + static_cast<std::uint64_t>(length) : 0;
    const auto* file = dynamic_cast<const FileSink*>(&sink_);
    if (length > 0 && file != nullptr) {
      if (const std::optional<Failure> full = file->no_room_for(static_cast<std::uint64_t>(length))) {
        own_failure_ = std::make_exception_ptr(*full);
        return false;
      }
    }
    return true;
  }

  bool body(std::string_view part) {
    if (!begun_) {
      begun_ = true;
      if (!begin()) return false;
    }
    long status = 0;
    curl().easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status >= kFirstRedirection || sink_.append(part);
  }

  static bool may_pass(CURLcode result) {
    static constexpr CURLcode kPassing[] = {CURLE_PARTIAL_FILE,   CURLE_OPERATION_TIMEDOUT, CURLE_RECV_ERROR, CURLE_SEND_ERROR,
                                            CURLE_GOT_NOTHING,    CURLE_HTTP2_STREAM,       CURLE_HTTP2,
                                            CURLE_SSL_CONNECT_ERROR};
    return std::find(std::begin(kPassing), std::end(kPassing), result) != std::end(kPassing);
  }

  std::string describe(CURLcode result, const std::string& last) const {
    switch (result) {
      case CURLE_PARTIAL_FILE: return fmt::format("the connection ended after {} of {}", format_bytes(sink_.size()), format_bytes(total_));
      case CURLE_OPERATION_TIMEDOUT: return fmt::format("nothing came for {} seconds", settings_.timeout.count());
      case CURLE_TOO_MANY_REDIRECTS: return fmt::format("more than {} redirections", kRedirections);
      case CURLE_COULDNT_RESOLVE_HOST: return "the name of the server is not known";
      case CURLE_COULDNT_CONNECT: return "no connection to the server";
      case CURLE_FILE_COULDNT_READ_FILE: return "no such file";
      case CURLE_UNSUPPORTED_PROTOCOL:
        return is_network_address(address_) ? fmt::format("it is redirected to {}, which is not allowed", last)
                                            : "only http:, https:, file: and paths can be fetched";
      case CURLE_PEER_FAILED_VERIFICATION: return "the server's certificate is not to be trusted: " + own_words(result);
      case CURLE_SSL_CONNECT_ERROR: return "no secure connection: " + own_words(result);
      case CURLE_SSL_CACERT_BADFILE: return fmt::format("there are no certificates in {}", settings_.ca_file.string());
      default: return curl().easy_strerror(result);
    }
  }

  /// libcurl's, which know more than the code.
  std::string own_words(CURLcode result) const { return reason_[0] != '\0' ? reason_.data() : curl().easy_strerror(result); }

  static std::string hint(CURLcode result, long status) {
    constexpr long kNotFound = 404;
    if (status == kNotFound) return "check the address; ./xtask image sync fetches a newer registry";
    if (result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_CONNECT) {
      return "check the network and the proxy (https_proxy), or work with --offline";
    }
    if (result == CURLE_SSL_CONNECT_ERROR) return "check that the server speaks HTTPS, and that ca_file in .image.toml holds its certificates";
    if (result == CURLE_SSL_CACERT_BADFILE) return "ca_file in .image.toml names a file with certificates in PEM";
    if (result == CURLE_PEER_FAILED_VERIFICATION) return "name the certificates of a server of your own with ca_file in .image.toml";
    return {};
  }

  std::string title_;
  std::string address_;
  Sink& sink_;
  const FetchSettings& settings_;
  EasyHandle handle_;
  int attempts_ = 0;
  bool may_resume_ = true;
  bool begun_ = false;
  bool resumed_ = false;
  bool range_refused_ = false;
  std::uint64_t offset_ = 0;
  std::uint64_t total_ = 0;
  std::optional<std::uint64_t> content_range_start_;
  std::exception_ptr own_failure_;  ///< why this side ended the attempt
  std::exception_ptr failure_;
  Clock::time_point not_before_{};
  std::array<char, CURL_ERROR_SIZE> reason_{};  ///< what libcurl says beside its code
};

/// Runs transfers side by side.
class Engine {
 public:
  Engine(const Console& console, const FetchSettings& settings) : settings_(settings), progress_(console) {}

  /// Until all of them have ended. `ended` may answer true to have one started once more.
  template <class Ended>
  void run(const std::vector<Transfer*>& transfers, Ended ended) {
    SignalWatch signals;
    std::deque<Transfer*> waiting(transfers.begin(), transfers.end());
    std::vector<Transfer*> running;
    const auto stop_all = [&] {
      for (const Transfer* transfer : running) {
        curl().multi_remove_handle(multi_.get(), transfer->handle());
      }
    };
    while (!waiting.empty() || !running.empty()) {
      start_ready(waiting, running);
      int active = 0;
      curl().multi_perform(multi_.get(), &active);
      curl_waitfd signal_wait{signals.fd(), CURL_WAIT_POLLIN, 0};
      curl().multi_poll(multi_.get(), &signal_wait, 1, poll_time(waiting), nullptr);
      if (signals.take() != 0) {
        stop_all();
        throw Failure(ExitCode::Interrupted, "interrupted");
      }
      show(transfers);
      int left = 0;
      while (const CURLMsg* message = curl().multi_info_read(multi_.get(), &left)) {
        Transfer* transfer = nullptr;
        curl().easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        const CURLcode result = message->data.result;
        curl().multi_remove_handle(multi_.get(), transfer->handle());
        std::erase(running, transfer);
        progress_.clear();
        if (transfer->again(result) || ended(*transfer)) {
          waiting.push_back(transfer);
        }
      }
    }
  }

 private:
  void start_ready(std::deque<Transfer*>& waiting, std::vector<Transfer*>& running) {
    for (auto at = waiting.begin(); at != waiting.end() && running.size() < static_cast<size_t>(settings_.jobs);) {
      if ((*at)->not_before() > Clock::now()) {
        ++at;
        continue;
      }
      curl().multi_add_handle(multi_.get(), (*at)->prepare());
      running.push_back(*at);
      at = waiting.erase(at);
    }
  }

  static int poll_time(const std::deque<Transfer*>& waiting) {
    constexpr int kLongest = 200;
    std::int64_t shortest = kLongest;
    for (const Transfer* transfer : waiting) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(transfer->not_before() - Clock::now()).count();
      shortest = std::min<std::int64_t>(shortest, left > 0 ? left : kLongest);
    }
    return static_cast<int>(shortest);
  }

  void show(const std::vector<Transfer*>& transfers) {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    bool known = true;
    for (const Transfer* transfer : transfers) {
      done += transfer->sink().size();
      known = known && transfer->expected() > 0;
      total += transfer->expected();
    }
    const std::string what = transfers.size() == 1 ? transfers.front()->title() : fmt::format("{} files", transfers.size());
    progress_.show("fetching " + what, done, known ? total : 0);
  }

  const FetchSettings& settings_;
  ProgressLine progress_;
  MultiHandle multi_{curl().multi_init()};
};

void refuse_offline(const FetchSettings& settings, const std::string& title, const std::string& address) {
  if (settings.offline && is_network_address(address)) {
    throw Unreachable(fmt::format("{}: not here yet, and offline {} cannot be fetched", title, address),
                      "leave out --offline and AXVISOR_OFFLINE");
  }
}

}  // namespace

bool is_network_address(const std::string& address) { return address.starts_with("http://") || address.starts_with("https://"); }

std::string Fetcher::document(const std::string& address, std::uint64_t limit) const {
  refuse_offline(settings_, "registry", address);
  StringSink sink(address, limit);
  Transfer transfer("registry", address, sink, settings_);
  transfer.forbid_resuming();
  Engine(console_, settings_).run({&transfer}, [](const Transfer&) { return false; });
  if (transfer.failure() != nullptr) {
    std::rethrow_exception(transfer.failure());
  }
  return std::move(sink.content);
}

void Fetcher::files(std::span<const FileRequest> requests) const {
  for (const FileRequest& request : requests) {
    refuse_offline(settings_, request.title, request.address);
  }
  std::deque<FileSink> sinks;
  std::deque<Transfer> transfers;
  std::vector<Transfer*> all;
  for (const FileRequest& request : requests) {
    FileSink& sink = sinks.emplace_back(request.file);
    Transfer& transfer = transfers.emplace_back(request.title, request.address, sink, settings_);
    if (request.sha256.empty()) {
      sink.restart();
      transfer.forbid_resuming();
    }
    console_.step(fmt::format("fetching {} from {}{}", request.title, request.address,
                              sink.size() > 0 ? fmt::format(" (going on after {})", format_bytes(sink.size())) : ""));
    all.push_back(&transfer);
  }
  std::exception_ptr first;
  Engine(console_, settings_).run(all, [&](Transfer& transfer) {
    if (transfer.failure() != nullptr) {
      first = first == nullptr ? transfer.failure() : first;
      return false;
    }
    const auto at = static_cast<size_t>(std::find(all.begin(), all.end(), &transfer) - all.begin());
    const FileRequest& request = requests[at];
    const std::string found = request.sha256.empty() ? "" : sha256_of_file(request.file);
    if (found == request.sha256) {
      return false;
    }
    const bool pieced = transfer.resumed() || transfer.range_refused();
    sinks[at].restart();
    if (pieced && transfer.attempts() < kAttempts) {
      console_.warn(fmt::format("{}: what was continued is not whole, fetching it from its beginning", request.title));
      transfer.forbid_resuming();
      return true;
    }
    fs::remove(request.file);
    const auto wrong = std::make_exception_ptr(Failure(
        ExitCode::Failure,
        fmt::format("{}: {} has SHA-256 {}, not {}: it was damaged or replaced", request.title, request.address, found, request.sha256),
        "./xtask image sync fetches the registry anew; if that does not help, ask who publishes it"));
    first = first == nullptr ? wrong : first;
    return false;
  });
  if (first != nullptr) {
    std::rethrow_exception(first);
  }
}

}  // namespace ax::xtask
