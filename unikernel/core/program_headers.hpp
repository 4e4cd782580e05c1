// The image's segments as the C library wants to see them (AT_PHDR): thread-local data, and what unwinders look for.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

struct ProgramHeaders {
  u64 address = 0;
  u64 entry_size = 0;
  u64 count = 0;
};

/// Made once, from the linker script's symbols. Addresses in it are where the image runs.
ProgramHeaders program_headers();

}  // namespace ax::uni
