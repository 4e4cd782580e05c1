/* System calls in place: the unikernel is linked with the program, and a call is a call. The number comes last, so that the
 * arguments are where the handler expects them. */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

long ax_system_call(long a, long b, long c, long d, long e, long f, long n);

static inline long __syscall0(long n) { return ax_system_call(0, 0, 0, 0, 0, 0, n); }
static inline long __syscall1(long n, long a) { return ax_system_call(a, 0, 0, 0, 0, 0, n); }
static inline long __syscall2(long n, long a, long b) { return ax_system_call(a, b, 0, 0, 0, 0, n); }
static inline long __syscall3(long n, long a, long b, long c) { return ax_system_call(a, b, c, 0, 0, 0, n); }
static inline long __syscall4(long n, long a, long b, long c, long d) { return ax_system_call(a, b, c, d, 0, 0, n); }
static inline long __syscall5(long n, long a, long b, long c, long d, long e) { return ax_system_call(a, b, c, d, e, 0, n); }
static inline long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return ax_system_call(a, b, c, d, e, f, n);
}

#define IPC_64 0
