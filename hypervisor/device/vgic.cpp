#include "hypervisor/device/vgic.hpp"

#include <bit>

#include "hypervisor/device/vgic_bits.hpp"

namespace hv {
namespace {

// GICD_TYPER, IHI 0048 4.3.2 and IHI 0069 12.9.38.
constexpr unsigned kTyperCpuNumberShift = 5;
constexpr unsigned kTyperIdBitsShift = 19;
constexpr u32 kTyperTenIdBits = 9;  // no LPIs: INTIDs fit 10 bits
constexpr u32 kTyperAffinity3Valid = 1u << 24;
constexpr u32 kTyperNo1OfN = 1u << 25;  // GICD_IROUTER names one vCPU; IRM is RES0

// GICD_IIDR: implementer 0x43b (Arm, whose programming interface this is) with a product number that no driver has a
// workaround for.
constexpr u32 kIidr = 0x4100'043b;

std::array<u32, 2> constants(const VgicConfig& config) {
  const u32 lines = (config.spi_count + 31u) / 32;
  if (config.version == 2) return {lines | (config.vcpu_count - 1u) << kTyperCpuNumberShift, kIidr};
  return {lines | kTyperTenIdBits << kTyperIdBitsShift | kTyperAffinity3Valid | kTyperNo1OfN, kIidr};
}

}  // namespace

Result<void> VgicConfig::check() const {
  if (version != 2 && version != 3) return fail(Error::NotSupported);
  if (vcpu_count == 0 || vcpu_count > (version == 2 ? kMaxVgicV2Vcpus : kMaxVgicVcpus)) return fail(Error::OutOfRange);
  if (spi_count > kMaxSpis || (spi_count % 32 != 0 && spi_count != kMaxSpis)) return fail(Error::OutOfRange);
  if (list_registers == 0 || list_registers > kMaxListRegisters) return fail(Error::OutOfRange);
  if (priority_bits < 4 || priority_bits > 8) return fail(Error::OutOfRange);
  if (version == 3) {
    for (unsigned i = 0; i < vcpu_count; ++i) {
      for (unsigned j = 0; j < i; ++j) {
        if (affinity[i] == affinity[j]) return fail(Error::AlreadyExists);
      }
    }
  }
  return {};
}

Vgic::Vgic(const VgicConfig& config, VgicHost& host)
    : config_(config),
      host_(host),
      spi_blocks_((config.spi_count + 31u) / 32),
      priority_mask_(static_cast<u8>(0xff << (8 - config.priority_bits))),
      distributor_constants_(constants(config)) {
  for (Vcpu& vcpu : vcpus_) {
    for (u16 i = 0; i < 32; ++i) vcpu.banked.physical[i] = i;
  }
  reset();
}

void Vgic::reset_block(Block& block, u32 implemented) {
  const u32 hardware = block.hardware;
  const auto physical = block.physical;
  block = Block{};
  block.implemented = implemented;
  block.hardware = hardware;
  block.physical = physical;
  // GICv3 leaves GICx_IGROUPR unknown at reset; group 1 is what a guest sees that runs in the Non-secure state of a
  // machine, so one that never writes it gets its interrupts as IRQs. GICv2 resets to group 0.
  block.group1 = config_.version == 3 ? implemented : 0;
}

void Vgic::reset() {
  group_enables_ = group0_mask_ = group_mask_change_ = 0;
  for (unsigned i = 0; i < config_.vcpu_count; ++i) {
    Vcpu& vcpu = vcpus_[i];
    for_each_bit(vcpu.banked.owed, [&](unsigned n) { host_.deactivate_line(i, vcpu.banked.physical[n]); });
    reset_block(vcpu.banked, ~0u);
    vcpu.banked.edge = kSgiMask;
    if (config_.version == 2) vcpu.banked.enabled = kSgiMask;
    vcpu.dirty.store(false, std::memory_order_relaxed);
    vcpu.loaded = 0;
    vcpu.loaded_latch = 0;
    vcpu.asleep = true;
    vcpu.spi_count = 0;
    vcpu.spi_summary = 0;
    vcpu.spis.fill(0);
    vcpu.ppi_slots = no_slots();
    vcpu.sgi_pending.fill(0);
    vcpu.sgi_active.fill(0);
  }
  for (unsigned i = 0; i < spi_blocks_; ++i) {
    SpiBlock& block = spis_[i];
    for_each_bit(block.owed, [&](unsigned n) { host_.deactivate_line(0, block.physical[n]); });
    const u32 left = config_.spi_count - i * 32;
    reset_block(block, left >= 32 ? ~0u : (1u << left) - 1);
    // A single vCPU is the target of every SPI, as IHI 0048 4.3.12 has it for uniprocessor implementations.
    const bool single = config_.version == 2 && config_.vcpu_count == 1;
    block.route.fill(single ? 1 : 0);
    block.target.fill(config_.version == 3 ? static_cast<u8>(vcpu_of_affinity(0)) : single ? u8{0} : kNobody);
    block.holder.fill(0);
    block.listed.fill(kNobody);
  }
  kicks_ = 0;
}

Result<void> Vgic::map_hardware(unsigned vcpu, u32 intid, u32 physical) {
  const Bank bank = bank_of(vcpu, intid);
  if (bank.block == nullptr || intid < kSgis || physical >= kFirstSpi + kMaxSpis) return fail(Error::OutOfRange);
  bank.block->hardware |= 1u << intid % 32;
  bank.block->physical[intid % 32] = static_cast<u16>(physical);
  return {};
}

Vgic::Bank Vgic::bank_of(unsigned vcpu, u32 intid) {
  if (vcpu >= config_.vcpu_count) return {};
  if (intid < kFirstSpi) return private_bank(vcpu);
  if (intid - kFirstSpi >= config_.spi_count) return {};
  return spi_bank((intid - kFirstSpi) / 32);
}

// ---- what an interrupt's state means for its vCPU ----

/// To be called after the bits `changed` of any word of the bank changed: makes the vCPUs concerned look again.
void Vgic::refresh(Bank bank, u32 changed) {
  if (bank.is_private) return refresh_private(bank.number, changed);
  SpiBlock& block = bank.spis();
  block.fresh &= ~changed | ready(block);
  for_each_bit(changed & block.implemented, [&](unsigned n) { relist(block, bank.number, n); });
}

void Vgic::unlist(SpiBlock& block, unsigned spi, unsigned index) {
  if (block.listed[index] == kNobody) return;
  Vcpu& vcpu = vcpus_[block.listed[index]];
  vcpu.spis[spi] &= ~(1u << index);
  if (vcpu.spis[spi] == 0) vcpu.spi_summary &= ~(1u << spi);
  --vcpu.spi_count;
  block.listed[index] = kNobody;
}

/// Puts one SPI on the list of the vCPU that has to see it. An interrupt that is active or in a list register stays
/// with its vCPU, wherever it is routed to meanwhile.
void Vgic::relist(SpiBlock& block, unsigned spi, unsigned index) {
  const u32 bit = 1u << index;
  if ((block.resident & bit) != 0) return touch(block.holder[index]);  // sync() lists it again
  u8 wanted = kNobody;
  if ((block.active & bit) != 0)
    wanted = block.holder[index];
  else if ((ready(block) & bit) != 0)
    wanted = block.target[index];
  if (wanted != block.listed[index]) {
    unlist(block, spi, index);
    if (wanted == kNobody) return;
    block.listed[index] = wanted;
    Vcpu& vcpu = vcpus_[wanted];
    vcpu.spis[spi] |= bit;
    vcpu.spi_summary |= 1u << spi;
    ++vcpu.spi_count;
  }
  if (wanted != kNobody) touch(wanted);
}

void Vgic::refresh_everything() {
  for (unsigned i = 0; i < config_.vcpu_count; ++i) refresh(private_bank(i), ~0u);
  for (unsigned i = 0; i < spi_blocks_; ++i) refresh(spi_bank(i), ~0u);
}

void Vgic::set_group_enables(u32 enables) {
  if (enables == group_enables_) return;
  group_enables_ = enables;
  if (!config_.forwards) return;
  group0_mask_ = (enables & kEnableGroup0) != 0 ? ~0u : 0;
  group_mask_change_ = group0_mask_ ^ ((enables & kEnableGroup1) != 0 ? ~0u : 0);
  refresh_everything();
}

/// Makes the block's state current as far as it can be: what is in this vCPU's own list registers is read back. A vCPU
/// on another pCPU is asked to exit, so that a guest that polls sees its state move on.
void Vgic::fold(Bank bank, const Access& access) {
  if (bank.block->resident == 0) return;
  const bool may_be_mine = !bank.is_private || bank.number == access.vcpu;
  if (may_be_mine && loaded(access.vcpu)) host_.synchronize(access.vcpu);
  for_each_bit(bank.block->resident, [&](unsigned n) { touch(bank.is_private ? bank.vcpu() : bank.spis().holder[n]); });
}

/// Deactivates the physical interrupts in `bits` that nobody will deactivate any more.
void Vgic::release(Bank bank, u32 bits) {
  Block& block = *bank.block;
  bits &= block.owed & ~block.active & ~block.latch & ~block.resident;
  block.owed &= ~bits;
  for_each_bit(bits, [&](unsigned n) { host_.deactivate_line(bank.vcpu(), block.physical[n]); });
}

/// The same after a register write by `writer`. Only the owner can reach a private physical interrupt.
void Vgic::release(Bank bank, u32 bits, unsigned writer) {
  if (!bank.is_private || bank.number == writer) return release(bank, bits);
  const u32 abandoned = bits & bank.block->owed;
  if (abandoned == 0) return;
  bank.block->abandoned |= abandoned;
  touch(bank.number);
}

void Vgic::deactivate(Bank bank, u32 bits, unsigned writer) {
  Block& block = *bank.block;
  block.active &= ~bits;
  block.active_written |= bits & block.resident;
  if (bank.is_private) {
    for_each_bit(bits & kSgiMask, [&](unsigned n) { vcpus_[bank.vcpu()].sgi_active[n] = 0; });
  }
  release(bank, bits, writer);
  refresh(bank, bits);
}

// ---- sources ----

void Vgic::set_line(unsigned vcpu, u32 intid, bool asserted) {
  const Bank bank = bank_of(vcpu, intid);
  const u32 bit = 1u << intid % 32;
  if (bank.block == nullptr || intid < kSgis || (bank.block->hardware & bit) != 0) return;
  if (((bank.block->line & bit) != 0) == asserted) return;
  bank.block->line ^= bit;
  if (asserted) bank.block->latch |= bank.block->edge & bit;
  refresh(bank, bit);
}

void Vgic::hardware_interrupt(unsigned vcpu, u32 intid) {
  const u32 bit = 1u << intid % 32;
  const auto arrive = [bit](Block& block) {
    if ((block.hardware & bit) == 0) return false;
    block.latch |= bit;
    block.owed |= bit;
    block.fresh |= bit;
    block.came_again |= block.resident & bit;
    return true;
  };
  if (intid < kFirstSpi) {
    if (vcpu < config_.vcpu_count && arrive(vcpus_[vcpu].banked)) refresh_private(vcpu, bit);
    return;
  }
  const Bank bank = bank_of(vcpu, intid);
  if (bank.block != nullptr && arrive(*bank.block)) refresh(bank, bit);
}

void Vgic::deactivate(unsigned vcpu, u32 intid) {
  if (loaded(vcpu)) host_.synchronize(vcpu);
  const Bank bank = bank_of(vcpu, intid);
  if (bank.block != nullptr) deactivate(bank, bank.block->active & 1u << intid % 32, vcpu);
}

/// The guest ended `count` interrupts for which no list register was left: those it can have meant are the active ones
/// of highest priority. IHI 0069 4.2.5 (EOIcount).
void Vgic::deactivate_unlisted(unsigned vcpu, u32 count) {
  for (; count != 0; --count) {
    Bank best{};
    unsigned best_index = 0;
    const auto consider = [&](const Bank& bank, u32 bits) {
      for_each_bit(bits & bank.block->active & ~bank.block->resident, [&](unsigned n) {
        if (best.block != nullptr && best.block->priority[best_index] <= bank.block->priority[n]) return;
        best = bank;
        best_index = n;
      });
    };
    consider(private_bank(vcpu), ~0u);
    for_each_bit(vcpus_[vcpu].spi_summary, [&](unsigned spi) { consider(spi_bank(spi), vcpus_[vcpu].spis[spi]); });
    if (best.block == nullptr) return;
    deactivate(best, 1u << best_index, vcpu);
  }
}

}  // namespace hv
