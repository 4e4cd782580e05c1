// A machine around a vGIC for tests: the physical interrupt lines, and for each vCPU a virtual CPU interface that works
// on list registers as IHI 0069 chapter 4 describes it.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "hypervisor/device/vgic.hpp"

namespace hv {

inline constexpr u32 kSpurious = 1023;
inline constexpr u8 kIdlePriority = 0xff;

// Distributor and redistributor offsets.
namespace gicd {
inline constexpr u64 kCtlr = 0x0, kTyper = 0x4, kIidr = 0x8, kIgroupr = 0x80, kIsenabler = 0x100, kIcenabler = 0x180,
                     kIspendr = 0x200, kIcpendr = 0x280, kIsactiver = 0x300, kIcactiver = 0x380, kIpriorityr = 0x400,
                     kItargetsr = 0x800, kIcfgr = 0xc00, kSgir = 0xf00, kCpendsgir = 0xf10, kSpendsgir = 0xf20,
                     kIrouter = 0x6000;
}
inline constexpr u64 kSgiFrame = 0x10000;

/// A vCPU as its guest sees it: acknowledges, ends and deactivates interrupts.
struct VirtualCpuInterface {
  ListRegisterSet set;              ///< the hardware
  ListRegisterSet chosen;           ///< what the last flush gave
  bool loaded = false;              ///< the list registers hold the vGIC's choice
  bool split_deactivation = false;  ///< EOImode = 1
  u8 mask = kIdlePriority;          ///< ICC_PMR: only better priorities are signalled
  std::vector<u8> running;          ///< active priorities
};

class VgicMachine final : public VgicHost {
 public:
  explicit VgicMachine(VgicConfig config = {}) : config_(config), vgic(config, *this), cpus(config.vcpu_count) {
    // Timers of all vCPUs: PPI 27.
    for (unsigned i = 0; i < config.vcpu_count; ++i) EXPECT_TRUE(vgic.map_hardware(i, 27, 27));
  }

  // ---- VgicHost ----
  bool line_pending(unsigned vcpu, u32 intid) override {
    return (intid >= kFirstSpi || vcpu == current) && (line(vcpu, intid).asserted || line(vcpu, intid).latched);
  }
  void clear_line_pending(unsigned vcpu, u32 intid) override { line(vcpu, intid).latched = false; }
  void deactivate_line(unsigned vcpu, u32 intid) override {
    EXPECT_TRUE(resetting || intid >= kFirstSpi || vcpu == current) << "a PPI of another CPU cannot be reached";
    EXPECT_TRUE(line(vcpu, intid).active) << "deactivated twice: " << intid;
    line(vcpu, intid).active = false;
    ++deactivations;
  }
  void configure_line(u32 intid, bool edge) override { configured[intid] = edge; }
  void synchronize(unsigned vcpu) override {
    EXPECT_EQ(vcpu, current);
    ++synchronizations;
    exit(vcpu);
  }

  // ---- the host ----
  struct Line {
    bool asserted = false;
    bool latched = false;
    bool active = false;
  };
  Line& line(unsigned vcpu, u32 intid) { return lines_[{intid < kFirstSpi ? vcpu : 0, intid}]; }

  /// A physical interrupt that is pending and inactive is taken: acknowledged, priority dropped, handed to the vGIC.
  void take_physical(unsigned vcpu, u32 intid, u32 virtual_id = 0) {
    Line& l = line(vcpu, intid);
    if (l.active || !(l.asserted || l.latched)) return;
    l.active = true;
    l.latched = false;
    if (reload(vcpu, intid)) return;
    vgic.hardware_interrupt(vcpu, virtual_id != 0 ? virtual_id : intid);
  }

  void enter(unsigned vcpu) {
    current = vcpu;
    VirtualCpuInterface& cpu = cpus[vcpu];
    if (!vgic.needs_flush(vcpu)) return;
    if (cpu.loaded) exit(vcpu);
    vgic.flush(vcpu, cpu.set);
    cpu.set.eoi_count = 0;
    cpu.chosen = cpu.set;
    cpu.loaded = true;
    ++flushes;
    check_list_registers(cpu.set);
  }
  void exit(unsigned vcpu) {
    current = vcpu;
    VirtualCpuInterface& cpu = cpus[vcpu];
    if (!cpu.loaded) return;
    cpu.loaded = false;
    vgic.sync(vcpu, cpu.set);
    EXPECT_EQ(cpu.set.count, 0u);
    EXPECT_EQ(cpu.set.control, virtual_control::kEnable) << "an empty set must not raise the maintenance interrupt";
  }

