/* A ready-made program, as the C library of another system makes it: what a program does before and in main(), in threads and with
 * files. Each test of the description runs one part. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define CHECK(x) ((x) ? (void)0 : (printf("%s:%d: %s failed\n", __FILE__, __LINE__, #x), exit(1)))

static _Thread_local int own = 41;
static int zero, one = 1;
volatile int* nowhere;

static int greet(int argc, char** argv) {
  struct utsname system;
  CHECK(uname(&system) == 0);
  printf("Hello from %s on %s, %d arguments:", argv[0], system.machine, argc);
  for (int i = 1; i < argc; ++i) printf(" %s", argv[i]);
  printf("; HOME is %s\n", getenv("HOME") ? getenv("HOME") : "not set");
  char name[100];
  const ssize_t size = readlink("/proc/self/exe", name, sizeof name - 1);
  CHECK(size > 0);
  name[size] = 0;
  printf("file %s, page %lu, secure %lu, headers %lu, random %s\n", name, getauxval(AT_PAGESZ), getauxval(AT_SECURE),
         (unsigned long)(getauxval(AT_PHDR) != 0), getauxval(AT_RANDOM) ? "yes" : "no");
  CHECK(zero == 0 && one == 1 && own == 41);
  fprintf(stderr, "and to the error output\n");
  return argc > 2 ? atoi(argv[2]) : 0;
}

static int use_memory(void) {
  char* blocks[200];
  for (unsigned i = 0; i < COUNT(blocks); ++i) {
    const size_t size = (size_t)(i * i * 7 + 1);
    CHECK((blocks[i] = malloc(size)) != NULL);
    memset(blocks[i], (int)i, size);
  }
  for (unsigned i = 0; i < COUNT(blocks); ++i) {
    CHECK((unsigned char)blocks[i][i * i * 7] == i);
    CHECK((blocks[i] = realloc(blocks[i], (size_t)(i * i * 9 + 2))) != NULL);
    CHECK((unsigned char)blocks[i][i * i * 7] == i);
    free(blocks[i]);
  }
  char* pages = mmap(NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  pages[0] = 1;
  pages[(3 << 20) - 1] = 2;
  CHECK(mprotect(pages + 4096, 4096, PROT_READ) == 0 && pages[4096] == 0 && pages[0] == 1);
  CHECK(mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
  pages[4096] = 3;
  CHECK((pages = mremap(pages, 3 << 20, 5 << 20, MREMAP_MAYMOVE)) != MAP_FAILED && pages[4096] == 3);
  CHECK(munmap(pages, 5 << 20) == 0);
  /* sbrk() of some libraries has other sources. */
  const long end = syscall(SYS_brk, 0);
  CHECK(syscall(SYS_brk, end + 100000) == end + 100000);
  memset((void*)end, 5, 100000);
  CHECK(syscall(SYS_brk, end) == end && syscall(SYS_brk, 16) == end);
  /* The system's own memory is out of reach of mmap() and its like. */
  CHECK(mmap((void*)0x2fffff0000, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
  CHECK(munmap((void*)0x2fffff0000, 65536) != 0);
  puts("memory is right");
  return 0;
}

/* ---- threads */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int total, turn;

static void* count(void* argument) {
  own += *(int*)argument;
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    pthread_mutex_lock(&lock);
    ++total;
    pthread_mutex_unlock(&lock);
    sum += i * 0.5;
    if (i % 100 == 0) usleep(10);
  }
  CHECK(sum == 249750 && own == 41 + *(int*)argument);
  return argument;
}

