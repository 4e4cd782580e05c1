/* The program of the guests arceos-*: one image, which boots on QEMU by itself, too. */
#include <stdio.h>
#include <sys/utsname.h>

int main(int argc, char** argv) {
  struct utsname system;
  uname(&system);
  printf("Hello from a unikernel on %s, %d argument(s):", system.machine, argc - 1);
  for (int i = 1; i < argc; ++i) printf(" %s", argv[i]);
  putchar('\n');
  return 0;
}
