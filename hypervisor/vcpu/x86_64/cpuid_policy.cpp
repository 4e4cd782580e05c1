#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <string_view>

#include "hypervisor/vcpu/x86_64/xstate.hpp"

namespace hv {
namespace {

constexpr u32 kAll = ~0u;
constexpr u32 bits(std::initializer_list<u8> positions) {
  u32 mask = 0;
  for (u8 position : positions) mask |= 1u << position;
  return mask;
}
constexpr u32 kKiloHertz = 1000;
constexpr u32 kMegaHertz = 1'000'000;

// ---- what passes ----------------------------------------------------------------------------------------------------
// Each word names the features that pass; hidden ones are in the comments with the reason.

enum Leaf1Ecx : u8 {
  kSse3 = 0,
  kPclmul = 1,
  kSsse3 = 9,
  kFma = 12,
  kCx16 = 13,
  kPcid = 17,
  kSse41 = 19,
  kSse42 = 20,
  kX2Apic = 21,
  kMovbe = 22,
  kPopcnt = 23,
  kTscDeadline = 24,
  kAes = 25,
  kXsave = 26,
  kOsXsave = 27,
  kAvx = 28,
  kF16c = 29,
  kRdrand = 30,
  kHypervisor = 31,
};
// MONITOR, VMX, SMX, PDCM, DS, DTES64: not emulated. EIST, TM2: the host's power management. DCA: devices are the
// host's.
constexpr u32 kLeaf1Ecx =
    bits({kSse3, kPclmul, kSsse3, kFma, kCx16, kPcid, kSse41, kSse42, kMovbe, kPopcnt, kAes, kXsave, kAvx, kF16c, kRdrand});

enum Leaf1Edx : u8 {
  kFpu = 0,
  kVme = 1,
  kDe = 2,
  kPse = 3,
  kTsc = 4,
  kMsr = 5,
  kPae = 6,
  kMce = 7,
  kCx8 = 8,
  kApic = 9,
  kSep = 11,
  kMtrr = 12,
  kPge = 13,
  kMca = 14,
  kCmov = 15,
  kPat = 16,
  kPse36 = 17,
  kClfsh = 19,
  kMmx = 23,
  kFxsr = 24,
  kSse = 25,
  kSse2 = 26,
  kSelfSnoop = 27,
  kHtt = 28,
};
// DS: branch tracing. ACPI, TM, PBE: the host's thermal control. PSN: gone.
constexpr u32 kLeaf1Edx = bits({kFpu, kVme, kDe,   kPse, kTsc,   kMsr,   kPae, kMce,  kCx8, kSep,  kMtrr,
                                kPge, kMca, kCmov, kPat, kPse36, kClfsh, kMmx, kFxsr, kSse, kSse2, kSelfSnoop});

// TSC_ADJUST: its MSR is not emulated. SGX, HLE, RTM, MPX, PQM, PQE, PT: state that is not switched.
constexpr u32 kLeaf7Ebx = bits({0 /*FSGSBASE*/,
                                3 /*BMI1*/,
                                5 /*AVX2*/,
                                6 /*FDP_EXCPTN_ONLY*/,
                                7 /*SMEP*/,
                                8 /*BMI2*/,
                                9 /*ERMS*/,
                                10 /*INVPCID*/,
                                13 /*no FCS, FDS*/,
                                16 /*AVX512F*/,
                                17 /*AVX512DQ*/,
                                18 /*RDSEED*/,
                                19 /*ADX*/,
                                20 /*SMAP*/,
                                21 /*AVX512_IFMA*/,
                                23 /*CLFLUSHOPT*/,
                                24 /*CLWB*/,
                                28 /*AVX512CD*/,
                                29 /*SHA*/,
                                30 /*AVX512BW*/,
                                31 /*AVX512VL*/});
// PKU, CET, KL, ENQCMD, PKS: state that is not switched. WAITPKG: would wait in the host's place. LA57: not walked.
// MOVDIRI, MOVDIR64B: not decoded.
constexpr u8 kRdpid = 22;
constexpr u32 kLeaf7Ecx = bits({1 /*AVX512_VBMI*/, 2 /*UMIP*/, 6 /*AVX512_VBMI2*/, 8 /*GFNI*/, 9 /*VAES*/, 10 /*VPCLMULQDQ*/,
                                11 /*AVX512_VNNI*/, 12 /*AVX512_BITALG*/, 14 /*AVX512_VPOPCNTDQ*/, kRdpid, 25 /*CLDEMOTE*/});
// IBRS, STIBP, SSBD, L1D_FLUSH, CORE_CAPABILITIES: MSRs that are not switched. AMX, UINTR, PCONFIG, LBR, CET_IBT: state
// that is not switched.
constexpr u8 kArchCapabilities = 29;
constexpr u32 kLeaf7Edx = bits({2 /*AVX512_4VNNIW*/, 3 /*AVX512_4FMAPS*/, 4 /*FSRM*/, 8 /*AVX512_VP2INTERSECT*/, 10 /*MD_CLEAR*/,
                                14 /*SERIALIZE*/, 23 /*AVX512_FP16*/, kArchCapabilities});
constexpr u32 kLeaf7Sub1Eax = bits({4 /*AVX_VNNI*/, 5 /*AVX512_BF16*/, 10 /*FZRM*/, 11 /*FSRS*/, 12 /*FSRC*/, 23 /*AVX_IFMA*/});

enum ExtendedEcx : u8 { kCmpLegacy = 1 };
// SVM, SKINIT, IBS, WDT, LWP, performance counters: not emulated. TOPOEXT: the topology follows from leaf 0x80000008.
// OSVW: no errata to report.
constexpr u32 kExtendedEcx =
    bits({0 /*LAHF*/, 5 /*ABM*/, 6 /*SSE4A*/, 7 /*MISALIGNSSE*/, 8 /*PREFETCHW*/, 11 /*XOP*/, 16 /*FMA4*/, 21 /*TBM*/});
enum ExtendedEdx : u8 { kExtendedApic = 9, kNx = 20, kRdtscp = 27 };
// FFXSR: EFER.FFXSR is not offered.
constexpr u32 kExtendedEdx = bits({kFpu,
                                   kVme,
                                   kDe,
                                   kPse,
                                   kTsc,
                                   kMsr,
                                   kPae,
                                   kMce,
                                   kCx8,
                                   11 /*SYSCALL*/,
                                   kMtrr,
                                   kPge,
                                   kMca,
                                   kCmov,
                                   kPat,
                                   kPse36,
                                   kNx,
                                   22 /*MMXEXT*/,
                                   kMmx,
                                   kFxsr,
                                   26 /*1 GiB pages*/,
                                   kRdtscp,
                                   29 /*LM*/,
                                   30 /*3DNOWEXT*/,
                                   31 /*3DNOW*/});
constexpr u32 kInvariantTsc = bits({8});
// IBPB, IBRS, STIBP, SSBD, PPIN, CPPC: MSRs that are not switched. RDPRU: the host's counters. WBNOINVD, INVLPGB:
// trapped.
constexpr u32 kCapacityEbx = bits({0 /*CLZERO*/, 2 /*XSAVEERPTR*/, 26 /*SSB_NO*/, 29 /*BTC_NO*/});
constexpr u32 kExtended2Eax = bits({0 /*NO_NESTED_DATA_BP*/, 2 /*LFENCE_ALWAYS_SERIALIZING*/, 6 /*NULL_SEL_CLEARS_BASE*/});

/// Leaf 6 EAX: the APIC timer runs in every idle state, because it is the hypervisor's.
constexpr u32 kAlwaysRunningApicTimer = bits({2});

// ---- leaves with a computed part -------------------------------------------------------------------------------------

struct Query {
  const CpuidSource& host;
  const CpuidGuest& guest;
  u32 leaf;
  u32 subleaf;
};

constexpr u32 kAmdVendorEcx = 0x444d'4163;    ///< "cAMD"
constexpr u32 kHygonVendorEcx = 0x656e'6975;  ///< "uine"

bool is_amd(const CpuidSource& host) {
  const u32 ecx = host.read(0, 0).ecx;
  return ecx == kAmdVendorEcx || ecx == kHygonVendorEcx;
}

/// Bits of the APIC id that number the cores of the package.
u32 core_id_bits(const CpuidGuest& guest) { return std::bit_width(guest.cpu_count - 1); }

constexpr u32 kMaxLeafIntel = 0x1f;  // holds leaves 0x15 and 0x16, which the host may lack
constexpr u32 kMaxLeafAmd = 0xd;
void fix_max_leaf(const Query& q, CpuidResult& r) { r.eax = is_amd(q.host) ? kMaxLeafAmd : kMaxLeafIntel; }

void fix_features(const Query& q, CpuidResult& r) {
  constexpr u32 kBrandAndClflush = 0xffff;
  const u32 ids = 1u << core_id_bits(q.guest);
  r.ebx = (r.ebx & kBrandAndClflush) | std::min(ids, 0xffu) << 16 | q.guest.apic_id << 24;
  r.ecx |= bits({kX2Apic, kTscDeadline, kHypervisor});
  if (q.guest.apic_enabled) r.edx |= bits({kApic});
  if (q.guest.cpu_count > 1) r.edx |= bits({kHtt});
}

void fix_caches(const Query& q, CpuidResult& r) {
  constexpr u32 kTypeMask = 0x1f, kLevelShift = 5, kLevelMask = 7, kDescription = 0x3ff;  // up to "fully associative"
  if ((r.eax & kTypeMask) == 0) {
    r = {};
    return;
  }
  constexpr u32 kLastPrivateLevel = 2;
  const u32 ids = (1u << core_id_bits(q.guest)) - 1;
  const u32 sharing = (r.eax >> kLevelShift & kLevelMask) > kLastPrivateLevel ? std::min(ids, 0xfffu) : 0;
  r.eax = (r.eax & kDescription) | sharing << 14 | std::min(ids, 0x3fu) << 26;
}

void fix_extended_features(const Query& q, CpuidResult& r) {
  constexpr u32 kHighestSubleaf = 1;
  if (q.subleaf == 0)
    r.eax = std::min(r.eax, kHighestSubleaf);
  else if (q.subleaf == 1)
    r = {r.eax & kLeaf7Sub1Eax, 0, 0, 0};
  else
    r = {};
}

/// Levels: threads (one), cores.
void fix_topology(const Query& q, CpuidResult& r) {
  constexpr u32 kThreadLevel = 1, kCoreLevel = 2, kTypeShift = 8;
  r = {0, 0, q.subleaf & 0xff, q.guest.apic_id};
  if (q.subleaf == 0) r = {0, 1, r.ecx | kThreadLevel << kTypeShift, r.edx};
  if (q.subleaf == 1) r = {core_id_bits(q.guest), q.guest.cpu_count, r.ecx | kCoreLevel << kTypeShift, r.edx};
}

void fix_xstate(const Query& q, CpuidResult& r) { r = guest_xstate_leaf(q.host, q.guest.xcr0, q.subleaf); }

/// TSC frequency = ECX (the crystal, which also drives the APIC timer) * EBX / EAX.
void fix_tsc_ratio(const Query& q, CpuidResult& r) {
  r = {};
  const u64 tsc = q.guest.tsc_hz, crystal = q.guest.apic_timer_hz;
  constexpr u64 kLimit = std::numeric_limits<u32>::max();
  if (is_amd(q.host) || tsc == 0 || crystal == 0 || crystal > kLimit) return;
  const u64 divisor = std::gcd(tsc, crystal);
  if (tsc / divisor > kLimit) return;
  r = {static_cast<u32>(crystal / divisor), static_cast<u32>(tsc / divisor), static_cast<u32>(crystal), 0};
}

void fix_frequencies(const Query& q, CpuidResult& r) {
  const u32 mhz = is_amd(q.host) ? 0 : static_cast<u32>(q.guest.tsc_hz / kMegaHertz);
  r = {mhz, mhz, 0, 0};
}

constexpr u32 text(std::string_view four) {
  return static_cast<u8>(four[0]) | static_cast<u8>(four[1]) << 8 | static_cast<u8>(four[2]) << 16 |
         static_cast<u32>(static_cast<u8>(four[3])) << 24;
}

void fix_hypervisor(const Query&, CpuidResult& r) { r = {kHypervisorFrequencyLeaf, text("AxVi"), text("sorA"), text("xVis")}; }
void fix_hypervisor_exits(const Query& q, CpuidResult& r) {
  r = {static_cast<u32>(q.guest.exits), static_cast<u32>(q.guest.exits >> 32), 0, 0};
}
void fix_hypervisor_frequencies(const Query& q, CpuidResult& r) {
  r = {static_cast<u32>(q.guest.tsc_hz / kKiloHertz), static_cast<u32>(q.guest.apic_timer_hz / kKiloHertz), 0, 0};
}

/// KVM's paravirtual features: its clock (two generations of MSRs, the second offered), steal time, no delay on port
/// 0x80.
constexpr u32 kKvmNoIoDelay = 1 << 1, kKvmClock2 = 1 << 3, kKvmStealTime = 1 << 5, kKvmClockIsStable = 1 << 24;
void fix_kvm(const Query&, CpuidResult& r) { r = {kKvmLeaves + 1, text("KVMK"), text("VMKV"), text({"M\0\0\0", 4})}; }
void fix_kvm_features(const Query&, CpuidResult& r) {
  r = {kKvmNoIoDelay | kKvmClock2 | kKvmStealTime | kKvmClockIsStable, 0, 0, 0};
}

constexpr u32 kExtendedLeaves = 0x8000'0000;
constexpr u32 kMaxExtendedLeaf = kExtendedLeaves + 0x21;
void fix_max_extended_leaf(const Query&, CpuidResult& r) { r.eax = std::min(r.eax, kMaxExtendedLeaf); }

void fix_amd_features(const Query& q, CpuidResult& r) {
  if (!is_amd(q.host)) return;
  if (q.guest.cpu_count > 1) r.ecx |= bits({kCmpLegacy});
  if (q.guest.apic_enabled) r.edx |= bits({kExtendedApic});
}

void fix_capacity(const Query& q, CpuidResult& r) {
  constexpr u32 kLinearBits = 48, kLinearShift = 8, kByte = 0xff, kCoreIdBitsShift = 12;
  r.eax = (r.eax & kByte) | std::min(r.eax >> kLinearShift & kByte, kLinearBits) << kLinearShift;
  if (is_amd(q.host)) r.ecx = (q.guest.cpu_count - 1) | core_id_bits(q.guest) << kCoreIdBitsShift;
}

// ---- the table ------------------------------------------------------------------------------------------------------

/// The host's words through their masks, then `fix`. Subleaves above 0 are for those leaves whose `fix` looks at them.
struct Row {
  u32 leaf;
  u32 eax, ebx, ecx, edx;
  void (*fix)(const Query&, CpuidResult&) = nullptr;
};

constexpr Row pass(u32 leaf) { return {leaf, kAll, kAll, kAll, kAll}; }
constexpr Row made(u32 leaf, void (*fix)(const Query&, CpuidResult&)) { return {leaf, 0, 0, 0, 0, fix}; }

/// Sorted by leaf.
constexpr Row kLeaves[] = {
    {0x0, 0, kAll, kAll, kAll, fix_max_leaf},  // vendor
    {0x1, kAll, kAll, kLeaf1Ecx, kLeaf1Edx, fix_features},
    pass(0x2),  // cache descriptors
    {0x4, kAll, kAll, kAll, kAll, fix_caches},
    {0x6, kAlwaysRunningApicTimer, 0, 0, 0, [](const Query&, CpuidResult& r) { r.eax |= kAlwaysRunningApicTimer; }},
    {0x7, kAll, kLeaf7Ebx, kLeaf7Ecx, kLeaf7Edx, fix_extended_features},
    made(0xb, fix_topology),
    made(kXstateLeaf, fix_xstate),
    made(0x15, fix_tsc_ratio),
    made(0x16, fix_frequencies),
    made(0x1f, fix_topology),
    made(kHypervisorLeaves, fix_hypervisor),
    made(kHypervisorExitsLeaf, fix_hypervisor_exits),
    made(kHypervisorFrequencyLeaf, fix_hypervisor_frequencies),
    made(kKvmLeaves, fix_kvm),
    made(kKvmLeaves + 1, fix_kvm_features),
    {kExtendedLeaves, kAll, kAll, kAll, kAll, fix_max_extended_leaf},
    {kExtendedLeaves + 0x1, kAll, kAll, kExtendedEcx, kExtendedEdx, fix_amd_features},
    pass(kExtendedLeaves + 0x2),  // brand string
    pass(kExtendedLeaves + 0x3),
    pass(kExtendedLeaves + 0x4),
    pass(kExtendedLeaves + 0x5),  // L1 caches and TLBs
    pass(kExtendedLeaves + 0x6),  // L2 and L3
    {kExtendedLeaves + 0x7, 0, 0, 0, 0, [](const Query&, CpuidResult& r) { r.edx = kInvariantTsc; }},
    {kExtendedLeaves + 0x8, kAll, kCapacityEbx, 0, 0, fix_capacity},
    pass(kExtendedLeaves + 0x19),  // TLBs for 1 GiB pages
    pass(kExtendedLeaves + 0x1a),  // widths of execution units
    {kExtendedLeaves + 0x21, kExtended2Eax, 0, 0, 0},
};
static_assert(std::ranges::is_sorted(kLeaves, {}, &Row::leaf));

}  // namespace

CpuidResult guest_cpuid(const CpuidSource& host, const CpuidGuest& guest, u32 leaf, u32 subleaf) {
  const Row* row = std::ranges::lower_bound(kLeaves, leaf, {}, &Row::leaf);
  if (row == std::end(kLeaves) || row->leaf != leaf) return {};
  CpuidResult result;
  // Leaves above the host's highest would repeat that one's words.
  if ((row->eax | row->ebx | row->ecx | row->edx) != 0 && host.read(leaf & kExtendedLeaves, 0).eax >= leaf) {
    result = host.read(leaf, subleaf);
    result = {result.eax & row->eax, result.ebx & row->ebx, result.ecx & row->ecx, result.edx & row->edx};
  }
  if (row->fix != nullptr) row->fix({host, guest, leaf, subleaf}, result);
  return result;
}

namespace {

enum class Word : u8 { Eax, Ebx, Ecx, Edx };

/// A feature and the bits of CR4 that come with it (SDM vol. 3 2.5). Those of features that no guest sees are missing.
struct ControlBit {
  u8 leaf;
  Word word;
  u8 bit;
  u32 cr4;
};
constexpr ControlBit kControlBits[] = {
    {1, Word::Edx, kVme, 0x003},          {1, Word::Edx, kTsc, 0x004},         {1, Word::Edx, kDe, 0x008},
    {1, Word::Edx, kPse, 0x010},          {1, Word::Edx, kPae, 0x020},         {1, Word::Edx, kMce, 0x040},
    {1, Word::Edx, kPge, 0x080},          {1, Word::Edx, kMsr, 0x100 /*PCE*/}, {1, Word::Edx, kFxsr, 0x200},
    {1, Word::Edx, kSse, 0x400},          {7, Word::Ecx, 2, 1 << 11 /*UMIP*/}, {7, Word::Ebx, 0, 1 << 16 /*FSGSBASE*/},
    {1, Word::Ecx, kPcid, 1 << 17},       {1, Word::Ecx, kXsave, 1 << 18},     {7, Word::Ebx, 7, 1 << 20 /*SMEP*/},
    {7, Word::Ebx, 20, 1 << 21 /*SMAP*/},
};

}  // namespace

CpuidFacts cpuid_facts(const CpuidSource& host) {
  CpuidFacts facts;
  const CpuidGuest anyone;
  for (const ControlBit& row : kControlBits) {
    const CpuidResult r = guest_cpuid(host, anyone, row.leaf, 0);
    const u32 words[] = {r.eax, r.ebx, r.ecx, r.edx};
    if ((words[static_cast<u8>(row.word)] >> row.bit & 1) != 0) facts.cr4 |= row.cr4;
  }
  const CpuidResult extended = guest_cpuid(host, anyone, kExtendedLeaves + 0x1, 0);
  const CpuidResult seven = guest_cpuid(host, anyone, 0x7, 0);
  facts.no_execute = (extended.edx & bits({kNx})) != 0;
  facts.tsc_aux = (extended.edx & bits({kRdtscp})) != 0 || (seven.ecx & bits({kRdpid})) != 0;
  facts.arch_capabilities = (seven.edx & bits({kArchCapabilities})) != 0;
  if (const u32 physical = guest_cpuid(host, anyone, kExtendedLeaves + 0x8, 0).eax & 0xff; physical != 0) {
    facts.physical_address_bits = static_cast<u8>(physical);
  }
  return facts;
}

}  // namespace hv
