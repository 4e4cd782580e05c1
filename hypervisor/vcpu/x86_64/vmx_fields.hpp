// The fields of a VMCS and the bits of its controls (SDM vol. 3 chapter 25 and appendix B), as far as they are used.
#pragma once

#include "kernel/base/types.hpp"

namespace hv::vmx {

using namespace ax;

/// Encodings (SDM vol. 3 appendix B).
struct Field {
  static constexpr u32 kVpid = 0x0000, kGuestInterruptStatus = 0x0810;
  static constexpr u32 kGuestEsSelector = 0x0800, kGuestEsLimit = 0x4800, kGuestEsAccess = 0x4814,
                       kGuestEsBase = 0x6806;  // then CS, SS...
  static constexpr u32 kHostEsSelector = 0x0c00, kHostCsSelector = 0x0c02, kHostSsSelector = 0x0c04, kHostDsSelector = 0x0c06,
                       kHostFsSelector = 0x0c08, kHostGsSelector = 0x0c0a, kHostTrSelector = 0x0c0c;

  static constexpr u32 kIoBitmapA = 0x2000, kIoBitmapB = 0x2002, kMsrBitmap = 0x2004, kTscOffset = 0x2010, kVirtualApic = 0x2012,
                       kApicAccess = 0x2014, kEptPointer = 0x201a,
                       kEoiExits = 0x201c;  // four, for 64 vectors each
  static constexpr u32 kGuestPhysicalAddress = 0x2400;
  static constexpr u32 kVmcsLink = 0x2800, kGuestDebugControl = 0x2802, kGuestPat = 0x2804, kGuestEfer = 0x2806;
  static constexpr u32 kHostPat = 0x2c00, kHostEfer = 0x2c02;

  static constexpr u32 kPinControls = 0x4000, kProcessorControls = 0x4002, kExceptionBitmap = 0x4004, kPageFaultMask = 0x4006,
                       kPageFaultMatch = 0x4008, kCr3TargetCount = 0x400a, kExitControls = 0x400c, kExitMsrStoreCount = 0x400e,
                       kExitMsrLoadCount = 0x4010, kEntryControls = 0x4012, kEntryMsrLoadCount = 0x4014,
                       kEntryInterruption = 0x4016, kEntryErrorCode = 0x4018, kEntryInstructionLength = 0x401a,
                       kTprThreshold = 0x401c, kSecondaryControls = 0x401e;
  static constexpr u32 kInstructionError = 0x4400, kExitReason = 0x4402, kExitInterruption = 0x4404, kExitErrorCode = 0x4406,
                       kVectoring = 0x4408, kVectoringErrorCode = 0x440a, kExitInstructionLength = 0x440c;
  static constexpr u32 kGuestGdtrLimit = 0x4810, kGuestIdtrLimit = 0x4812, kGuestInterruptibility = 0x4824,
                       kGuestActivity = 0x4826, kGuestSysenterCs = 0x482a, kPreemptionTimer = 0x482e;
  static constexpr u32 kHostSysenterCs = 0x4c00;

