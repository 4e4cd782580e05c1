#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Adds a text; returns the number of words so far.
size_t counter_add(const char* text);

#ifdef __cplusplus
}
#endif