static void* take_turns(void* argument) {
  const int mine = *(int*)argument;
  for (int i = 0; i < 200; ++i) {
    pthread_mutex_lock(&lock);
    while (turn != mine) pthread_cond_wait(&changed, &lock);
    turn = !turn;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

static int run_threads(void) {
  pthread_t threads[12];
  int numbers[COUNT(threads)];
  for (unsigned i = 0; i < COUNT(threads); ++i) {
    numbers[i] = (int)i;
    CHECK(pthread_create(&threads[i], NULL, count, &numbers[i]) == 0);
  }
  for (unsigned i = 0; i < COUNT(threads); ++i) {
    void* result;
    CHECK(pthread_join(threads[i], &result) == 0 && result == &numbers[i]);
  }
  CHECK(own == 41);
  for (int i = 0; i < 2; ++i) CHECK(pthread_create(&threads[i], NULL, take_turns, &numbers[i]) == 0);
  for (int i = 0; i < 2; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  /* Stacks of threads that have ended are used again. Those that nobody waits for may outlive this function. */
  static int nothing;
  for (int i = 0; i < 21; ++i) {
    CHECK(pthread_create(&threads[0], NULL, count, &nothing) == 0);
    if (i % 2 == 0)
      pthread_detach(threads[0]);
    else
      pthread_join(threads[0], NULL);
  }
  printf("counted %d\n", total >= 12000 ? 12000 : total);
  return 0;
}

/* Registers of vectors are a program's own across a system call, which may let another thread run. */
static void* disturb(void* stop) {
  volatile double value = 1;
  while (!__atomic_load_n((int*)stop, __ATOMIC_RELAXED)) {
    value = value * 1.0001 + 3;
    syscall(SYS_sched_yield);
  }
  return NULL;
}

static int keep_registers(void) {
  int stop = 0;
  pthread_t other;
  CHECK(pthread_create(&other, NULL, disturb, &stop) == 0);
  for (int i = 0; i < 2000; ++i) {
    double before = i + 0.25, after;
#if defined(__x86_64__)
    long result;
    __asm__ volatile("movsd %2, %%xmm9\n\tmovl $24, %%eax\n\tsyscall\n\tmovsd %%xmm9, %0"
                     : "=m"(after), "=&a"(result)
                     : "m"(before)
                     : "rcx", "r11", "xmm9", "memory");
#elif defined(__aarch64__)
    __asm__ volatile("ldr d17, %1\n\tmov x8, #124\n\tsvc #0\n\tstr d17, %0"
                     : "=m"(after)
                     : "m"(before)
                     : "x0", "x8", "v17", "memory");
#else
    __asm__ volatile("fld ft8, %1\n\tli a7, 124\n\tecall\n\tfsd ft8, %0"
                     : "=m"(after)
                     : "m"(before)
                     : "a0", "a7", "ft8", "memory");
#endif
    CHECK(after == before);
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  pthread_join(other, NULL);
  puts("registers are kept");
  return 0;
}

/* ---- files */

static int use_files(void) {
  FILE* file = fopen("/notes.txt", "w");
  CHECK(file != NULL);
  for (int i = 0; i < 500; ++i) fprintf(file, "line %d\n", i);
  CHECK(fclose(file) == 0);
  struct stat status;
  CHECK(stat("/notes.txt", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 4390);
  CHECK((file = fopen("/notes.txt", "r")) != NULL);
  char line[100];
  int lines = 0;
  while (fgets(line, sizeof line, file)) ++lines;
  CHECK(lines == 500 && fclose(file) == 0);
  CHECK(mkdir("/folder", 0755) == 0 && rename("/notes.txt", "/folder/notes.txt") == 0);
  CHECK(open("/notes.txt", O_RDONLY) == -1 && errno == ENOENT);
  puts("files are right");
  return 0;
}

static int read_input(void) {
  char line[100];
  int lines = 0;
  while (fgets(line, sizeof line, stdin)) ++lines;
  printf("%d lines\n", lines);
  return 0;
}

/* ---- signals */

static volatile sig_atomic_t seen, ticks;
static char other_stack[65536];

static void note(int signal, siginfo_t* information, void* context) {
  (void)context;
  char here;
  seen = signal;
  CHECK(information->si_signo == signal);
  if (signal == SIGUSR2) CHECK(&here >= other_stack && &here < other_stack + sizeof other_stack);
}

static void tick(int signal) {
  (void)signal;
  ++ticks;
}

static int computing;
static void* compute(void* argument) {
  __atomic_store_n(&computing, 1, __ATOMIC_RELAXED);
  while (ticks == 0) {}
  return argument;
}

static void* fault_address;
static void step_over(int signal, siginfo_t* information, void* context) {
  (void)signal;
  fault_address = information->si_addr;
  ucontext_t* state = context;
#if defined(__x86_64__)
  state->uc_mcontext.gregs[REG_RIP] = state->uc_mcontext.gregs[REG_RBX];
#elif defined(__aarch64__)
  state->uc_mcontext.pc = state->uc_mcontext.regs[19];
#else
  state->uc_mcontext.__gregs[0] = state->uc_mcontext.__gregs[9];
#endif
}

static int use_signals(void) {
  struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  CHECK(raise(SIGUSR1) == 0 && seen == SIGUSR1);
  const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
  CHECK(sigaltstack(&stack, NULL) == 0);
  action.sa_flags |= SA_ONSTACK;
  CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
  CHECK(kill(getpid(), SIGUSR2) == 0 && seen == SIGUSR2);
  /* What waits with a mask comes when it is lifted. */
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && raise(SIGUSR1) == 0 && seen == SIGUSR2);
  CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && seen == SIGUSR1);
  /* A program that only computes is interrupted, and its registers are its own. */
  struct sigaction timer = {.sa_handler = tick};
  CHECK(sigaction(SIGALRM, &timer, NULL) == 0);
  const struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
  CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
  double sum = 0;
  unsigned long rounds = 0;
  while (ticks < 5) {
    sum += 0.5;
    ++rounds;
  }
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
  CHECK(sum == (double)rounds * 0.5);
  /* So is a thread that computes, by another. */
  pthread_t other;
  ticks = 0;
  CHECK(pthread_create(&other, NULL, compute, NULL) == 0);
  while (!__atomic_load_n(&computing, __ATOMIC_RELAXED)) usleep(100);
  CHECK(pthread_kill(other, SIGALRM) == 0 && pthread_join(other, NULL) == 0 && ticks == 1);
  /* A wait is interrupted, or goes on where the handler says so. */
  CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL) == 0);
  CHECK(sigsuspend(&old) == -1 && errno == EINTR);
  /* A mask for the time of a wait: the handler runs although its signal was masked before, and is masked after. */
  sigaddset(&set, SIGALRM);
  CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
  const int before = ticks;
  CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL) == 0);
  CHECK(sigsuspend(&old) == -1 && errno == EINTR && ticks == before + 1);
  CHECK(raise(SIGUSR1) == 0 && raise(SIGALRM) == 0 && ticks == before + 1);
  CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && ticks == before + 2);
  puts("signals are right");
  return 0;
}

