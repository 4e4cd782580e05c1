// What a guest's own page tables say about a linear address. SDM vol. 3 chapter 4, APM vol. 2 chapter 5.
#pragma once

#include <array>
#include <expected>

#include "hypervisor/vm/guest_memory.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The registers that decide how a linear address is translated.
struct PagingState {
  u64 cr0 = 0;
  u64 cr3 = 0;
  u64 cr4 = 0;
  u64 efer = 0;
  u64 rflags = 0;
  u8 privilege = 0;  ///< current privilege level, 0 to 3
  u8 physical_address_bits = 40;
};

enum class PageAccess : u8 { Read, Write, Fetch };

/// Error code of #PF. SDM vol. 3 4.7.
namespace page_fault {
inline constexpr u32 kPresent = 1 << 0, kWrite = 1 << 1, kUser = 1 << 2, kReserved = 1 << 3, kFetch = 1 << 4;
}

/// Which entries of the tables led to an address, and what they were. Only walks without anything out of the ordinary
/// are recorded: all others leave `count` 0.
struct PageWalk {
  static constexpr usize kMaxEntries = 4;
  std::array<Gpa, kMaxEntries> at{};
  std::array<u64, kMaxEntries> entry{};
  u8 count = 0;
  Gpa address{};  ///< the result
};

/// The guest-physical address behind `linear`, or the error code of the page fault that the access raises. Sets
/// accessed and dirty bits as a processor does. Tables outside the RAM read as not present, and so does everything
/// under five-level paging. `linear` is canonical. Any context.
std::expected<Gpa, u32> walk_guest_pages(GuestMemory& memory, const PagingState& state, u64 linear, PageAccess access,
                                         PageWalk* record = nullptr);

}  // namespace hv
