// What only GICv3 has: affinity routing, redistributor frames, SGIs by system register. IHI 0069 12.9 to 12.11.
//
// A guest sees one security state (GICD_CTLR.DS = 1) and no LPIs: GICR_CTLR, GICR_PROPBASER and GICR_PENDBASER, message
// registers, NSACR and IGRPMODR are reserved, that is, read as zero.
#include "hypervisor/device/vgic.hpp"
#include "hypervisor/device/vgic_bits.hpp"

namespace hv {
namespace {

// GICD_CTLR with one security state, IHI 0069 12.9.4.
constexpr u32 kControlAffinityRouting = 1u << 4;  // RAO/WI: there is no legacy operation
constexpr u32 kControlDisableSecurity = 1u << 6;  // RAO/WI
constexpr u32 kImplementedControl = kEnableGroup0 | kEnableGroup1;

constexpr u64 kRouterAffinityMask = 0xff'00ff'ffff;
constexpr unsigned kRouterAffinity3Shift = 32;

// GICR_TYPER, IHI 0069 12.11.35.
constexpr u64 kRedistributorLast = 1u << 4;
constexpr unsigned kRedistributorNumberShift = 8;
constexpr unsigned kRedistributorAffinityShift = 32;

constexpr u32 kWakerProcessorSleep = 1u << 1;
constexpr u32 kWakerChildrenAsleep = 1u << 2;

// ICC_SGI1R_EL1, IHI 0069 12.2.14.
constexpr unsigned kSgiAffinity1Shift = 16;
constexpr unsigned kSgiIntidShift = 24;
constexpr unsigned kSgiAffinity2Shift = 32;
constexpr unsigned kSgiAllOthersShift = 40;
constexpr unsigned kSgiRangeShift = 44;
constexpr unsigned kSgiAffinity3Shift = 48;

// As in vgicv2.cpp, from 0xffd0 on.
constexpr u8 kIdentification[] = {0x44, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};

constexpr u64 kFrameSize = 64_KiB;

constexpr u32 pack_affinity(u64 router) {
  return static_cast<u32>(router & 0xff'ffff) | static_cast<u32>(router >> kRouterAffinity3Shift & 0xff) << 24;
}
constexpr u64 unpack_affinity(u32 affinity) {
  return (affinity & 0xff'ffff) | u64{affinity >> 24} << kRouterAffinity3Shift;
}

}  // namespace

struct Vgic::TablesV3 {
  static constexpr Register distributor[] = {
      {0x0000, 0x0004, kWord, &Vgic::read_control_v3, &Vgic::write_control_v3},
      {0x0004, 0x0004, kWord, &Vgic::read_typer, &Vgic::write_nothing},
      {0x0008, 0x0004, kWord, &Vgic::read_iidr, &Vgic::write_nothing},
      {0x0080, 0x0080, kWord, &Vgic::read_group, &Vgic::write_group},                  // GICD_IGROUPR
      {0x0100, 0x0080, kWord, &Vgic::read_enabled, &Vgic::set_enabled},                // GICD_ISENABLER
      {0x0180, 0x0080, kWord, &Vgic::read_enabled, &Vgic::clear_enabled},              // GICD_ICENABLER
      {0x0200, 0x0080, kWord, &Vgic::read_pending, &Vgic::set_pending},                // GICD_ISPENDR
      {0x0280, 0x0080, kWord, &Vgic::read_pending, &Vgic::clear_pending},              // GICD_ICPENDR
      {0x0300, 0x0080, kWord, &Vgic::read_active, &Vgic::set_active},                  // GICD_ISACTIVER
      {0x0380, 0x0080, kWord, &Vgic::read_active, &Vgic::clear_active},                // GICD_ICACTIVER
      {0x0400, 0x0400, kByteOrWord, &Vgic::read_priority, &Vgic::write_priority},      // GICD_IPRIORITYR
      {0x0c00, 0x0100, kWord, &Vgic::read_configuration, &Vgic::write_configuration},  // GICD_ICFGR
      {0x6100, 0x1ee0, kWordOrDouble, &Vgic::read_router, &Vgic::write_router},        // GICD_IROUTER
      {0xffd0, 0x0030, kWord, &Vgic::read_peripheral_id_v3, &Vgic::write_nothing},
  };

  static constexpr Register redistributor[] = {
      {0x0004, 0x0004, kWord, &Vgic::read_iidr, &Vgic::write_nothing},
      {0x0008, 0x0008, kWordOrDouble, &Vgic::read_redistributor_typer, &Vgic::write_nothing},
      {0x0014, 0x0004, kWord, &Vgic::read_waker, &Vgic::write_waker},
      {0xffd0, 0x0030, kWord, &Vgic::read_peripheral_id_v3, &Vgic::write_nothing},
  };

  static constexpr Register sgi_frame[] = {
      {0x0080, 0x0004, kWord, &Vgic::read_group, &Vgic::write_group},                  // GICR_IGROUPR0
      {0x0100, 0x0004, kWord, &Vgic::read_enabled, &Vgic::set_enabled},                // GICR_ISENABLER0
      {0x0180, 0x0004, kWord, &Vgic::read_enabled, &Vgic::clear_enabled},              // GICR_ICENABLER0
      {0x0200, 0x0004, kWord, &Vgic::read_pending, &Vgic::set_pending},                // GICR_ISPENDR0
      {0x0280, 0x0004, kWord, &Vgic::read_pending, &Vgic::clear_pending},              // GICR_ICPENDR0
      {0x0300, 0x0004, kWord, &Vgic::read_active, &Vgic::set_active},                  // GICR_ISACTIVER0
      {0x0380, 0x0004, kWord, &Vgic::read_active, &Vgic::clear_active},                // GICR_ICACTIVER0
      {0x0400, 0x0020, kByteOrWord, &Vgic::read_priority, &Vgic::write_priority},      // GICR_IPRIORITYR
      {0x0c00, 0x0008, kWord, &Vgic::read_configuration, &Vgic::write_configuration},  // GICR_ICFGR0, 1
  };
};
constinit const std::span<const Vgic::Register> Vgic::kDistributorV3 = TablesV3::distributor;
constinit const std::span<const Vgic::Register> Vgic::kRedistributor = TablesV3::redistributor;
constinit const std::span<const Vgic::Register> Vgic::kSgiFrame = TablesV3::sgi_frame;

u64 Vgic::read_redistributor(unsigned target, const MmioAccess& access) {
  const u64 offset = access.offset % kFrameSize;
  const Register* row = find(access.offset < kFrameSize ? kRedistributor : kSgiFrame, offset, access.size);
  if (row == nullptr) return 0;
  return (this->*row->read)(
      {access.vcpu, static_cast<u8>(target), static_cast<u32>(offset) - row->offset, access.size});
}

void Vgic::write_redistributor(unsigned target, const MmioAccess& access, u64 value) {
  const u64 offset = access.offset % kFrameSize;
  const Register* row = find(access.offset < kFrameSize ? kRedistributor : kSgiFrame, offset, access.size);
  if (row == nullptr) return;
  (this->*row->write)({access.vcpu, static_cast<u8>(target), static_cast<u32>(offset) - row->offset, access.size},
                      value);
}

std::optional<u64> VgicRedistributors::read(const MmioAccess& access) {
  const u64 target = first_vcpu_ + access.offset / kStride;
  if (target >= vgic_.config().vcpu_count) return std::nullopt;
  return vgic_.read_redistributor(static_cast<unsigned>(target), {access.offset % kStride, access.size, access.vcpu});
}

bool VgicRedistributors::write(const MmioAccess& access, u64 value) {
  const u64 target = first_vcpu_ + access.offset / kStride;
  if (target >= vgic_.config().vcpu_count) return false;
  vgic_.write_redistributor(static_cast<unsigned>(target), {access.offset % kStride, access.size, access.vcpu}, value);
  return true;
}

u64 Vgic::read_control_v3(const Access&) { return group_enables_ | kControlAffinityRouting | kControlDisableSecurity; }
void Vgic::write_control_v3(const Access&, u64 value) {
  set_group_enables(static_cast<u32>(value) & kImplementedControl);
}
u64 Vgic::read_peripheral_id_v3(const Access& access) { return kIdentification[access.offset / 4]; }

unsigned Vgic::vcpu_of_affinity(u32 affinity) const {
  for (unsigned i = 0; i < config_.vcpu_count; ++i) {
    if (config_.affinity[i] == affinity) return i;
  }
  return kNobody;
}

u64 Vgic::read_router(const Access& access) {
  const u32 index = access.offset / 8;
  if (index >= config_.spi_count) return 0;
  return extract_bytes(unpack_affinity(spis_[index / 32].route[index % 32]), access.offset, access.size);
}

void Vgic::write_router(const Access& access, u64 value) {
  const u32 index = access.offset / 8;
  if (index >= config_.spi_count) return;
  SpiBlock& block = spis_[index / 32];
  u32& route = block.route[index % 32];
  route = pack_affinity(replace_bytes(unpack_affinity(route), access.offset, access.size, value) & kRouterAffinityMask);
  block.target[index % 32] = static_cast<u8>(vcpu_of_affinity(route));
  refresh(spi_bank(index / 32), 1u << index % 32);
}

u64 Vgic::read_redistributor_typer(const Access& access) {
  const unsigned target = access.bank;
  const bool last = target + 1 == config_.vcpu_count || (config_.last_of_region >> target & 1) != 0;
  const u64 value = u64{config_.affinity[target]} << kRedistributorAffinityShift |
                    u64{target} << kRedistributorNumberShift | (last ? kRedistributorLast : 0);
  return extract_bytes(value, access.offset, access.size);
}

// Waking is instantaneous. A sleeping redistributor forwards interrupts all the same: what it would hold back on real
// hardware wakes the CPU there by WakeRequest, which here is the same as delivering it.
u64 Vgic::read_waker(const Access& access) {
  return vcpus_[access.bank].asleep ? kWakerProcessorSleep | kWakerChildrenAsleep : 0;
}

void Vgic::write_waker(const Access& access, u64 value) {
  vcpus_[access.bank].asleep = (value & kWakerProcessorSleep) != 0;
}

// With one security state ICC_SGI1R_EL1 reaches interrupts of both groups, the other two only group 0. IHI 0069 8.1.10
// and table 8-14.
void Vgic::send_sgi(unsigned vcpu, SgiRegister which, u64 value) {
  const u32 bit = 1u << (value >> kSgiIntidShift & 0xf);
  const bool all_others = (value >> kSgiAllOthersShift & 1) != 0;
  const u32 cluster = static_cast<u32>(value >> kSgiAffinity3Shift & 0xff) << 16 |
                      static_cast<u32>(value >> kSgiAffinity2Shift & 0xff) << 8 |
                      static_cast<u32>(value >> kSgiAffinity1Shift & 0xff);
  const u32 range = static_cast<u32>(value >> kSgiRangeShift & 0xf);
  for (unsigned i = 0; i < config_.vcpu_count; ++i) {
    if (all_others) {
      if (i == vcpu) continue;
    } else {
      const u32 affinity = config_.affinity[i];
      const u32 affinity0 = affinity & 0xff;
      if (affinity >> 8 != cluster || affinity0 >> 4 != range || (value >> (affinity0 & 0xf) & 1) == 0) continue;
    }
    Block& block = vcpus_[i].banked;
    if (which != SgiRegister::Sgi1r && (block.group1 & bit) != 0) continue;
    block.latch |= bit;
    refresh_private(i, bit);
  }
}

}  // namespace hv
