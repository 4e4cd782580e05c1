/* Threads, cancellation and signals. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static struct timespec in_milliseconds(clockid_t clock, long milliseconds) {
  struct timespec now;
  clock_gettime(clock, &now);
  now.tv_nsec += milliseconds * 1000000;
  now.tv_sec += now.tv_nsec / 1000000000;
  now.tv_nsec %= 1000000000;
  return now;
}

/* ---- threads */

static pthread_mutex_t robust;
static void* die_with_it(void* unused) {
  pthread_mutex_lock(&robust);
  return unused;
}

static pthread_key_t keys[20];
static int ended;
static void end(void* value) { __atomic_add_fetch(&ended, (int)(intptr_t)value, __ATOMIC_SEQ_CST); }
static _Thread_local struct {
  char small;
  _Alignas(64) int aligned;
} local = {3, 5};

static void* use_keys(void* unused) {
  for (int i = 0; i < 20; ++i) {
    CHECK(pthread_getspecific(keys[i]) == NULL);
    CHECK(pthread_setspecific(keys[i], (void*)(intptr_t)(i + 1)) == 0);
  }
  CHECK(local.small == 3 && local.aligned == 5 && (uintptr_t)&local.aligned % 64 == 0);
  local.small = 9;
  return unused;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void* try_it(void* result) {
  *(int*)result = pthread_mutex_trylock(&mutex);
  if (*(int*)result == 0) pthread_mutex_unlock(&mutex);
  return result;
}

static pthread_barrier_t barrier;
static int serials;
static void* meet(void* unused) {
  for (int i = 0; i < 20; ++i)
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serials, 1, __ATOMIC_SEQ_CST);
  return unused;
}

static void at_quick(void) {}
static void* leave(void* value) { pthread_exit(value); }

