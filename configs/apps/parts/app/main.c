#include <stdio.h>

#include "counter.h"

extern const char words_version[];

int main(int argc, char** argv) {
  puts(words_version);
  size_t words = 0;
  for (int i = 1; i < argc; ++i) words = counter_add(argv[i]);
  printf("%zu words\n", words);
  return 0;
}
