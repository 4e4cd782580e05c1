#include "kernel/base/check.hpp"

#include <arch/cpu.hpp>

namespace ax {
namespace {
constinit PanicHook panic_hook = nullptr;
}

void set_panic_hook(PanicHook hook) { panic_hook = hook; }

namespace detail {

void check_failed(const char* message) {
  if (panic_hook != nullptr) panic_hook(message);
  arch::halt();
}

}  // namespace detail
}  // namespace ax
