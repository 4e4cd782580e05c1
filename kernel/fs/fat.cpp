// FAT: geometry, the table, contents of files. Directories are in fat_directory.cpp.
#include "kernel/fs/fat.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/fs/fat_format.hpp"

namespace ax::fs {

using namespace fat;

Result<Fat> Fat::mount(block::Device& device, mm::ObjectAllocator& heap, Time time) {
  BlockCache cache = TRY(BlockCache::create(device, heap));
  std::array<std::byte, block::kSectorSize> boot;
  TRY(cache.read(0, boot));
  const Geometry geometry = TRY(parse(boot, device.sectors() * block::kSectorSize));
  return Fat(std::move(cache), geometry, device.writable(), time);
}

Result<Fat::Geometry> Fat::parse(std::span<const std::byte> boot, u64 disk_bytes) {
  using namespace boot_sector;
  const u32 sector = load_le<u16>(boot, kBytesPerSector), per_cluster = load_le<u8>(boot, kSectorsPerCluster),
            reserved = load_le<u16>(boot, kReserved), root_entries = load_le<u16>(boot, kRootEntries),
            small_table = load_le<u16>(boot, kTableSectors16), small_total = load_le<u16>(boot, kSectors16);
  Geometry g;
  g.tables = load_le<u8>(boot, kTables);
  if (load_le<u16>(boot, kSignatureAt) != kSignature || !is_power_of_two(sector) || sector < block::kSectorSize || sector > 4096 ||
      !is_power_of_two(per_cluster) || reserved == 0 || g.tables == 0 || g.tables > kMostTables)
    return fail(Error::NotSupported);
  g.wide = small_table == 0;
  g.cluster = sector * per_cluster;
  g.table_at = u64{reserved} * sector;
  g.table_bytes = u64{g.wide ? load_le<u32>(boot, kTableSectors32) : small_table} * sector;
  g.root_at = g.table_at + g.tables * g.table_bytes;
  g.root_bytes = g.wide ? 0 : align_up(u64{root_entries} * kEntrySize, sector);
  g.data_at = g.root_at + g.root_bytes;
  const u64 total = u64{small_total != 0 ? small_total : load_le<u32>(boot, kSectors32)} * sector;
  if (g.table_bytes == 0 || total <= g.data_at) return fail(Error::NotSupported);
  if (total > disk_bytes) return fail(Error::Truncated);

  const u64 clusters = (total - g.data_at) / g.cluster;
  if (!g.wide && clusters < kFewestFat16) return fail(Error::NotSupported);  // FAT12
  const u64 in_table = g.table_bytes / (g.wide ? 4 : 2);
  if (clusters > kMostClusters || in_table < clusters + 2) return fail(Error::Malformed);
  g.clusters = static_cast<u32>(clusters);
  if (!g.wide) return g;
  g.root_cluster = load_le<u32>(boot, kRootCluster);
  if (g.root_cluster < 2 || g.root_cluster - 2 >= g.clusters) return fail(Error::Malformed);
  const u32 info = load_le<u16>(boot, kInfoSector);
  if (info != 0 && info < reserved) g.info_at = u64{info} * sector;
  return g;
}

Result<Node> Fat::root() { return Node{.kind = Kind::Directory, .id = geometry_.root_cluster}; }

// ---- the table --------------------------------------------------------------------------------------------------------

Result<u32> Fat::table_value(u32 cluster) {
  const u64 at = geometry_.table_at + u64{cluster} * entry_bytes();
  if (!geometry_.wide) return TRY(cache_.load<u16>(at));
  return TRY(cache_.load<u32>(at)) & kClusterMask;
}

Result<u32> Fat::successor(u32 cluster) {
  const u32 value = TRY(table_value(cluster));
  if (value >= (end_mark() & ~u32{7})) return u32{0};
  if (!is_cluster(value)) return fail(Error::Malformed);
  return value;
}

/// Chains `count` clusters from `first` on, which are neighbours, and `after` behind them; kFree frees them.
Result<void> Fat::set_run(u32 first, u32 count, u32 after) {
  std::array<std::byte, block::kSectorSize> entries;
  const u32 width = entry_bytes();
  for (u32 done = 0; done < count;) {
    const u64 at = u64{first + done} * width;
    const u32 room = static_cast<u32>((block::kSectorSize - at % block::kSectorSize) / width), step = std::min(count - done, room);
    for (u32 i = 0; i < step; ++i) {
      const u32 cluster = first + done + i;
      const u32 value = after == kFree || done + i + 1 == count ? after : cluster + 1;
      std::memcpy(entries.data() + i * width, &value, width);
    }
    // The first copy is the one that counts.
    for (u32 copy = 0; copy < geometry_.tables; ++copy)
      TRY(cache_.write(geometry_.table_at + copy * geometry_.table_bytes + at, std::span(entries).first(step * width)));
    done += step;
  }
  return {};
}

/// The cluster at `index` of a chain that has one there.
Result<u32> Fat::cluster_at(Node& file, u64 index) {
  if (index >= geometry_.clusters || !is_cluster(file.id)) return fail(Error::Malformed);
  if (file.known == 0 || file.known_index > index) {
    file.known_index = 0;
    file.known = file.id;
  }
  while (file.known_index < index) {
    const u32 next = TRY(successor(static_cast<u32>(file.known)));
    if (next == 0) return fail(Error::Malformed);
    file.known = next;
    ++file.known_index;
  }
  return static_cast<u32>(file.known);
}

Result<void> Fat::free_chain(u32 first) {
  u32 freed = 0;
  while (first != 0 && freed < geometry_.clusters) {
    // As many neighbours as there are, then one write for all of them.
    u32 count = 1, next = TRY(successor(first));
    while (next == first + count && freed + count < geometry_.clusters) next = TRY(successor(first + count++));
    TRY(set_run(first, count, kFree));
    if (free_) *free_ += count;
    search_from_ = std::min(search_from_, first);
    freed += count;
    first = next;
  }
  return {};
}

/// Ends the file's chain after so many clusters, at least one.
Result<void> Fat::cut(Node& file, u64 clusters) {
  const u32 last = TRY(cluster_at(file, clusters - 1)), rest = TRY(successor(last));
  if (rest == 0) return {};
  TRY(set_run(last, 1, end_mark()));
  return free_chain(rest);
}

Result<u32> Fat::count_free() {
  if (free_) return *free_;
  u32 count = 0;
  std::array<std::byte, block::kSectorSize> entries;
  const u64 end = u64{geometry_.clusters + 2} * entry_bytes();
  for (u64 at = 0; at < end; at += entries.size()) {
    TRY(cache_.read(geometry_.table_at + at, entries));
    for (usize i = 0; i < entries.size() && at + i < end; i += entry_bytes()) {
      const u32 value = geometry_.wide ? load_le<u32>(entries, i) & kClusterMask : load_le<u16>(entries, i);
      count += value == kFree;
    }
  }
  free_ = std::min(count, geometry_.clusters);
  return *free_;
}

/// The first stretch of free clusters from where the last one ended, at most `most` of them.
Result<Fat::Run> Fat::find_free(u64 most) {
  u32 cluster = search_from_;
  for (u32 looked = 0; looked < geometry_.clusters; ++looked, ++cluster) {
    if (!is_cluster(cluster)) cluster = 2;
    if (TRY(table_value(cluster)) != kFree) continue;
    Run run{cluster, 1};
    while (run.count < most && is_cluster(run.first + run.count) && TRY(table_value(run.first + run.count)) == kFree) ++run.count;
    search_from_ = run.first + run.count;
    return run;
  }
  return fail(Error::NoSpace);
}

/// Chains `count` new clusters behind `tail`, or begins a chain if that is 0. Returns the first of them. There is room for all,
/// or nothing happens.
Result<u32> Fat::append(u32 tail, u64 count) {
  if (count > TRY(count_free())) return fail(Error::NoSpace);
  TRY(begin_change());
  u32 first = 0;
  while (count != 0) {
    const Run run = TRY(find_free(count));
    TRY(set_run(run.first, run.count, end_mark()));
    *free_ -= run.count;
    if (first == 0) first = run.first;
    if (tail != 0) TRY(set_run(tail, 1, run.first));
    tail = run.first + run.count - 1;
    count -= run.count;
  }
  return first;
}

/// The number of free clusters on the disk is wrong from now on: it says that it is unknown until sync().
Result<void> Fat::begin_change() {
  if (geometry_.info_at == 0 || TRY(cache_.load<u32>(geometry_.info_at + info_sector::kFree)) == info_sector::kUnknown) return {};
  constexpr u32 kUnknown[] = {info_sector::kUnknown, info_sector::kUnknown};
  return cache_.write(geometry_.info_at + info_sector::kFree, std::as_bytes(std::span(kUnknown)));
}

Result<void> Fat::sync() {
  if (geometry_.info_at != 0 && free_ && TRY(cache_.load<u32>(geometry_.info_at)) == info_sector::kSignature) {
    const u32 values[] = {*free_, search_from_};
    if (TRY(cache_.load<u32>(geometry_.info_at + info_sector::kFree)) != *free_)
      TRY(cache_.write(geometry_.info_at + info_sector::kFree, std::as_bytes(std::span(values))));
  }
  return cache_.device().flush();
}

Result<Usage> Fat::usage() {
  return Usage{.total = u64{geometry_.clusters} * geometry_.cluster, .free = u64{TRY(count_free())} * geometry_.cluster};
}

// ---- contents ---------------------------------------------------------------------------------------------------------

Result<usize> Fat::read(Node& file, u64 offset, std::span<std::byte> out) {
  if (file.kind != Kind::File) return fail(Error::IsDirectory);
  if (offset >= file.size) return usize{0};
  const usize size = static_cast<usize>(std::min<u64>(out.size(), file.size - offset));
  for (usize done = 0; done < size;) {
    const u64 at = offset + done, within = at % geometry_.cluster;
    const u32 first = TRY(cluster_at(file, at / geometry_.cluster));
    u64 bytes = geometry_.cluster - within;
    // Neighbours on the disk are read at once.
    while (done + bytes < size) {
      const u32 next = TRY(cluster_at(file, (at + bytes) / geometry_.cluster));
      if (next != first + (within + bytes) / geometry_.cluster) break;
      bytes += geometry_.cluster;
    }
    const usize step = static_cast<usize>(std::min<u64>(bytes, size - done));
    TRY(cache_.read_contents(address_of(first) + within, out.subspan(done, step)));
    done += step;
  }
  return size;
}

Result<void> Fat::write(Node& file, u64 offset, std::span<const std::byte> bytes) {
  if (!writable_) return fail(Error::ReadOnly);
  if (file.kind != Kind::File) return fail(Error::IsDirectory);
  if (offset > file.size) return fail(Error::OutOfRange);
  const u64 end = offset + bytes.size();
  if (end > kMostFileBytes) return fail(Error::NoSpace);
  if (bytes.empty()) return {};
  u64 have = clusters_for(file.size);
  const u64 need = clusters_for(end);
  if (need > have) {
    u32 tail = have == 0 ? 0 : TRY(cluster_at(file, have - 1));
    // What a power cut has left behind the end is used first.
    for (u32 next; tail != 0 && have < need && (next = TRY(successor(tail))) != 0; ++have) tail = next;
    if (need > have) {
      const u32 first = TRY(append(tail, need - have));
      if (tail == 0) file.id = first;
    }
  }
  for (usize done = 0; done < bytes.size();) {
    const u64 at = offset + done, within = at % geometry_.cluster;
    const usize step = static_cast<usize>(std::min<u64>(geometry_.cluster - within, bytes.size() - done));
    const u32 cluster = TRY(cluster_at(file, at / geometry_.cluster));
    TRY(cache_.write_contents(address_of(cluster) + within, bytes.subspan(done, step)));
    done += step;
  }
  file.size = std::max(file.size, end);
  file.uncommitted = true;
  return {};
}

Result<void> Fat::replace(Node& file) {
  if (!writable_) return fail(Error::ReadOnly);
  if (file.kind != Kind::File) return fail(Error::IsDirectory);
  if (file.replaced == 0) file.replaced = file.id;
  file.id = file.size = file.known = 0;
  file.uncommitted = true;
  return {};
}

Result<void> Fat::commit(Node& file) {
  if (!file.uncommitted) return {};
  std::array<std::byte, kEntrySize> entry;
  TRY(cache_.read(file.place, entry));
  set_first_cluster(entry, static_cast<u32>(file.id));
  store_le(entry, dirent::kSize, static_cast<u32>(file.size));
  stamp(entry);
  TRY(cache_.write(file.place, entry));
  file.uncommitted = false;
  if (file.replaced == 0) return {};
  const u32 old = static_cast<u32>(file.replaced);
  file.replaced = 0;
  return free_chain(old);
}

Result<void> Fat::shorten(Node& file, u64 size) {
  if (!writable_) return fail(Error::ReadOnly);
  if (size > file.size) return fail(Error::OutOfRange);
  const bool is_known = file.place != 0;
  if (size == 0 && is_known) {
    TRY(replace(file));
    return commit(file);
  }
  const u64 first = file.id, before = file.size;
  file.size = size;
  if (size == 0) file.id = file.known = 0;
  if (is_known) {
    file.uncommitted = true;
    TRY(commit(file));
  }
  if (size == 0) return is_cluster(first) ? free_chain(static_cast<u32>(first)) : Result<void>();
  return clusters_for(before) == clusters_for(size) ? Result<void>() : cut(file, clusters_for(size));
}

Result<void> Fat::release(Node& file) {
  file.uncommitted = false;
  for (u64* const first : {&file.replaced, &file.id}) {
    const u64 chain = std::exchange(*first, 0);
    if (is_cluster(chain)) TRY(free_chain(static_cast<u32>(chain)));
  }
  file.size = file.known = 0;
  return {};
}

void Fat::abandon(Node& file) {
  if (!file.uncommitted) return;
  file.uncommitted = false;
  std::array<std::byte, kEntrySize> entry;
  if (!cache_.read(file.place, entry)) return;
  const u32 first = first_cluster(entry, geometry_.wide), size = load_le<u32>(entry, dirent::kSize);
  // What cannot be given back is left to fsck: nobody refers to it.
  if (file.id != first && is_cluster(file.id)) {
    static_cast<void>(free_chain(static_cast<u32>(file.id)));
  } else if (first != 0 && size != 0) {
    static_cast<void>(cut(file, clusters_for(size)));
  }
  file.id = first;
  file.size = size;
  file.replaced = file.known = 0;
}

}  // namespace ax::fs
