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

  void add(const Candidate& candidate, u8 priority, bool active) {
    const Entry entry{candidate, static_cast<u16>(priority << 1 | (active ? 0 : 1)), active};
    if (!active && (!best_pending_.candidate.bank.block || entry.key < best_pending_.key)) best_pending_ = entry;
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
      if (!entries_[i].active) return;
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
    bool active = false;
  };
  void leave_out(const Entry& entry) { (entry.active ? active_left_out_ : pending_left_out_) = true; }

  usize capacity_;
  usize size_ = 0;
  bool pending_left_out_ = false;
  bool active_left_out_ = false;
  Entry best_pending_{};
  std::array<Entry, kMaxListRegisters> entries_{};
};

template <class Visit>
void Vgic::for_each_sgi_source(unsigned vcpu, const Bank& bank, unsigned index, Visit visit) {
  const Vcpu& state = vcpus_[vcpu];
  const u32 pending = (ready(*bank.block) >> index & 1) != 0 ? state.sgi_pending[index] : 0;
  for_each_bit(state.sgi_active[index] | pending,
               [&](unsigned source) { visit(Candidate{bank, index, static_cast<u8>(source)}); });
}

template <class Visit>
void Vgic::for_each_candidate(unsigned vcpu, Visit visit) {
  const Bank bank = private_bank(vcpu);
  for_each_bit(ready(*bank.block) | bank.block->active, [&](unsigned n) {
    if (sources_matter(bank, n)) for_each_sgi_source(vcpu, bank, n, visit);
    else visit(Candidate{bank, n, 0});
  });
  for_each_bit(vcpus_[vcpu].spi_summary, [&](unsigned spi) {
    for_each_bit(vcpus_[vcpu].spis[spi], [&](unsigned n) { visit(Candidate{spi_bank(spi), n, 0}); });
  });
}

/// An upper bound of what for_each_candidate() visits.
unsigned Vgic::count_candidates(const Vcpu& vcpu) const {
  const u32 bits = ready(vcpu.banked) | vcpu.banked.active;
  if (config_.version != 2 || (bits & kSgiMask) == 0) {
    if ((bits & (bits - 1)) == 0) return vcpu.spi_count + (bits != 0 ? 1u : 0u);  // the tick: no population count
    return vcpu.spi_count + static_cast<unsigned>(std::popcount(bits));
  }
  unsigned count = vcpu.spi_count + static_cast<unsigned>(std::popcount(bits & ~kSgiMask));
  for_each_bit(bits & kSgiMask, [&](unsigned n) {
    count += static_cast<unsigned>(std::popcount(static_cast<u8>(vcpu.sgi_pending[n] | vcpu.sgi_active[n])));
  });
  return count;
}

/// Whether the candidate goes into a list register as pending, and as active.
std::pair<bool, bool> Vgic::candidate_state(const Candidate& candidate) const {
  const Block& block = *candidate.bank.block;
  bool pending = (ready(block) >> candidate.index & 1) != 0;
  bool active = (block.active >> candidate.index & 1) != 0;
  if (sources_matter(candidate.bank, candidate.index)) {
    const Vcpu& vcpu = vcpus_[candidate.bank.vcpu];
    pending = pending && (vcpu.sgi_pending[candidate.index] >> candidate.source & 1) != 0;
    active = active && (vcpu.sgi_active[candidate.index] >> candidate.source & 1) != 0;
  }
  return {pending, active};
}

/// Hardware-backed level interrupts waited, and the guest may have silenced their sources meanwhile: then they are gone,
/// and the physical interrupts must be able to fire again.
void Vgic::recheck_lines(const Bank& bank, u32 bits) {
  Block& block = *bank.block;
  bits &= block.hardware & block.latch;
  const u32 waited = bits & ~block.fresh & ~block.edge & ready(block);
  block.fresh &= ~bits;
  for_each_bit(waited, [&](unsigned n) {
    if (host_.line_pending(bank.vcpu, block.physical[n])) return;
    block.latch &= ~(1u << n);
    release(bank, 1u << n);
    refresh(bank, 1u << n);
  });
}

void Vgic::recheck_lines(unsigned vcpu) {
  const Vcpu& state = vcpus_[vcpu];
  if ((state.banked.hardware & state.banked.latch) != 0) recheck_lines(private_bank(vcpu), ~0u);
  for_each_bit(state.spi_summary, [&](unsigned spi) {
    if ((spis_[spi].hardware & spis_[spi].latch) != 0) recheck_lines(spi_bank(spi), state.spis[spi]);
  });
}

