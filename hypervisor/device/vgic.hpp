// The interrupt controller that a guest sees: a complete GICv2 or GICv3 distributor with redistributors, and the choice
// of what is in the list registers. No hardware access: the core moves ListRegisterSets and answers VgicHost.
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <utility>

#include "hypervisor/device/mmio.hpp"
#include "kernel/base/result.hpp"
#include "kernel/drivers/gic_list_register.hpp"

namespace hv {

/// What the vGIC asks of the core. Called with the VM's device lock held, on the pCPU that called into the vGIC.
/// `intid` is the physical interrupt number. For a PPI `vcpu` is its owner: the vCPU that the call into the vGIC was
/// for, except that line_pending() and clear_line_pending() come for any vCPU whose redistributor a guest accesses
/// (then false is a good answer, and nothing to do), and deactivate_line() for all in reset(). For SPIs it is
/// meaningless.
class VgicHost {
 public:
  /// Whether the physical interrupt is pending (GICD/GICR_ISPENDR): for a level interrupt the state of its line, also
  /// while it is active.
  virtual bool line_pending(unsigned vcpu, u32 intid) = 0;
  /// Clears the physical pending latch (GICD/GICR_ICPENDR).
  virtual void clear_line_pending(unsigned vcpu, u32 intid) = 0;
  /// Deactivates the physical interrupt. The vGIC calls it exactly once for every hardware_interrupt() whose
  /// deactivation the guest does not do itself through a list register with HW = 1.
  virtual void deactivate_line(unsigned vcpu, u32 intid) = 0;
  /// The guest configured a hardware-backed SPI as edge- or level-triggered (GICD_ICFGR).
  virtual void configure_line(u32 intid, bool edge) = 0;
  /// Called when the vGIC needs the present state of interrupts that are in the list registers of `vcpu`, which is the
  /// vCPU that runs on this pCPU: read the hardware back and call Vgic::sync().
  virtual void synchronize(unsigned vcpu) = 0;

 protected:
  ~VgicHost() = default;
};

inline constexpr unsigned kMaxVgicVcpus = 16;
inline constexpr unsigned kMaxVgicV2Vcpus = 8;
inline constexpr u32 kFirstSpi = 32;
inline constexpr u32 kMaxSpis = 988;  ///< INTIDs 32..1019

struct VgicConfig {
  u8 version = 3;                    ///< 2 or 3
  u8 vcpu_count = 1;                 ///< 1..8 (v2) or 1..16 (v3)
  u16 spi_count = 224;               ///< a multiple of 32, or kMaxSpis
  u8 list_registers = 4;             ///< 1..16, as the host has
  u8 priority_bits = 5;              ///< 4..8, as the host's virtual CPU interface implements
  bool forwards = true;              ///< false: the groups can be enabled, and still nothing goes to a vCPU
  bool can_trap_deactivate = false;  ///< GICv3: ICH_VTR_EL2.TDS
  /// HW = 1 in a list register lets the guest end hardware-backed interrupts; else each end is a maintenance interrupt.
  bool can_end_by_hardware = true;
  /// GICv3: vCPUs whose redistributor is the last of a contiguous region (GICR_TYPER.Last); the last vCPU always is.
  u16 last_of_region = 0;
  /// GICv3: affinity of each vCPU as Aff3[31:24] Aff2[23:16] Aff1[15:8] Aff0[7:0].
  std::array<u32, kMaxVgicVcpus> affinity{};

  /// Errors: NotSupported (version), OutOfRange (a count or width), AlreadyExists (two vCPUs with one affinity).
  Result<void> check() const;
};

/// Which system register a GICv3 guest wrote to send an SGI. IHI 0069 12.2.
enum class SgiRegister : u8 { Sgi0r, Sgi1r, Asgi1r };

/// Context: every function is called under the VM's device lock, except
/// - needs_flush() and reload_slot(): one relaxed load decides. Whoever sets that flag under the lock reports the vCPU
///   in take_kicks() afterwards, so one that read it too early is interrupted right after its entry and looks again;
/// - read_constant() of the distributor: those values are fixed at construction.
/// A vCPU's private interrupts are not exempt: other vCPUs send it SGIs and may access its redistributor.
///
/// Order of calls on the pCPU that runs a vCPU:
///   entry:        if needs_flush(): synchronize as below if the registers are loaded, flush(), write the hardware
///   exit:         nothing; the registers stay loaded as long as needs_flush() is false and the vCPU stays on its pCPU
///   maintenance interrupt, descheduling:  read the hardware, sync()
/// After each call into the vGIC that was not made for the calling vCPU alone, send take_kicks() as IPIs.
class Vgic {
 public:
  /// `config` has passed check(). `host` outlives the vGIC.
  Vgic(const VgicConfig& config, VgicHost& host);
  Vgic(const Vgic&) = delete;
  Vgic& operator=(const Vgic&) = delete;

