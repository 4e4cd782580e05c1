/* What the parts of this program have in common: each checks one field of the C library, and goes on after a mistake. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern int mistakes;

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    errno = 0;                                                                             \
    if (!(condition)) {                                                                    \
      printf("%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      ++mistakes;                                                                          \
    }                                                                                      \
  } while (0)

#define CHECK_TEXT(got, wanted)                                                                                                \
  do {                                                                                                                         \
    const char* got_text = (got);                                                                                              \
    if (got_text == NULL || strcmp(got_text, (wanted)) != 0) {                                                                 \
      printf("%s:%d: not so: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #got, got_text ? got_text : "(null)", (wanted)); \
      ++mistakes;                                                                                                              \
    }                                                                                                                          \
  } while (0)

void check_formats(void);
void check_scanning(void);
void check_numbers(void);
void check_strings(void);
void check_wide(void);
void check_data(void);
void check_times(void);
void check_patterns(void);
void check_environment(void);
void check_streams(void);
void check_files(void);
void check_mathematics(void);
void check_threads(void);
void check_cancellation(void);
void check_signals(void);
