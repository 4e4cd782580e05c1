// What a C++ library would provide: targets of calls that compilers and library headers put where a hosted program would
// throw or abort. Each is a broken host invariant, because sizes and positions that come from outside are checked before
// they are used. Board builds only.
#include "kernel/base/check.hpp"

extern "C" [[noreturn]] void __cxa_pure_virtual() { ax::detail::check_failed("a pure virtual function was called"); }

namespace std {

[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) { ax::detail::check_failed("a position lies outside its text"); }

}  // namespace std