  /// Back to the state after power-on: physical interrupts the guest still owed are deactivated, lines are low. The
  /// mapping of hardware-backed interrupts stays. No vCPU runs, and sync() has been called for each.
  void reset();

  // ---- sources ----

  /// Makes `intid` hardware-backed: its physical interrupt is `physical`. Before the guest runs. `vcpu` selects the
  /// PPI's bank. Error: OutOfRange.
  Result<void> map_hardware(unsigned vcpu, u32 intid, u32 physical);

  /// The wire from an emulated device: level interrupts follow it, edge interrupts latch a rise. `vcpu` selects the
  /// bank of a PPI and is ignored for SPIs. Unimplemented numbers are ignored.
  void set_line(unsigned vcpu, u32 intid, bool asserted);

  /// The host acknowledged the physical interrupt behind `intid` and dropped its priority; it is still active.
  void hardware_interrupt(unsigned vcpu, u32 intid);

  /// The short form of hardware_interrupt(), flush() for a PPI that comes again, such as the timer's: when nothing else
  /// changed since the last flush() and the list register that had the PPI then is invalid now (the guest has ended
  /// it), its former value in `set.entries` is what flush() would choose. Gives that entry's number, or -1 for the long
  /// form. The caller looks whether the hardware's register is invalid, and writes it. No lock needed, as for
  /// needs_flush().
  int reload_slot(unsigned vcpu, u32 ppi) const {
    const Vcpu& state = vcpus_[vcpu];
    return needs_flush(vcpu) ? -1 : state.ppi_slots[ppi - kSgis];
  }

  /// ICC_SGI0R_EL1, ICC_SGI1R_EL1 or ICC_ASGI1R_EL1 was written by `vcpu`.
  void send_sgi(unsigned vcpu, SgiRegister which, u64 value);

  /// A trapped ICC_DIR_EL1 (see virtual_control::kTrapDeactivate).
  void deactivate(unsigned vcpu, u32 intid);

  // ---- list registers ----

  /// Whether flush() would change what is in the list registers of `vcpu`. No lock needed.
  bool needs_flush(unsigned vcpu) const { return vcpus_[vcpu].dirty.load(std::memory_order_relaxed); }
  /// Whether the list registers of `vcpu` hold interrupts since the last flush(): sync() must come before flush().
  bool loaded(unsigned vcpu) const { return vcpus_[vcpu].loaded != 0; }
  /// Chooses what goes into the list registers; `set.entries`, `set.count` and `set.control` are written.
  void flush(unsigned vcpu, ListRegisterSet& set);
  /// Takes over what the guest did to the list registers that the last flush() filled. `set.count` becomes 0 and
  /// `set.control` asks for no maintenance interrupt, so that writing the set to the hardware ends the one that led
  /// here.
  void sync(unsigned vcpu, ListRegisterSet& set);

  /// Whether an interrupt waits that the distributor would forward to `vcpu` (the guest's priority mask and PSTATE do
  /// not count): a WFI must not sleep.
  bool has_deliverable(unsigned vcpu);
  /// vCPUs (bit per index) that must look at needs_flush() again, since the last call.
  u64 take_kicks() {
    const u64 kicks = kicks_;
    kicks_ = 0;
    return kicks;
  }
  /// Whether the physical interrupt behind a hardware-backed PPI is to be active while `vcpu` runs, because the guest
  /// is going to deactivate it. For moving the physical state when vCPUs share a pCPU.
  bool owes_deactivation(unsigned vcpu, u32 ppi) const { return (vcpus_[vcpu].banked.owed >> ppi & 1) != 0; }

