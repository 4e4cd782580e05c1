#include "kernel/base/check.hpp"

#include <arch/cpu.hpp>
#if __STDC_HOSTED__ != 0
#include <cstdio>
#endif

namespace ax {
namespace {
constinit PanicHook panic_hook = nullptr;
}

void set_panic_hook(PanicHook hook) { panic_hook = hook; }

namespace detail {

void check_failed(const char* message) {
  if (panic_hook != nullptr) panic_hook(message);
#if __STDC_HOSTED__ != 0
  std::fprintf(stderr, "%s\n", message);  // a unit test without a hook
#endif
  arch::halt();
}

}  // namespace detail
}  // namespace ax
