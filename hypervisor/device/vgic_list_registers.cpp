// The list-register side of the vGIC: what is loaded before a guest entry, and what comes back.
#include <bit>

#include "hypervisor/device/vgic.hpp"
#include "hypervisor/device/vgic_bits.hpp"

namespace hv {

/// The interrupts that get a list register when there are more than list registers. Best priority first, at equal
/// priority what is active already (the guest is going to end it), then the lowest INTID. One list register is always
/// left to the best interrupt that is only pending: with all of them active, nothing could be delivered any more.
class Vgic::Selection {
 public:
  explicit Selection(usize capacity) : capacity_(capacity) {}

  void add(const Candidate& candidate, u8 priority) {
    const Entry entry{candidate, static_cast<u16>(priority << 1 | (candidate.active ? 0 : 1))};
    if (!candidate.active && (!best_pending_.candidate.bank.block || entry.key < best_pending_.key))
      best_pending_ = entry;
    usize at = size_;
    while (at > 0 && entries_[at - 1].key > entry.key) --at;
    if (at == capacity_) return leave_out(entry);
    if (size_ == capacity_) leave_out(entries_[--size_]);
    for (usize i = size_++; i > at; --i) entries_[i] = entries_[i - 1];
    entries_[at] = entry;
  }

  void reserve_for_pending() {
    if (!pending_left_out_) return;
    for (usize i = 0; i < size_; ++i) {
      if (!entries_[i].candidate.active) return;
    }
    entries_[size_ - 1] = best_pending_;
    active_left_out_ = true;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (usize i = 0; i < size_; ++i) visit(entries_[i].candidate);
  }
  bool pending_left_out() const { return pending_left_out_; }
  bool active_left_out() const { return active_left_out_; }

 private:
  struct Entry {
    Candidate candidate{};
    u16 key = 0;
  };
  void leave_out(const Entry& entry) { (entry.candidate.active ? active_left_out_ : pending_left_out_) = true; }

