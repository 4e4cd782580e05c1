// FAT16 and FAT32 with long names (Microsoft's FAT specification, 1.03, and what fsck.vfat accepts).
#pragma once

#include <optional>

#include "kernel/fs/block_cache.hpp"
#include "kernel/fs/file_system.hpp"

namespace ax::fs {

/// Reads and writes. The order of writes is such that a power cut between any two leaves, besides clusters that nobody refers to
/// and two copies of the table of which the first counts, only this for fsck: a file that was being appended to may have more
/// clusters than its size tells.
///
/// Names are UTF-8, compared without regard to the case of ASCII letters. New ones have at most 195 UTF-16 units: then all of an
/// entry lies in one sector and appears at once.
class Fat final : public FileSystem {
 public:
  using Time = u64 (*)();  ///< seconds since 1970 began

  /// Errors: the device's, NotSupported (no FAT, or FAT12), Malformed, Truncated (the disk is shorter than its file system),
  /// OutOfMemory. `device` and `heap` outlive it.
  static Result<Fat> mount(block::Device& device, mm::ObjectAllocator& heap, Time time = nullptr);

  std::string_view type() const override { return geometry_.wide ? "FAT32" : "FAT16"; }
  bool writable() const override { return writable_; }

  Result<Node> root() override;
  Result<Node> find(const Node& directory, std::string_view name) override;
  Result<void> list(const Node& directory, DirectoryVisitor& visitor) override;
  Result<usize> read(Node& file, u64 offset, std::span<std::byte> out) override;
  Result<Usage> usage() override;
  Result<Node> create(const Node& directory, std::string_view name, Kind kind) override;
  Result<void> write(Node& file, u64 offset, std::span<const std::byte> bytes) override;
  Result<void> replace(Node& file) override;
  Result<void> commit(Node& file) override;
  void abandon(Node& file) override;
  Result<void> remove(const Node& directory, std::string_view name) override;
  Result<void> rename(const Node& directory, std::string_view from, std::string_view to) override;
  Result<void> sync() override;

  // What only programs ask for, who may have a file open that others remove.

  /// Ends a file earlier, at once. A file whose `place` is 0 is in no directory any more. Errors: OutOfRange (it is shorter), ReadOnly.
  Result<void> shorten(Node& file, u64 size);
  /// Takes a file out of its directory; what it holds stays until release(). Errors: NotFound, IsDirectory, ReadOnly.
  Result<void> detach(const Node& directory, std::string_view name);
  Result<void> release(Node& file);
  /// rename() into another directory, and where rename() cannot: a power cut in the middle leaves both names. Errors: NotFound,
  /// AlreadyExists, NoSpace, ReadOnly.
  Result<void> move(const Node& from, std::string_view name, const Node& to, std::string_view new_name);

 private:
  struct Geometry {
    bool wide = false;  ///< FAT32
    u32 cluster = 0;    ///< bytes
    u32 tables = 0;
    u32 clusters = 0;  ///< their numbers are 2 to clusters + 1
    u32 root_cluster = 0;
    u64 table_at = 0, table_bytes = 0;  ///< bytes on the disk, of one copy
    u64 root_at = 0, root_bytes = 0;    ///< FAT16: the root directory
    u64 data_at = 0;
    u64 info_at = 0;  ///< FAT32: FSInfo; 0: none
  };
  class Walker;
  struct Entry;
  struct LongName;
  struct NewName;
  struct Place;

  Fat(BlockCache cache, const Geometry& geometry, bool writable, Time time)
      : cache_(std::move(cache)), geometry_(geometry), writable_(writable), time_(time) {}

  static Result<Geometry> parse(std::span<const std::byte> boot, u64 disk_bytes);

  // The table. A cluster's successor is 0 at the end of a chain.
  u32 entry_bytes() const { return geometry_.wide ? 4 : 2; }
  u32 end_mark() const { return geometry_.wide ? 0x0fff'ffff : 0xffff; }
  u64 address_of(u32 cluster) const { return geometry_.data_at + u64{cluster - 2} * geometry_.cluster; }
  bool is_cluster(u64 number) const { return number >= 2 && number - 2 < geometry_.clusters; }
  u64 clusters_for(u64 bytes) const { return (bytes + geometry_.cluster - 1) / geometry_.cluster; }
  Result<u32> table_value(u32 cluster);
  Result<u32> successor(u32 cluster);
  Result<void> set_run(u32 first, u32 count, u32 after);
  Result<u32> cluster_at(Node& file, u64 index);
  Result<void> free_chain(u32 first);
  Result<void> cut(Node& file, u64 clusters);
  Result<u32> append(u32 tail, u64 count);
  struct Run {
    u32 first = 0, count = 0;
  };
  Result<Run> find_free(u64 most);
  Result<u32> count_free();
  Result<void> begin_change();

  // Directories.
  Result<void> walk(const Node& directory, bool (*found)(void*, const Entry&), void* context);
  template <class Found>
  Result<void> for_each(const Node& directory, Found found);
  Result<bool> lookup(const Node& directory, std::string_view name, Entry& entry);
  Result<Place> find_place(const Node& directory, NewName& name, std::optional<u64> sector);
  Result<Place> make_place(const Node& directory, NewName& name);
  Result<u64> grow(const Node& directory);
  Result<void> fill_sector(u64 at);
  Result<void> write_entry(const Place& place, const NewName& name, std::span<const std::byte> short_entry, const Entry* old);
  Result<void> erase(const Entry& entry);
  Result<bool> is_empty(const Node& directory);
  void stamp(std::span<std::byte> entry) const;

  BlockCache cache_;
  Geometry geometry_;
  bool writable_;
  Time time_;
  std::optional<u32> free_{};  ///< clusters, once they were counted
  u32 search_from_ = 2;
};

}  // namespace ax::fs
