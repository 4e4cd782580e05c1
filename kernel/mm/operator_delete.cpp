// The compiler puts a call of operator delete into every virtual destructor, although nothing here is ever deleted by a
// delete expression: Box destroys objects in place. Board builds only; host programs have the C++ runtime's.
#include <cstddef>
#include <new>

#include "kernel/base/check.hpp"

namespace {
[[noreturn]] void refuse() { ax::detail::check_failed("operator delete was called"); }
}  // namespace

void operator delete(void*) noexcept { refuse(); }
void operator delete(void*, std::size_t) noexcept { refuse(); }
void operator delete(void*, std::align_val_t) noexcept { refuse(); }
void operator delete(void*, std::size_t, std::align_val_t) noexcept { refuse(); }
