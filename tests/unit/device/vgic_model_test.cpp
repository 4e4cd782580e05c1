// Random guests against a reference: each interrupt as the state machine of IHI 0048 3.2.4, without list registers.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/device/vgic_machine.hpp"

namespace hv {
namespace {

struct ModelParameters {
  const char* name;
  VgicConfig config;
  bool overflow;  ///< more interrupts than list registers: keep out of what EOIcount cannot tell apart
};

class VgicModel : public testing::TestWithParam<ModelParameters> {
 protected:
  struct Interrupt {
    bool enabled = false, group1 = false, edge = false, line = false, latch = false, active = false;
    u8 priority = 0;
    unsigned target = 0;     ///< SPIs
    bool routed = false;     ///< SPIs: has a target
    unsigned active_on = 0;  ///< SPIs
    u8 sources = 0;          ///< GICv2 SGIs: pending per source
    u8 active_sources = 0;
    bool pending() const { return latch || sources != 0 || (line && !edge); }
  };
  struct Running {
    u32 intid;
    u8 source;
    u8 priority;
  };

  static constexpr u32 kHardwareSpi = 40, kHardwareSpiLine = 72, kTimer = 27;
  const VgicConfig config = GetParam().config;
  VgicMachine machine{config};
  std::mt19937 random;
  u32 control = 0;
  std::map<std::pair<unsigned, u32>, Interrupt> interrupts;
  std::vector<std::vector<Running>> running{config.vcpu_count};
  std::vector<u32> ids;

  bool v2() const { return config.version == 2; }
  static bool hardware(u32 intid) { return intid == kTimer || intid == kHardwareSpi; }
  bool has_sources(u32 intid) const { return v2() && intid < 16; }
  u32 pick(u32 count) { return static_cast<u32>(random() % count); }
  unsigned pick_vcpu() { return pick(config.vcpu_count); }
  Interrupt& at(unsigned vcpu, u32 intid) { return interrupts[{intid < kFirstSpi ? vcpu : 0, intid}]; }

  void start(u32 seed) {
    random.seed(seed);
    ASSERT_TRUE(machine->map_hardware(0, kHardwareSpi, kHardwareSpiLine));
    ids = {0, 1, 20, kTimer, 30, 32, 33, kHardwareSpi, 64, 95};  // with three sources per SGI at most 14 at once
    if (GetParam().overflow) ids.insert(ids.end(), {5, 21, 34, 39, 41, 63, 65});
    for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) {
      for (const u32 intid : ids) {
        Interrupt& i = at(vcpu, intid);
        i.group1 = !v2();
        i.edge = intid < 16;
        i.enabled = has_sources(intid);
        i.routed = !v2() || config.vcpu_count == 1;
      }
    }
  }

  bool group_enabled(const Interrupt& i) const { return (control >> (i.group1 ? 1 : 0) & 1) != 0; }
  bool for_vcpu(unsigned vcpu, u32 intid, const Interrupt& i) const {
    return intid < kFirstSpi || (i.routed && i.target == vcpu);
  }
  /// What the vCPU could acknowledge if its running priority allowed it.
  bool deliverable(unsigned vcpu, u32 intid) {
    const Interrupt& i = at(vcpu, intid);
    const bool pending = has_sources(intid) ? (i.sources & ~i.active_sources) != 0 : i.pending() && !i.active;
    return pending && i.enabled && group_enabled(i) && for_vcpu(vcpu, intid, i);
  }

