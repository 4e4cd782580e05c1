/* For programs that end at the first mistake, with one line and the status 1. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      printf("line %d: not so: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

/* A system call that is to fail with `error`. */
#define FAILS(call, error) CHECK(((errno = 0, (call)) == -1) && errno == (error))