  const VgicConfig& config() const { return config_; }

  // ---- registers ----

  u64 read_distributor(const MmioAccess& access);
  void write_distributor(const MmioAccess& access, u64 value);
  /// GICv3: `target` is the vCPU whose pair of frames is accessed, `access.offset` is within its 128 KiB.
  u64 read_redistributor(unsigned target, const MmioAccess& access);
  void write_redistributor(unsigned target, const MmioAccess& access, u64 value);
  /// GICD_TYPER and GICD_IIDR.
  std::optional<u64> read_distributor_constant(const MmioAccess& access) const {
    if (access.size != 4) return std::nullopt;
    if (access.offset == kTyperOffset) return distributor_constants_[0];
    if (access.offset == kIidrOffset) return distributor_constants_[1];
    return std::nullopt;
  }

 private:
  static constexpr u64 kTyperOffset = 4;
  static constexpr u64 kIidrOffset = 8;
  static constexpr unsigned kSpiBlocks = (kMaxSpis + 31) / 32;
  static constexpr u8 kNobody = 0xff;
  static constexpr unsigned kSgis = 16;

  /// The state of 32 interrupts, a bit each.
  struct Block {
    u32 implemented = ~0u;
    u32 enabled = 0;
    u32 group1 = 0;
    u32 edge = 0;       ///< else level-triggered
    u32 line = 0;       ///< the wire of an emulated source
    u32 latch = 0;      ///< pending apart from the line: an edge, a hardware interrupt, a write to ISPENDR
    u32 requested = 0;  ///< hardware-backed: the guest wrote ISPENDR; the latch then stands for the hardware alone
    u32 active = 0;
    u32 resident = 0;            ///< in a list register of a vCPU (flushed, not yet synced)
    u32 resident_pending = 0;    ///< ... and was pending when it got there
    u32 resident_requested = 0;  ///< ... and took `requested` along
    u32 came_again = 0;          ///< resident: hardware_interrupt() since, so that `owed` is for a new one
    u32 drop_pending = 0;        ///< resident: ICPENDR came since, sync() does not believe the pending bit
    u32 active_written = 0;  ///< resident: ISACTIVER or ICACTIVER came since, sync() does not believe the active bit
    u32 hardware = 0;        ///< hardware-backed
    u32 owed = 0;            ///< hardware-backed: physically active until the guest, or we, deactivate it
    u32 abandoned = 0;       ///< hardware-backed, private: another vCPU's write left it to the owner to deactivate it
    u32 fresh = 0;           ///< hardware-backed: came since the last flush; any other may have been silenced meanwhile
    std::array<u8, 32> priority{};
    std::array<u16, 32> physical{};

    u32 pending() const { return latch | requested | (line & ~edge); }
  };
  struct SpiBlock : Block {
    std::array<u8, 32> target{};  ///< vCPU that gets it, or kNobody
    std::array<u8, 32> holder{};  ///< active or resident: the vCPU it is active on
    std::array<u8, 32> listed{};  ///< the vCPU whose `spis` has it, or kNobody
    std::array<u32, 32> route{};  ///< v2: ITARGETSR byte; v3: affinity from IROUTER
  };
  static constexpr std::array<std::int8_t, 16> no_slots() {
    std::array<std::int8_t, 16> slots{};
    slots.fill(-1);
    return slots;
  }
  struct Vcpu {
    std::atomic<bool> dirty{false};
    u8 loaded = 0;                       ///< list registers filled by the last flush
    bool asleep = true;                  ///< GICR_WAKER.ProcessorSleep
    u16 loaded_latch = 0;                ///< bit n: entry n took the interrupt's latch along
    u16 spi_count = 0;                   ///< bits set in `spis`
    u32 spi_summary = 0;                 ///< bit n: spis[n] is not zero
    Block banked;                        ///< SGIs and PPIs
    std::array<u32, kSpiBlocks> spis{};  ///< SPIs that are deliverable to, or active on, this vCPU
    std::array<u16, kMaxListRegisters> slots{};
    std::array<std::int8_t, 16> ppi_slots = no_slots();  ///< PPIs loaded as pending with HW = 1: the entry, else -1
    std::array<u8, kSgis> sgi_pending{};                 ///< v2: bit per requesting vCPU
    std::array<u8, kSgis> sgi_active{};                  ///< v2: bit per requesting vCPU
  };
  /// 32 interrupts and whose they are.
  struct Bank {
    Block* block = nullptr;
    u32 number = 0;  ///< private interrupts: the vCPU; SPIs: index into spis_
    bool is_private = false;
    unsigned vcpu() const { return is_private ? number : 0; }
    u32 base() const { return is_private ? 0 : kFirstSpi + number * 32; }
    SpiBlock& spis() const { return static_cast<SpiBlock&>(*block); }
  };
  /// A register access after the table lookup.
  struct Access {
    unsigned vcpu;  ///< who accesses
    u8 bank;        ///< whose private interrupts word 0 means, or kNobody
    u32 offset;     ///< from the first byte of the table row
    u32 size;
  };
  struct Register {
    u32 offset;
    u32 bytes;
    u8 sizes;  ///< permitted access sizes, or-ed
    u64 (Vgic::*read)(const Access&);
    void (Vgic::*write)(const Access&, u64);
  };
  struct Candidate {
    Bank bank;
    u8 index;
    u8 source;     ///< v2 SGIs, else 0
    bool pending;  ///< and deliverable
    bool active;
  };
  class Selection;
  struct TablesV2;
  struct TablesV3;

