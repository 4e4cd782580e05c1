/* What every program on the unikernel relies on. The first argument says which part of it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int keep;

__attribute__((noinline)) static void store_through(volatile int* place) {
  *place = 1;
  keep = 1;
}

__attribute__((noinline)) static int descend(int depth) {
  volatile char room[256];
  room[0] = (char)depth;
  if (keep == -1) return 0;
  keep = descend(depth + 1) + room[0];
  return keep;
}

/* Takes memory until there is none; returns the number of MiB. */
static int exhaust(void) {
  static void* blocks[4096];
  int count = 0;
  while (count < 4096 && (blocks[count] = malloc(1 << 20)) != NULL) {
    memset(blocks[count], count, 1 << 20);
    ++count;
  }
  const int error = errno;
  for (int i = 0; i < count; ++i) {
    const unsigned char* bytes = blocks[i];
    if (bytes[0] != (unsigned char)i || bytes[(1 << 20) - 1] != (unsigned char)i) printf("block %d has changed\n", i);
    free(blocks[i]);
  }
  errno = error;
  return count;
}

static void read_lines(void) {
  char line[256];
  int lines = 0;
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("line of %d\n", (int)strcspn(line, "\n"));
    ++lines;
  }
  printf("%d lines\n", lines);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (argc == 1) {
    printf("Hello, %s! %.2f\n", argv[0], 3.25);
    printf("floating point of a library: %f\n", sqrt((double)argc + 1));
    return 0;
  }
  if (strcmp(what, "exit") == 0 && argc == 3) {
    printf("%d arguments: %s %s %s\n", argc, argv[0], argv[1], argv[2]);
    return atoi(argv[2]);
  }
  if (strcmp(what, "unknown") == 0) {
    sync();
    sync();
    return 0;
  }
  if (strcmp(what, "read") == 0) read_lines();
  if (strcmp(what, "null") == 0) store_through(NULL);
  if (strcmp(what, "read-null") == 0) return *(volatile int*)NULL;
  if (strcmp(what, "call") == 0) {
    void (*volatile function)(void) = NULL;
    function();
  }
  if (strcmp(what, "deep") == 0) descend(0);
  if (strcmp(what, "abort") == 0) abort();
  if (strcmp(what, "exhaust") == 0) {
    const int count = exhaust();
    printf("out of memory after %d MiB: %s\n", count, strerror(errno));
    printf("%s\n", exhaust() == count ? "and as much again" : "some of it did not come back");
  }
  return 0;
}
