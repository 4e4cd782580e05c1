// Stands in for libstdc++'s thread layer, which <atomic> includes for wait() and notify(): POSIX threads of the build machine
// do not even parse for another architecture. Freestanding code waits with kernel/base/spinlock.hpp instead.
#pragma once

#undef _GLIBCXX_HAS_GTHREADS
inline int __gthread_yield() { return 0; }
