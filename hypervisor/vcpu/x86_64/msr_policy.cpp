#include "hypervisor/vcpu/x86_64/msr_policy.hpp"

#include <algorithm>

namespace hv {
namespace {

using Value = std::optional<u64>;
using Read = Value (*)(const MsrContext&, u32 index);
using Write = bool (*)(const MsrContext&, u32 index, u64 value);

/// A range of MSRs [first, last]. No handler: #GP in that direction.
struct Row {
  u32 first;
  u32 last;
  Read read;
  Write write;
};

constexpr bool is_canonical(u64 address) {
  constexpr unsigned kUnusedBits = 16;  // 48-bit linear addresses
  return static_cast<u64>(static_cast<i64>(address << kUnusedBits) >> kUnusedBits) == address;
}

// ---- constants -------------------------------------------------------------------------------------------------------

template <u64 kValue>
Value constant(const MsrContext&, u32) {
  return kValue;
}
bool ignore(const MsrContext&, u32, u64) { return true; }

/// Revision 1 in the high half, as Intel reports it; AMD's is the low half.
constexpr u64 kMicrocodeRevision = u64{1} << 32 | 1;
constexpr u64 kFeatureControlLocked = 1;
constexpr u64 kHwcrTscCountsAtP0 = 1 << 24;
constexpr u64 kDeCfgLfenceSerializes = 1 << 1;

// ---- registers of the backend ----------------------------------------------------------------------------------------

Value read_register(const MsrContext& c, u32 index) { return c.host.read_register(index); }

bool write_register(const MsrContext& c, u32 index, u64 value) {
  c.host.write_register(index, value);
  return true;
}

bool write_canonical(const MsrContext& c, u32 index, u64 value) { return is_canonical(value) && write_register(c, index, value); }
bool write_32bit(const MsrContext& c, u32 index, u64 value) { return value >> 32 == 0 && write_register(c, index, value); }

Value read_tsc_aux(const MsrContext& c, u32 index) { return c.facts.tsc_aux ? read_register(c, index) : std::nullopt; }
bool write_tsc_aux(const MsrContext& c, u32 index, u64 value) { return c.facts.tsc_aux && write_32bit(c, index, value); }

/// SDM vol. 3 2.2.1: LMA follows LME and paging, LME only changes while paging is off.
bool write_efer(const MsrContext& c, u32 index, u64 value) {
  const u64 writable = efer::kSyscall | efer::kLongModeEnable | (c.facts.no_execute ? efer::kNoExecute : 0);
  if ((value & ~(writable | efer::kLongModeActive)) != 0) return false;
  const u64 old = c.host.read_register(index);
  if (((value ^ old) & efer::kLongModeEnable) != 0 && c.host.paging_enabled()) return false;
  return write_register(c, index, (value & writable) | (old & efer::kLongModeActive));
}

/// Memory types: UC, WC, WT, WP, WB; and UC-, in the PAT only.
constexpr u8 kMtrrTypes = 0b0111'0011;
constexpr u8 kPatTypes = 0b1111'0011;
constexpr bool has_type(u64 byte, u8 allowed) { return byte < 8 && (allowed >> byte & 1) != 0; }
constexpr bool all_bytes_have_types(u64 value, u8 allowed) {
  for (unsigned shift = 0; shift < 64; shift += 8)
    if (!has_type(value >> shift & 0xff, allowed)) return false;
  return true;
}

bool write_pat(const MsrContext& c, u32 index, u64 value) {
  return all_bytes_have_types(value, kPatTypes) && write_register(c, index, value);
}

// ---- MTRRs -----------------------------------------------------------------------------------------------------------

constexpr u32 kMtrrVariable = 0x200;
constexpr u32 kMtrrFixed64K = 0x250, kMtrrFixed16K = 0x258, kMtrrFixed4K = 0x268;
constexpr u64 kMtrrCapability = MtrrState::kVariable | 1 << 8 /*fixed*/ | 1 << 10 /*write combining*/;
constexpr u64 kMtrrDefaultTypeBits = 0xcff;
constexpr u64 kMtrrMaskValid = 1 << 11;

u64& fixed_range(const MsrContext& c, u32 index) {
  auto& fixed = c.state.mtrr.fixed;
  if (index >= kMtrrFixed4K) return fixed[3 + index - kMtrrFixed4K];
  return index >= kMtrrFixed16K ? fixed[1 + index - kMtrrFixed16K] : fixed[0];
}

Value read_fixed_range(const MsrContext& c, u32 index) { return fixed_range(c, index); }
bool write_fixed_range(const MsrContext& c, u32 index, u64 value) {
  if (!all_bytes_have_types(value, kMtrrTypes)) return false;
  fixed_range(c, index) = value;
  return true;
}

Value read_variable_range(const MsrContext& c, u32 index) { return c.state.mtrr.variable[index - kMtrrVariable]; }
bool write_variable_range(const MsrContext& c, u32 index, u64 value) {
  const bool is_mask = (index & 1) != 0;
  if (value >> c.facts.physical_address_bits != 0) return false;
  const u64 low = value & (kPageSize - 1);
  if (is_mask ? (low & ~kMtrrMaskValid) != 0 : !has_type(low, kMtrrTypes)) return false;
  c.state.mtrr.variable[index - kMtrrVariable] = value;
  return true;
}

Value read_default_type(const MsrContext& c, u32) { return c.state.mtrr.default_type; }
bool write_default_type(const MsrContext& c, u32, u64 value) {
  if ((value & ~kMtrrDefaultTypeBits) != 0 || !has_type(value & 0xff, kMtrrTypes)) return false;
  c.state.mtrr.default_type = value;
  return true;
}

// ---- other stored registers ------------------------------------------------------------------------------------------

constexpr u64 kMiscEnableWritable = 1 << 0;  ///< fast strings
constexpr u64 kMiscEnableFixed = 1 << 11 /*no branch trace*/ | 1 << 12 /*no PEBS*/;

Value read_misc_enable(const MsrContext& c, u32) { return c.state.misc_enable | kMiscEnableFixed; }
bool write_misc_enable(const MsrContext& c, u32, u64 value) {
  c.state.misc_enable = value & kMiscEnableWritable;
  return true;
}

Value read_machine_check_status(const MsrContext& c, u32) { return c.state.machine_check_status; }
/// Software may only clear it. SDM vol. 3 16.3.1.2.
bool write_machine_check_status(const MsrContext& c, u32, u64 value) {
  if (value != 0) return false;
  c.state.machine_check_status = 0;
  return true;
}

/// Immunities, which say what software need not work around; not the controls that come with other MSRs.
constexpr u64 kImmunities = 1 << 0 /*RDCL_NO*/ | 1 << 3 /*SKIP_L1DFL_VMENTRY*/ | 1 << 4 /*SSB_NO*/ | 1 << 5 /*MDS_NO*/ |
                            1 << 6 /*PSCHANGE_MC_NO*/ | 1 << 8 /*TAA_NO*/ | 1 << 13 /*SBDR_SSDP_NO*/ | 1 << 14 /*FBSDP_NO*/ |
                            1 << 15 /*PSDP_NO*/ | 1 << 20 /*BHI_NO*/ | 1 << 24 /*PBRSB_NO*/ | 1 << 26 /*GDS_NO*/ |
                            1 << 27 /*RFDS_NO*/;
Value read_arch_capabilities(const MsrContext& c, u32) {
  if (!c.facts.arch_capabilities) return std::nullopt;
  return c.host.host_arch_capabilities() & kImmunities;
}

// ---- time and interrupts ---------------------------------------------------------------------------------------------

Value read_tsc(const MsrContext& c, u32) { return c.host.read_tsc(); }
bool write_tsc(const MsrContext& c, u32, u64 value) {
  c.host.write_tsc(value);
  return true;
}

Value read_apic(const MsrContext& c, u32 index) { return c.host.read_apic(index); }
bool write_apic(const MsrContext& c, u32 index, u64 value) { return c.host.write_apic(index, value); }

/// An MSR of the paravirtual clock: bits of the value that must be zero.
struct ClockMsr {
  u64 MsrState::* value;
  u64 reserved;
};
template <ClockMsr kMsr>
Value read_clock(const MsrContext& c, u32) {
  return c.state.*kMsr.value;
}
template <ClockMsr kMsr>
bool write_clock(const MsrContext& c, u32 index, u64 value) {
  if ((value & kMsr.reserved) != 0) return false;
  c.state.*kMsr.value = value;
  c.host.clock_changed(index);
  return true;
}
constexpr ClockMsr kWallClock{&MsrState::kvm_wall_clock, 0b11};
constexpr ClockMsr kSystemTime{&MsrState::kvm_system_time, 0b10};  // bit 0 enables
constexpr ClockMsr kStealTime{&MsrState::kvm_steal_time, 0b11'1110};

// ---- the table -------------------------------------------------------------------------------------------------------

constexpr Row one(u32 index, Read read, Write write) { return {index, index, read, write}; }

/// Sorted by index.
constexpr Row kMsrs[] = {
    one(msr::kTsc, read_tsc, write_tsc),
    one(0x17, constant<0>, nullptr),  // IA32_PLATFORM_ID
    one(msr::kApicBase, read_apic, write_apic),
    one(0x3a, constant<kFeatureControlLocked>, nullptr),  // IA32_FEATURE_CONTROL
    one(0x8b, constant<kMicrocodeRevision>, ignore),      // IA32_BIOS_SIGN_ID, PATCH_LEVEL
    one(0xce, constant<0>, nullptr),                      // MSR_PLATFORM_INFO
    one(0xfe, constant<kMtrrCapability>, nullptr),        // IA32_MTRRCAP
    one(msr::kArchCapabilities, read_arch_capabilities, nullptr),
    one(msr::kSysenterCs, read_register, write_register),
    {msr::kSysenterEsp, msr::kSysenterEip, read_register, write_canonical},
    one(0x179, constant<0>, nullptr),                                   // IA32_MCG_CAP: no banks
    one(0x17a, read_machine_check_status, write_machine_check_status),  // IA32_MCG_STATUS
    one(0x1a0, read_misc_enable, write_misc_enable),                    // IA32_MISC_ENABLE
    one(0x1d9, constant<0>, ignore),                                    // IA32_DEBUGCTL
    {kMtrrVariable, kMtrrVariable + 2 * MtrrState::kVariable - 1, read_variable_range, write_variable_range},
    one(kMtrrFixed64K, read_fixed_range, write_fixed_range),
    {kMtrrFixed16K, kMtrrFixed16K + 1, read_fixed_range, write_fixed_range},
    {kMtrrFixed4K, kMtrrFixed4K + 7, read_fixed_range, write_fixed_range},
    one(msr::kPat, read_register, write_pat),
    one(0x2ff, read_default_type, write_default_type),  // IA32_MTRR_DEF_TYPE
    one(msr::kTscDeadline, read_apic, write_apic),
    {msr::kX2ApicFirst, msr::kX2ApicLast, read_apic, write_apic},
    one(msr::kKvmWallClock, read_clock<kWallClock>, write_clock<kWallClock>),
    one(msr::kKvmSystemTime, read_clock<kSystemTime>, write_clock<kSystemTime>),
    one(msr::kKvmStealTime, read_clock<kStealTime>, write_clock<kStealTime>),
    one(msr::kEfer, read_register, write_efer),
    one(msr::kStar, read_register, write_register),
    {msr::kLstar, msr::kCstar, read_register, write_canonical},
    one(msr::kSfmask, read_register, write_register),
    {msr::kFsBase, msr::kKernelGsBase, read_register, write_canonical},
    one(msr::kTscAux, read_tsc_aux, write_tsc_aux),
    // AMD, read at boot by operating systems that do not expect a fault.
    {0xc001'0000, 0xc001'0007, constant<0>, ignore},             // performance counters: no CPUID bit announces them
    one(0xc001'0010, constant<0>, ignore),                       // SYSCFG
    one(0xc001'0015, constant<kHwcrTscCountsAtP0>, ignore),      // HWCR
    one(0xc001'001a, constant<0>, nullptr),                      // TOP_MEM
    one(0xc001'001d, constant<0>, nullptr),                      // TOP_MEM2
    one(0xc001'001f, constant<0>, ignore),                       // NB_CFG
    one(0xc001'0055, constant<0>, ignore),                       // interrupt pending and C1E
    one(0xc001'0058, constant<0>, ignore),                       // MMIO configuration base
    one(0xc001'0114, constant<1 << 4>, nullptr),                 // VM_CR: SVM disabled
    one(0xc001'1029, constant<kDeCfgLfenceSerializes>, ignore),  // DE_CFG
};
static_assert(std::ranges::is_sorted(kMsrs, {}, &Row::first));

/// The last index of each row and, up to a power of two less one, of rows that no index reaches.
constexpr usize kSearched = 63;
static_assert(std::size(kMsrs) <= kSearched);
constexpr auto kLast = [] {
  std::array<u32, kSearched> last;
  last.fill(~0u);
  for (usize i = 0; i < std::size(kMsrs); ++i) last[i] = kMsrs[i].last;
  return last;
}();

/// The same number of steps for every index, without a branch.
[[gnu::noinline]] const Row* search(u32 index) {
  usize below = 0;  // rows that end before it
  for (usize step = (kSearched + 1) / 2; step != 0; step /= 2) below += kLast[below + step - 1] < index ? step : 0;
  return below < std::size(kMsrs) && kMsrs[below].first <= index ? &kMsrs[below] : nullptr;
}

/// Guests access the same few again and again.
const Row* find(MsrState& state, u32 index) {
  MsrState::Found& found = state.found[index % std::size(state.found)];
  if (found.row != 0 && found.index == index) return &kMsrs[found.row - 1];
  const Row* row = search(index);
  if (row != nullptr) found = {index, static_cast<u8>(row - kMsrs + 1)};
  return row;
}

}  // namespace

std::optional<u64> read_msr(const MsrContext& context, u32 index) {
  const Row* row = find(context.state, index);
  return row != nullptr && row->read != nullptr ? row->read(context, index) : std::nullopt;
}

bool write_msr(const MsrContext& context, u32 index, u64 value) {
  const Row* row = find(context.state, index);
  return row != nullptr && row->write != nullptr && row->write(context, index, value);
}

bool is_direct_msr(u32 index) {
  const Row* row = search(index);
  return row != nullptr && (row->read == read_register || row->read == read_tsc_aux) && row->write != write_efer;
}

}  // namespace hv
