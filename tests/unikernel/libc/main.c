/* The C library on this system, part by part; the first argument says which. Every mistake is one line and the status 1. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "../check.h"

/* ---- strings */

static void strings(void) {
  char buffer[300], other[300];
  /* Every alignment and many lengths of what is usually done word by word. */
  for (size_t from = 0; from < 17; ++from)
    for (size_t size = 0; size < 130; ++size) {
      memset(buffer, 'a', sizeof buffer);
      memset(other, 'b', sizeof other);
      memcpy(buffer + from, other + 16 - from, size);
      for (size_t i = 0; i < sizeof buffer; ++i) CHECK(buffer[i] == (i >= from && i < from + size ? 'b' : 'a'));
      buffer[from + size] = 0;
      CHECK(strlen(buffer + from) == size && memchr(buffer + from, 0, 200) == buffer + from + size);
      memmove(buffer + from + 3, buffer + from, size + 1);
      CHECK(strlen(buffer + from + 3) == size);
    }
  CHECK(strcmp("abc", "abd") < 0 && strncmp("abc", "abd", 2) == 0 && strcasecmp("ABC", "abc") == 0);
  CHECK(strcmp(strstr("a needle in hay", "needle"), "needle in hay") == 0 && strstr("hay", "needle") == NULL);
  strcpy(buffer, "one,two;;three");
  char* state;
  CHECK(strcmp(strtok_r(buffer, ",;", &state), "one") == 0 && strcmp(strtok_r(NULL, ",;", &state), "two") == 0);
  CHECK(strcmp(strtok_r(NULL, ",;", &state), "three") == 0 && strtok_r(NULL, ",;", &state) == NULL);
  CHECK(strspn("abcd", "ba") == 2 && strcspn("abcd", "dc") == 2 && strpbrk("abcd", "xc")[0] == 'c');
  CHECK(strtol("-0x7fz", &state, 0) == -0x7f && *state == 'z' && strtoull("18446744073709551615", NULL, 10) == UINT64_MAX);
  errno = 0;
  CHECK(strtol("99999999999999999999", NULL, 10) == LONG_MAX && errno == ERANGE);
  CHECK(strtod("0x1.8p3", NULL) == 12.0 && strtod("1e-3", &state) == 0.001 && isinf(strtod("1e999", NULL)));
  CHECK(isalpha('x') && !isdigit('x') && toupper('x') == 'X');
  CHECK(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
  wchar_t wide[8];
  CHECK(mbstowcs(wide, "\xc3\xa4\xe2\x82\xac", 8) == 2 && wide[0] == 0xe4 && wide[1] == 0x20ac && wcslen(wide) == 2);
}

/* ---- stdio */

static int format(char* out, size_t size, const char* text, ...) {
  va_list arguments;
  va_start(arguments, text);
  const int result = vsnprintf(out, size, text, arguments);
  va_end(arguments);
  return result;
}

static void stdio(void) {
  char out[200];
  CHECK(format(out, sizeof out, "%5d|%-5d|%05d|%+d|%x|%#o|%c|%s|%.2s|%%", 42, 42, 42, 42, 255, 8, 'c', "text", "text") == 40);
  CHECK(strcmp(out, "   42|42   |00042|+42|ff|010|c|text|te|%") == 0);
  CHECK(format(out, sizeof out, "%.3f %e %g %a %Lf", 3.14159, 12345.678, 1e-10, 1.0, 2.5L) > 0);
  CHECK(strcmp(out, "3.142 1.234568e+04 1e-10 0x1p+0 2.500000") == 0);
  CHECK(format(out, 4, "%s", "longer than that") == 16 && strcmp(out, "lon") == 0);
  CHECK(format(out, sizeof out, "%jd %zu %hhd %p", (intmax_t)-1, (size_t)2, 300, (void*)0x10) > 0 &&
        strcmp(out, "-1 2 44 0x10") == 0);
  int number, read;
  char word[20];
  double real;
  CHECK(sscanf("12 word 2.5e1 rest", "%d %19s %lf%n", &number, word, &real, &read) == 3);
  CHECK(number == 12 && strcmp(word, "word") == 0 && real == 25.0 && read == 13);
  CHECK(sscanf("[abc]", "[%[a-z]]", word) == 1 && strcmp(word, "abc") == 0);
  char* memory = NULL;
  size_t size = 0;
  FILE* file = open_memstream(&memory, &size);
  CHECK(file != NULL && fprintf(file, "%d lines\n", 3) == 8 && fputs("more", file) >= 0 && fclose(file) == 0);
  CHECK(size == 12 && strcmp(memory, "3 lines\nmore") == 0);
  file = fmemopen(memory, size, "r");
  CHECK(file != NULL && fgets(word, sizeof word, file) != NULL && strcmp(word, "3 lines\n") == 0);
  CHECK(fgetc(file) == 'm' && ungetc('M', file) == 'M' && fgetc(file) == 'M' && fseek(file, -1, SEEK_END) == 0 &&
        fgetc(file) == 'e');
  CHECK(fgetc(file) == EOF && feof(file) && fclose(file) == 0);
  free(memory);
}

/* ---- malloc */

static void memory(void) {
  enum { kBlocks = 500 };
  static struct {
    unsigned char* at;
    size_t size;
    unsigned char fill;
  } blocks[kBlocks];
  unsigned random = 1;
  for (int round = 0; round < 20000; ++round) {
    random = random * 1103515245 + 12345;
    const unsigned i = (random >> 16) % kBlocks;
    for (size_t at = 0; at < blocks[i].size; at += 97) CHECK(blocks[i].at[at] == blocks[i].fill);
    const size_t size = (random >> 8) % ((random >> 30) == 0 ? 200000 : 500);
    if ((random & 64) != 0 && blocks[i].at != NULL) {
      unsigned char* larger = realloc(blocks[i].at, size + 1);
      CHECK(larger != NULL);
      for (size_t at = 0; at < size && at < blocks[i].size; at += 97) CHECK(larger[at] == blocks[i].fill);
      blocks[i].at = larger;
    } else {
      free(blocks[i].at);
      blocks[i].at = malloc(size + 1);
      CHECK(blocks[i].at != NULL && (uintptr_t)blocks[i].at % 16 == 0);
    }
    blocks[i].size = size;
    blocks[i].fill = (unsigned char)random;
    memset(blocks[i].at, blocks[i].fill, size);
  }
  for (int i = 0; i < kBlocks; ++i) free(blocks[i].at);
  unsigned char* zeroed = calloc(1000, 1000);
  CHECK(zeroed != NULL);
  for (int i = 0; i < 1000000; ++i) CHECK(zeroed[i] == 0);
  free(zeroed);
  void* aligned = NULL;
  CHECK(posix_memalign(&aligned, 65536, 100) == 0 && (uintptr_t)aligned % 65536 == 0);
  free(aligned);
  CHECK(calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM && malloc(SIZE_MAX - 100) == NULL);
  struct sysinfo information;
  CHECK(sysinfo(&information) == 0 && information.freeram > 0 && information.freeram <= information.totalram);
  char* map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(map != MAP_FAILED && mprotect(map + 4096, 4096, PROT_NONE) == 0 && munmap(map, 4096) == 0);
  map[2 * 4096] = 1;
  CHECK(mprotect(map + 4096, 4096, PROT_READ | PROT_WRITE) == 0 && map[4096] == 0 && munmap(map + 4096, 2 * 4096) == 0);
}

/* ---- threads */

static pthread_key_t key;
static _Thread_local int own = 7;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_count, destroyed;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static int shared;

static void count_once(void) { ++once_count; }
static void destroy(void* value) { __atomic_add_fetch(&destroyed, (int)(intptr_t)value, __ATOMIC_SEQ_CST); }

static void* thread(void* argument) {
  CHECK(own == 7);
  own += (int)(intptr_t)argument;
  CHECK(pthread_setspecific(key, (void*)1) == 0 && pthread_once(&once, count_once) == 0);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 500; ++i) {
    CHECK(pthread_rwlock_wrlock(&rwlock) == 0);
    ++shared;
    CHECK(pthread_rwlock_unlock(&rwlock) == 0 && pthread_rwlock_rdlock(&rwlock) == 0 && shared > 0 &&
          pthread_rwlock_unlock(&rwlock) == 0);
  }
  CHECK(sem_post(&semaphore) == 0);
  return (void*)(intptr_t)own;
}