  /// Lets pending physical interrupts through to the host, and every vCPU exit and enter, until nothing changes: an
  /// exit or an entry may deactivate a physical interrupt that is then taken again.
  void settle() {
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) machine.take_physical(vcpu, kTimer);
      machine.take_physical(0, kHardwareSpiLine, kHardwareSpi);
      for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) {
        if (round == 0) machine.exit(vcpu);
        machine.enter(vcpu);
      }
    }
  }

  void write_bit(unsigned vcpu, u32 intid, u64 base) {
    const u64 bit = u64{1} << intid % 32;
    if (intid < kFirstSpi)
      machine.write_private(vcpu, base, bit, 4, pick_vcpu());
    else
      machine.write(base + intid / 32 * 4, bit, 4, vcpu);
  }
  bool read_bit(unsigned vcpu, u32 intid, u64 base) {
    const u64 word =
        intid < kFirstSpi ? machine.read_private(vcpu, base) : machine.read(base + intid / 32 * 4, 4, vcpu);
    return (word >> intid % 32 & 1) != 0;
  }
  bool is_running(unsigned vcpu, u32 intid) const {
    for (unsigned v = 0; v < config.vcpu_count; ++v) {
      if (intid < kFirstSpi && v != vcpu) continue;
      for (const Running& r : running[v]) {
        if (r.intid == intid) return true;
      }
    }
    return false;
  }

  void change_line(unsigned vcpu, u32 intid) {
    if (intid < 16) return;
    Interrupt& i = at(vcpu, intid);
    i.line = !i.line;
    if (hardware(intid)) {
      machine.line(vcpu, intid == kHardwareSpi ? kHardwareSpiLine : intid).asserted = i.line;
      return;
    }
    if (i.line && i.edge) i.latch = true;
    machine->set_line(vcpu, intid, i.line);
  }

  void send_sgi(unsigned vcpu) {
    const u32 intid = ids[pick(2)];
    const unsigned target = pick_vcpu();
    if (v2()) {
      machine.write(gicd::kSgir, u64{1} << (16 + target) | intid, 4, vcpu);
      at(target, intid).sources |= static_cast<u8>(1u << vcpu);
    } else {
      machine->send_sgi(vcpu, SgiRegister::Sgi1r, u64{intid} << 24 | u64{1} << target);
      at(target, intid).latch = true;
    }
  }

  void change_registers(unsigned vcpu, u32 intid) {
    Interrupt& i = at(vcpu, intid);
    switch (pick(8)) {
      case 0:
      case 1: i.enabled = true; return write_bit(vcpu, intid, gicd::kIsenabler);
      case 2: i.enabled = has_sources(intid); return write_bit(vcpu, intid, gicd::kIcenabler);
      case 3:
        if (!has_sources(intid)) i.latch = true;
        return write_bit(vcpu, intid, gicd::kIspendr);
      case 4: i.latch = false; return write_bit(vcpu, intid, gicd::kIcpendr);
      case 5: return change_priority(vcpu, intid);
      case 6: return change_group_or_configuration(vcpu, intid);
      default: return change_route(intid);
    }
  }
  void change_priority(unsigned vcpu, u32 intid) {
    if (GetParam().overflow && is_running(vcpu, intid)) return;
    Interrupt& i = at(vcpu, intid);
    i.priority = static_cast<u8>(pick(8) * 0x18);
    if (intid < kFirstSpi)
      machine.write_private(vcpu, gicd::kIpriorityr + intid, i.priority, 1);
    else
      machine.write(gicd::kIpriorityr + intid, i.priority, 1, vcpu);
  }
  void change_group_or_configuration(unsigned vcpu, u32 intid) {
    Interrupt& i = at(vcpu, intid);
    if (pick(2) == 0) {
      i.group1 = !i.group1;
      u64 word = intid < kFirstSpi ? machine.read_private(vcpu, gicd::kIgroupr)
                                   : machine.read(gicd::kIgroupr + intid / 32 * 4);
      word ^= u64{1} << intid % 32;
      if (intid < kFirstSpi)
        machine.write_private(vcpu, gicd::kIgroupr, word);
      else
        machine.write(gicd::kIgroupr + intid / 32 * 4, word);
    } else if (intid >= kFirstSpi && !hardware(intid)) {
      i.edge = !i.edge;
      const u64 offset = gicd::kIcfgr + intid / 16 * 4;
      machine.write(offset, machine.read(offset) ^ u64{2} << intid % 16 * 2);
    }
  }
  void change_route(u32 intid) {
    if (intid < kFirstSpi || config.vcpu_count == 1) return;
    Interrupt& i = at(0, intid);
    i.target = pick_vcpu();
    i.routed = true;
    machine.route(i.target, intid);
  }
  void change_active(unsigned vcpu, u32 intid) {
    if (GetParam().overflow || has_sources(intid) || is_running(vcpu, intid)) return;
    Interrupt& i = at(vcpu, intid);
    i.active = !i.active;
    write_bit(vcpu, intid, i.active ? gicd::kIsactiver : gicd::kIcactiver);
  }

  void acknowledge(unsigned vcpu) {
    u8 source = 0;
    const u32 got = machine.acknowledge(vcpu, &source);
    u8 best = running[vcpu].empty() ? kIdlePriority : running[vcpu].back().priority;
    bool expect_one = false;
    for (const u32 intid : ids) {
      if (!deliverable(vcpu, intid) || at(vcpu, intid).priority >= best) continue;
      expect_one = true;
      best = at(vcpu, intid).priority;
    }
    if (got == kSpurious) {
      ASSERT_FALSE(expect_one) << "an interrupt of priority " << int(best) << " is lost";
      return;
    }
    ASSERT_TRUE(expect_one) << got << " must not be delivered";
    ASSERT_TRUE(deliverable(vcpu, got)) << got;
    Interrupt& i = at(vcpu, got);
    ASSERT_EQ(i.priority, best) << got;
    i.active = true;
    i.active_on = vcpu;
    if (has_sources(got)) {
      ASSERT_NE(i.sources >> source & 1, 0);
      i.sources &= static_cast<u8>(~(1u << source));
      i.active_sources |= static_cast<u8>(1u << source);
    } else {
      i.latch = false;
    }
    running[vcpu].push_back({got, source, best});
  }
  void end(unsigned vcpu) {
    if (running[vcpu].empty()) return;
    const Running r = running[vcpu].back();
    running[vcpu].pop_back();
    machine.end(vcpu, r.intid, r.source);
    Interrupt& i = at(vcpu, r.intid);
    i.active_sources &= static_cast<u8>(~(1u << r.source));
    i.active = has_sources(r.intid) && i.active_sources != 0;
  }

  void check_registers(unsigned vcpu) {
    for (const u32 intid : ids) {
      const Interrupt& i = at(vcpu, intid);
      ASSERT_EQ(read_bit(vcpu, intid, gicd::kIsactiver), i.active) << intid;
      ASSERT_EQ(read_bit(vcpu, intid, gicd::kIspendr), i.pending()) << intid;
      ASSERT_EQ(read_bit(vcpu, intid, gicd::kIsenabler), i.enabled) << intid;
      ASSERT_EQ(read_bit(vcpu, intid, gicd::kIgroupr), i.group1) << intid;
    }
    bool any = false;
    for (const u32 intid : ids) {
      const Interrupt& i = at(vcpu, intid);
      any |= deliverable(vcpu, intid) && !i.active;
    }
    // Of a GICv2 SGI that is active for one source and pending for another the vGIC says nothing.
    if (!v2()) {
      ASSERT_EQ(machine.has_deliverable(vcpu), any) << "vCPU " << vcpu;
    }
  }

  void step() {
    const unsigned vcpu = pick_vcpu();
    const u32 intid = ids[pick(static_cast<u32>(ids.size()))];
    switch (pick(12)) {
      case 0:
      case 1: change_line(vcpu, intid); break;
      case 2: send_sgi(vcpu); break;
      case 3:
      case 4: change_registers(vcpu, intid); break;
      case 5: change_active(vcpu, intid); break;
      case 6:
        control = pick(8) == 0 ? pick(4) : 3;
        machine.write(gicd::kCtlr, control, 4, vcpu);
        break;
      case 7:
      case 8:
        settle();
        end(vcpu);
        break;
      case 9:
        settle();
        check_registers(vcpu);
        break;
      default:
        settle();
        acknowledge(vcpu);
        break;
    }
  }
};