  static const std::span<const Register> kDistributorV2;
  static const std::span<const Register> kDistributorV3;
  static const std::span<const Register> kRedistributor;
  static const std::span<const Register> kSgiFrame;
  static const Register* find(std::span<const Register> table, u64 offset, u32 size);

  // Interrupt state (vgic.cpp).
  Bank private_bank(unsigned vcpu) { return {&vcpus_[vcpu].banked, vcpu, true}; }
  Bank spi_bank(unsigned spi) { return {&spis_[spi], spi, false}; }
  Bank bank_of(unsigned vcpu, u32 intid);
  Bank bank_of_word(const Access& access, u32 word);
  /// Interrupts that are pending, enabled, and in a group that is on.
  u32 ready(const Block& block) const {
    return block.pending() & block.enabled & (group0_mask_ ^ (block.group1 & group_mask_change_));
  }
  void touch(unsigned vcpu) {
    vcpus_[vcpu].dirty.store(true, std::memory_order_relaxed);
    kicks_ |= u64{1} << vcpu;
  }
  void refresh_private(unsigned vcpu, u32 changed) {
    Block& block = vcpus_[vcpu].banked;
    const u32 now = ready(block);
    block.fresh &= ~changed | now;  // what has to wait may be silenced meanwhile
    if (((now | block.active | block.resident) & changed) != 0) touch(vcpu);
  }
  void refresh(Bank bank, u32 changed);
  void relist(SpiBlock& block, unsigned spi, unsigned index);
  void unlist(SpiBlock& block, unsigned spi, unsigned index);
  void refresh_everything();
  void fold(Bank bank, const Access& access);
  void deactivate(Bank bank, u32 bits, unsigned writer);
  void release(Bank bank, u32 bits);
  void release(Bank bank, u32 bits, unsigned writer);
  void reset_block(Block& block, u32 implemented);
  void deactivate_unlisted(unsigned vcpu, u32 count);

  // List registers (vgic_list_registers.cpp).
  template <class Visit>
  void for_each_candidate(unsigned vcpu, Visit visit);
  template <class Visit>
  void for_each_sgi_source(unsigned vcpu, unsigned index, bool pending, Visit visit);
  unsigned count_candidates(const Vcpu& vcpu) const;
  [[gnu::noinline]] void flush_many(unsigned vcpu, ListRegisterSet& set);
  void place(unsigned vcpu, ListRegisterSet& set, const Candidate& candidate);
  void place_selected(unsigned vcpu, ListRegisterSet& set);
  void take_back(unsigned vcpu, unsigned slot, ListRegister entry);
  void recheck_lines(unsigned vcpu);
  void recheck_lines(Bank bank, u32 bits);
  bool sources_matter(Bank bank, unsigned index) const {
    return config_.version == 2 && bank.is_private && index < kSgis;
  }

