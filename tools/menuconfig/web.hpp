// menuconfig in a browser: the same model as a page that this machine alone can reach.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/menuconfig/model.hpp"

namespace ax::menuconfig {

struct WebRequest {
  std::string method;
  std::string target;  ///< path and query
  std::string host;    ///< the Host header
  std::string token;   ///< the X-Token header
  std::string body;
};

struct WebResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
};

/// Answers requests; no sockets. Everything needs the token: the page in its address, what the page asks for in a header, which
/// another site's page cannot send. A Host that is not `address` is refused, so that no other name leads here.
class WebEditor {
 public:
  /// `address`: "127.0.0.1:4711".
  WebEditor(Model& model, std::string token, std::string address)
      : model_(model), token_(std::move(token)), address_(std::move(address)) {}

  WebResponse answer(const WebRequest& request);
  /// The user is done.
  bool finished() const { return finished_; }
  const std::vector<std::string>& saved() const { return saved_; }

 private:
  WebResponse act(const std::string& action, const std::string& body);
  std::string state(const std::string& error) const;

  Model& model_;
  std::string token_;
  std::string address_;
  bool finished_ = false;
  std::vector<std::string> saved_;
};

/// 32 hexadecimal digits that nobody can guess.
std::string new_token();

/// Serves the model on 127.0.0.1 (`port` 0: any free one) until the user is done or a signal arrives. `announce` gets the address
/// with the token, once connections are accepted. Returns the files that were saved. Error: a sentence.
std::expected<std::vector<std::string>, std::string> edit_in_browser(Model& model, u16 port,
                                                                     const std::function<void(const std::string&)>& announce);

}  // namespace ax::menuconfig
