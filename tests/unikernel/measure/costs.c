/* What the unikernel itself costs, between the marks that limits.json gives names to. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mark.h"

#ifdef THREADS
enum { kRounds = 1000 };

static void* yield_often(void* unused) {
  for (int i = 0; i < kRounds; ++i) sched_yield();
  return unused;
}

static int measure(void) {
  MARK(3);
  for (int i = 0; i < kRounds; ++i) syscall(SYS_getppid);
  MARK(4);
  pthread_t other;
  if (pthread_create(&other, NULL, yield_often, NULL) != 0) return 1;
  sched_yield();
  MARK(5);
  for (int i = 0; i < kRounds - 2; ++i) sched_yield();
  MARK(6);
  return pthread_join(other, NULL);
}
#else
static int measure(void) { return 0; }
#endif

int main(int argc, char** argv) {
  MARK(2);
  (void)argc;
  printf("Hello, %s!\n", argv[0]);
  return measure();
}
