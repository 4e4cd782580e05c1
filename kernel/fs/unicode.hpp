// UTF-8 and UTF-16, for names.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/static_vector.hpp"
#include "kernel/fs/file_system.hpp"

namespace ax::fs {

/// A name of a directory's entry.
using Name = StaticVector<char, kMaxName>;
inline std::string_view text(const Name& name) { return {name.begin(), name.size()}; }

/// False: it is no well-formed UTF-16, does not fit, or is a name that a path cannot contain.
bool utf16_to_utf8(std::span<const char16_t> units, Name& out);
/// False: it is no well-formed UTF-8, or does not fit.
bool utf8_to_utf16(std::string_view text, StaticVector<char16_t, kMaxName>& out);

}  // namespace ax::fs