void check_threads(void) {
  pthread_t thread;
  int result = -1;
  /* kinds of mutexes */
  pthread_mutexattr_t kind;
  pthread_mutex_t other;
  CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK) == 0 &&
        pthread_mutex_init(&other, &kind) == 0);
  CHECK(pthread_mutex_lock(&other) == 0 && pthread_mutex_lock(&other) == EDEADLK && pthread_mutex_unlock(&other) == 0 &&
        pthread_mutex_unlock(&other) == EPERM);
  CHECK(pthread_mutex_destroy(&other) == 0 && pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE) == 0 &&
        pthread_mutex_init(&other, &kind) == 0);
  CHECK(pthread_mutex_lock(&other) == 0 && pthread_mutex_trylock(&other) == 0 && pthread_mutex_unlock(&other) == 0 &&
        pthread_mutex_unlock(&other) == 0);
  pthread_mutex_destroy(&other);
  pthread_mutex_lock(&mutex);
  CHECK(pthread_create(&thread, NULL, try_it, &result) == 0 && pthread_join(thread, NULL) == 0 && result == EBUSY);
  struct timespec soon = in_milliseconds(CLOCK_REALTIME, 5);
  CHECK(pthread_mutex_timedlock(&mutex, &soon) == ETIMEDOUT && pthread_mutex_unlock(&mutex) == 0);
  /* a robust one outlives its owner */
  CHECK(pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_NORMAL) == 0 &&
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
  CHECK(pthread_mutex_init(&robust, &kind) == 0 && pthread_create(&thread, NULL, die_with_it, NULL) == 0 &&
        pthread_join(thread, NULL) == 0);
  CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD && pthread_mutex_consistent(&robust) == 0 &&
        pthread_mutex_unlock(&robust) == 0);
  CHECK(pthread_create(&thread, NULL, die_with_it, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD && pthread_mutex_unlock(&robust) == 0 &&
        pthread_mutex_lock(&robust) == ENOTRECOVERABLE);
  /* keys */
  for (int i = 0; i < 20; ++i) CHECK(pthread_key_create(&keys[i], end) == 0);
  CHECK(pthread_create(&thread, NULL, use_keys, NULL) == 0 && pthread_join(thread, NULL) == 0 && ended == 210 &&
        local.small == 3);
  for (int i = 0; i < 20; ++i) CHECK(pthread_key_delete(keys[i]) == 0);
  /* conditions with deadlines of both clocks, semaphores, barriers */
  pthread_condattr_t clock;
  pthread_cond_t condition;
  CHECK(pthread_condattr_init(&clock) == 0 && pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) == 0 &&
        pthread_cond_init(&condition, &clock) == 0);
  pthread_mutex_lock(&mutex);
  soon = in_milliseconds(CLOCK_MONOTONIC, 5);
  CHECK(pthread_cond_timedwait(&condition, &mutex, &soon) == ETIMEDOUT && pthread_mutex_unlock(&mutex) == 0);
  soon.tv_nsec = 1000000000;
  pthread_mutex_lock(&mutex);
  CHECK(pthread_cond_timedwait(&condition, &mutex, &soon) == EINVAL);
  pthread_mutex_unlock(&mutex);
  sem_t semaphore;
  CHECK(sem_init(&semaphore, 0, 1) == 0 && sem_wait(&semaphore) == 0 && sem_trywait(&semaphore) == -1 && errno == EAGAIN);
  soon = in_milliseconds(CLOCK_REALTIME, 5);
  CHECK(sem_timedwait(&semaphore, &soon) == -1 && errno == ETIMEDOUT && sem_post(&semaphore) == 0 &&
        sem_getvalue(&semaphore, &result) == 0 && result == 1);
  sem_destroy(&semaphore);
  pthread_t four[4];
  CHECK(pthread_barrier_init(&barrier, NULL, 4) == 0);
  for (int i = 0; i < 4; ++i) CHECK(pthread_create(&four[i], NULL, meet, NULL) == 0);
  for (int i = 0; i < 4; ++i) CHECK(pthread_join(four[i], NULL) == 0);
  CHECK(serials == 20 && pthread_barrier_destroy(&barrier) == 0);
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  CHECK(pthread_rwlock_rdlock(&lock) == 0 && pthread_rwlock_tryrdlock(&lock) == 0 && pthread_rwlock_trywrlock(&lock) == EBUSY);
  CHECK(pthread_rwlock_unlock(&lock) == 0 && pthread_rwlock_unlock(&lock) == 0 && pthread_rwlock_trywrlock(&lock) == 0 &&
        pthread_rwlock_unlock(&lock) == 0);
  pthread_spinlock_t spin;
  CHECK(pthread_spin_init(&spin, 0) == 0 && pthread_spin_lock(&spin) == 0 && pthread_spin_trylock(&spin) == EBUSY &&
        pthread_spin_unlock(&spin) == 0);
  /* attributes */
  pthread_attr_t attributes;
  size_t size;
  void* value;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 1) == EINVAL &&
        pthread_attr_setstacksize(&attributes, 262144) == 0);
  CHECK(pthread_create(&thread, &attributes, leave, &size) == 0 && pthread_join(thread, &value) == 0 && value == &size);
  static _Alignas(16) char stack[65536];
  CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0 && pthread_create(&thread, &attributes, leave, stack) == 0);
  CHECK(pthread_join(thread, &value) == 0 && value == stack && pthread_equal(pthread_self(), pthread_self()));
  CHECK(pthread_attr_setdetachstate(&attributes, 77) == EINVAL && pthread_attr_destroy(&attributes) == 0);
  CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0 && pthread_attr_getstack(&attributes, &value, &size) == 0 &&
        size >= 65536);
  /* memory that is not there is refused, in every size */
  CHECK(malloc(SIZE_MAX / 2 - 100) == NULL && errno == ENOMEM && calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
  free(NULL);
  void *none = malloc(0), *again = malloc(0);
  CHECK(none != NULL && none != again);
  free(none);
  free(again);
  CHECK(posix_memalign(&value, 3, 8) == EINVAL && posix_memalign(&value, 4096, 100) == 0 && (uintptr_t)value % 4096 == 0);
  free(value);
  CHECK(aligned_alloc(64, 128) != NULL && reallocarray(NULL, SIZE_MAX / 2, 4) == NULL && errno == ENOMEM);
  CHECK(sched_yield() == 0 && atexit(at_quick) == 0 && at_quick_exit(at_quick) == 0);
}

/* ---- cancellation */

static int cleaned;
static void clean(void* by) { cleaned += (int)(intptr_t)by; }

static sem_t begun, cancelled;
static void* wait_for_ever(void* unused) {
  pthread_cleanup_push(clean, (void*)1);
  pthread_cleanup_push(clean, (void*)10);
  sem_post(&begun);
  for (;;) pause();
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
  return unused;
}