  usize capacity_;
  usize size_ = 0;
  bool pending_left_out_ = false;
  bool active_left_out_ = false;
  Entry best_pending_{};
  std::array<Entry, kMaxListRegisters> entries_{};
};

template <class Visit>
void Vgic::for_each_sgi_source(unsigned vcpu, unsigned index, bool pending, Visit visit) {
  const u8 active_from = vcpus_[vcpu].sgi_active[index];
  const u8 pending_from = pending ? vcpus_[vcpu].sgi_pending[index] : u8{0};
  for_each_bit(active_from | pending_from, [&](unsigned source) {
    visit(Candidate{private_bank(vcpu), static_cast<u8>(index), static_cast<u8>(source),
                    (pending_from >> source & 1) != 0, (active_from >> source & 1) != 0});
  });
}

template <class Visit>
void Vgic::for_each_candidate(unsigned vcpu, Visit visit) {
  const auto visit_bank = [&](Bank bank, u32 bits) {
    const u32 pending = ready(*bank.block);
    const u32 active = bank.block->active;
    for_each_bit((pending | active) & bits, [&](unsigned n) {
      const bool is_pending = (pending >> n & 1) != 0;
      if (sources_matter(bank, n)) return for_each_sgi_source(vcpu, n, is_pending, visit);
      visit(Candidate{bank, static_cast<u8>(n), 0, is_pending, (active >> n & 1) != 0});
    });
  };
  visit_bank(private_bank(vcpu), ~0u);
  for_each_bit(vcpus_[vcpu].spi_summary, [&](unsigned spi) { visit_bank(spi_bank(spi), vcpus_[vcpu].spis[spi]); });
}

/// An upper bound of what for_each_candidate() visits.
unsigned Vgic::count_candidates(const Vcpu& vcpu) const {
  const u32 bits = ready(vcpu.banked) | vcpu.banked.active;
  if (config_.version != 2 || (bits & kSgiMask) == 0) {
    return vcpu.spi_count + static_cast<unsigned>(std::popcount(bits));
  }
  unsigned count = vcpu.spi_count + static_cast<unsigned>(std::popcount(bits & ~kSgiMask));
  for_each_bit(bits & kSgiMask, [&](unsigned n) {
    count += static_cast<unsigned>(std::popcount(static_cast<u8>(vcpu.sgi_pending[n] | vcpu.sgi_active[n])));
  });
  return count;
}

/// Hardware-backed level interrupts waited, and the guest may have silenced their sources meanwhile: then they are
/// gone, and the physical interrupts must be able to fire again.
void Vgic::recheck_lines(Bank bank, u32 bits) {
  Block& block = *bank.block;
  const u32 waited = block.hardware & block.latch & ~block.fresh & ~block.edge & ready(block) & bits;
  for_each_bit(waited, [&](unsigned n) {
    if (host_.line_pending(bank.vcpu(), block.physical[n])) return;
    block.latch &= ~(1u << n);
    release(bank, 1u << n);
    refresh(bank, 1u << n);
  });
  block.fresh &= ~bits;
}

void Vgic::recheck_lines(unsigned vcpu) {
  Vcpu& state = vcpus_[vcpu];
  release(private_bank(vcpu), state.banked.abandoned);
  state.banked.abandoned = 0;
  if ((state.banked.hardware & state.banked.latch & ~state.banked.fresh) != 0) recheck_lines(private_bank(vcpu), ~0u);
  state.banked.fresh = 0;
  for_each_bit(state.spi_summary, [&](unsigned spi) {
    if ((spis_[spi].hardware & spis_[spi].latch) != 0) recheck_lines(spi_bank(spi), state.spis[spi]);
  });
}

void Vgic::place(unsigned vcpu, ListRegisterSet& set, const Candidate& candidate) {
  const Bank bank = candidate.bank;
  Block& block = *bank.block;
  const unsigned index = candidate.index;
  const u32 bit = 1u << index;

  // Active here but routed to another vCPU meanwhile: what is pending goes there, after the end.
  const bool both = candidate.pending && candidate.active;
  const bool moves = both && !bank.is_private && bank.spis().target[index] != vcpu;
  const bool pending = candidate.pending && !moves;
  // HW = 1 cannot be pending and active at once; such an interrupt is deactivated by us when the guest has ended it.
  const bool hardware = (block.owed & bit) != 0 && !both && config_.can_end_by_hardware;
  // A level that stays high makes the interrupt pending again at its end, which only we can see.
  const bool maintenance = !hardware && (moves || ((block.owed | (block.line & ~block.edge)) & bit) != 0);
  const u32 slot = set.count++;
  const u32 intid = bank.base() + index;
  set.entries[slot] =
      ListRegister::pack({.virtual_id = intid,
                          .physical_id = block.physical[index],
                          .source_cpu = candidate.source,
                          .priority = block.priority[index],
                          .group1 = (block.group1 & bit) != 0,
                          .state = static_cast<ListRegisterState>((pending ? 1 : 0) | (candidate.active ? 2 : 0)),
                          .hardware = hardware,
                          .maintenance = maintenance});

  Vcpu& owner = vcpus_[vcpu];
  owner.slots[slot] = static_cast<u16>(intid);
  block.resident |= bit;
  if (!bank.is_private) bank.spis().holder[index] = static_cast<u8>(vcpu);
  if (!pending) return;
  if (hardware && bank.is_private) owner.ppi_slots[index - kSgis] = static_cast<std::int8_t>(slot);
  block.resident_pending |= bit;
  block.resident_requested |= block.requested & bit;
  block.requested &= ~bit;
  if ((block.latch & bit) == 0) return;
  owner.loaded_latch |= static_cast<u16>(1u << slot);
  if (sources_matter(bank, index)) {
    owner.sgi_pending[index] &= static_cast<u8>(~(1u << candidate.source));
    if (owner.sgi_pending[index] != 0) return;
  }
  block.latch &= ~bit;
}

void Vgic::place_selected(unsigned vcpu, ListRegisterSet& set) {
  Selection selection(config_.list_registers);
  for_each_candidate(vcpu, [&](const Candidate& candidate) {
    selection.add(candidate, candidate.bank.block->priority[candidate.index]);
  });
  selection.reserve_for_pending();
  selection.for_each([&](const Candidate& candidate) { place(vcpu, set, candidate); });
  if (selection.pending_left_out()) set.control |= virtual_control::kNoPending;
  if (selection.active_left_out()) {
    set.control |= virtual_control::kEntryNotPresent;
    if (config_.version == 3 && config_.can_trap_deactivate) set.control |= virtual_control::kTrapDeactivate;
  }
}

void Vgic::flush(unsigned vcpu, ListRegisterSet& set) {
  Vcpu& state = vcpus_[vcpu];
  Block& own = state.banked;
  set.count = 0;
  set.control = virtual_control::kEnable;
  state.loaded_latch = 0;

  const u32 pending = ready(own);
  const u32 bits = pending | own.active;
  const bool waited = ((own.hardware & own.latch & ~own.fresh) | own.abandoned) != 0;
  const bool single = (bits & (bits - 1)) == 0 && (config_.version == 3 || (bits & kSgiMask) == 0);
  if (state.spi_summary == 0 && single && !waited) [[likely]] {
    // The tick, an IPI, or nothing.
    if (bits != 0) {
      const unsigned index = static_cast<unsigned>(std::countr_zero(bits));
      place(vcpu, set, {private_bank(vcpu), static_cast<u8>(index), 0, pending != 0, own.active != 0});
    }
    own.fresh = 0;
  } else {
    flush_many(vcpu, set);
  }
  state.loaded = static_cast<u8>(set.count);
  // Last, because a line found low above counts as a change.
  state.dirty.store(false, std::memory_order_relaxed);
}

void Vgic::flush_many(unsigned vcpu, ListRegisterSet& set) {
  recheck_lines(vcpu);
  if (count_candidates(vcpus_[vcpu]) > config_.list_registers)
    place_selected(vcpu, set);
  else
    for_each_candidate(vcpu, [&](const Candidate& candidate) { place(vcpu, set, candidate); });
}

void Vgic::take_back(unsigned vcpu, unsigned slot, ListRegister entry) {
  Vcpu& owner = vcpus_[vcpu];
  const u32 intid = owner.slots[slot];
  const Bank bank = intid < kFirstSpi ? private_bank(vcpu) : spi_bank((intid - kFirstSpi) / 32);
  Block& block = *bank.block;
  const unsigned index = intid % 32;
  const u32 bit = 1u << index;
  if (intid < kFirstSpi && intid >= kSgis) owner.ppi_slots[intid - kSgis] = -1;

  if ((block.active_written & bit) == 0) {
    bool active = entry.active();
    if (sources_matter(bank, index)) {
      const u8 source = static_cast<u8>(1u << entry.source_cpu());
      if (active)
        owner.sgi_active[index] |= source;
      else
        owner.sgi_active[index] &= static_cast<u8>(~source);
      active = owner.sgi_active[index] != 0;
    }
    block.active = active ? block.active | bit : block.active & ~bit;
  }
  if (entry.pending() && (block.drop_pending & bit) == 0) {
    block.requested |= block.resident_requested & bit;
    if ((owner.loaded_latch >> slot & 1) != 0) {
      block.latch |= bit;
      if (sources_matter(bank, index)) owner.sgi_pending[index] |= static_cast<u8>(1u << entry.source_cpu());
    }
  }
  // The guest ended it through HW = 1: the physical interrupt is inactive, unless it has come again since.
  const bool ended_by_guest = entry.hardware() && entry.state() == ListRegisterState::Invalid;
  if (ended_by_guest && (block.came_again & bit) == 0) block.owed &= ~bit;
  block.resident &= ~bit;
  block.resident_pending &= ~bit;
  block.resident_requested &= ~bit;
  block.came_again &= ~bit;
  block.drop_pending &= ~bit;
  block.active_written &= ~bit;
  if ((block.owed & bit) != 0) release(bank, bit);
  if (!bank.is_private) relist(bank.spis(), bank.number, index);
}

void Vgic::sync(unsigned vcpu, ListRegisterSet& set) {
  Vcpu& state = vcpus_[vcpu];
  if (set.eoi_count != 0) {
    deactivate_unlisted(vcpu, set.eoi_count);
    set.eoi_count = 0;
  }
  if (state.loaded == 0 && set.control == virtual_control::kEnable) return;
  for (unsigned slot = 0; slot < state.loaded; ++slot) take_back(vcpu, slot, set.entries[slot]);
  state.loaded = 0;
  set.count = 0;
  set.control = virtual_control::kEnable;
  state.dirty.store(true, std::memory_order_relaxed);
}

bool Vgic::has_deliverable(unsigned vcpu) {
  if (loaded(vcpu)) host_.synchronize(vcpu);
  const Vcpu& state = vcpus_[vcpu];
  if ((ready(state.banked) & ~state.banked.active) != 0) return true;
  for (u32 left = state.spi_summary; left != 0; left &= left - 1) {
    const unsigned spi = static_cast<unsigned>(std::countr_zero(left));
    if ((ready(spis_[spi]) & ~spis_[spi].active & state.spis[spi]) != 0) return true;
  }
  return false;
}

}  // namespace hv