void Vgic::place(unsigned vcpu, ListRegisterSet& set, const Candidate& candidate) {
  const Bank& bank = candidate.bank;
  Block& block = *bank.block;
  const unsigned index = candidate.index;
  const u32 bit = 1u << index;
  auto [pending, active] = candidate_state(candidate);

  // Active here but routed to another vCPU meanwhile: what is pending goes there, after the end.
  const bool moves = pending && active && !bank.is_private && static_cast<SpiBlock&>(block).target[index] != vcpu;
  // HW = 1 cannot be pending and active at once; such an interrupt is deactivated by us when the guest has ended it.
  const bool hardware = (block.hardware & block.owed & bit) != 0 && !(pending && active);
  const u32 physical = block.physical[index];
  // A level that stays high makes the interrupt pending again at its end, which only we can see.
  const bool maintenance = !hardware && (moves || ((block.owed | (block.line & ~block.edge)) & bit) != 0);
  pending = pending && !moves;
  const u32 slot = set.count++;
  set.entries[slot] =
      ListRegister::pack({.virtual_id = bank.base() + index,
                          .physical_id = physical,
                          .source_cpu = candidate.source,
                          .priority = block.priority[index],
                          .group1 = (block.group1 & bit) != 0,
                          .state = static_cast<ListRegisterState>((pending ? 1 : 0) | (active ? 2 : 0)),
                          .hardware = hardware,
                          .maintenance = maintenance});

  Vcpu& owner = vcpus_[vcpu];
  owner.slots[slot] = static_cast<u16>(bank.base() + index);
  block.resident |= bit;
  if (!bank.is_private) static_cast<SpiBlock&>(block).holder[index] = static_cast<u8>(vcpu);
  if (!pending) return;
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
    selection.add(candidate, candidate.bank.block->priority[candidate.index], candidate_state(candidate).second);
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
  set.count = 0;
  set.control = virtual_control::kEnable;
  state.loaded_latch = 0;
  recheck_lines(vcpu);
  const unsigned candidates = count_candidates(state);
  if (candidates > config_.list_registers) place_selected(vcpu, set);
  else if (candidates != 0) for_each_candidate(vcpu, [&](const Candidate& c) { place(vcpu, set, c); });
  state.loaded = static_cast<u8>(set.count);
  // Last, because a line found low above counts as a change.
  state.dirty.store(false, std::memory_order_relaxed);
}

void Vgic::take_back(unsigned vcpu, unsigned slot, ListRegister entry) {
  Vcpu& owner = vcpus_[vcpu];
  const u32 intid = owner.slots[slot];
  const Bank bank = intid < kFirstSpi ? private_bank(vcpu) : spi_bank((intid - kFirstSpi) / 32);
  Block& block = *bank.block;
  const unsigned index = intid % 32;
  const u32 bit = 1u << index;

  if ((block.active_written & bit) == 0) {
    bool active = entry.active();
    if (sources_matter(bank, index)) {
      const u8 source = static_cast<u8>(1u << entry.source_cpu());
      if (active) owner.sgi_active[index] |= source;
      else owner.sgi_active[index] &= static_cast<u8>(~source);
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
  for (u32* bits : {&block.resident, &block.resident_pending, &block.resident_requested, &block.came_again,
                    &block.drop_pending, &block.active_written}) {
    *bits &= ~bit;
  }
  release(bank, bit);
  if (!bank.is_private) relist(static_cast<SpiBlock&>(block), bank.spi, index);
}

void Vgic::sync(unsigned vcpu, ListRegisterSet& set) {
  Vcpu& state = vcpus_[vcpu];
  if (set.eoi_count != 0) {
    deactivate_unlisted(vcpu, set.eoi_count);
    set.eoi_count = 0;
  }
  if (state.loaded == 0) return;
  for (unsigned slot = 0; slot < state.loaded; ++slot) take_back(vcpu, slot, set.entries[slot]);
  state.loaded = 0;
  set.count = 0;
  state.dirty.store(true, std::memory_order_relaxed);
}

bool Vgic::has_deliverable(unsigned vcpu) {
  if (loaded(vcpu)) host_.synchronize(vcpu);
  recheck_lines(vcpu);
  const Vcpu& state = vcpus_[vcpu];
  if ((ready(state.banked) & ~state.banked.active) != 0) return true;
  for (u32 left = state.spi_summary; left != 0; left &= left - 1) {
    const unsigned spi = static_cast<unsigned>(std::countr_zero(left));
    if ((ready(spis_[spi]) & ~spis_[spi].active & state.spis[spi]) != 0) return true;
  }
  return false;
}

}  // namespace hv
