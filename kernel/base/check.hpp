// Checks of the host's own invariants.
#pragma once

namespace ax {

/// Receives the message of a failed check and must not return. Before set_panic_hook() a failed check halts the CPU.
using PanicHook = void (*)(const char* message);
/// Boot CPU, once, before other CPUs run.
void set_panic_hook(PanicHook hook);

namespace detail {
[[noreturn]] void check_failed(const char* message);
}

}  // namespace ax

#define AX_DETAIL_TEXT_OF(x) #x
#define AX_DETAIL_TEXT(x) AX_DETAIL_TEXT_OF(x)

/// Ends the machine with a report when `condition` is false. Only for what the host's own code guarantees: nothing that a
/// guest, an image, a disk or a device tree can influence is checked with it - that is an error value.
#define AX_CHECK(condition)                                                                                      \
  do {                                                                                                           \
    if (!(condition)) [[unlikely]]                                                                               \
      ::ax::detail::check_failed("check failed: " #condition " (" __FILE__ ":" AX_DETAIL_TEXT(__LINE__) ")");    \
  } while (false)

/// AX_CHECK in debug builds only, for checks on hot paths. The condition is compiled, never evaluated, with NDEBUG.
#ifdef NDEBUG
#define AX_DEBUG_CHECK(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#else
#define AX_DEBUG_CHECK(condition) AX_CHECK(condition)
#endif