  static constexpr u32 kCr0Mask = 0x6000, kCr4Mask = 0x6002, kCr0Shadow = 0x6004, kCr4Shadow = 0x6006;
  static constexpr u32 kExitQualification = 0x6400;
  static constexpr u32 kGuestCr0 = 0x6800, kGuestCr3 = 0x6802, kGuestCr4 = 0x6804, kGuestFsBase = 0x680e, kGuestGsBase = 0x6810,
                       kGuestGdtrBase = 0x6816, kGuestIdtrBase = 0x6818, kGuestDr7 = 0x681a, kGuestRsp = 0x681c,
                       kGuestRip = 0x681e, kGuestRflags = 0x6820, kGuestPendingDebug = 0x6822, kGuestSysenterEsp = 0x6824,
                       kGuestSysenterEip = 0x6826;
  static constexpr u32 kHostCr0 = 0x6c00, kHostCr3 = 0x6c02, kHostCr4 = 0x6c04, kHostFsBase = 0x6c06, kHostGsBase = 0x6c08,
                       kHostTrBase = 0x6c0a, kHostGdtrBase = 0x6c0c, kHostIdtrBase = 0x6c0e, kHostSysenterEsp = 0x6c10,
                       kHostSysenterEip = 0x6c12, kHostRsp = 0x6c14, kHostRip = 0x6c16;
};

/// Pin-based controls (SDM vol. 3 table 25-5).
struct Pin {
  static constexpr u32 kExternalInterrupts = 1 << 0, kNmis = 1 << 3, kVirtualNmis = 1 << 5, kPreemptionTimer = 1 << 6;
};
/// Primary processor-based controls (table 25-6).
struct Primary {
  static constexpr u32 kInterruptWindow = 1 << 2, kTscOffset = 1 << 3, kHlt = 1 << 7, kMwait = 1 << 10, kRdpmc = 1 << 11,
                       kCr3Load = 1 << 15, kCr3Store = 1 << 16, kCr8Load = 1 << 19, kCr8Store = 1 << 20, kTprShadow = 1 << 21,
                       kNmiWindow = 1 << 22, kIoBitmaps = 1 << 25, kMsrBitmaps = 1 << 28, kMonitor = 1 << 29,
                       kSecondary = u32{1} << 31;
};
/// Secondary ones (table 25-7).
struct Secondary {
  static constexpr u32 kApicAccess = 1 << 0, kEpt = 1 << 1, kRdtscp = 1 << 3, kX2apic = 1 << 4, kVpid = 1 << 5, kWbinvd = 1 << 6,
                       kUnrestricted = 1 << 7, kApicRegisters = 1 << 8, kInterruptDelivery = 1 << 9, kInvpcid = 1 << 12;
};
/// VM-exit controls (table 25-13).
struct Exit {
  static constexpr u32 kSaveDebug = 1 << 2, kHost64 = 1 << 9, kAcknowledge = 1 << 15, kSavePat = 1 << 18, kLoadPat = 1 << 19,
                       kSaveEfer = 1 << 20, kLoadEfer = 1 << 21;
};
/// VM-entry controls (table 25-15).
struct Entry {
  static constexpr u32 kLoadDebug = 1 << 2, kLongMode = 1 << 9, kLoadPat = 1 << 14, kLoadEfer = 1 << 15;
};

/// Basic exit reasons (appendix C).
struct Reason {
  static constexpr u32 kException = 0, kInterrupt = 1, kTripleFault = 2, kInit = 3, kStartup = 4, kInterruptWindow = 7,
                       kNmiWindow = 8, kTaskSwitch = 9, kCpuid = 10, kGetsec = 11, kHlt = 12, kInvd = 13, kRdpmc = 15, kRsm = 17,
                       kVmcall = 18, kVmclear = 19, kVmxon = 27, kControlRegister = 28, kPort = 30, kRdmsr = 31, kWrmsr = 32,
                       kInvalidGuestState = 33, kMsrLoading = 34, kMwait = 36, kMonitor = 39, kTprBelowThreshold = 43,
                       kApicAccess = 44, kVirtualizedEoi = 45, kEptViolation = 48, kInvept = 50, kRdtscp = 51,
                       kPreemptionTimer = 52, kInvvpid = 53, kWbinvd = 54, kXsetbv = 55, kApicWrite = 56, kInvpcid = 58,
                       kVmfunc = 59;
  static constexpr u32 kEntryFailed = u32{1} << 31;
};

/// Interruptibility state (table 25-3).
struct Interruptibility {
  static constexpr u32 kSti = 1 << 0, kMovSs = 1 << 1, kNmi = 1 << 3;
};

/// Exit qualification of an EPT violation (table 28-7).
struct Violation {
  static constexpr u64 kWrite = 1 << 1, kFetch = 1 << 2, kLinear = 1 << 7, kFinal = 1 << 8, kNmiUnblocked = 1 << 12;
};

/// Interruption information: the IRET that ended an NMI's handler faulted (SDM vol. 3 28.2.3).
inline constexpr u64 kNmiUnblockedByIret = 1 << 12;

/// Exit qualification of an access to the local APIC's page (table 28-6).
struct ApicQualification {
  static constexpr u64 kOffset = 0xfff, kTypeMask = 15;
  static constexpr unsigned kTypeShift = 12;
  static constexpr u64 kWrite = 1, kFetch = 2,
                       kGuestPhysical = 10;  // from kGuestPhysical on: the CPU's own, by no linear address
};

/// Exit qualification of a port access (table 28-5).
struct PortQualification {
  static constexpr u64 kSizeMask = 7, kIn = 1 << 3, kString = 1 << 4, kRepeat = 1 << 5;
  static constexpr unsigned kPortShift = 16;
};

/// Exit qualification of a control-register access (table 28-3).
struct ControlQualification {
  static constexpr u64 kRegisterMask = 15;
  static constexpr unsigned kTypeShift = 4, kGprShift = 8;
  static constexpr u64 kMoveTo = 0, kMoveFrom = 1;
};

/// Which bits of a control a CPU lets be 0 and 1: a capability MSR (appendix A.2 to A.5).
class ControlCapability {
 public:
  explicit constexpr ControlCapability(u64 msr) : must_(static_cast<u32>(msr)), may_(static_cast<u32>(msr >> 32)) {}
  constexpr u32 missing(u32 bits) const { return bits & ~may_; }
  constexpr bool offers(u32 bits) const { return missing(bits) == 0; }
  /// `wanted` and what must be 1, without what must be 0.
  constexpr u32 adjust(u32 wanted) const { return (wanted | must_) & may_; }

 private:
  u32 must_;
  u32 may_;
};

}  // namespace hv::vmx
