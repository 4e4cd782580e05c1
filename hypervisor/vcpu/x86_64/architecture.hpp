// What a guest's registers mean: bits, numbers and vectors of the architecture itself, for code that looks into a
// guest. The host's own registers are in kernel/arch/x86_64.
#pragma once

#include "kernel/base/types.hpp"

namespace hv::x86 {

using namespace ax;

namespace detail {
constexpr u64 bit(unsigned n) { return u64{1} << n; }
}  // namespace detail

struct Rflags {
  static constexpr u64 kAlwaysOne = detail::bit(1);
  static constexpr u64 kTf = detail::bit(8), kIf = detail::bit(9), kDf = detail::bit(10), kRf = detail::bit(16),
                       kVm = detail::bit(17);
};

struct Cr0 {
  static constexpr u64 kPe = detail::bit(0), kTs = detail::bit(3), kEt = detail::bit(4), kNe = detail::bit(5),
                       kNw = detail::bit(29), kCd = detail::bit(30), kPg = detail::bit(31);
  static constexpr u64 kReset = kEt | kNw | kCd;  ///< SDM vol. 3 table 10-1
};

struct Cr4 {
  static constexpr u64 kPae = detail::bit(5), kVmxe = detail::bit(13), kPcide = detail::bit(17),
                       kOsxsave = detail::bit(18);
};

struct Efer {
  static constexpr u64 kSce = detail::bit(0), kLme = detail::bit(8), kLma = detail::bit(10), kNxe = detail::bit(11),
                       kSvme = detail::bit(12), kFfxsr = detail::bit(14);
};

inline constexpr u64 kDr6Reset = 0xffff'0ff0;
inline constexpr u64 kDr6SingleStep = detail::bit(14);
inline constexpr u64 kDr7Reset = 0x400;
inline constexpr u64 kPatReset = 0x0007'0406'0007'0406;

/// Exception vectors (SDM vol. 3 table 6-1).
struct Vector {
  static constexpr u8 kDebug = 1, kNmi = 2, kBreakpoint = 3, kOverflow = 4, kInvalidOpcode = 6, kDoubleFault = 8,
                      kStackFault = 12, kGeneralProtection = 13, kPageFault = 14, kAlignmentCheck = 17,
                      kMachineCheck = 18;
};

/// Model-specific registers that hold a guest's own state (SDM vol. 4).
struct Msr {
  static constexpr u32 kSysenterCs = 0x174, kSysenterEsp = 0x175, kSysenterEip = 0x176, kPat = 0x277,
                       kEfer = 0xc000'0080, kStar = 0xc000'0081, kLstar = 0xc000'0082, kCstar = 0xc000'0083,
                       kSfmask = 0xc000'0084, kFsBase = 0xc000'0100, kGsBase = 0xc000'0101, kKernelGsBase = 0xc000'0102,
                       kTscAux = 0xc000'0103;
};

/// Whether a 64-bit address has the form that four-level paging demands.
constexpr bool is_canonical(u64 address) { return static_cast<u64>(static_cast<i64>(address << 16) >> 16) == address; }

}  // namespace hv::x86
