// What only the GICv2 distributor has: banked target registers, SGI generation with sources. IHI 0048 4.3.
#include <bit>

#include "hypervisor/device/vgic.hpp"
#include "hypervisor/device/vgic_bits.hpp"

namespace hv {
namespace {

constexpr u32 kImplementedControl = kEnableGroup0 | kEnableGroup1;

// GICD_SGIR, IHI 0048 4.3.15.
constexpr unsigned kSgirFilterShift = 24;
constexpr unsigned kSgirTargetsShift = 16;
constexpr u32 kSgirIntidMask = 0xf;
enum class SgirFilter : u32 { TargetList = 0, AllOthers = 1, Self = 2, Reserved = 3 };

// The identification registers from 0xfd0 on, one byte a word: peripheral ID 4 to 7 and 0 to 3, component ID 0 to 3.
// Bits 7:4 of peripheral ID 2 are the architecture version.
constexpr u8 kIdentification[] = {0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

struct Vgic::TablesV2 {
  static constexpr Register distributor[] = {
      {0x000, 0x004, kWord, &Vgic::read_control_v2, &Vgic::write_control_v2},
      {0x004, 0x004, kWord, &Vgic::read_typer, &Vgic::write_nothing},
      {0x008, 0x004, kWord, &Vgic::read_iidr, &Vgic::write_nothing},
      {0x080, 0x080, kWord, &Vgic::read_group, &Vgic::write_group},                    // GICD_IGROUPR
      {0x100, 0x080, kWord, &Vgic::read_enabled, &Vgic::set_enabled},                  // GICD_ISENABLER
      {0x180, 0x080, kWord, &Vgic::read_enabled, &Vgic::clear_enabled},                // GICD_ICENABLER
      {0x200, 0x080, kWord, &Vgic::read_pending, &Vgic::set_pending},                  // GICD_ISPENDR
      {0x280, 0x080, kWord, &Vgic::read_pending, &Vgic::clear_pending},                // GICD_ICPENDR
      {0x300, 0x080, kWord, &Vgic::read_active, &Vgic::set_active},                    // GICD_ISACTIVER
      {0x380, 0x080, kWord, &Vgic::read_active, &Vgic::clear_active},                  // GICD_ICACTIVER
      {0x400, 0x400, kByteOrWord, &Vgic::read_priority, &Vgic::write_priority},        // GICD_IPRIORITYR
      {0x800, 0x400, kByteOrWord, &Vgic::read_targets, &Vgic::write_targets},          // GICD_ITARGETSR
      {0xc00, 0x100, kWord, &Vgic::read_configuration, &Vgic::write_configuration},    // GICD_ICFGR
      {0xf00, 0x004, kWord, &Vgic::read_nothing, &Vgic::write_sgi_generate},           // GICD_SGIR
      {0xf10, 0x010, kByteOrWord, &Vgic::read_sgi_pending, &Vgic::clear_sgi_pending},  // GICD_CPENDSGIR
      {0xf20, 0x010, kByteOrWord, &Vgic::read_sgi_pending, &Vgic::set_sgi_pending},    // GICD_SPENDSGIR
      {0xfd0, 0x030, kWord, &Vgic::read_peripheral_id_v2, &Vgic::write_nothing},
  };
};
constinit const std::span<const Vgic::Register> Vgic::kDistributorV2 = TablesV2::distributor;

u64 Vgic::read_control_v2(const Access&) { return group_enables_; }
void Vgic::write_control_v2(const Access&, u64 value) {
  set_group_enables(static_cast<u32>(value) & kImplementedControl);
}
u64 Vgic::read_peripheral_id_v2(const Access& access) { return kIdentification[access.offset / 4]; }

// GICD_ITARGETSR0-7 are banked and read as the reader's own bit.
u64 Vgic::read_targets(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 32);
  if (bank.block == nullptr) return 0;
  u64 value = 0;
  for (u32 i = 0; i < access.size; ++i) {
    const u32 index = access.offset % 32 + i;
    u32 targets = 0;
    if (bank.is_private)
      targets = 1u << bank.vcpu();
    else if ((bank.block->implemented >> index & 1) != 0)
      targets = bank.spis().route[index];
    value |= u64{targets} << i * 8;
  }
  return value;
}

void Vgic::write_targets(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 32);
  if (bank.block == nullptr || bank.is_private || config_.vcpu_count == 1) return;
  SpiBlock& block = bank.spis();
  const u32 all = (1u << config_.vcpu_count) - 1;
  for (u32 i = 0; i < access.size; ++i) {
    const u32 index = access.offset % 32 + i;
    if ((block.implemented >> index & 1) == 0) continue;
    const u32 targets = static_cast<u32>(value >> i * 8) & all;
    block.route[index] = targets;
    // The 1-of-N model lets the distributor choose: the lowest one gets it.
    block.target[index] = targets != 0 ? static_cast<u8>(std::countr_zero(targets)) : kNobody;
    refresh(bank, 1u << index);
  }
}

void Vgic::pend_sgi_from(unsigned target, u32 sgi, u8 sources) {
  if (sources == 0) return;
  vcpus_[target].sgi_pending[sgi] |= sources;
  vcpus_[target].banked.latch |= 1u << sgi;
  refresh(private_bank(target), 1u << sgi);
}

void Vgic::write_sgi_generate(const Access& access, u64 value) {
  const u32 all = (1u << config_.vcpu_count) - 1;
  const u32 self = 1u << access.vcpu;
  u32 targets = 0;
  switch (static_cast<SgirFilter>(value >> kSgirFilterShift & 3)) {
    case SgirFilter::TargetList: targets = static_cast<u32>(value >> kSgirTargetsShift) & all; break;
    case SgirFilter::AllOthers: targets = all & ~self; break;
    case SgirFilter::Self: targets = self; break;
    case SgirFilter::Reserved: return;
  }
  const u32 sgi = static_cast<u32>(value) & kSgirIntidMask;
  for_each_bit(targets, [&](unsigned target) { pend_sgi_from(target, sgi, static_cast<u8>(self)); });
}

u64 Vgic::read_sgi_pending(const Access& access) {
  const Bank bank = private_bank(access.bank);
  fold(bank, access);
  u64 value = 0;
  for (u32 i = 0; i < access.size; ++i) value |= u64{vcpus_[access.bank].sgi_pending[access.offset + i]} << i * 8;
  return value;
}

void Vgic::set_sgi_pending(const Access& access, u64 value) {
  const u32 all = (1u << config_.vcpu_count) - 1;
  fold(private_bank(access.bank), access);
  for (u32 i = 0; i < access.size; ++i) {
    pend_sgi_from(access.bank, access.offset + i, static_cast<u8>(value >> i * 8 & all));
  }
}

void Vgic::clear_sgi_pending(const Access& access, u64 value) {
  const Bank bank = private_bank(access.bank);
  fold(bank, access);
  Vcpu& vcpu = vcpus_[access.bank];
  for (u32 i = 0; i < access.size; ++i) {
    const u32 sgi = access.offset + i;
    vcpu.sgi_pending[sgi] &= static_cast<u8>(~(value >> i * 8));
    if (vcpu.sgi_pending[sgi] == 0) vcpu.banked.latch &= ~(1u << sgi);
    refresh(bank, 1u << sgi);
  }
}

}  // namespace hv
