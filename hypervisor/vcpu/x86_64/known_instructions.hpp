// Instructions at places where they were found before: a driver accesses its device from few places, and often.
#pragma once

#include <array>

#include "hypervisor/vcpu/x86_64/decoder.hpp"
#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"

namespace hv {

/// 64-bit code only. Nothing here can be out of date: an answer is given only if every page-table entry on the way to
/// the instruction, and the instruction itself, are still what they were. One per vCPU.
class KnownInstructions {
 public:
  /// The instruction at `linear`, or nullptr: to be fetched and decoded. `paging`: rflags does not matter.
  const Instruction* find(const GuestMemory& memory, const PagingState& paging, u64 linear) const;
  /// `walk` and `bytes` are how `instruction` was fetched from `linear`. Near the end of a page it is not kept.
  void remember(const PagingState& paging, u64 linear, const PageWalk& walk, std::span<const u8> bytes,
                const Instruction& instruction);

 private:
  struct Entry {
    u64 linear = 0;
    u64 cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
    u8 privilege = 0;
    u8 words = 0;  ///< 0: empty
    std::array<GuestMemory::Word, PageWalk::kMaxEntries + 2> word{};
    Instruction instruction{};
  };
  static constexpr usize kEntries = 8;
  static usize place(u64 linear) { return (linear ^ linear >> 3 ^ linear >> 7) % kEntries; }

  std::array<Entry, kEntries> entries_{};
};

}  // namespace hv
