// The system calls of all selected services, by number.
#pragma once

#include <string_view>

#include "unikernel/core/service.hpp"

namespace ax::uni {

/// Enters what `services` answer into the table. Boot CPU, once, before the program.
void install_calls(std::span<const ax_service* const> services);

/// The same for calls that nobody answers yet.
void install_missing_calls(std::span<const NumberedCall> more);

/// "futex", or "" for a number that Linux does not have.
std::string_view call_name(u64 number);

/// Called at the end of a system call, by the services that have something to do then (signals); nullptr: nobody.
using AfterCall = i64 (*)(i64 result);
void set_after_call(AfterCall hook);

}  // namespace ax::uni

extern "C" {
/// How the C library calls the system: in place, the number last, so that the arguments are where the call expects them.
AX_EXPORT ax::i64 ax_system_call(ax::u64 a, ax::u64 b, ax::u64 c, ax::u64 d, ax::u64 e, ax::u64 f, ax::u64 number);
}
