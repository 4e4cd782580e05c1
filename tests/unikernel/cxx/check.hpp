// Checks of one part of the C++ library: what fails says where.
#pragma once

#include <cstdio>

/// Counts of this run.
struct Checks {
  int done = 0;
  int failed = 0;
};
extern Checks checks;

#define CHECK(condition)                                               \
  do {                                                                 \
    ++checks.done;                                                     \
    if (!(condition)) {                                                \
      ++checks.failed;                                                 \
      std::printf("%s:%d: %s\n", __FILE_NAME__, __LINE__, #condition); \
    }                                                                  \
  } while (false)

// The parts: one source file each, but for small ones.
void check_exceptions();
void check_types();
void check_containers();
void check_streams();
void check_threads();
void check_numbers();
void check_memory();
void end_by_exception();
void read_input();

/// In callback.c: calls `function` with `value`, from C.
extern "C" int call_from_c(int (*function)(int), int value);
