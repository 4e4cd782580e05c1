#include "tools/xtask/image/curl_library.hpp"

#include <dlfcn.h>

#include <string>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

[[noreturn]] void cannot_load() {
  const char* reason = ::dlerror();
  throw Failure(ExitCode::Environment, std::string("libcurl cannot be loaded: ") + (reason == nullptr ? "" : reason),
                "install the package libcurl4");
}

/// Finds functions by name, each with the type of what it is assigned to.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <class Function>
  void find(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(::dlsym(library_, name));
    if (function == nullptr) {
      cannot_load();
    }
  }

 private:
  void* library_;
};

CurlLibrary load() {
  void* const library = ::dlopen(XTASK_LIBCURL, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    cannot_load();
  }
  const Symbols symbols(library);
  CurlLibrary out{};
  symbols.find(out.easy_cleanup, "curl_easy_cleanup");
  symbols.find(out.easy_getinfo, "curl_easy_getinfo");
  symbols.find(out.easy_init, "curl_easy_init");
  symbols.find(out.easy_setopt, "curl_easy_setopt");
  symbols.find(out.easy_strerror, "curl_easy_strerror");
  symbols.find(out.global_init, "curl_global_init");
  symbols.find(out.multi_add_handle, "curl_multi_add_handle");
  symbols.find(out.multi_cleanup, "curl_multi_cleanup");
  symbols.find(out.multi_info_read, "curl_multi_info_read");
  symbols.find(out.multi_init, "curl_multi_init");
  symbols.find(out.multi_perform, "curl_multi_perform");
  symbols.find(out.multi_poll, "curl_multi_poll");
  symbols.find(out.multi_remove_handle, "curl_multi_remove_handle");
  if (const CURLcode started = out.global_init(CURL_GLOBAL_DEFAULT); started != CURLE_OK) {
    throw Failure(ExitCode::Environment, std::string("libcurl cannot start: ") + out.easy_strerror(started));
  }
  return out;
}

}  // namespace

const CurlLibrary& curl() {
  static const CurlLibrary library = load();
  return library;
}

}  // namespace ax::xtask
