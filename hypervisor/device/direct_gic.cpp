#include "hypervisor/device/direct_gic.hpp"

#include <bit>

#include "hypervisor/device/vgic_bits.hpp"

namespace hv {
namespace {

// IHI 0069 12.8; the private ones at the same places of a redistributor's second frame.
constexpr u32 kControl = 0x000, kType = 0x004, kGroup = 0x080, kSetEnable = 0x100, kClearEnable = 0x180, kSetPending = 0x200,
              kClearPending = 0x280, kSetActive = 0x300, kClearActive = 0x380, kPriority = 0x400, kConfiguration = 0xc00,
              kGroupModifier = 0xd00, kConfigurationEnd = 0xd00, kGroupModifierEnd = 0xd80;
constexpr u32 kBitmapSize = 0x80, kPrioritySize = 0x400;
constexpr u64 kRouter = 0x6000, kRouterEnd = 0x7fe0;

// GICD_CTLR and GICD_TYPER from the non-secure side.
constexpr u32 kEnableGroup1Affinity = 1 << 1, kControlAffinity = 1 << 4;
constexpr u32 kSecurityExtension = 1 << 10;

constexpr u64 kFrame = 64_KiB;
constexpr u32 kEdge = 2;

// ICC_SGI1R_EL1, IHI 0069 12.2.14.
constexpr unsigned kSgiIntid = 24, kSgiAllOthers = 40, kSgiRange = 44;

/// The affinity levels above 0 of a target, as GICR_TYPER packs them.
constexpr u32 cluster_of(u64 sgi) {
  return static_cast<u32>((sgi >> 48 & 0xff) << 16 | (sgi >> 32 & 0xff) << 8 | (sgi >> 16 & 0xff));
}
constexpr u64 unpack_affinity(u32 packed) { return (packed & 0xff'ffff) | u64{packed >> 24} << 32; }
constexpr u32 pack_affinity(u64 router) { return static_cast<u32>((router & 0xff'ffff) | (router >> 32 & 0xff) << 24); }

}  // namespace

DirectGic::DirectGic(Vgic& answers, GicHardware& hardware, u32 private_interrupts, u32 lines)
    : answers_(answers), hardware_(hardware), lines_(lines) {
  own_[0] = kGuestSgis | private_interrupts;
}

void DirectGic::give(u32 intid) {
  own_[intid / 32] |= 1u << intid % 32;
  routes_[intid] = 0;
  hardware_.write(GicHardware::kDistributor, kClearEnable + intid / 32 * 4, 1u << intid % 32);
  hardware_.write_priority(GicHardware::kDistributor, intid, hardware_priority(0));
  hardware_.route(intid, 0);
}

void DirectGic::reset_private(unsigned vcpu) {
  private_enabled_[vcpu] = 0;
  for (const u32 offset : {kClearEnable, kClearPending, kClearActive}) hardware_.write(vcpu, offset, own_[0]);
  for_each_bit(own_[0], [&](unsigned intid) { hardware_.write_priority(vcpu, intid, hardware_priority(0)); });
}

DirectGic::PrivateState DirectGic::save_private(unsigned vcpu) {
  const PrivateState state{hardware_.read(vcpu, kSetPending) & own_[0] & ~lines_, hardware_.read(vcpu, kSetActive) & own_[0]};
  for (const u32 offset : {kClearEnable, kClearPending, kClearActive}) hardware_.write(vcpu, offset, own_[0]);
  return state;
}

void DirectGic::restore_private(unsigned vcpu, const PrivateState& state) {
  if (state.pending != 0) hardware_.write(vcpu, kSetPending, state.pending);
  if (state.active != 0) hardware_.write(vcpu, kSetActive, state.active);
  apply_enables(vcpu, 0, own_[0]);
}

void DirectGic::set_line(unsigned vcpu, u32 intid, bool asserted) {
  if (!owns(intid)) return;
  const unsigned frame = intid < kFirstSpi ? vcpu : GicHardware::kDistributor;
  hardware_.write(frame, (asserted ? kSetPending : kClearPending) + intid / 32 * 4, 1u << intid % 32);
}

void DirectGic::send_sgi(unsigned sender, SgiRegister which, u64 value) {
  const u32 sgi = static_cast<u32>(value >> kSgiIntid & 0xf);
  // The others are for Group 0, and for the other security state.
  if (which != SgiRegister::Sgi1r || !owns(sgi)) return;
  const VgicConfig& config = answers_.config();
  const bool all_others = (value >> kSgiAllOthers & 1) != 0;
  u32 targets = 0;
  for (unsigned i = 0; i < config.vcpu_count; ++i) {
    const u32 affinity = config.affinity[i], level0 = affinity & 0xff;
    const bool listed = affinity >> 8 == cluster_of(value) && level0 >> 4 == (value >> kSgiRange & 0xf) && (value >> (level0 & 0xf) & 1) != 0;
    if (all_others ? i != sender : listed) targets |= 1u << i;
  }
  if (targets != 0) hardware_.send_sgi(targets, sgi);
}

// ---- what both kinds of frame have --------------------------------------------------------------------------------------

std::optional<u64> DirectGic::read_interrupts(unsigned frame, u32 offset, u32 size) {
  if (offset % size != 0) return std::nullopt;
  const u32 register_base = offset & ~(kBitmapSize - 1), word = offset % kBitmapSize / 4;
  // A frame has private interrupts, or all others.
  const u32 own = (word == 0) == (frame != GicHardware::kDistributor) && word < kWords ? own_[word] : 0;
  if (offset >= kPriority && offset < kPriority + kPrioritySize) return read_priorities(frame, offset - kPriority, size);
  if (size != sizeof(u32)) return std::nullopt;
  if (offset >= kConfiguration && offset < kConfigurationEnd) return read_configuration(frame, (offset - kConfiguration) / 4);
  if (offset >= kGroupModifier && offset < kGroupModifierEnd) return 0;
  switch (register_base) {
    case kGroup: return 0;
    case kSetEnable:
    case kClearEnable: return own == 0 ? 0 : enabled(frame, word) & own;
    case kSetPending:
    case kClearPending:
    case kSetActive:
    case kClearActive: return own == 0 ? 0 : hardware_.read(frame, offset) & own;
    default: return std::nullopt;
  }
}

bool DirectGic::write_interrupts(unsigned frame, u32 offset, u32 size, u32 value) {
  if (offset % size != 0) return false;
  const bool distributor = frame == GicHardware::kDistributor;
  if (offset >= kPriority && offset < kPriority + kPrioritySize) {
    for (u32 i = 0; i < size; ++i) {
      const u32 intid = offset - kPriority + i;
      if (owns(intid) && (intid < kFirstSpi) != distributor) {
        hardware_.write_priority(frame, intid, hardware_priority(static_cast<u8>(value >> i * 8)));
      }
    }
    return true;
  }
  if (size != sizeof(u32)) return false;
  if (offset >= kConfiguration && offset < kConfigurationEnd) {
    const u32 first = (offset - kConfiguration) * 4;  // the edges of private ones are fixed
    for (u32 i = 0; distributor && i < 16; ++i) {
      if (first >= kFirstSpi && owns(first + i)) hardware_.configure(first + i, (value >> i * 2 & kEdge) != 0);
    }
    return true;
  }
  const u32 word = offset % kBitmapSize / 4;
  const u32 own = (word == 0) != distributor && word < kWords ? own_[word] & value : 0;
  switch (offset & ~(kBitmapSize - 1)) {
    case kGroup: return true;
    case kSetEnable:
      if (own != 0) enabled(frame, word) |= own, apply_enables(frame, word, own);
      return true;
    case kClearEnable:
      if (own != 0) enabled(frame, word) &= ~own, apply_enables(frame, word, own);
      return true;
    case kSetPending:
    case kClearPending:
    case kSetActive:
    case kClearActive:
      if (own != 0) hardware_.write(frame, offset, own);
      return true;
    default: return false;
  }
}

u64 DirectGic::read_priorities(unsigned frame, u32 first, u32 count) {
  u64 value = 0;
  for (u32 i = 0; i < count; ++i) {
    const u32 intid = first + i;
    if (!owns(intid) || (intid < kFirstSpi) == (frame == GicHardware::kDistributor)) continue;
    const u32 word = hardware_.read(frame, kPriority + (intid & ~3u));
    value |= u64{guest_priority(static_cast<u8>(word >> intid % 4 * 8))} << i * 8;
  }
  return value;
}

u64 DirectGic::read_configuration(unsigned frame, u32 word) {
  const u32 first = word * 16;
  if ((first < kFirstSpi) == (frame == GicHardware::kDistributor)) return 0;
  u32 mask = 0;
  for (u32 i = 0; i < 16; ++i) mask |= owns(first + i) ? kEdge << i * 2 : 0;
  return mask == 0 ? 0 : hardware_.read(frame, kConfiguration + word * 4) & mask;
}

// The group as a whole can only be held back interrupt by interrupt: its switch in the hardware is everybody's.
void DirectGic::apply_enables(unsigned frame, u32 word, u32 changed) {
  const u32 on = group_enabled_ ? enabled(frame, word) & changed : 0;
  if ((changed & ~on) != 0) hardware_.write(frame, kClearEnable + word * 4, changed & ~on);
  if (on != 0) hardware_.write(frame, kSetEnable + word * 4, on);
}

void DirectGic::write_control(u32 value) {
  const bool enable = (value & kEnableGroup1Affinity) != 0;
  if (enable == group_enabled_) return;
  group_enabled_ = enable;
  for (u32 word = 1; word < kWords; ++word) {
    if (enabled_[word] != 0) apply_enables(GicHardware::kDistributor, word, enabled_[word]);
  }
  for (unsigned vcpu = 0; vcpu < answers_.config().vcpu_count; ++vcpu) apply_enables(vcpu, 0, private_enabled_[vcpu]);
}

// ---- distributor --------------------------------------------------------------------------------------------------------

u64 DirectGic::read_distributor(const MmioAccess& access) {
  if (access.offset == kControl) return kControlAffinity | (group_enabled_ ? kEnableGroup1Affinity : 0);
  if (access.offset == kType) return answers_.read_distributor(access) | kSecurityExtension;
  if (access.offset >= kRouter && access.offset < kRouterEnd) return read_router(access);
  if (access.offset < kRouter) {
    if (const auto value = read_interrupts(GicHardware::kDistributor, static_cast<u32>(access.offset), access.size)) return *value;
  }
  return answers_.read_distributor(access);
}

void DirectGic::write_distributor(const MmioAccess& access, u64 value) {
  if (access.offset == kControl) return write_control(static_cast<u32>(value));
  if (access.offset >= kRouter && access.offset < kRouterEnd) return write_router(access, value);
  if (access.offset < kRouter)
    static_cast<void>(write_interrupts(GicHardware::kDistributor, static_cast<u32>(access.offset), access.size, static_cast<u32>(value)));
}

u64 DirectGic::read_router(const MmioAccess& access) {
  const u32 intid = static_cast<u32>(access.offset - kRouter) / 8;
  if (intid < kFirstSpi || !owns(intid)) return 0;
  return extract_bytes(unpack_affinity(answers_.config().affinity[routes_[intid]]), access.offset, access.size);
}

// An affinity that no vCPU has leaves the interrupt where it goes.
void DirectGic::write_router(const MmioAccess& access, u64 value) {
  const u32 intid = static_cast<u32>(access.offset - kRouter) / 8;
  if (intid < kFirstSpi || !owns(intid)) return;
  const VgicConfig& config = answers_.config();
  const u64 old = unpack_affinity(config.affinity[routes_[intid]]);
  const u32 wanted = pack_affinity(replace_bytes(old, access.offset, access.size, value));
  for (unsigned i = 0; i < config.vcpu_count; ++i) {
    if (config.affinity[i] != wanted || routes_[intid] == i) continue;
    routes_[intid] = static_cast<u8>(i);
    hardware_.route(intid, i);
  }
}

// ---- redistributors -----------------------------------------------------------------------------------------------------

u64 DirectGic::read_redistributor(unsigned target, const MmioAccess& access) {
  if (access.offset >= kFrame) {
    const auto value = read_interrupts(target, static_cast<u32>(access.offset - kFrame), access.size);
    return value.value_or(0);
  }
  return answers_.read_redistributor(target, access);
}

void DirectGic::write_redistributor(unsigned target, const MmioAccess& access, u64 value) {
  if (access.offset >= kFrame) {
    static_cast<void>(write_interrupts(target, static_cast<u32>(access.offset - kFrame), access.size, static_cast<u32>(value)));
  } else {
    answers_.write_redistributor(target, access, value);
  }
}

std::optional<u64> DirectGicRedistributors::read(const MmioAccess& access) {
  const u64 target = access.offset / VgicRedistributors::kStride;
  if (target >= vcpus_) return std::nullopt;
  return gic_.read_redistributor(static_cast<unsigned>(target), {access.offset % VgicRedistributors::kStride, access.size, access.vcpu});
}

bool DirectGicRedistributors::write(const MmioAccess& access, u64 value) {
  const u64 target = access.offset / VgicRedistributors::kStride;
  if (target >= vcpus_) return false;
  gic_.write_redistributor(static_cast<unsigned>(target), {access.offset % VgicRedistributors::kStride, access.size, access.vcpu}, value);
  return true;
}

}  // namespace hv
