// "Did you mean": the nearest of some known names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.hpp"

namespace ax::config {

/// Edits (insert, delete, replace, swap neighbours) between two words; case and '-' versus '_' do not count.
usize edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, if one is near enough to be meant; the first of equals.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "did you mean 'x'?", or `otherwise` when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates, std::string otherwise = {});

/// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

}  // namespace ax::config
