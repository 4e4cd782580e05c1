// What libstdc++'s inline functions call where a hosted program would throw: every one is a broken host invariant, because
// sizes and positions that come from outside are checked before they are used. Board builds only.
#include "kernel/base/check.hpp"

namespace std {

[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) { ax::detail::check_failed("a position lies outside its text"); }

}  // namespace std
