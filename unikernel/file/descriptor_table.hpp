// The parts of the table of descriptors that only its own system calls need.
#pragma once

#include "unikernel/file/descriptors.hpp"

namespace ax::uni {

struct Descriptor {
  OpenFile* file = nullptr;
  bool close_on_exec = false;
};

/// The lowest free descriptor from `least` on for the same OpenFile, or -errno.
i64 duplicate_descriptor(u64 descriptor, u64 least, bool close_on_exec);
/// Makes `descriptor` lead where `with` does; what it led to is closed.
i64 replace_descriptor(u64 descriptor, u64 with, bool close_on_exec);
/// nullptr: it is not open.
bool* close_on_exec_of(u64 descriptor);

}  // namespace ax::uni