  /// Stops all vCPUs and resets the vGIC.
  void reset() {
    for (unsigned vcpu = 0; vcpu < config_.vcpu_count; ++vcpu) {
      exit(vcpu);
      cpus[vcpu] = {};
    }
    resetting = true;
    vgic.reset();
    resetting = false;
  }

  // ---- the guest ----
  u64 read(u64 offset, u32 size = 4, unsigned vcpu = 0) {
    current = vcpu;
    return vgic.read_distributor({offset, size, vcpu});
  }
  void write(u64 offset, u64 value, u32 size = 4, unsigned vcpu = 0) {
    current = vcpu;
    vgic.write_distributor({offset, size, vcpu}, value);
  }
  u64 read_private(unsigned owner, u64 offset, u32 size = 4, std::optional<unsigned> vcpu = {}) {
    if (config_.version == 2) return read(offset, size, owner);
    current = vcpu.value_or(owner);
    return vgic.read_redistributor(owner, {kSgiFrame + offset, size, vcpu.value_or(owner)});
  }
  void write_private(unsigned owner, u64 offset, u64 value, u32 size = 4, std::optional<unsigned> vcpu = {}) {
    if (config_.version == 2) return write(offset, value, size, owner);
    current = vcpu.value_or(owner);
    vgic.write_redistributor(owner, {kSgiFrame + offset, size, vcpu.value_or(owner)}, value);
  }
  /// Both groups on.
  void enable_distributor() { write(gicd::kCtlr, 3); }
  /// Enables one interrupt at a priority, SPIs routed to `vcpu`.
  void enable(unsigned vcpu, u32 intid, u8 priority = 0x80) {
    const u64 bit = u64{1} << intid % 32;
    if (intid < kFirstSpi) {
      write_private(vcpu, gicd::kIpriorityr + intid, priority, 1);
      write_private(vcpu, gicd::kIsenabler, bit);
      return;
    }
    write(gicd::kIpriorityr + intid, priority, 1);
    route(vcpu, intid);
    write(gicd::kIsenabler + intid / 32 * 4, bit);
  }
  void route(unsigned vcpu, u32 intid) {
    if (config_.version == 2)
      write(gicd::kItargetsr + intid, 1u << vcpu, 1);
    else
      write(gicd::kIrouter + intid * 8, config_.affinity[vcpu], 8);
  }

  /// What the guest would acknowledge now, and with which source; kSpurious when nothing is signalled.
  u32 highest_pending(unsigned vcpu, usize* index = nullptr) {
    VirtualCpuInterface& cpu = cpus[vcpu];
    u32 best = kSpurious;
    u8 best_priority = cpu.mask;
    if (!cpu.running.empty()) best_priority = std::min(best_priority, cpu.running.back());
    for (usize i = 0; i < cpu.set.count; ++i) {
      const ListRegister lr = cpu.set.entries[i];
      if (lr.state() != ListRegisterState::Pending || lr.priority() >= best_priority) continue;
      best = lr.virtual_id();
      best_priority = lr.priority();
      if (index != nullptr) *index = i;
    }
    return best;
  }
  u32 acknowledge(unsigned vcpu, u8* source = nullptr) {
    enter(vcpu);
    usize index = 0;
    const u32 intid = highest_pending(vcpu, &index);
    if (intid == kSpurious) return intid;
    VirtualCpuInterface& cpu = cpus[vcpu];
    cpu.running.push_back(cpu.set.entries[index].priority());
    set_state(cpu.set.entries[index], ListRegisterState::Active);
    if (source != nullptr) *source = cpu.set.entries[index].source_cpu();
    maintenance(vcpu);
    return intid;
  }
  /// Priority drop, and with EOImode = 0 deactivation.
  void end(unsigned vcpu, u32 intid, u8 source = 0) {
    enter(vcpu);
    VirtualCpuInterface& cpu = cpus[vcpu];
    if (!cpu.running.empty()) cpu.running.pop_back();
    if (!cpu.split_deactivation) deactivate(vcpu, intid, source);
  }
  void deactivate(unsigned vcpu, u32 intid, u8 source = 0) {
    enter(vcpu);
    VirtualCpuInterface& cpu = cpus[vcpu];
    if ((cpu.set.control & virtual_control::kTrapDeactivate) != 0 && cpu.split_deactivation) {
      current = vcpu;
      exit(vcpu);
      vgic.deactivate(vcpu, intid);
      return enter(vcpu);
    }
    for (usize i = 0; i < cpu.set.count; ++i) {
      ListRegister& lr = cpu.set.entries[i];
      if (lr.virtual_id() != intid || !lr.active() || (!lr.hardware() && lr.source_cpu() != source)) continue;
      set_state(lr, lr.pending() ? ListRegisterState::Pending : ListRegisterState::Invalid);
      if (lr.hardware()) line(vcpu, lr.physical_id()).active = false;
      const bool ended = lr.maintenance() && lr.state() == ListRegisterState::Invalid;
      return maintenance(vcpu, ended);
    }
    ++cpu.set.eoi_count;
    maintenance(vcpu);
  }
  bool has_deliverable(unsigned vcpu) {
    current = vcpu;
    return vgic.has_deliverable(vcpu);
  }
  /// Acknowledges and ends whatever is pending.
  u32 serve(unsigned vcpu) {
    u8 source = 0;
    const u32 intid = acknowledge(vcpu, &source);
    if (intid != kSpurious) end(vcpu, intid, source);
    return intid;
  }

