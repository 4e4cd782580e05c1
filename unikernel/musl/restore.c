/* Handlers of signals return to the unikernel, which has called them: nothing is restored by a system call. */
#include <features.h>

hidden void __restore(void) {}
hidden void __restore_rt(void) {}
