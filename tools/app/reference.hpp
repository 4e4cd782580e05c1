// The reference page of application descriptions, from the schema.
#pragma once

#include <string>

namespace ax::app {

/// Markdown.
std::string reference_page();

}  // namespace ax::app
