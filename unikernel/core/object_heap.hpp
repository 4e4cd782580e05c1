// Where services get memory for their own objects.
#pragma once

#include "kernel/mm/heap.hpp"

namespace ax::uni {

/// Of the frames that the program does not get; any number of threads. Not for interrupts.
mm::ObjectAllocator& object_heap();

}  // namespace ax::uni