  // Registers common to both versions (vgic_registers.cpp). The write handlers take the bits as written.
  u64 read_nothing(const Access&) { return 0; }
  void write_nothing(const Access&, u64) {}
  u64 read_typer(const Access&) { return distributor_constants_[0]; }
  u64 read_iidr(const Access&) { return distributor_constants_[1]; }
  u64 read_group(const Access& access);
  void write_group(const Access& access, u64 value);
  u64 read_enabled(const Access& access);
  void set_enabled(const Access& access, u64 value);
  void clear_enabled(const Access& access, u64 value);
  u64 read_pending(const Access& access);
  void set_pending(const Access& access, u64 value);
  void clear_pending(const Access& access, u64 value);
  u64 read_active(const Access& access);
  void set_active(const Access& access, u64 value);
  void clear_active(const Access& access, u64 value);
  u64 read_priority(const Access& access);
  void write_priority(const Access& access, u64 value);
  u64 read_configuration(const Access& access);
  void write_configuration(const Access& access, u64 value);

  // GICv2 (vgicv2.cpp).
  u64 read_control_v2(const Access& access);
  void write_control_v2(const Access& access, u64 value);
  u64 read_targets(const Access& access);
  void write_targets(const Access& access, u64 value);
  void write_sgi_generate(const Access& access, u64 value);
  u64 read_sgi_pending(const Access& access);
  void set_sgi_pending(const Access& access, u64 value);
  void clear_sgi_pending(const Access& access, u64 value);
  u64 read_peripheral_id_v2(const Access& access);
  void pend_sgi_from(unsigned target, u32 sgi, u8 sources);

  // GICv3 (vgicv3.cpp).
  u64 read_control_v3(const Access& access);
  void write_control_v3(const Access& access, u64 value);
  u64 read_router(const Access& access);
  void write_router(const Access& access, u64 value);
  u64 read_peripheral_id_v3(const Access& access);
  u64 read_redistributor_typer(const Access& access);
  u64 read_waker(const Access& access);
  void write_waker(const Access& access, u64 value);
  unsigned vcpu_of_affinity(u32 affinity) const;

  void set_group_enables(u32 enables);

  const VgicConfig config_;
  VgicHost& host_;
  const unsigned spi_blocks_;
  const u8 priority_mask_;
  const std::array<u32, 2> distributor_constants_;  ///< GICD_TYPER, GICD_IIDR
  u32 group_enables_ = 0;                           ///< GICD_CTLR: bit 0 group 0, bit 1 group 1
  u32 group0_mask_ = 0;                             ///< all ones while group 0 is on
  u32 group_mask_change_ = 0;                       ///< the same for group 1, exclusive-or group0_mask_
  u64 kicks_ = 0;
  std::array<Vcpu, kMaxVgicVcpus> vcpus_{};
  std::array<SpiBlock, kSpiBlocks> spis_{};
};

/// The distributor's range of a guest: 4 KiB (v2) or 64 KiB (v3).
class VgicDistributor final : public MmioDevice {
 public:
  explicit VgicDistributor(Vgic& vgic) : vgic_(vgic) {}
  std::optional<u64> read(const MmioAccess& access) override { return vgic_.read_distributor(access); }
  bool write(const MmioAccess& access, u64 value) override {
    vgic_.write_distributor(access, value);
    return true;
  }
  std::optional<u64> read_constant(const MmioAccess& access) const override {
    return vgic_.read_distributor_constant(access);
  }

 private:
  Vgic& vgic_;
};

/// One contiguous region of GICv3 redistributors, 128 KiB a vCPU, starting with that of `first_vcpu`. Beyond the last
/// vCPU nothing answers.
class VgicRedistributors final : public MmioDevice {
 public:
  static constexpr u64 kStride = 128_KiB;
  explicit VgicRedistributors(Vgic& vgic, unsigned first_vcpu = 0) : vgic_(vgic), first_vcpu_(first_vcpu) {}
  std::optional<u64> read(const MmioAccess& access) override;
  bool write(const MmioAccess& access, u64 value) override;

 private:
  Vgic& vgic_;
  unsigned first_vcpu_;
};

}  // namespace hv
