#include "hypervisor/vcpu/x86_64/backend.hpp"

#include <array>
#include <utility>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {
namespace {

using namespace x86;

constexpr u64 kPortMapSize = 3 * kPageSize;
constexpr u32 kPorts = 0x1'0000;

struct MsrRegister {
  u32 index;
  GuestRegister which;
};
constexpr MsrRegister kMsrRegisters[] = {
    {Msr::kSysenterCs, GuestRegister::SysenterCs},
    {Msr::kSysenterEsp, GuestRegister::SysenterEsp},
    {Msr::kSysenterEip, GuestRegister::SysenterEip},
    {Msr::kPat, GuestRegister::Pat},
    {Msr::kEfer, GuestRegister::Efer},
    {Msr::kStar, GuestRegister::Star},
    {Msr::kLstar, GuestRegister::Lstar},
    {Msr::kCstar, GuestRegister::Cstar},
    {Msr::kSfmask, GuestRegister::Sfmask},
    {Msr::kFsBase, GuestRegister::FsBase},
    {Msr::kGsBase, GuestRegister::GsBase},
    {Msr::kKernelGsBase, GuestRegister::KernelGsBase},
    {Msr::kTscAux, GuestRegister::TscAux},
};

}  // namespace

std::string_view describe(ExitReason reason) {
  constexpr std::array<std::string_view, kExitReasons> kNames = {"nothing",
                                                                 "an interrupt",
                                                                 "an NMI",
                                                                 "an interrupt window",
                                                                 "an NMI window",
                                                                 "a lost interrupt shadow",
                                                                 "a lower task priority",
                                                                 "a write to the local APIC",
                                                                 "an end of interrupt",
                                                                 "CPUID",
                                                                 "HLT",
                                                                 "a hypercall",
                                                                 "RDMSR",
                                                                 "WRMSR",
                                                                 "a port access",
                                                                 "a nested page fault",
                                                                 "XSETBV",
                                                                 "an access to CR8",
                                                                 "a write to CR4",
                                                                 "INVD or WBINVD",
                                                                 "PAUSE",
                                                                 "an instruction it was not promised",
                                                                 "RDPMC",
                                                                 "a triple fault",
                                                                 "a hardware task switch",
                                                                 "a machine check",
                                                                 "a state that the hardware refuses",
                                                                 "an unexpected exit"};
  return kNames[static_cast<usize>(reason)];
}

std::optional<GuestRegister> register_of_msr(u32 index) {
  for (const MsrRegister& msr : kMsrRegisters)
    if (msr.index == index) return msr.which;
  return std::nullopt;
}

u32 msr_of_register(GuestRegister which) {
  for (const MsrRegister& msr : kMsrRegisters)
    if (msr.which == which) return msr.index;
  return 0;
}

CodeState VcpuBackend::code() const {
  const PagingState paging{.cr0 = read(GuestRegister::Cr0),
                           .cr3 = read(GuestRegister::Cr3),
                           .cr4 = read(GuestRegister::Cr4),
                           .efer = read(GuestRegister::Efer),
                           .privilege = static_cast<u8>(privilege())};
  const bool long_code = (segment(SegmentRegister::Cs).attributes & SegmentState::kLong) != 0;
  return {paging, long_code && (paging.efer & Efer::kLma) != 0};
}

Result<PortPermissions> PortPermissions::create(VmFrames& frames) {
  const HpaRange map = TRY(frames.allocate(kPortMapSize, kPageSize));
  __builtin_memset(reinterpret_cast<void*>(map.base.value()), 0xff, kPortMapSize);
  return PortPermissions(map, frames);
}

PortPermissions::PortPermissions(PortPermissions&& other) noexcept
    : map_(std::exchange(other.map_, {})), frames_(other.frames_) {}

PortPermissions::~PortPermissions() {
  if (!map_.empty()) frames_.free(map_);
}

Result<void> PortPermissions::allow(u16 first, u32 count) {
  if (count > kPorts - first) return fail(Error::OutOfRange);
  u8* bits = reinterpret_cast<u8*>(map_.base.value());
  for (u32 port = first; port < first + count; ++port) bits[port / 8] &= static_cast<u8>(~(1u << port % 8));
  return {};
}

void PortPermissions::forbid(u16 first, u32 count) {
  u8* bits = reinterpret_cast<u8*>(map_.base.value());
  for (u32 port = first; port < first + count && port < kPorts; ++port) bits[port / 8] |= static_cast<u8>(1u << port % 8);
}

}  // namespace hv
