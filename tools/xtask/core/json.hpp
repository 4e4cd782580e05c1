// JSON for other programs to read: what --json prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

/// `"text"` as JSON has it. Bytes that are no UTF-8 are the caller's to avoid.
std::string json_quote(std::string_view text);

/// ["a", "b"]
std::string json_strings(const std::vector<std::string>& items);

}  // namespace ax::xtask