  Vgic& operator*() { return vgic; }
  Vgic* operator->() { return &vgic; }

 private:
  const VgicConfig config_;

 public:
  Vgic vgic;
  std::vector<VirtualCpuInterface> cpus;
  std::map<u32, bool> configured;
  bool resetting = false;
  unsigned current = 0;  ///< the vCPU whose pCPU works
  unsigned deactivations = 0;
  unsigned synchronizations = 0;
  unsigned flushes = 0;
  unsigned maintenance_interrupts = 0;
  unsigned reloads = 0;
  bool short_form = true;  ///< take_physical() uses reload_slot()

 private:
  static void set_state(ListRegister& lr, ListRegisterState state) {
    ListRegisterFields fields = lr.unpack();
    fields.state = state;
    lr = ListRegister::pack(fields);
  }
  /// The short form for a PPI whose list register the guest has ended.
  bool reload(unsigned vcpu, u32 intid) {
    VirtualCpuInterface& cpu = cpus[vcpu];
    if (!short_form || intid >= kFirstSpi || !cpu.loaded) return false;
    const int slot = vgic.reload_slot(vcpu, intid);
    if (slot < 0 || cpu.set.entries[static_cast<usize>(slot)].state() != ListRegisterState::Invalid) return false;
    cpu.set.entries[static_cast<usize>(slot)] = cpu.chosen.entries[static_cast<usize>(slot)];
    ++reloads;
    return true;
  }
  /// Raises the maintenance interrupt as often as its conditions hold; each must be answered by progress.
  void maintenance(unsigned vcpu, bool end_of_interrupt = false) {
    for (unsigned rounds = 0;; ++rounds) {
      ASSERT_LT(rounds, 4u) << "maintenance interrupt storm";
      const ListRegisterSet& set = cpus[vcpu].set;
      bool pending = false;
      for (usize i = 0; i < set.count; ++i) pending |= set.entries[i].state() == ListRegisterState::Pending;
      const bool wanted = end_of_interrupt || ((set.control & virtual_control::kNoPending) != 0 && !pending) ||
                          ((set.control & virtual_control::kEntryNotPresent) != 0 && set.eoi_count != 0);
      if (!wanted) return;
      end_of_interrupt = false;
      ++maintenance_interrupts;
      exit(vcpu);
      enter(vcpu);
    }
  }
  void check_list_registers(const ListRegisterSet& set) const {
    EXPECT_LE(set.count, config_.list_registers);
    for (usize i = 0; i < set.count; ++i) {
      const ListRegister a = set.entries[i];
      EXPECT_NE(a.state(), ListRegisterState::Invalid);
      EXPECT_FALSE(a.hardware() && a.state() == ListRegisterState::PendingActive);
      for (usize j = 0; j < i; ++j) {
        const ListRegister b = set.entries[j];
        EXPECT_FALSE(a.virtual_id() == b.virtual_id() && a.source_cpu() == b.source_cpu())
            << "interrupt in two registers";
      }
    }
  }

  std::map<std::pair<unsigned, u32>, Line> lines_;
};

inline VgicConfig gicv2(u8 vcpus = 2, u8 list_registers = 4) {
  return {.version = 2, .vcpu_count = vcpus, .spi_count = 64, .list_registers = list_registers};
}
inline VgicConfig gicv3(u8 vcpus = 2, u8 list_registers = 4) {
  VgicConfig config{.version = 3, .vcpu_count = vcpus, .spi_count = 64, .list_registers = list_registers};
  for (u32 i = 0; i < vcpus; ++i) config.affinity[i] = i;
  return config;
}

}  // namespace hv
