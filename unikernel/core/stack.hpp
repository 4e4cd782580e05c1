// Entering C on another stack; each architecture has it in assembly.
#pragma once

#include "kernel/base/types.hpp"

extern "C" {
/// Calls `function(argument)` with the stack pointer at `top` (16-byte aligned), which is the end of the frame chain. It must
/// not return.
[[noreturn]] void ax_run_on_stack(ax::u64 top, void (*function)(void*), void* argument);
}
