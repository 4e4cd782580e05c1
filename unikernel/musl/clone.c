/* A new thread: the unikernel lets it begin in `func` on the stack that it is given. */
#include <stdarg.h>

#include "pthread_impl.h"

long ax_clone(int (*func)(void*), void* stack, int flags, void* arg, int* parent, void* tls, int* child);

int __clone(int (*func)(void*), void* stack, int flags, void* arg, ...) {
  va_list rest;
  va_start(rest, arg);
  int* parent = va_arg(rest, int*);
  void* tls = va_arg(rest, void*);
  int* child = va_arg(rest, int*);
  va_end(rest);
  return ax_clone(func, stack, flags, arg, parent, tls, child);
}
