/* The end of a detached thread: its stack goes when it has left it. */
#include "pthread_impl.h"

_Noreturn void ax_unmap_and_exit(void* base, size_t size);

_Noreturn void __unmapself(void* base, size_t size) { ax_unmap_and_exit(base, size); }