static int recover(void) {
  struct sigaction action = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  for (int i = 0; i < 3; ++i) {
    /* The handler finds in a register where to go on. */
#if defined(__x86_64__)
    __asm__ volatile("leaq 1f(%%rip), %%rbx\n\tmovl $1, 64\n1:" : : : "rbx", "memory");
#elif defined(__aarch64__)
    __asm__ volatile("adr x19, 1f\n\tmov x1, #64\n\tstr x1, [x1]\n1:" : : : "x19", "x1", "memory");
#else
    __asm__ volatile("lla s1, 1f\n\tli t0, 64\n\tsd t0, 0(t0)\n1:" : : : "s1", "t0", "memory");
#endif
    CHECK(fault_address == (void*)64);
    fault_address = NULL;
  }
  puts("recovered");
  return 0;
}

/* ---- mistakes */

__attribute__((noinline)) void store_through(volatile int* where) { *where = 1; }

__attribute__((noinline)) int descend(int depth) {
  volatile char room[1000];
  room[0] = (char)depth;
  return depth == 0 ? 0 : descend(depth + 1) + room[0];
}

int main(int argc, char** argv) {
  const char* part = argc > 1 ? argv[1] : "";
  if (strcmp(part, "memory") == 0) return use_memory();
  if (strcmp(part, "threads") == 0) return run_threads();
  if (strcmp(part, "registers") == 0) return keep_registers();
  if (strcmp(part, "files") == 0) return use_files();
  if (strcmp(part, "read") == 0) return read_input();
  if (strcmp(part, "signals") == 0) return use_signals();
  if (strcmp(part, "recover") == 0) return recover();
  if (strcmp(part, "abort") == 0) abort();
  if (strcmp(part, "null") == 0) store_through(nowhere);
  if (strcmp(part, "system") == 0) store_through((volatile int*)0x2ffffff000);
  if (strcmp(part, "deep") == 0) return descend(1);
  if (strcmp(part, "unknown") == 0) return syscall(SYS_sync) == -1 && errno == ENOSYS ? 0 : 1;
  return greet(argc, argv);
}