static void unlock(void* held) { pthread_mutex_unlock(held); }
static void* wait_for_condition(void* unused) {
  pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(unlock, &mutex);
  sem_post(&begun);
  for (;;) pthread_cond_wait(&never, &mutex);
  pthread_cleanup_pop(0);
  return unused;
}

static void* refuse(void* unused) {
  int old;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  sem_post(&begun);
  sem_wait(&cancelled);
  pthread_testcancel();
  cleaned = 100;
  pthread_setcancelstate(old, NULL);
  pthread_testcancel();
  cleaned = 200;
  return unused;
}

void check_cancellation(void) {
  pthread_t thread;
  void* result;
  sem_init(&begun, 0, 0);
  sem_init(&cancelled, 0, 0);
  CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0 && sem_wait(&begun) == 0);
  CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 11);
  CHECK(pthread_create(&thread, NULL, wait_for_condition, NULL) == 0 && sem_wait(&begun) == 0);
  CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
  CHECK(pthread_mutex_trylock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
  cleaned = 0;
  CHECK(pthread_create(&thread, NULL, refuse, NULL) == 0 && sem_wait(&begun) == 0);
  CHECK(pthread_cancel(thread) == 0 && sem_post(&cancelled) == 0 && pthread_join(thread, &result) == 0 &&
        result == PTHREAD_CANCELED && cleaned == 100);
}

/* ---- signals */

static volatile sig_atomic_t came, last;
static void note(int signal) {
  ++came;
  last = signal;
}
static volatile int told;
static void note_all(int signal, siginfo_t* information, void* context) {
  (void)context;
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  told = information->si_signo == signal && sigismember(&now, signal) == 1 && sigismember(&now, SIGUSR2) == 1;
}

void check_signals(void) {
  sigset_t set, old, pending;
  CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGUSR1) == 0 && sigismember(&set, SIGUSR1) == 1 &&
        sigismember(&set, SIGUSR2) == 0);
  CHECK(sigaddset(&set, 0) == -1 && errno == EINVAL && sigaddset(&set, 200) == -1 && sigfillset(&pending) == 0 &&
        sigdelset(&pending, SIGINT) == 0);
  CHECK(signal(SIGUSR1, note) == SIG_DFL && raise(SIGUSR1) == 0 && came == 1 && signal(SIGUSR1, SIG_IGN) == note &&
        raise(SIGUSR1) == 0 && came == 1);
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESETHAND}, before;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && came == 2 && sigaction(SIGUSR1, NULL, &before) == 0 &&
        before.sa_handler == SIG_DFL);
  CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL && sigaction(999, &action, NULL) == -1 && errno == EINVAL);
  action = (struct sigaction){.sa_sigaction = note_all, .sa_flags = SA_SIGINFO};
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && told);
  CHECK(sigprocmask(SIG_BLOCK, NULL, &old) == 0 && sigismember(&old, SIGUSR1) == 0 && sigismember(&old, SIGUSR2) == 0);
  signal(SIGUSR1, note);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  came = 0;
  CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && raise(SIGUSR1) == 0 && came == 0 && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGUSR1) == 1);
  int number = 0;
  CHECK(sigwait(&set, &number) == 0 && number == SIGUSR1 && sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 0);
  CHECK(sigtimedwait(&set, NULL, &(struct timespec){0, 1000000}) == -1 && errno == EAGAIN);
  CHECK(raise(SIGUSR1) == 0 && sigsuspend(&old) == -1 && errno == EINTR && came == 1 &&
        sigprocmask(SIG_SETMASK, &old, NULL) == 0);
  /* a timer interrupts what waits, and says how much was left */
  signal(SIGALRM, note);
  CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 5000}}, NULL) == 0);
  struct timespec left = {0, 0};
  CHECK(nanosleep(&(struct timespec){10, 0}, &left) == -1 && errno == EINTR && left.tv_sec == 9 && last == SIGALRM);
  CHECK(alarm(100) == 0 && alarm(0) >= 99);
  /* kill() finds errors */
  CHECK(kill(getpid(), 0) == 0 && kill(getpid(), 99) == -1 && errno == EINVAL && pthread_kill(pthread_self(), 0) == 0 &&
        pthread_kill(pthread_self(), 200) == EINVAL);
  CHECK_TEXT(strsignal(SIGSEGV), "Segmentation fault");
}
