// A source tree of RuxOS as the provider of the system: the commands that Ruxgo and RuxOS's own makefiles run there.
#pragma once

#include "tools/app/os_provider.hpp"

namespace ax::app {

/// What differs between the releases that this was written for.
struct RuxosRelease {
  std::string_view name;
  bool has_ruxlibc;
  std::string_view log_features;    ///< "ruxfeat/log-level-", completed by the level
  std::string_view aarch64_target;  ///< Rust's
  bool old_definitions;             ///< RUX_CONFIG_INFO, not RUX_LOG_INFO
  bool more_services;               ///< its makefiles always add some
};

/// The release of the tree at `folder`, told by what is there. Error: a sentence for the user.
std::expected<const RuxosRelease*, std::string> ruxos_release(const std::filesystem::path& folder);

/// Needs cargo, rust-lld, rust-objcopy and <arch>-linux-musl-gcc when it is run. `build` is where everything is made, the
/// system too. Error: a sentence about what this release does not have.
std::expected<OsProvider, std::string> ruxos_provider(const Application& app, const std::filesystem::path& folder,
                                                      const std::filesystem::path& build);

}  // namespace ax::app
