#include "hypervisor/vm/x86_64/memory_map.hpp"

#include <algorithm>
#include <limits>

namespace hv {

MemoryMap::MemoryMap(std::span<const GpaRange> ram) {
  bool room = true, tables = false;
  for (const GpaRange& range : ram) {
    room = room && add(range.base, std::min(range.end(), kVideoHole), MemoryType::Usable);
    if (!tables && range.end() > kFirmwareTables.base) {
      room = room && add(kFirmwareTables.base, kFirmwareTables.end(), MemoryType::Reserved);
      tables = true;
    }
    room = room && add(std::max(range.base, kHighMemory), range.end(), MemoryType::Usable);
  }
}

bool MemoryMap::add(Gpa from, Gpa to, MemoryType type) {
  return from >= to || entries_.push_back({{from, to - from}, type});
}

u32 MemoryMap::kib_at(Gpa base) const {
  for (const MemoryMapEntry& entry : entries_) {
    if (entry.range.base != base || entry.type != MemoryType::Usable) continue;
    return static_cast<u32>(std::min<u64>(entry.range.size / 1_KiB, std::numeric_limits<u32>::max()));
  }
  return 0;
}

}  // namespace hv
