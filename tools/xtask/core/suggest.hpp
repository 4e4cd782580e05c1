// "Did you mean ...?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ax::xtask {

/// The candidate nearest to `wrong`, or "" where none is near enough to be a slip of the pen.
std::string nearest(std::string_view wrong, std::span<const std::string> candidates);

/// `; did you mean 'X'?`, or "" without a near candidate: to be appended to a message.
std::string did_you_mean(std::string_view wrong, std::span<const std::string> candidates);

}  // namespace ax::xtask
