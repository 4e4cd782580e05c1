// Where a failed AX_CHECK goes.
#pragma once

namespace ax {

/// Provided by the program: panics with `what` ("file:line: condition"). Any context.
[[noreturn]] void check_failed(const char* what);

}  // namespace ax
