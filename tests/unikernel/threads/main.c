/* POSIX threads on the unikernel. The first argument says which part. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) {                                        \
      printf("line %d: %s is not so\n", __LINE__, #condition); \
      exit(1);                                                 \
    }                                                          \
  } while (0)

enum { kThreads = 8, kRounds = 1000 };

static long milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run(pthread_t* threads, int count, void* (*function)(void*)) {
  for (int i = 0; i < count; ++i) CHECK(pthread_create(&threads[i], NULL, function, (void*)(long)i) == 0);
  for (int i = 0; i < count; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- join */

static _Thread_local int own = 7;

static void* begin(void* argument) {
  CHECK(own == 7);
  own = (int)(long)argument;
  sched_yield();
  usleep(1000);
  CHECK(own == (int)(long)argument);
  return (char*)argument + 100;
}

static void join(void) {
  pthread_t threads[16];
  for (long i = 0; i < 16; ++i) CHECK(pthread_create(&threads[i], NULL, begin, (void*)i) == 0);
  for (long i = 0; i < 16; ++i) {
    void* result;
    CHECK(pthread_join(threads[i], &result) == 0);
    CHECK((long)result == i + 100);
  }
  printf("joined 16 threads\n");
}

/* ---- mutex */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void* count(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    pthread_mutex_lock(&mutex);
    const long old = counter;
    if (i % 64 == 0) sched_yield();
    counter = old + 1;
    pthread_mutex_unlock(&mutex);
  }
  return argument;
}

/* ---- the stack of a thread ends at a page that is not there */

static volatile int keep;

__attribute__((noinline)) static int descend(int depth) {
  volatile char room[256];
  room[0] = (char)depth;
  if (keep == -1) return 0;
  keep = descend(depth + 1) + room[0];
  return keep;
}

static void* overflow(void* unused) {
  descend(0);
  return unused;
}

/* Threads until there is no memory for another stack. */
static void* wait_for_end(void* unused) {
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  return unused;
}

static void too_many(void) {
  static pthread_t threads[4096];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, 4 << 20) == 0);
  int count = 0, error = 0;
  pthread_mutex_lock(&mutex);
  while (count < 4096 && (error = pthread_create(&threads[count], &attributes, wait_for_end, NULL)) == 0) ++count;
  pthread_mutex_unlock(&mutex);
  CHECK(count > 4 && error == EAGAIN);
  for (int i = 0; i < count; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(pthread_create(&threads[0], &attributes, wait_for_end, NULL) == 0 && pthread_join(threads[0], NULL) == 0);
  printf("no thread more, until others have ended\n");
}

/* ---- condition */

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn, passed;
enum { kPlayers = 4, kPasses = 4000 };

static void* play(void* argument) {
  const int me = (int)(long)argument;
  pthread_mutex_lock(&mutex);
  while (passed < kPasses) {
    if (turn % kPlayers != me) {
      pthread_cond_wait(&condition, &mutex);
      continue;
    }
    ++turn;
    ++passed;
    pthread_cond_broadcast(&condition);
  }
  pthread_mutex_unlock(&mutex);
  return NULL;
}

/* ---- spin */

static atomic_int stop;

static void* spin(void* argument) {
  while (!atomic_load(&stop));
  return argument;
}

static void* stop_all(void* argument) {
  usleep(20000);
  atomic_store(&stop, 1);
  return argument;
}

/* ---- float */

static double sums[kThreads];

static void* sum(void* argument) {
  double total = 0;
  for (int i = 1; i < 2000000; ++i) total += 1.0 / i;
  sums[(long)argument] = total;
  return NULL;
}

/* ---- parallel */

static atomic_int arrived;

static void* meet(void* argument) {
  /* Only threads that run at the same time come out quickly; none of them waits for the system. */
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < 4);
  return argument;
}

static void* leave(void* argument) {
  atomic_fetch_add(&arrived, 1);
  return argument;
}

static void* end(void* argument) { exit(argument == NULL ? 42 : 1); }

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  pthread_t threads[kThreads];
  if (strcmp(what, "join") == 0) join();
  if (strcmp(what, "mutex") == 0) {
    run(threads, kThreads, count);
    printf("counted %ld of %d\n", counter, kThreads * kRounds);
  }
  if (strcmp(what, "condition") == 0) {
    run(threads, kPlayers, play);
    printf("passed the token %d times\n", passed);
  }
  if (strcmp(what, "deep") == 0) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, overflow, NULL) == 0);
    pthread_join(thread, NULL);
  }
  if (strcmp(what, "too-many") == 0) too_many();
  if (strcmp(what, "spin") == 0) {
    pthread_t stopper;
    CHECK(pthread_create(&stopper, NULL, stop_all, NULL) == 0);
    run(threads, 6, spin);
    pthread_join(stopper, NULL);
    printf("the spinning threads were stopped\n");
  }
  if (strcmp(what, "float") == 0) {
    run(threads, kThreads, sum);
    for (int i = 1; i < kThreads; ++i) CHECK(sums[i] == sums[0]);
    printf("%d sums agree\n", kThreads);
  }
  if (strcmp(what, "timeout") == 0) {
    const long begin = milliseconds();
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
    printf("timed out after %s\n", milliseconds() - begin >= 50 ? "50 ms or more" : "too short a time");
    const long before = milliseconds();
    usleep(20000);
    printf("slept %s\n", milliseconds() - before >= 20 ? "20 ms or more" : "too short a time");
  }
  if (strcmp(what, "detach") == 0) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 200; ++i) {
      pthread_t thread;
      while (pthread_create(&thread, &attributes, leave, NULL) != 0) usleep(1000);
    }
    while (atomic_load(&arrived) < 200) usleep(1000);
    printf("%d threads came and went\n", atomic_load(&arrived));
  }
  if (strcmp(what, "parallel") == 0) {
    run(threads, 4, meet);
    printf("%d threads met\n", atomic_load(&arrived));
  }
  if (strcmp(what, "exit") == 0) {
    CHECK(pthread_create(&threads[0], NULL, end, NULL) == 0);
    pthread_join(threads[0], NULL);
  }
  return 0;
}
