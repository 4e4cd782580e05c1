/* Pipes, waiting for several files, signals and clocks, part by part; the first argument says which. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../check.h"

static int64_t now(void) {
  struct timespec time;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- pipes */

enum { kMuch = 1 << 20 };

static void* write_much(void* fd) {
  unsigned char bytes[1000];
  for (int sent = 0; sent < kMuch; sent += sizeof bytes) {
    for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = (unsigned char)((sent + i) * 7);
    const size_t size = kMuch - sent < (int)sizeof bytes ? (size_t)(kMuch - sent) : sizeof bytes;
    CHECK(write(*(int*)fd, bytes, size) == (ssize_t)size);
  }
  CHECK(close(*(int*)fd) == 0);
  return NULL;
}

static void pipes(void) {
  int ends[2];
  char buffer[8192];
  CHECK(pipe(ends) == 0 && ends[0] == 3 && ends[1] == 4);
  CHECK(write(ends[1], "hello", 5) == 5 && read(ends[0], buffer, 3) == 3 && read(ends[0], buffer, 99) == 2);
  FAILS(read(ends[1], buffer, 1), EBADF);
  FAILS(write(ends[0], buffer, 1), EBADF);
  FAILS(lseek(ends[0], 0, SEEK_SET), ESPIPE);
  struct stat status;
  CHECK(fstat(ends[0], &status) == 0 && S_ISFIFO(status.st_mode));
  pthread_t writer;
  CHECK(pthread_create(&writer, NULL, write_much, &ends[1]) == 0);
  int total = 0;
  for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) > 0; total += (int)size)
    for (ssize_t i = 0; i < size; ++i) CHECK((unsigned char)buffer[i] == (unsigned char)((total + i) * 7));
  CHECK(total == kMuch && pthread_join(writer, NULL) == 0 && close(ends[0]) == 0);
  CHECK(pipe2(ends, O_NONBLOCK) == 0);
  FAILS(read(ends[0], buffer, 1), EAGAIN);
  ssize_t size = 0, written;
  while ((written = write(ends[1], buffer, sizeof buffer)) > 0) size += written;
  CHECK(errno == EAGAIN && size == 65536);
  signal(SIGPIPE, SIG_IGN);
  CHECK(close(ends[0]) == 0);
  FAILS(write(ends[1], buffer, 1), EPIPE);
  CHECK(close(ends[1]) == 0);
}

/* ---- waiting for files */

static void* write_later(void* fd) {
  usleep(30000);
  CHECK(write(*(int*)fd, "x", 1) == 1);
  return NULL;
}

static void waits(int (*wait_for)(int fd, int milliseconds)) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  int64_t start = now();
  CHECK(wait_for(ends[0], 50) == 0 && now() - start >= 49);
  CHECK(wait_for(ends[0], 0) == 0);
  pthread_t writer;
  CHECK(pthread_create(&writer, NULL, write_later, &ends[1]) == 0);
  CHECK(wait_for(ends[0], -1) == 1);
  CHECK(wait_for(ends[0], 1000) == 1);
  CHECK(pthread_join(writer, NULL) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
}