VgicConfig small(VgicConfig config, u8 list_registers) {
  config.list_registers = list_registers;
  config.spi_count = 64;
  return config;
}

VgicConfig with_maintenance(VgicConfig config) {
  config.can_end_by_hardware = false;
  return config;
}

INSTANTIATE_TEST_SUITE_P(Machines, VgicModel,
                         testing::Values(ModelParameters{"GicV2", small(gicv2(3), 16), false},
                                         ModelParameters{"GicV3", small(gicv3(3), 16), false},
                                         ModelParameters{"GicV2Overflow", small(gicv2(3), 4), true},
                                         ModelParameters{"GicV3Overflow", small(gicv3(3), 4), true},
                                         ModelParameters{"GicV3OneListRegister", small(gicv3(2), 1), true},
                                         ModelParameters{"GicV2OneVcpu", small(gicv2(1), 4), true},
                                         ModelParameters{"GicV2OfQemu", with_maintenance(small(gicv2(2), 4)), true}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST_P(VgicModel, RandomGuestSeesTheArchitectedStateMachine) {
  for (u32 seed = 1; seed <= 30; ++seed) {
    machine.reset();
    interrupts.clear();
    for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) {
      running[vcpu].clear();
      machine.line(vcpu, kTimer) = {};
    }
    machine.line(0, kHardwareSpiLine) = {};
    control = 0;
    start(seed);
    machine.short_form = seed % 2 == 0;
    for (u32 i = 0; i < 1500; ++i) {
      step();
      if (HasFailure()) FAIL() << "seed " << seed << ", step " << i;
    }
  }
}

TEST_P(VgicModel, EveryHardwareInterruptIsDeactivatedInTheEnd) {
  start(99);
  for (u32 i = 0; i < 3000; ++i) step();
  machine.reset();
  for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) EXPECT_FALSE(machine.line(vcpu, kTimer).active) << vcpu;
  EXPECT_FALSE(machine.line(0, kHardwareSpiLine).active);
}

}  // namespace
}  // namespace hv