static void threads(void) {
  pthread_t all[8];
  CHECK(pthread_key_create(&key, destroy) == 0 && pthread_barrier_init(&barrier, NULL, 8) == 0 &&
        sem_init(&semaphore, 0, 0) == 0);
  for (intptr_t i = 0; i < 8; ++i) CHECK(pthread_create(&all[i], NULL, thread, (void*)i) == 0);
  for (int i = 0; i < 8; ++i) CHECK(sem_wait(&semaphore) == 0);
  for (intptr_t i = 0; i < 8; ++i) {
    void* result;
    CHECK(pthread_join(all[i], &result) == 0 && (intptr_t)result == 7 + i);
  }
  CHECK(once_count == 1 && destroyed == 8 && shared == 4000);
  pthread_mutexattr_t attributes;
  pthread_mutex_t recursive;
  CHECK(pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) == 0);
  CHECK(pthread_mutex_init(&recursive, &attributes) == 0 && pthread_mutex_lock(&recursive) == 0 &&
        pthread_mutex_lock(&recursive) == 0);
  CHECK(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0 &&
        pthread_mutex_unlock(&recursive) == EPERM);
}

/* ---- mathematics, time, the rest */

static int close_to(double a, double b) { return fabs(a - b) <= 1e-12 * fabs(b); }

