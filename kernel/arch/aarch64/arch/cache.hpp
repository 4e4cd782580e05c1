// Cache maintenance by address range (Arm ARM D7.5). Addresses are VA = PA of mapped memory; any size, any alignment.
#pragma once

#include <arch/barrier.hpp>
#include <arch/sysreg.hpp>

#include "kernel/base/types.hpp"

namespace ax::arch {

namespace detail {
template <class Operation>
inline void for_each_line(u64 address, u64 size, u64 line, Operation operation) {
  for (u64 a = align_down(address, line); a < address + size; a += line) operation(a);
}
inline u64 data_line() { return CTR_EL0::data_line(CTR_EL0::read()); }
}  // namespace detail

/// Writes dirty lines of the range back to memory, for observers that do not use the caches (a guest with its MMU off,
/// a device). Complete on return.
inline void clean_data_cache(u64 address, u64 size) {
  detail::for_each_line(address, size, detail::data_line(), [](u64 a) { asm volatile("dc cvac, %0" : : "r"(a) : "memory"); });
  dsb_sy();
}

/// Fills whole pages with zeros and writes them back to memory, in one pass. Normal memory only.
inline void zero_pages_to_memory(u64 address, u64 size) {
  const u64 dczid = DCZID_EL0::read();
  const u64 line = detail::data_line();
  if ((dczid & DCZID_EL0::DZP) != 0 || DCZID_EL0::block(dczid) < line) {
    __builtin_memset(reinterpret_cast<void*>(address), 0, size);
    return clean_data_cache(address, size);
  }
  for (u64 block = address; block < address + size; block += DCZID_EL0::block(dczid)) {
    asm volatile("dc zva, %0" : : "r"(block) : "memory");
    for (u64 a = block; a < block + DCZID_EL0::block(dczid); a += line) asm volatile("dc cvac, %0" : : "r"(a) : "memory");
  }
  dsb_sy();
}

/// Writes dirty lines back and drops the lines, so that the next cached access sees memory. Complete on return.
inline void clean_invalidate_data_cache(u64 address, u64 size) {
  detail::for_each_line(address, size, detail::data_line(), [](u64 a) { asm volatile("dc civac, %0" : : "r"(a) : "memory"); });
  dsb_sy();
}

/// Makes instructions that were written as data visible to instruction fetch on every CPU.
inline void synchronize_instruction_cache(u64 address, u64 size) {
  const u64 ctr = CTR_EL0::read();
  if (!(ctr & CTR_EL0::IDC)) {
    detail::for_each_line(address, size, CTR_EL0::data_line(ctr), [](u64 a) { asm volatile("dc cvau, %0" : : "r"(a) : "memory"); });
  }
  dsb_ish();
  if (!(ctr & CTR_EL0::DIC)) {
    detail::for_each_line(address, size, CTR_EL0::instruction_line(ctr), [](u64 a) { asm volatile("ic ivau, %0" : : "r"(a) : "memory"); });
    dsb_ish();
  }
  isb();
}

/// Drops every instruction-cache line of every CPU: cheaper than a range of more than a few pages.
inline void invalidate_instruction_cache() {
  asm volatile("ic ialluis" : : : "memory");
  dsb_ish();
  isb();
}

}  // namespace ax::arch
