// Distributor and redistributor registers that GICv2 and GICv3 have in common. IHI 0048 4.3, IHI 0069 12.9 and 12.11.
#include "hypervisor/device/vgic.hpp"
#include "hypervisor/device/vgic_bits.hpp"

namespace hv {

const Vgic::Register* Vgic::find(std::span<const Register> table, u64 offset, u32 size) {
  for (const Register& row : table) {
    if (offset - row.offset < row.bytes) return (row.sizes & size) != 0 && offset % size == 0 ? &row : nullptr;
  }
  return nullptr;
}

u64 Vgic::read_distributor(const MmioAccess& access) {
  const Register* row = find(config_.version == 2 ? kDistributorV2 : kDistributorV3, access.offset, access.size);
  if (row == nullptr) return 0;
  // With affinity routing the first 32 interrupts are in the redistributors only.
  const u8 bank = config_.version == 2 ? static_cast<u8>(access.vcpu) : kNobody;
  return (this->*row->read)({access.vcpu, bank, static_cast<u32>(access.offset) - row->offset, access.size});
}

void Vgic::write_distributor(const MmioAccess& access, u64 value) {
  const Register* row = find(config_.version == 2 ? kDistributorV2 : kDistributorV3, access.offset, access.size);
  if (row == nullptr) return;
  const u8 bank = config_.version == 2 ? static_cast<u8>(access.vcpu) : kNobody;
  (this->*row->write)({access.vcpu, bank, static_cast<u32>(access.offset) - row->offset, access.size}, value);
}

/// The interrupts of the 32-bit word `word` of a one-bit-per-interrupt register; no block where there are none.
Vgic::Bank Vgic::bank_of_word(const Access& access, u32 word) {
  if (word == 0) return access.bank == kNobody ? Bank{} : private_bank(access.bank);
  return word - 1 < spi_blocks_ ? spi_bank(word - 1) : Bank{};
}

u64 Vgic::read_group(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  return bank.block != nullptr ? bank.block->group1 : 0;
}

void Vgic::write_group(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  const u32 changed = (bank.block->group1 ^ static_cast<u32>(value)) & bank.block->implemented;
  bank.block->group1 ^= changed;
  refresh(bank, changed);
}

u64 Vgic::read_enabled(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  return bank.block != nullptr ? bank.block->enabled : 0;
}

void Vgic::set_enabled(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  const u32 changed = static_cast<u32>(value) & bank.block->implemented & ~bank.block->enabled;
  bank.block->enabled |= changed;
  refresh(bank, changed);
}

void Vgic::clear_enabled(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  u32 changed = static_cast<u32>(value) & bank.block->enabled;
  if (config_.version == 2 && bank.is_private) changed &= ~kSgiMask;  // always enabled: IHI 0048 4.3.5
  bank.block->enabled &= ~changed;
  refresh(bank, changed);
}

u64 Vgic::read_pending(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return 0;
  fold(bank, access);
  const Block& block = *bank.block;
  const u32 shown_by_line = block.hardware & ~(block.edge | block.requested | block.resident_requested);
  u32 value = (block.pending() | block.resident_pending) & ~shown_by_line;
  for_each_bit(block.hardware & ~value, [&](unsigned n) {
    if (host_.line_pending(bank.vcpu(), block.physical[n])) value |= 1u << n;
  });
  return value;
}

void Vgic::set_pending(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  fold(bank, access);
  Block& block = *bank.block;
  u32 bits = static_cast<u32>(value) & block.implemented;
  if (config_.version == 2 && bank.is_private) bits &= ~kSgiMask;  // GICD_SPENDSGIR sets those
  block.requested |= bits & block.hardware;
  block.latch |= bits & ~block.hardware;
  refresh(bank, bits);
}

void Vgic::clear_pending(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  fold(bank, access);
  Block& block = *bank.block;
  u32 bits = static_cast<u32>(value) & block.implemented;
  if (config_.version == 2 && bank.is_private) bits &= ~kSgiMask;  // GICD_CPENDSGIR clears those
  block.latch &= ~bits;
  block.requested &= ~bits;
  block.drop_pending |= bits & block.resident;
  block.resident_pending &= ~bits;
  block.resident_requested &= ~bits;
  for_each_bit(bits & block.hardware, [&](unsigned n) { host_.clear_line_pending(bank.vcpu(), block.physical[n]); });
  release(bank, bits, access.vcpu);
  refresh(bank, bits);
}

u64 Vgic::read_active(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return 0;
  fold(bank, access);
  return bank.block->active;
}

void Vgic::set_active(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  fold(bank, access);
  Block& block = *bank.block;
  const u32 written = static_cast<u32>(value) & block.implemented;
  const u32 bits = written & ~block.active;
  block.active |= bits;
  block.active_written |= written & block.resident;
  for_each_bit(bits & ~block.resident, [&](unsigned n) {
    if (sources_matter(bank, n)) {
      vcpus_[bank.vcpu()].sgi_active[n] = static_cast<u8>(1u << bank.vcpu());
    } else if (!bank.is_private) {
      SpiBlock& spi = bank.spis();
      spi.holder[n] = spi.target[n] != kNobody ? spi.target[n] : static_cast<u8>(access.vcpu);
    }
  });
  refresh(bank, bits);
}

void Vgic::clear_active(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 4);
  if (bank.block == nullptr) return;
  fold(bank, access);
  deactivate(bank, static_cast<u32>(value) & (bank.block->active | bank.block->resident), access.vcpu);
}

u64 Vgic::read_priority(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 32);
  if (bank.block == nullptr) return 0;
  u64 value = 0;
  for (u32 i = 0; i < access.size; ++i) value |= u64{bank.block->priority[access.offset % 32 + i]} << i * 8;
  return value;
}

void Vgic::write_priority(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 32);
  if (bank.block == nullptr) return;
  u32 changed = 0;
  for (u32 i = 0; i < access.size; ++i) {
    const u32 index = access.offset % 32 + i;
    if ((bank.block->implemented >> index & 1) == 0) continue;
    bank.block->priority[index] = static_cast<u8>(value >> i * 8) & priority_mask_;
    changed |= 1u << index;
  }
  refresh(bank, changed);
}

// Two bits an interrupt, of which the upper one says edge.
u64 Vgic::read_configuration(const Access& access) {
  const Bank bank = bank_of_word(access, access.offset / 8);
  if (bank.block == nullptr) return 0;
  const u32 half = bank.block->edge >> (access.offset / 4 % 2 * 16) & 0xffff;
  u32 value = 0;
  for_each_bit(half, [&](unsigned n) { value |= 2u << n * 2; });
  return value;
}

void Vgic::write_configuration(const Access& access, u64 value) {
  const Bank bank = bank_of_word(access, access.offset / 8);
  if (bank.block == nullptr) return;
  Block& block = *bank.block;
  const unsigned first = access.offset / 4 % 2 * 16;
  u32 edge = block.edge;
  for (unsigned n = 0; n < 16; ++n) {
    const u32 bit = 1u << (first + n);
    edge = (value >> (n * 2 + 1) & 1) != 0 ? edge | bit : edge & ~bit;
  }
  u32 fixed = ~block.implemented;
  if (bank.is_private) fixed |= kSgiMask | block.hardware;  // SGIs are edges, a timer's line is a level
  const u32 changed = (edge ^ block.edge) & ~fixed;
  block.edge ^= changed;
  for_each_bit(changed & block.hardware,
               [&](unsigned n) { host_.configure_line(block.physical[n], (block.edge >> n & 1) != 0); });
  refresh(bank, changed);
}

}  // namespace hv
