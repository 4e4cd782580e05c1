#include "tools/menuconfig/web.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tools/menuconfig/web_page.hpp"

namespace ax::menuconfig {
namespace {

using Json = nlohmann::ordered_json;

constexpr usize kLongestRequest = 1 << 20;
constexpr int kPatienceMs = 5000;  // for one request to arrive

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

WebResponse failure(int status, std::string_view text) { return {status, "text/plain", std::string(text) + "\n"}; }

/// In a time that does not tell how much of it is right.
bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (usize i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

Json json_of(const Model& model, usize file, const Row& row) {
  Json options = Json::array();
  for (const Option& o : model.options(file, row)) {
    options.push_back({{"value", o.value}, {"doc", o.doc}, {"selected", o.selected}, {"note", o.note}, {"forbidden", o.forbidden}});
  }
  constexpr std::string_view types[] = {"number", "boolean", "text", "list", "list", "list", "list"};
  const auto value = model.value(file, row);
  return {{"path", row.path},
          {"name", row.key->name},
          {"section", row.section->name},
          {"section_doc", row.section->doc},
          {"type", types[static_cast<usize>(row.key->type)]},
          {"open", row.key->open_choices},
          {"set", value.has_value()},
          {"value", value.value_or("")},
          {"items", model.items(file, row)},
          {"shown", model.shown_value(file, row)},
          {"help", model.help(row)},
          {"options", options}};
}

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    default: return "Method Not Allowed";
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (size <= 0 && errno != EINTR) return;
    if (size > 0) text.remove_prefix(static_cast<usize>(size));
  }
}

void send_response(int fd, const WebResponse& response) {
  write_all(fd, fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
                            "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
                            "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                            "connect-src 'self'\r\nConnection: close\r\n\r\n",
                            response.status, reason(response.status), response.type, response.body.size()) +
                    response.body);
}

std::string header(std::string_view head, std::string_view name) {
  for (usize at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    const bool same = std::equal(name.begin(), name.end(), line.begin(), [](unsigned char a, unsigned char b) {
      return std::tolower(a) == std::tolower(b);
    });
    if (!same) continue;
    const usize start = line.find_first_not_of(" \t", name.size() + 1);
    return start == std::string_view::npos ? "" : std::string(line.substr(start));
  }
  return "";
}

/// One request, or nothing: it is no HTTP, too long, or too slow.
std::optional<WebRequest> read_request(int fd) {
  std::string data;
  usize end = std::string::npos;
  usize length = 0;
  while (end == std::string::npos || data.size() < end + 4 + length) {
    pollfd wait{fd, POLLIN, 0};
    if (::poll(&wait, 1, kPatienceMs) <= 0) return std::nullopt;
    std::array<char, 16'384> part;
    const ssize_t size = ::recv(fd, part.data(), part.size(), 0);
    if (size <= 0) return std::nullopt;
    data.append(part.data(), static_cast<usize>(size));
    if (data.size() > kLongestRequest) return std::nullopt;
    if (end != std::string::npos) continue;
    end = data.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::string text = header(std::string_view(data).substr(0, end), "content-length");
    length = text.empty() ? 0 : std::strtoull(text.c_str(), nullptr, 10);
    if (length > kLongestRequest) return std::nullopt;
  }
  const std::string_view head = std::string_view(data).substr(0, end);
  const usize first = head.find(' ');
  const usize second = head.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  return WebRequest{std::string(head.substr(0, first)), std::string(head.substr(first + 1, second - first - 1)),
                    header(head, "host"), header(head, "x-token"), data.substr(end + 4, length)};
}

}  // namespace

