// What mmap() of a file asks the service that has files for.
#pragma once

#include <span>

#include "kernel/base/types.hpp"

namespace ax::uni {

/// Reads the file from `offset` on; what is beyond its end stays zero. The number of bytes, or -errno.
using FilePages = i64 (*)(i64 file, u64 offset, std::span<char> pages);
void set_file_pages(FilePages read);

}  // namespace ax::uni
