// Stands in for glibc's: that one describes the build machine, and takes every other architecture for a 32-bit one
// (uintptr_t would have 32 bits). All our targets have 64.
#define __WORDSIZE 64