std::string new_token() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return "";
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string WebEditor::state(const std::string& error) const {
  Json files = Json::array();
  for (usize i = 0; i < model_.files().size(); ++i) {
    const EditedFile& file = model_.files()[i];
    Json rows = Json::array();
    for (const Row& row : model_.rows(i)) rows.push_back(json_of(model_, i, row));
    Json changes = Json::array();
    for (const Change& c : model_.changes(i)) changes.push_back({{"path", c.path}, {"before", c.before}, {"after", c.after}});
    files.push_back({{"title", file.title},
                     {"path", file.shown},
                     {"exists", file.exists},
                     {"changed", file.changed()},
                     {"changes", changes},
                     {"problems", model_.problems(i)},
                     {"rows", rows}});
  }
  return Json{{"files", files}, {"undo", model_.can_undo()}, {"redo", model_.can_redo()}, {"saved", saved_}, {"error", error}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

WebResponse WebEditor::act(const std::string& action, const std::string& body) {
  const Json request = Json::parse(body, nullptr, false);
  if (!request.is_object()) return failure(400, "the request is no JSON object");
  std::string error;
  const auto note = [&](const std::expected<void, std::string>& result) {
    if (!result) error = result.error();
  };
  if (action == "undo") {
    model_.undo();
  } else if (action == "redo") {
    model_.redo();
  } else if (action == "save") {
    const auto written = model_.save(request.value("backup", false));
    if (written) saved_.insert(saved_.end(), written->begin(), written->end());
    if (!written) error = written.error();
  } else if (action == "finish") {
    finished_ = true;
  } else {
    const usize file = request.value("file", usize{0});
    const std::string path = request.value("path", "");
    if (file >= model_.files().size()) return failure(400, "there is no such file");
    const std::vector<Row> rows = model_.rows(file);
    const auto row = std::ranges::find(rows, path, &Row::path);
    if (row == rows.end()) return failure(400, "there is no such key");
    if (action == "set") {
      note(model_.set(file, *row, request.value("value", "")));
    } else if (action == "items") {
      note(model_.set_items(file, *row, request.value("items", std::vector<std::string>())));
    } else if (action == "toggle") {
      note(model_.toggle(file, *row, request.value("value", "")));
    } else if (action == "unset") {
      note(model_.unset(file, *row));
    } else {
      return failure(404, "there is no such action");
    }
  }
  return {200, "application/json", state(error)};
}

WebResponse WebEditor::answer(const WebRequest& request) {
  if (request.host != address_ && request.host != "localhost" + address_.substr(address_.find(':'))) {
    return failure(403, "this is not the address of this page");
  }
  if (request.method == "GET" && same_secret(request.target, "/?token=" + token_)) return {200, "text/html", std::string(kWebPage)};
  if (!same_secret(request.token, token_)) return failure(403, "the token is missing or wrong: use the whole address");
  constexpr std::string_view kApi = "/api/";
  if (!request.target.starts_with(kApi)) return failure(404, "there is nothing here");
  const std::string action = request.target.substr(kApi.size());
  if (request.method == "GET" && action == "state") return {200, "application/json", state("")};
  if (request.method != "POST") return failure(405, "changes are made by POST");
  try {
    return act(action, request.body);
  } catch (const Json::exception&) {
    return failure(400, "a value of the request has another type");
  }
}

std::expected<std::vector<std::string>, std::string> edit_in_browser(Model& model, u16 port,
                                                                     const std::function<void(const std::string&)>& announce) {
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (listener.fd() < 0 || ::bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener.fd(), 16) != 0 || ::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return std::unexpected(fmt::format("cannot listen on 127.0.0.1:{}: {}", port, std::strerror(errno)));
  }
  const std::string token = new_token();
  if (token.empty()) return std::unexpected("there are no random numbers for the token");
  const std::string here = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
  WebEditor editor(model, token, here);
  announce(fmt::format("http://{}/?token={}", here, token));
  while (!editor.finished()) {
    const Socket connection(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.fd() < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return std::unexpected(fmt::format("cannot accept connections: {}", std::strerror(errno)));
    }
    if (const std::optional<WebRequest> request = read_request(connection.fd())) {
      send_response(connection.fd(), editor.answer(*request));
    }
  }
  return editor.saved();
}

}  // namespace ax::menuconfig
