// Checks of the host's own invariants.
#pragma once

#include <arch/check_failed.hpp>

#define AX_CHECK_STRING_(x) #x
#define AX_CHECK_STRING(x) AX_CHECK_STRING_(x)

/// Panics when `condition` does not hold. For mistakes of this program only: never for what a guest, an image, a disk or a
/// device tree says - that is an Error. Evaluated in every build.
#define AX_CHECK(condition)                                                                            \
  do {                                                                                                 \
    if (!(condition)) [[unlikely]] ::ax::check_failed(__FILE__ ":" AX_CHECK_STRING(__LINE__) ": " #condition); \
  } while (false)
