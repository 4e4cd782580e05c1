// The machine's interrupt controller, GICv2 or GICv3 (a GICv4 is driven as a v3), as its owner at EL2 uses it.
#pragma once

#include <arch/barrier.hpp>
#include <arch/mmio.hpp>
#include <arch/sysreg.hpp>
#include <array>
#include <span>

#include "kernel/base/result.hpp"
#include "platforms/machine_info.hpp"

namespace ax::drivers {

/// Interrupt numbers every GIC shares (IHI 0069 2.2).
inline constexpr u32 kFirstPpi = 16;
inline constexpr u32 kFirstSpi = 32;
inline constexpr u32 kFirstSpecialInterrupt = 1020;  ///< 1020..1023: nothing is pending

/// What acknowledge() returned. `token` goes back to end_of_interrupt() and deactivate() unchanged: on GICv2 it also holds
/// the CPU that sent an SGI.
struct AcknowledgedInterrupt {
  u32 id = kFirstSpecialInterrupt;
  u32 token = 0;
  bool spurious() const { return id >= kFirstSpecialInterrupt && id < kFirstSpecialInterrupt + 4; }
};

enum class Trigger : u8 { Level, Edge };

/// Interrupts are in the group that reaches EL2 as IRQ (Group 1; on a GICv2 the one group that non-secure software sees).
/// Priority drop and deactivation are separate (EOImode 1): an interrupt handed to a guest with a hardware-backed list
/// register is dropped by the host and deactivated by the guest.
///
/// `id` is an INTID: SGI 0..15, PPI 16..31 (both: of the calling CPU), SPI 32 and up to interrupt_count(). The functions on
/// one interrupt are single register writes unless stated otherwise, so they need no lock against each other.
class Gic {
 public:
  static constexpr u8 kDefaultPriority = 0xa0;

  constexpr Gic() = default;

  /// Remembers where the registers are; they must be mapped (platform::map_device) before init_distributor().
  void attach(const GicInfo& info, std::span<const CpuInfo> cpus);

  unsigned version() const { return v3_ ? 3 : 2; }
  /// INTIDs below this exist, special ones aside.
  u32 interrupt_count() const { return interrupt_count_; }

  /// Every SPI disabled, inactive, level-sensitive, of default priority, routed to the calling CPU; forwarding on. Once,
  /// by the boot CPU, before any init_cpu().
  void init_distributor();

  /// Every SGI enabled and every PPI disabled on the calling CPU, which is `index` of the CPUs given to attach(); its CPU
  /// interface on, nothing masked by priority. Errors: NotFound (GICv3: no redistributor for this CPU), NotSupported
  /// (GICv3: firmware keeps the system registers to itself).
  Result<void> init_cpu(unsigned index);

  // ---- the running CPU's interface ----

  AcknowledgedInterrupt acknowledge() {
    if (v3_) {
      const u32 id = static_cast<u32>(arch::ICC_IAR1_EL1::read());
      arch::dsb_sy();  // the acknowledgement is seen before any access the handler makes
      return {id, id};
    }
    const u32 token = arch::mmio_read32(cpu_interface_ + kAcknowledgeOffset);
    return {token & kV2IdMask, token};
  }
  /// Priority drop: other interrupts may come now. The interrupt itself stays active.
  void end_of_interrupt(u32 token) {
    if (v3_) {
      arch::ICC_EOIR1_EL1::write(token);
      arch::isb();
    } else {
      arch::mmio_write32(cpu_interface_ + kEndOffset, token);
    }
  }
  /// The interrupt may come again.
  void deactivate(u32 token) {
    if (v3_) {
      arch::ICC_DIR_EL1::write(token);
      arch::isb();
    } else {
      arch::mmio_write32(cpu_interface_ + kDeactivateOffset, token);
    }
  }

  // ---- Group 0, where the host keeps what no guest may hold back ----

  /// A GICv3 without a secure world (GICD_CTLR.DS): Group 0 and its FIQs can be the host's. After init_distributor().
  bool can_use_group0() const;
  /// From now on the host's own interrupts are in Group 0. Before any init_cpu().
  void use_group0() { group0_ = true; }
  bool uses_group0() const { return group0_; }
  /// Puts an interrupt into Group 0, with the highest priority; for a private one on the calling CPU.
  void move_to_group0(u32 id);
  /// As acknowledge(), end_of_interrupt() and deactivate(), for Group 0.
  AcknowledgedInterrupt acknowledge_group0() {
    const u32 id = static_cast<u32>(arch::ICC_IAR0_EL1::read());
    arch::dsb_sy();
    return {id, id};
  }
  void end_group0(u32 token);

  /// A register of the distributor, or of the private interrupts of CPU `index`, which has done init_cpu(). v3; for a guest
  /// that takes its interrupts directly. Writes wait until they have taken effect.
  static constexpr unsigned kDistributorFrame = ~0u;
  u32 read_register(unsigned index, u32 offset) const;
  void write_register(unsigned index, u32 offset, u32 value);
  void write_priority(unsigned index, u32 id, u8 priority);
  /// Group 1 SGI. As send_ipi().
  void send_guest_sgi(unsigned index, u32 sgi);

  /// Interrupts CPU `index` (which has done init_cpu()) with SGI `sgi`. Stores before it are visible to the receiver.
  void send_ipi(unsigned index, u32 sgi);

  // ---- one interrupt ----

  void enable(u32 id);
  /// When it returns the interrupt is not signalled any more, unless a CPU has acknowledged it already.
  void disable(u32 id);
  /// Lower is more urgent. One byte.
  void set_priority(u32 id, u8 priority);
  /// PPIs and SPIs, disabled ones. Read-modify-write of a register shared by 16 interrupts: the caller serialises.
  void set_trigger(u32 id, Trigger trigger);
  /// SPIs: deliver to CPU `index`, which has done init_cpu().
  void route(u32 id, unsigned index);
  void set_pending(u32 id, bool pending);
  bool is_pending(u32 id) const;
  void set_active(u32 id, bool active);
  bool is_active(u32 id) const;
  bool is_enabled(u32 id) const;

 private:
  static constexpr u64 kAcknowledgeOffset = 0x00c, kEndOffset = 0x010, kDeactivateOffset = 0x1000;
  static constexpr u32 kV2IdMask = 0x3ff;

  enum class Bitmap : u16;
  u64 frame_of(u32 id) const;
  void write_bit(Bitmap bitmap, u32 id);
  bool read_bit(Bitmap bitmap, u32 id) const;
  void wait_for_distributor() const;
  void wait_for_redistributor(u64 redistributor) const;
  u64 find_redistributor(u64 affinity) const;
  Result<void> init_cpu_v3(unsigned index);
  void init_cpu_v2(unsigned index);
  void init_private_interrupts(u64 frame);

  bool v3_ = false;
  bool group0_ = false;
  u32 interrupt_count_ = 0;
  u64 distributor_ = 0;
  u64 cpu_interface_ = 0;  ///< v2: GICC
  StaticVector<HpaRange, 8> redistributor_regions_{};
  u64 redistributor_stride_ = 0;
  std::span<const CpuInfo> cpus_{};
  std::array<u64, kMaxCpus> redistributors_{};  ///< v3: RD_base of CPU i, 0 before its init_cpu()
  std::array<u8, kMaxCpus> targets_{};          ///< v2: CPU i as GICD_ITARGETSR names it
};

}  // namespace ax::drivers
