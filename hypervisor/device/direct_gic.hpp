// The machine's own GICv3 as a guest that takes its interrupts directly may see it: its lines, and nothing else.
#pragma once

#include <array>

#include "hypervisor/device/vgic.hpp"

namespace hv {

/// The controller's registers. A frame is the distributor, or the private interrupts of the CPU that a vCPU has to itself.
/// Context: as DirectGic.
class GicHardware {
 public:
  static constexpr unsigned kDistributor = ~0u;

  /// `offset` as in the distributor: bitmaps, priorities and configuration lie at the same places in both kinds of frame.
  virtual u32 read(unsigned frame, u32 offset) = 0;
  /// Returns when the write has taken effect.
  virtual void write(unsigned frame, u32 offset, u32 value) = 0;
  virtual void write_priority(unsigned frame, u32 intid, u8 priority) = 0;
  virtual void configure(u32 intid, bool edge) = 0;
  /// Delivers an SPI to the CPU of `vcpu`.
  virtual void route(u32 intid, unsigned vcpu) = 0;
  /// Group 1, to the CPUs of the vCPUs in `vcpus`, a bit each.
  virtual void send_sgi(u32 vcpus, u32 sgi) = 0;

 protected:
  ~GicHardware() = default;
};

/// The guest sees a controller with two security states from the non-secure side (IHI 0069 4.6): all its interrupts are in
/// Group 1, Group 0 is somebody else's. That is true: the host's interrupts are in Group 0, with a priority above all that
/// the guest's view of priorities can express. What never changes, and what concerns no interrupt, the vGIC answers.
///
/// Context: under the VM's device lock, on the CPU of the accessing vCPU.
class DirectGic {
 public:
  /// SGI 15 is the host's.
  static constexpr u32 kGuestSgis = 0x7fff;
  /// Lowest value of a priority as the hardware has it, and how the guest's maps to it (IHI 0069 4.8.1).
  static constexpr u8 hardware_priority(u8 guest) { return static_cast<u8>(0x80 | guest >> 1); }
  static constexpr u8 guest_priority(u8 hardware) { return static_cast<u8>(hardware << 1); }

  /// `answers` knows the guest's processors; `private_interrupts` are its PPIs, a bit each.
  /// Of these `lines` follow a line of the hardware's own, so that they need no reminding.
  DirectGic(Vgic& answers, GicHardware& hardware, u32 private_interrupts, u32 lines);

  /// SPI `intid` is the guest's, disabled. Before it runs.
  void give(u32 intid);
  /// The private interrupts of `vcpu` as after a reset. On its CPU.
  void reset_private(unsigned vcpu);
  /// What of the private interrupts of `vcpu` lives in the hardware while it is loaded; the guest's enables stay here.
  struct PrivateState {
    u32 pending = 0;
    u32 active = 0;
  };
  /// Takes it out of the hardware, where they are all quiet afterwards, and puts it back. On the vCPU's CPU.
  PrivateState save_private(unsigned vcpu);
  void restore_private(unsigned vcpu, const PrivateState& state);
  bool owns(u32 intid) const { return intid < own_.size() * 32 && (own_[intid / 32] >> intid % 32 & 1) != 0; }
  /// The wire of an emulated device: makes the interrupt pending, or not. For a PPI on the CPU of `vcpu`.
  void set_line(unsigned vcpu, u32 intid, bool asserted);
  void send_sgi(unsigned sender, SgiRegister which, u64 value);

  u64 read_distributor(const MmioAccess& access);
  void write_distributor(const MmioAccess& access, u64 value);
  /// `target`: the vCPU whose pair of frames is accessed.
  u64 read_redistributor(unsigned target, const MmioAccess& access);
  void write_redistributor(unsigned target, const MmioAccess& access, u64 value);

 private:
  static constexpr usize kWords = (kFirstSpi + kMaxSpis + 31) / 32;
  static constexpr unsigned kNobody = ~0u;

  u32& enabled(unsigned frame, u32 word) { return frame == GicHardware::kDistributor ? enabled_[word] : private_enabled_[frame]; }
  std::optional<u64> read_interrupts(unsigned frame, u32 offset, u32 size);
  bool write_interrupts(unsigned frame, u32 offset, u32 size, u32 value);
  u64 read_priorities(unsigned frame, u32 first, u32 count);
  u64 read_configuration(unsigned frame, u32 word);
  u64 read_router(const MmioAccess& access);
  void write_router(const MmioAccess& access, u64 value);
  void apply_enables(unsigned frame, u32 word, u32 changed);
  void write_control(u32 value);

  Vgic& answers_;
  GicHardware& hardware_;
  const u32 lines_;
  bool group_enabled_ = false;
  std::array<u32, kWords> own_{};      ///< [0]: private ones, of every vCPU
  std::array<u32, kWords> enabled_{};  ///< as the guest has them; [0] is not used
  std::array<u32, kMaxVgicVcpus> private_enabled_{};
  std::array<u8, kWords * 32> routes_{};  ///< vCPU
};

/// The two ranges of a guest, as VgicDistributor and VgicRedistributors.
class DirectGicDistributor final : public MmioDevice {
 public:
  explicit DirectGicDistributor(DirectGic& gic) : gic_(gic) {}
  std::optional<u64> read(const MmioAccess& access) override { return gic_.read_distributor(access); }
  bool write(const MmioAccess& access, u64 value) override {
    gic_.write_distributor(access, value);
    return true;
  }

 private:
  DirectGic& gic_;
};

class DirectGicRedistributors final : public MmioDevice {
 public:
  DirectGicRedistributors(DirectGic& gic, unsigned vcpus) : gic_(gic), vcpus_(vcpus) {}
  std::optional<u64> read(const MmioAccess& access) override;
  bool write(const MmioAccess& access, u64 value) override;

 private:
  DirectGic& gic_;
  unsigned vcpus_;
};

}  // namespace hv
