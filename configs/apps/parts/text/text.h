#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The number of words, separated by blanks.
size_t count_words(const char* text);

#ifdef __cplusplus
}
#endif