static void mathematics(void) {
  volatile double one = 1, two = 2, zero = 0;
  CHECK(close_to(sin(one), 0.8414709848078965) && close_to(cos(one), 0.5403023058681398) &&
        close_to(atan2(one, two), 0.4636476090008061));
  CHECK(close_to(exp(one), 2.718281828459045) && close_to(log(two), 0.6931471805599453) && close_to(pow(two, 0.5), sqrt(two)));
  CHECK(floor(-1.5) == -2 && ceil(-1.5) == -1 && round(2.5) == 3 && nearbyint(2.5) == 2 && fmod(7.5, two) == 1.5 &&
        isnan(zero / zero));
  CHECK(close_to(tgamma(5), 24) && close_to(cbrt(27), 3) && hypot(3, 4) == 5 && ldexp(one, 10) == 1024 && isinf(one / zero));
  CHECK(fabsl(sinl(1.0L) - 0.841470984807896506652502321630298999L) < 1e-17L && lrint(1e9) == 1000000000);
}

static int compare(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }
static jmp_buf place;

static void rest(void) {
  struct tm broken = {.tm_year = 124, .tm_mon = 1, .tm_mday = 29, .tm_hour = 12};
  const time_t seconds = timegm(&broken);
  CHECK(seconds == 1709208000 && broken.tm_wday == 4 && broken.tm_yday == 59);
  char text[64];
  CHECK(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %a", gmtime(&seconds)) == 23 &&
        strcmp(text, "2024-02-29 12:00:00 Thu") == 0);
  struct timespec before, after, pause = {0, 5000000};
  CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0 && nanosleep(&pause, NULL) == 0 &&
        clock_gettime(CLOCK_MONOTONIC, &after) == 0);
  CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 5000000);
  int numbers[1000];
  for (int i = 0; i < 1000; ++i) numbers[i] = i * 7919 % 1000;
  qsort(numbers, 1000, sizeof *numbers, compare);
  for (int i = 0; i < 1000; ++i) CHECK(numbers[i] == i);
  const int wanted = 77;
  CHECK(bsearch(&wanted, numbers, 1000, sizeof *numbers, compare) == &numbers[77]);
  volatile int came = 0;
  const int jumped = setjmp(place);
  if (jumped == 0) {
    came = 1;
    longjmp(place, 5);
  }
  CHECK(jumped == 5 && came == 1);
  CHECK(setenv("NEW", "value", 1) == 0 && strcmp(getenv("NEW"), "value") == 0 && unsetenv("NEW") == 0 && getenv("NEW") == NULL);
  CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_NPROCESSORS_ONLN) >= 1 && getpid() > 0);
}

/* ---- what it costs, in nanoseconds of this machine's clock */

static uint64_t nanoseconds(void) {
  struct timespec now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

enum { kRounds = 20000 };

static void* yield_often(void* unused) {
  for (int i = 0; i < kRounds; ++i) sched_yield();
  return unused;
}

static void costs(void) {
  uint64_t start = nanoseconds();
  for (int i = 0; i < kRounds; ++i) syscall(SYS_getppid);
  printf("system call: %d ns\n", (int)((nanoseconds() - start) / kRounds));
  pthread_t other;
  CHECK(pthread_create(&other, NULL, yield_often, NULL) == 0);
  start = nanoseconds();
  yield_often(NULL);
  CHECK(pthread_join(other, NULL) == 0);
  printf("context switch: %d ns\n", (int)((nanoseconds() - start) / (2 * kRounds)));
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } parts[] = {{"strings", strings},         {"stdio", stdio}, {"memory", memory}, {"threads", threads},
               {"mathematics", mathematics}, {"rest", rest},   {"costs", costs}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    if (argc < 2 || strcmp(parts[i].name, argv[1]) != 0) continue;
    parts[i].run();
    printf("%s: in order\n", parts[i].name);
    return 0;
  }
  return 2;
}
