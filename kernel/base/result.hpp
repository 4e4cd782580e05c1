// Errors are values: Result<T>, and TRY to pass an error on.
#pragma once

#include <expected>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax {

/// Why an operation failed. One list for the whole kernel side, so that an error can travel from
/// a parser to the shell unchanged. Add a value only where a caller would act differently on it.
enum class Error : u8 {
  OutOfMemory,
  OutOfRange,        ///< an address, index or size lies outside what it refers to
  InvalidArgument,
  Overlap,           ///< a range or name collides with one that exists
  AlreadyExists,
  NotFound,
  NotSupported,
  Unaligned,
  Truncated,         ///< input ends before the structure it announces
  Malformed,         ///< input contradicts its own format
  Busy,
  TimedOut,
  PermissionDenied,
  BadState,          ///< the object's life cycle does not allow the operation now
  DeviceFailure,     ///< a device reports an error, or does not answer any more
  NoSpace,           ///< a disk is full
  ReadOnly,          ///< a disk or file system that is not to be changed
  NotDirectory,
  IsDirectory,
  NotEmpty,          ///< a directory that something is in
};

constexpr std::string_view describe(Error e) {
  switch (e) {
    case Error::OutOfMemory: return "out of memory";
    case Error::OutOfRange: return "out of range";
    case Error::InvalidArgument: return "invalid argument";
    case Error::Overlap: return "overlaps an existing range";
    case Error::AlreadyExists: return "already exists";
    case Error::NotFound: return "not found";
    case Error::NotSupported: return "not supported";
    case Error::Unaligned: return "unaligned";
    case Error::Truncated: return "truncated";
    case Error::Malformed: return "malformed";
    case Error::Busy: return "busy";
    case Error::TimedOut: return "timed out";
    case Error::PermissionDenied: return "permission denied";
    case Error::BadState: return "not possible in this state";
    case Error::DeviceFailure: return "the device fails";
    case Error::NoSpace: return "no space left";
    case Error::ReadOnly: return "read-only";
    case Error::NotDirectory: return "not a directory";
    case Error::IsDirectory: return "is a directory";
    case Error::NotEmpty: return "not empty";
  }
  return "unknown error";
}

/// A value or the reason why there is none. Unwrap (`*r`) only after a check, or through TRY.
template <class T>
using Result = std::expected<T, Error>;

/// Reads better than std::unexpected at every return: `return fail(Error::NotFound);`
constexpr std::unexpected<Error> fail(Error e) { return std::unexpected<Error>(e); }

}  // namespace ax

/// Evaluates a Result; yields its value, or returns its error from the enclosing function.
#define TRY(expression)                                            \
  ({                                                               \
    auto&& ax_try_result = (expression);                           \
    if (!ax_try_result) return ::ax::fail(ax_try_result.error());  \
    *static_cast<decltype(ax_try_result)&&>(ax_try_result);        \
  })
