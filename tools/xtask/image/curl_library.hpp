// libcurl, loaded when something is fetched for the first time: it brings 30 libraries, and to load these takes longer than to
// find out that nothing has to be built.
#pragma once

#include <curl/curl.h>

namespace ax::xtask {

/// Its functions, under their own names without `curl_`.
struct CurlLibrary {
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
};

/// Loads and starts the library the first time. Throws Failure(Environment) where that does not work.
const CurlLibrary& curl();

}  // namespace ax::xtask
