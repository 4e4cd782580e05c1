// Makes a failed AX_CHECK say so on stderr before it ends the program, for death tests.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "kernel/base/check.hpp"

namespace ax::mm {

inline void print_panics() {
  set_panic_hook([](const char* message) {
    std::fprintf(stderr, "%s\n", message);
    std::abort();
  });
}

}  // namespace ax::mm
