// Linux's error numbers, as system calls return them (negated).
#pragma once

#include "kernel/base/result.hpp"

namespace ax::uni {

enum : i64 {
  kPerm = -1, kNoEntry = -2, kInterrupted = -4, kIo = -5, kBadFile = -9, kAgain = -11, kNoMemory = -12, kAccess = -13, kFault = -14,
  kBusyDevice = -16, kExists = -17, kOtherDevice = -18, kNotDirectory = -20, kIsDirectory = -21, kInvalid = -22, kTooManyFiles = -24, kNotTerminal = -25,
  kFileTooLarge = -27, kNoSpace = -28, kIllegalSeek = -29, kReadOnly = -30, kBrokenPipe = -32, kRange = -34, kDeadlock = -35, kNameTooLong = -36,
  kNoSystemCall = -38, kNotEmpty = -39, kOverflow = -75, kNotSupported = -95, kTimedOut = -110,
};

constexpr i64 to_errno(Error error) {
  switch (error) {
    case Error::OutOfMemory: return kNoMemory;
    case Error::NotFound: return kNoEntry;
    case Error::AlreadyExists:
    case Error::Overlap: return kExists;
    case Error::PermissionDenied: return kAccess;
    case Error::NotSupported: return kNotSupported;
    case Error::NoSpace: return kNoSpace;
    case Error::ReadOnly: return kReadOnly;
    case Error::NotDirectory: return kNotDirectory;
    case Error::NotEmpty: return kNotEmpty;
    case Error::IsDirectory: return kIsDirectory;
    case Error::DeviceFailure: return kIo;
    case Error::Busy: return kAgain;
    case Error::TimedOut: return kTimedOut;
    case Error::Truncated:
    case Error::Malformed: return kIo;
    default: return kInvalid;
  }
}

}  // namespace ax::uni
