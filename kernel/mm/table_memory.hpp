// How page-table code reaches the memory that tables lie in, and where it gets that memory from.
#pragma once

#include <concepts>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::mm {

/// Number of entries of one 4 KiB table, and size of an entry, in every supported format.
inline constexpr usize kTableEntries = 512;
inline constexpr usize kTableEntrySize = sizeof(u64);

/// Reads and writes table entries by physical address. `write` is one single-copy atomic 64-bit store, because a hardware
/// walker may read the entry at the same time; `prepare` and `clear` touch tables that no walker can reach.
template <class M>
concept TableMemory = requires(M& memory, const M& constant, Hpa address, u64 value) {
  { constant.read(address) } -> std::same_as<u64>;
  memory.write(address, value);
  memory.prepare(address, value);
  memory.clear(address);
};

/// Gives out 4 KiB frames for tables, and takes them back. The contents of a new frame do not matter.
/// Usable before any allocator exists: a bump pointer over a static array satisfies it.
template <class S>
concept TableSource = requires(S& source, Hpa table) {
  { source.allocate_table() } -> std::same_as<Result<Hpa>>;
  source.free_table(table);
};

/// Tables at VA = PA: the hypervisor's identity map, or the MMU still off.
struct IdentityTableMemory {
  u64 read(Hpa address) const { return __atomic_load_n(pointer(address), __ATOMIC_RELAXED); }
  void write(Hpa address, u64 value) { __atomic_store_n(pointer(address), value, __ATOMIC_RELAXED); }
  void prepare(Hpa address, u64 value) { *pointer(address) = value; }
  void clear(Hpa table) { __builtin_memset(pointer(table), 0, kTableEntries * kTableEntrySize); }

 private:
  static u64* pointer(Hpa address) { return reinterpret_cast<u64*>(address.value()); }
};
static_assert(TableMemory<IdentityTableMemory>);

}  // namespace ax::mm
