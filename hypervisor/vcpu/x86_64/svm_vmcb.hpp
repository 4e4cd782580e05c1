// The virtual machine control block of AMD SVM (APM vol. 2 appendix B).
#pragma once

#include <cstddef>

#include "hypervisor/vcpu/x86_64/context.hpp"

namespace hv::svm {

/// Exit codes (APM vol. 2 appendix C) and intercept bits have the same order: bit n of the vectors from "misc1" on is
/// exit code 0x60 + n.
struct ExitCode {
  static constexpr u64 kCr8Read = 0x08, kCr4Write = 0x14, kCr8Write = 0x18, kFirstException = 0x40, kInterrupt = 0x60,
                       kNmi = 0x61, kInit = 0x63, kInterruptWindow = 0x64, kRdpmc = 0x6f, kCpuid = 0x72, kRsm = 0x73,
                       kIret = 0x74, kInvd = 0x76, kPause = 0x77, kHlt = 0x78, kInvlpga = 0x7a, kPort = 0x7b,
                       kMsr = 0x7c, kTaskSwitch = 0x7d, kShutdown = 0x7f, kVmrun = 0x80, kVmmcall = 0x81,
                       kVmload = 0x82, kVmsave = 0x83, kStgi = 0x84, kClgi = 0x85, kSkinit = 0x86, kWbinvd = 0x89,
                       kMonitor = 0x8a, kMwait = 0x8b, kMwaitConditional = 0x8c, kXsetbv = 0x8d, kRdpru = 0x8e,
                       kInvlpgb = 0xa0, kIllegalInvlpgb = 0xa1, kMcommit = 0xa3, kTlbsync = 0xa4;
  static constexpr u64 kNestedFault = 0x400;
  static constexpr u32 kInvalid = 0xffff'ffff;  ///< emulators extend it with zeros
  static constexpr u64 kFirstMisc = 0x60;
};

/// Virtual interrupt control (offset 060h).
struct VirtualInterrupt {
  static constexpr u64 kPending = u64{1} << 8, kPriorityMax = u64{15} << 16, kIgnoreTpr = u64{1} << 20,
                       kMasking = u64{1} << 24;
  static constexpr unsigned kVectorShift = 32;
};

/// VMCB clean field: what the CPU may take from its cache (APM vol. 2 15.15.3).
struct Clean {
  static constexpr u32 kIntercepts = 1 << 0, kPermissionMaps = 1 << 1, kAsid = 1 << 2, kInterrupts = 1 << 3,
                       kNestedPaging = 1 << 4, kControlRegisters = 1 << 5, kDebugRegisters = 1 << 6,
                       kDescriptorTables = 1 << 7, kSegments = 1 << 8, kCr2 = 1 << 9;
  static constexpr u32 kAll = 0x3ff;
};

struct TlbControl {
  static constexpr u8 kNothing = 0, kFlushAll = 1, kFlushThisAsid = 3;
};

/// EXITINFO1 of a port access (APM vol. 2 15.10.2).
struct PortInfo {
  static constexpr u64 kIn = 1 << 0, kString = 1 << 2, kRepeat = 1 << 3;
  static constexpr unsigned kSizeShift = 4, kPortShift = 16;
};

/// EXITINFO1 of a nested page fault (APM vol. 2 15.25.6).
struct FaultInfo {
  static constexpr u64 kWrite = 1 << 1, kFetch = 1 << 4, kOnWalk = u64{1} << 33;
};

struct ControlArea {
  u32 intercept_cr;
  u32 intercept_dr;
  u32 intercept_exceptions;
  u32 intercept_misc[3];  ///< exit codes 0x60.., 0x80.., 0xa0..
  u32 reserved_018[9];
  u16 pause_filter_threshold;
  u16 pause_filter_count;
  u64 iopm_base;
  u64 msrpm_base;
  u64 tsc_offset;
  u32 asid;
  u8 tlb_control;
  u8 reserved_05d[3];
  u64 virtual_interrupt;
  u64 interrupt_shadow;
  u64 exit_code;
  u64 exit_info_1;
  u64 exit_info_2;
  u64 exit_interrupt_info;
  u64 nested_enable;
  u64 reserved_098[2];
  u64 event_injection;
  u64 nested_cr3;
  u64 lbr_virtualization;
  u32 clean;
  u32 reserved_0c4;
  u64 next_rip;
  u8 fetched_bytes;
  u8 instruction_bytes[15];
  u64 reserved_0e0[100];
};
static_assert(offsetof(ControlArea, iopm_base) == 0x40 && offsetof(ControlArea, asid) == 0x58 &&
              offsetof(ControlArea, exit_code) == 0x70);
static_assert(offsetof(ControlArea, event_injection) == 0xa8 && offsetof(ControlArea, next_rip) == 0xc8 &&
              sizeof(ControlArea) == 0x400);

struct SaveArea {
  SegmentState es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
  u8 reserved_0a0[43];
  u8 cpl;
  u32 reserved_0cc;
  u64 efer;
  u64 reserved_0d8[14];
  u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
  u64 reserved_180[11];
  u64 rsp, s_cet, ssp, isst;
  u64 rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
  u64 reserved_248[4];
  u64 pat;
  u64 reserved_270[306];
};
static_assert(sizeof(SegmentState) == 16 && offsetof(SegmentState, attributes) == 2 &&
              offsetof(SegmentState, base) == 8);
static_assert(offsetof(SaveArea, cpl) == 0xcb && offsetof(SaveArea, efer) == 0xd0 && offsetof(SaveArea, cr4) == 0x148);
static_assert(offsetof(SaveArea, rip) == 0x178 && offsetof(SaveArea, rsp) == 0x1d8 && offsetof(SaveArea, rax) == 0x1f8);
static_assert(offsetof(SaveArea, cr2) == 0x240 && offsetof(SaveArea, pat) == 0x268 && sizeof(SaveArea) == 0xc00);

struct Vmcb {
  ControlArea control;
  SaveArea save;
};
static_assert(sizeof(Vmcb) == 4096);

/// Bytes of the MSR permission map: two bits for each of 3 x 8192 registers (APM vol. 2 15.11).
inline constexpr u64 kMsrMapSize = 8192;

}  // namespace hv::svm
