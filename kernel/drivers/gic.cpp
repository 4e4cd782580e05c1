#include "kernel/drivers/gic.hpp"

#include <arch/level.hpp>

#include <arch/cpu.hpp>

namespace ax::drivers {

/// Registers with one bit per interrupt, at the same offsets in the distributor and in a redistributor's SGI frame
/// (IHI 0069 12.9.1 and 12.11.1, IHI 0048 4.1.2).
enum class Gic::Bitmap : u16 {
  IGROUPR = 0x080,
  ISENABLER = 0x100,
  ICENABLER = 0x180,
  ISPENDR = 0x200,
  ICPENDR = 0x280,
  ISACTIVER = 0x300,
  ICACTIVER = 0x380,
};

namespace {

using arch::mmio_read32;
using arch::mmio_read64;
using arch::mmio_write32;
using arch::mmio_write64;
using arch::mmio_write8;

constexpr u32 kPerBitmapWord = 32;

// Offset 0x...        access  width   what
constexpr u64 GICD_CTLR = 0x0000;        // RW  32
constexpr u64 GICD_TYPER = 0x0004;       // RO  32
constexpr u64 GICD_IPRIORITYR = 0x0400;  // RW   8 each interrupt
constexpr u64 GICD_ITARGETSR = 0x0800;   // RW   8 each interrupt; v2
constexpr u64 GICD_ICFGR = 0x0c00;       // RW  32, 2 bits each interrupt
constexpr u64 GICD_SGIR = 0x0f00;        // WO  32; v2
constexpr u64 GICD_IROUTER = 0x6000;     // RW  64 each interrupt; v3

constexpr u64 GICR_CTLR = 0x0000;        // RW  32
constexpr u64 GICR_TYPER = 0x0008;       // RO  64
constexpr u64 GICR_WAKER = 0x0014;       // RW  32
constexpr u64 GICR_SGI_FRAME = 0x10000;  // the second 64 KiB: registers of SGIs and PPIs

constexpr u64 GICC_CTLR = 0x0000;        // RW  32
constexpr u64 GICC_PMR = 0x0004;         // RW  32
constexpr u64 GICC_BPR = 0x0008;         // RW  32

// GICD_CTLR. The two enables are Group 0 and Group 1 where there is one security state, both Group 1 for non-secure
// software where there are two; ARE is bit 4 in both views.
constexpr u32 kDistributorEnableV2 = 1 << 0;
constexpr u32 kDistributorEnableV3 = (1 << 0) | (1 << 1) | (1 << 4);
constexpr u32 kDisableSecurity = 1 << 6;
constexpr u32 kRegisterWritePending = 1u << 31;
constexpr u32 kRedistributorWritePending = 1u << 3;

constexpr u32 kProcessorSleep = 1 << 1;
constexpr u32 kChildrenAsleep = 1 << 2;

// GICC_CTLR: bit 0 enables the one group that is seen, bit 9 is its EOImode.
constexpr u32 kCpuInterfaceEnable = (1 << 0) | (1 << 9);
constexpr u32 kLowestPriorityMask = 0xff;

constexpr u32 kEdgeConfiguration = 2;
constexpr unsigned kSgiTargetListShift = 16;
constexpr u32 kAllBits = ~u32{0};

/// GICR_TYPER (IHI 0069 12.11.35).
struct RedistributorType {
  u64 value;
  u64 affinity() const { return value >> 32; }
  bool last() const { return (value & arch::bit(4)) != 0; }
  bool has_virtual_lpis() const { return (value & arch::bit(1)) != 0; }
  /// Two 64 KiB frames, four with GICv4's virtual LPIs.
  u64 size() const { return has_virtual_lpis() ? 256_KiB : 128_KiB; }
};

/// MPIDR's affinity fields as GICR_TYPER packs them: Aff3 in bits 31:24.
constexpr u64 packed_affinity(u64 mpidr) { return (mpidr & 0xff'ffff) | (mpidr >> 32 & 0xff) << 24; }

/// ICC_SGI1R_EL1 for one target (IHI 0069 12.2.23).
constexpr u64 sgi_register(u64 mpidr, u32 sgi) {
  const u64 affinity0 = mpidr & 0xff;
  return (mpidr >> 32 & 0xff) << 48 | (affinity0 >> 4) << 44 | (mpidr >> 16 & 0xff) << 32 | u64{sgi} << 24 |
         (mpidr >> 8 & 0xff) << 16 | arch::bit(affinity0 & 0xf);
}

}  // namespace

void Gic::attach(const GicInfo& info, std::span<const CpuInfo> cpus) {
  v3_ = info.version >= 3;
  distributor_ = info.distributor.base.value();
  cpu_interface_ = GicInfo::registers_of(info.cpu_interface);
  redistributor_regions_ = info.redistributors;
  redistributor_stride_ = info.redistributor_stride;
  cpus_ = cpus;
}

void Gic::wait_for_distributor() const {
  while (v3_ && (mmio_read32(distributor_ + GICD_CTLR) & kRegisterWritePending)) arch::cpu_relax();
}

void Gic::wait_for_redistributor(u64 redistributor) const {
  while (mmio_read32(redistributor + GICR_CTLR) & kRedistributorWritePending) arch::cpu_relax();
}

void Gic::init_distributor() {
  mmio_write32(distributor_ + GICD_CTLR, 0);
  wait_for_distributor();
  const u32 lines = (mmio_read32(distributor_ + GICD_TYPER) & 0x1f) + 1;
  interrupt_count_ = std::min(lines * kPerBitmapWord, kFirstSpecialInterrupt);

  const auto fill = [this](u64 offset, u32 per_word, u32 value) {
    for (u32 id = kFirstSpi; id < interrupt_count_; id += per_word) mmio_write32(distributor_ + offset + id / per_word * 4, value);
  };
  fill(static_cast<u64>(Bitmap::ICENABLER), kPerBitmapWord, kAllBits);
  wait_for_distributor();
  fill(static_cast<u64>(Bitmap::ICACTIVER), kPerBitmapWord, kAllBits);
  fill(GICD_ICFGR, 16, 0);
  fill(GICD_IPRIORITYR, 4, kDefaultPriority * 0x0101'0101u);
  if (v3_) {
    fill(static_cast<u64>(Bitmap::IGROUPR), kPerBitmapWord, kAllBits);
    mmio_write32(distributor_ + GICD_CTLR, kDistributorEnableV3);
    wait_for_distributor();
    // Routing by affinity needs the ARE bit that was set just now.
    const u64 self = arch::MPIDR_EL1::read() & arch::MPIDR_EL1::kAffinity;
    for (u32 id = kFirstSpi; id < interrupt_count_; ++id) mmio_write64(distributor_ + GICD_IROUTER + u64{id} * 8, self);
  } else {
    // The private interrupts' target registers read as the reading CPU.
    const u32 self = mmio_read32(distributor_ + GICD_ITARGETSR);
    fill(GICD_ITARGETSR, 4, self);
    mmio_write32(distributor_ + GICD_CTLR, kDistributorEnableV2);
  }
}

Result<void> Gic::init_cpu(unsigned index) {
  if (v3_) return init_cpu_v3(index);
  init_cpu_v2(index);
  return {};
}

void Gic::init_private_interrupts(u64 frame) {
  constexpr u32 kSgis = 0xffff;
  mmio_write32(frame + static_cast<u64>(Bitmap::ICENABLER), ~kSgis);
  mmio_write32(frame + static_cast<u64>(Bitmap::ICACTIVER), kAllBits);
  for (u32 id = 0; id < kFirstSpi; id += 4) mmio_write32(frame + GICD_IPRIORITYR + id, kDefaultPriority * 0x0101'0101u);
  mmio_write32(frame + static_cast<u64>(Bitmap::ISENABLER), kSgis);
}

void Gic::init_cpu_v2(unsigned index) {
  targets_[index] = static_cast<u8>(mmio_read32(distributor_ + GICD_ITARGETSR));
  init_private_interrupts(distributor_);
  mmio_write32(cpu_interface_ + GICC_PMR, kLowestPriorityMask);
  mmio_write32(cpu_interface_ + GICC_BPR, 0);
  mmio_write32(cpu_interface_ + GICC_CTLR, kCpuInterfaceEnable);
}

u64 Gic::find_redistributor(u64 affinity) const {
  for (const HpaRange& region : redistributor_regions_) {
    for (u64 offset = 0; offset + 128_KiB <= region.size;) {
      const u64 at = region.base.value() + offset;
      const RedistributorType type{mmio_read64(at + GICR_TYPER)};
      if (type.affinity() == affinity) return at;
      if (type.last()) break;
      offset += redistributor_stride_ != 0 ? redistributor_stride_ : type.size();
    }
  }
  return 0;
}

namespace {

/// System registers for this level, and at EL2 for EL1 without a trap. Whether firmware lets them be used.
bool use_system_registers() {
  using namespace arch;
  constexpr u64 kUse = ICC_SRE_EL2::SRE | ICC_SRE_EL2::DFB | ICC_SRE_EL2::DIB;
  if constexpr (arch::kExceptionLevel == 1) {
    ICC_SRE_EL1::write(ICC_SRE_EL1::read() | kUse);
    isb();
    return (ICC_SRE_EL1::read() & ICC_SRE_EL2::SRE) != 0;
  } else {
    ICC_SRE_EL2::write(ICC_SRE_EL2::read() | kUse | ICC_SRE_EL2::ENABLE);
    isb();
    return (ICC_SRE_EL2::read() & ICC_SRE_EL2::SRE) != 0;
  }
}

}  // namespace

Result<void> Gic::init_cpu_v3(unsigned index) {
  using namespace arch;
  const u64 redistributor = find_redistributor(packed_affinity(MPIDR_EL1::read() & MPIDR_EL1::kAffinity));
  if (redistributor == 0) return fail(Error::NotFound);
  redistributors_[index] = redistributor;

  const u64 waker = redistributor + GICR_WAKER;
  mmio_write32(waker, mmio_read32(waker) & ~kProcessorSleep);
  while (mmio_read32(waker) & kChildrenAsleep) cpu_relax();

  const u64 frame = redistributor + GICR_SGI_FRAME;
  mmio_write32(frame + static_cast<u64>(Bitmap::IGROUPR), kAllBits);
  init_private_interrupts(frame);
  wait_for_redistributor(redistributor);

  if (!use_system_registers()) return fail(Error::NotSupported);
  ICC_PMR_EL1::write(kLowestPriorityMask);
  ICC_BPR1_EL1::write(0);
  ICC_CTLR_EL1::write(ICC_CTLR_EL1::EOIMODE);
  isb();
  if (group0_) {
    ICC_BPR0_EL1::write(0);
    ICC_IGRPEN0_EL1::write(1);
  }
  ICC_IGRPEN1_EL1::write(1);
  isb();
  return {};
}

void Gic::send_ipi(unsigned index, u32 sgi) {
  arch::dsb_ishst();
  if (v3_) {
    const u64 value = sgi_register(cpus_[index].hardware_id, sgi);
    group0_ ? arch::ICC_SGI0R_EL1::write(value) : arch::ICC_SGI1R_EL1::write(value);
    arch::isb();
  } else {
    mmio_write32(distributor_ + GICD_SGIR, u32{targets_[index]} << kSgiTargetListShift | sgi);
  }
}

// ---- Group 0 ------------------------------------------------------------------------------------------------------------

bool Gic::can_use_group0() const { return v3_ && (mmio_read32(distributor_ + GICD_CTLR) & kDisableSecurity) != 0; }

void Gic::move_to_group0(u32 id) {
  const u64 address = frame_of(id) + static_cast<u64>(Bitmap::IGROUPR) + id / kPerBitmapWord * 4;
  mmio_write32(address, mmio_read32(address) & ~(u32{1} << id % kPerBitmapWord));
  set_priority(id, 0);
}

// A guest that is loaded may have chosen that the end of an interrupt deactivates it, too.
void Gic::end_group0(u32 token) {
  arch::ICC_EOIR0_EL1::write(token);
  if ((arch::ICC_CTLR_EL1::read() & arch::ICC_CTLR_EL1::EOIMODE) != 0) arch::ICC_DIR_EL1::write(token);
  arch::isb();
}

u32 Gic::read_register(unsigned index, u32 offset) const {
  const u64 frame = index == kDistributorFrame ? distributor_ : redistributors_[index] + GICR_SGI_FRAME;
  return mmio_read32(frame + offset);
}

void Gic::write_register(unsigned index, u32 offset, u32 value) {
  if (index == kDistributorFrame) {
    mmio_write32(distributor_ + offset, value);
    wait_for_distributor();
  } else {
    mmio_write32(redistributors_[index] + GICR_SGI_FRAME + offset, value);
    wait_for_redistributor(redistributors_[index]);
  }
}

void Gic::write_priority(unsigned index, u32 id, u8 priority) {
  const u64 frame = index == kDistributorFrame ? distributor_ : redistributors_[index] + GICR_SGI_FRAME;
  mmio_write8(frame + GICD_IPRIORITYR + id, priority);
}

void Gic::send_guest_sgi(unsigned index, u32 sgi) {
  arch::dsb_ishst();
  arch::ICC_SGI1R_EL1::write(sgi_register(cpus_[index].hardware_id, sgi));
  arch::isb();
}

/// Private interrupts of a v3 live in the calling CPU's redistributor, everything else in the distributor (banked on v2).
u64 Gic::frame_of(u32 id) const {
  return v3_ && id < kFirstSpi ? redistributors_[arch::cpu_index()] + GICR_SGI_FRAME : distributor_;
}

void Gic::write_bit(Bitmap bitmap, u32 id) {
  mmio_write32(frame_of(id) + static_cast<u64>(bitmap) + id / kPerBitmapWord * 4, u32{1} << id % kPerBitmapWord);
}

bool Gic::read_bit(Bitmap bitmap, u32 id) const {
  return (mmio_read32(frame_of(id) + static_cast<u64>(bitmap) + id / kPerBitmapWord * 4) >> id % kPerBitmapWord & 1) != 0;
}

void Gic::enable(u32 id) { write_bit(Bitmap::ISENABLER, id); }

void Gic::disable(u32 id) {
  write_bit(Bitmap::ICENABLER, id);
  if (!v3_) return;
  if (id < kFirstSpi) wait_for_redistributor(redistributors_[arch::cpu_index()]);
  else wait_for_distributor();
}

void Gic::set_priority(u32 id, u8 priority) { mmio_write8(frame_of(id) + GICD_IPRIORITYR + id, priority); }

void Gic::set_trigger(u32 id, Trigger trigger) {
  const u64 address = frame_of(id) + GICD_ICFGR + id / 16 * 4;
  const unsigned shift = id % 16 * 2;
  const u32 others = mmio_read32(address) & ~(kEdgeConfiguration << shift);
  mmio_write32(address, others | (trigger == Trigger::Edge ? kEdgeConfiguration << shift : 0));
}

void Gic::route(u32 id, unsigned index) {
  if (v3_) mmio_write64(distributor_ + GICD_IROUTER + u64{id} * 8, cpus_[index].hardware_id);
  else mmio_write8(distributor_ + GICD_ITARGETSR + id, targets_[index]);
}

void Gic::set_pending(u32 id, bool pending) { write_bit(pending ? Bitmap::ISPENDR : Bitmap::ICPENDR, id); }
bool Gic::is_pending(u32 id) const { return read_bit(Bitmap::ISPENDR, id); }
void Gic::set_active(u32 id, bool active) { write_bit(active ? Bitmap::ISACTIVER : Bitmap::ICACTIVER, id); }
bool Gic::is_active(u32 id) const { return read_bit(Bitmap::ISACTIVER, id); }
bool Gic::is_enabled(u32 id) const { return read_bit(Bitmap::ISENABLER, id); }

}  // namespace ax::drivers
