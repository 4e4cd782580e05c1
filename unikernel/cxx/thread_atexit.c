/* What C++ programs ask of a C library and musl does not have: a name for the program as a whole, and destructors of
 * thread_local variables, which run when their thread ends; those of a thread that calls exit(), or returns from main(),
 * before any destructor of a static variable.
 *
 * exit() stands before musl's own: programs in C++ are linked with --wrap=exit. */
#include <pthread.h>
#include <stdlib.h>

void* __dso_handle = &__dso_handle;

struct destructor {
  void (*function)(void*);
  void* object;
  struct destructor* next;
};

static _Thread_local struct destructor* destructors;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

/* A destructor may construct what has one, which then comes next. */
static void run_destructors(void* unused) {
  (void)unused;
  while (destructors != NULL) {
    struct destructor* const first = destructors;
    destructors = first->next;
    first->function(first->object);
    free(first);
  }
}

static void make_key(void) {
  if (pthread_key_create(&key, run_destructors) != 0) abort();
}

int __cxa_thread_atexit_impl(void (*function)(void*), void* object, void* program) {
  (void)program;
  struct destructor* const entry = malloc(sizeof *entry);
  if (entry == NULL) return -1;
  pthread_once(&once, make_key);
  pthread_setspecific(key, &key); /* any value but null: the key's destructor is called */
  *entry = (struct destructor){function, object, destructors};
  destructors = entry;
  return 0;
}

_Noreturn void __real_exit(int status);

_Noreturn void __wrap_exit(int status) {
  run_destructors(NULL);
  __real_exit(status);
}
