/* System calls at which a thread can be cancelled. A call that waits ends with EINTR when the thread is cancelled meanwhile, and
 * the caller looks again, so that nothing depends on where in this function it was. */
#include "pthread_impl.h"
#include "syscall.h"

hidden long __cancel(void);

hidden const char __cp_begin[1], __cp_end[1], __cp_cancel[1];

hidden long __syscall_cp_asm(volatile void* cancel, syscall_arg_t nr, syscall_arg_t u, syscall_arg_t v, syscall_arg_t w,
                             syscall_arg_t x, syscall_arg_t y, syscall_arg_t z) {
  if (*(volatile int*)cancel) return __cancel();
  return __syscall6(nr, u, v, w, x, y, z);
}
