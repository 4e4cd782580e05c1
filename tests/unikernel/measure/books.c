/* The shop's books of configs/apps/sqlite-disk between two marks, on whatever system. */
#define main books
#include "main.c"
#undef main

#include "mark.h"

int main(int argc, char** argv) {
  MARK(29);
  const int status = books(argc, argv);
  MARK(30);
  return status;
}
