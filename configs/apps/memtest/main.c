// Blocks of many sizes: filled, grown, checked, given back in another order.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kBlocks = 256, kLargest = 1 << 16 };

struct Block {
  unsigned char* bytes;
  size_t size;
};

static uint32_t next_random(uint32_t* state) {
  *state = *state * 1664525U + 1013904223U;
  return *state >> 8;
}

static unsigned char pattern(size_t block, size_t at) { return (unsigned char)(block * 31 + at * 7); }

static void fill(const struct Block* block, size_t number, size_t from) {
  for (size_t i = from; i < block->size; ++i) block->bytes[i] = pattern(number, i);
}

static size_t mistakes_in(const struct Block* block, size_t number) {
  size_t mistakes = 0;
  for (size_t i = 0; i < block->size; ++i) mistakes += block->bytes[i] != pattern(number, i);
  return mistakes;
}

int main(void) {
  static struct Block blocks[kBlocks];
  uint32_t state = 1;
  size_t total = 0;
  size_t mistakes = 0;
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i].size = 1 + next_random(&state) % kLargest;
    blocks[i].bytes = malloc(blocks[i].size);
    if (blocks[i].bytes == NULL) return 1;
    fill(&blocks[i], i, 0);
  }
  for (size_t i = 0; i < kBlocks; i += 2) {
    const size_t old = blocks[i].size;
    unsigned char* grown = realloc(blocks[i].bytes, old * 2);
    if (grown == NULL) return 1;
    blocks[i].bytes = grown;
    blocks[i].size = old * 2;
    fill(&blocks[i], i, old);
  }
  for (size_t step = 0; step < kBlocks; ++step) {
    const size_t i = step * 97 % kBlocks;
    total += blocks[i].size;
    mistakes += mistakes_in(&blocks[i], i);
    free(blocks[i].bytes);
  }
  printf("%d blocks, %zu bytes\n", kBlocks, total);
  if (mistakes != 0) {
    printf("%zu mistakes\n", mistakes);
    return 1;
  }
  puts("no mistakes");
  return 0;
}