static int poll_one(int fd, int milliseconds) {
  struct pollfd files[] = {{.fd = -1, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  const int result = poll(files, 2, milliseconds);
  CHECK(result < 0 || (result == 1) == (files[1].revents == POLLIN));
  return result;
}

static void polls(void) {
  waits(poll_one);
  int ends[2];
  CHECK(pipe(ends) == 0);
  struct pollfd files[] = {
      {.fd = ends[1], .events = POLLOUT | POLLIN}, {.fd = 99, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
  CHECK(poll(files, 3, 0) == 3 && files[0].revents == POLLOUT && files[1].revents == POLLNVAL && files[2].revents == POLLOUT);
  CHECK(close(ends[1]) == 0);
  struct pollfd end = {.fd = ends[0], .events = POLLIN};
  CHECK(poll(&end, 1, -1) == 1 && end.revents == POLLHUP);
}

static int select_one(int fd, int milliseconds) {
  fd_set readers;
  FD_ZERO(&readers);
  FD_SET(fd, &readers);
  struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
  const int result = select(fd + 1, &readers, NULL, NULL, milliseconds < 0 ? NULL : &time);
  CHECK(result < 0 || (result == 1) == (FD_ISSET(fd, &readers) != 0));
  return result;
}

static void selects(void) {
  waits(select_one);
  FAILS(select_one(200, 0), EBADF);
}

static int epoll_one(int fd, int milliseconds) {
  const int list = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef};
  CHECK(list >= 0 && epoll_ctl(list, EPOLL_CTL_ADD, fd, &event) == 0);
  FAILS(epoll_ctl(list, EPOLL_CTL_ADD, fd, &event), EEXIST);
  struct epoll_event got[4];
  const int result = epoll_wait(list, got, 4, milliseconds);
  CHECK(result <= 0 || (got[0].events == EPOLLIN && got[0].data.u64 == 0x123456789abcdef));
  CHECK(close(list) == 0);
  return result;
}

static void epolls(void) {
  waits(epoll_one);
  const int counter = eventfd(3, EFD_NONBLOCK), list = epoll_create1(0);
  uint64_t value = 4;
  CHECK(counter >= 0 && list >= 0 && write(counter, &value, 8) == 8 && read(counter, &value, 8) == 8 && value == 7);
  FAILS(read(counter, &value, 8), EAGAIN);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = counter};
  CHECK(epoll_ctl(list, EPOLL_CTL_ADD, counter, &event) == 0 && epoll_wait(list, &event, 1, 0) == 0);
  value = 1;
  CHECK(write(counter, &value, 8) == 8 && epoll_wait(list, &event, 1, -1) == 1 && event.data.fd == counter);
  CHECK(epoll_wait(list, &event, 1, 0) == 0);
  CHECK(epoll_ctl(list, EPOLL_CTL_DEL, counter, NULL) == 0);
  FAILS(epoll_ctl(list, EPOLL_CTL_DEL, counter, NULL), ENOENT);
  FAILS(epoll_wait(1, &event, 1, 0), EINVAL);
}

/* ---- signals */

static volatile sig_atomic_t caught, last;

static void note(int signal) {
  ++caught;
  last = signal;
}
static void note_all(int signal, siginfo_t* information, void* context) {
  sigset_t mask;
  CHECK(context != NULL && information->si_signo == signal && sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
  CHECK(sigismember(&mask, signal) == 1 && sigismember(&mask, SIGUSR2) == 1);
  note(signal);
}

static void* kill_later(void* thread) {
  usleep(30000);
  CHECK(pthread_kill(*(pthread_t*)thread, SIGUSR1) == 0);
  return NULL;
}

static void* wait_for_ever(void* semaphore) {
  sem_wait(semaphore);
  return NULL;
}

static void signals(void) {
  struct sigaction action = {.sa_sigaction = note_all, .sa_flags = SA_SIGINFO};
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && caught == 1 && last == SIGUSR1);
  CHECK(kill(getpid(), SIGUSR1) == 0 && caught == 2);
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && raise(SIGUSR1) == 0 && caught == 2);
  sigset_t pending;
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
  CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && caught == 3);
  CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && raise(SIGUSR1) == 0 && caught == 3);
  CHECK(raise(SIGCHLD) == 0 && raise(0) == 0);
  /* One that ends a sleep. */
  action.sa_sigaction = note_all;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  pthread_t self = pthread_self(), other;
  CHECK(pthread_create(&other, NULL, kill_later, &self) == 0);
  FAILS(usleep(5000000), EINTR);
  CHECK(caught == 4 && pthread_join(other, NULL) == 0);
  int ends[2];
  CHECK(pipe(ends) == 0 && pthread_create(&other, NULL, kill_later, &self) == 0);
  char byte;
  FAILS(read(ends[0], &byte, 1), EINTR);
  CHECK(caught == 5 && pthread_join(other, NULL) == 0);
  /* One that is waited for. */
  CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && pthread_create(&other, NULL, kill_later, &self) == 0);
  int number = 0;
  CHECK(sigwait(&set, &number) == 0 && number == SIGUSR1 && caught == 5 && pthread_join(other, NULL) == 0);
  /* Cancelling a thread that waits. */
  sem_t semaphore;
  CHECK(sem_init(&semaphore, 0, 0) == 0 && pthread_create(&other, NULL, wait_for_ever, &semaphore) == 0);
  usleep(20000);
  void* result = NULL;
  CHECK(pthread_cancel(other) == 0 && pthread_join(other, &result) == 0 && result == PTHREAD_CANCELED);
}

static void timers(void) {
  const struct sigaction action = {.sa_handler = note}; /* without SA_RESTART */
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  const struct itimerval often = {{0, 10000}, {0, 20000}};
  const int64_t start = now();
  CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
  while (caught < 3) pause();
  CHECK(now() - start >= 38 && last == SIGALRM);
  const struct itimerval never = {{0, 0}, {0, 0}};
  struct itimerval left;
  CHECK(setitimer(ITIMER_REAL, &never, &left) == 0 && left.it_interval.tv_usec == 10000 && left.it_value.tv_usec <= 10000);
  CHECK(alarm(10) == 0 && alarm(0) >= 9);
  caught = 0;
  alarm(1);
  sem_t semaphore;
  CHECK(sem_init(&semaphore, 0, 0) == 0);
  FAILS(sem_wait(&semaphore), EINTR);
  CHECK(caught == 1);
}

static void wall_clock(void) {
  const time_t seconds = time(NULL);
  CHECK(seconds > 1700000000 && seconds < 4000000000);
  struct timespec realtime, monotonic;
  CHECK(clock_gettime(CLOCK_REALTIME, &realtime) == 0 && clock_gettime(CLOCK_MONOTONIC, &monotonic) == 0);
  CHECK(realtime.tv_sec - seconds <= 1 && monotonic.tv_sec < 1000000);
  printf("seconds: %lld\n", (long long)seconds);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } parts[] = {{"pipes", pipes},     {"polls", polls},   {"selects", selects}, {"epolls", epolls},
               {"signals", signals}, {"timers", timers}, {"clock", wall_clock}};
  const char* what = argc > 1 ? argv[1] : "";
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    if (strcmp(parts[i].name, what) != 0) continue;
    parts[i].run();
    printf("%s: in order\n", what);
    return 0;
  }
  if (strcmp(what, "end") == 0) raise(SIGTERM);
  if (strcmp(what, "segv") == 0) raise(SIGSEGV);
  return 0;
}
