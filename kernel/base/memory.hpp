// What memory.cpp's C functions do, callable by another name so that host tests reach it.
//
// Every access is aligned, so the functions work before the MMU is on, on Device memory too.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::memory {

void copy(void* destination, const void* source, usize size);             ///< no overlap, or destination < source
void copy_backward(void* destination, const void* source, usize size);    ///< any overlap with destination > source
void fill(void* destination, u8 value, usize size);
int compare(const void* a, const void* b, usize size);

}  // namespace ax::memory
