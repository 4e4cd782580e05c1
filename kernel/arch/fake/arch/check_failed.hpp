// Where a failed AX_CHECK goes: a message and abort(), for death tests.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ax {

[[noreturn]] inline void check_failed(const char* what) {
  std::fprintf(stderr, "check failed: %s\n", what);
  std::abort();
}

}  // namespace ax
