#include "hypervisor/vcpu/x86_64/known_instructions.hpp"

namespace hv {

const Instruction* KnownInstructions::find(const GuestMemory& memory, const PagingState& paging, u64 linear) const {
  const Entry& entry = entries_[place(linear)];
  if (entry.linear != linear || entry.words == 0 || entry.cr3 != paging.cr3) return nullptr;
  if (entry.cr0 != paging.cr0 || entry.cr4 != paging.cr4 || entry.efer != paging.efer ||
      entry.privilege != paging.privilege)
    return nullptr;
  return memory.holds(std::span(entry.word).first(entry.words)) ? &entry.instruction : nullptr;
}

void KnownInstructions::remember(const PagingState& paging, u64 linear, const PageWalk& walk, std::span<const u8> bytes,
                                 const Instruction& instruction) {
  if (walk.count == 0 || (linear & (kPageSize - 1)) > kPageSize - 2 * sizeof(u64)) return;
  Entry& entry = entries_[place(linear)];
  entry = {.linear = linear,
           .cr0 = paging.cr0,
           .cr3 = paging.cr3,
           .cr4 = paging.cr4,
           .efer = paging.efer,
           .privilege = paging.privilege};
  u8 words = 0;
  for (usize i = 0; i < walk.count; ++i) entry.word[words++] = {walk.at[i], ~u64{0}, walk.entry[i]};
  for (unsigned done = 0; done < instruction.length; done += sizeof(u64)) {
    GuestMemory::Word& word = entry.word[words++];
    word.at = walk.address + done;
    for (unsigned i = 0; i < sizeof(u64) && done + i < instruction.length; ++i) {
      word.mask |= u64{0xff} << 8 * i;
      word.value |= u64{bytes[done + i]} << 8 * i;
    }
  }
  entry.instruction = instruction;
  entry.words = words;
}

}  // namespace hv
