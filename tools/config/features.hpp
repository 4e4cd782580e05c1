// The optional parts of the hypervisor that a board's `features` names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.hpp"

namespace ax::config {

struct Feature {
  std::string_view name;
  std::string_view doc;  ///< what it is and what it changes
  std::span<const std::string_view> aliases{};
  std::span<const std::string_view> platforms{};  ///< empty: every platform
  std::span<const std::string_view> needs{};      ///< features that come with it
  bool always = false;                            ///< in effect on its platforms even when no board names it
  bool built = true;  ///< false: selecting it only warns, and a VM that needs it is an error
};

/// Every known feature, sorted by name.
std::span<const Feature> all_features();

/// By name or alias.
const Feature* find_feature(std::string_view name);

struct Platform;

/// Whether the feature exists on `platform`.
bool available_on(const Feature& feature, const Platform& platform);

/// "ept-level-4" -> "EPT_LEVEL_4", for CMake variables.
std::string upper_identifier(std::string_view name);
/// "ept-level-4" -> "EptLevel4", for C++ constants.
std::string camel_identifier(std::string_view name);

/// Every spelling of every feature that exists on `platform`, for suggestions.
std::vector<std::string> feature_names(const Platform& platform);

}  // namespace ax::config
