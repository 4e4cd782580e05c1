// ext2, ext3 and ext4, for reading (Linux Documentation/filesystems/ext4).
#pragma once

#include <optional>

#include "kernel/fs/block_cache.hpp"
#include "kernel/fs/file_system.hpp"

namespace ax::fs {

/// Read-only: changes would have to go through the journal. Files with extents or block maps, linear and hashed directories,
/// symbolic links; not compressed, encrypted or inline files.
class Ext4 final : public FileSystem {
 public:
  /// Errors: the device's, NotSupported (no ext file system, or one with features that this does not know), Malformed, Truncated
  /// (the disk is shorter than its file system), OutOfMemory. `device` and `heap` outlive it.
  static Result<Ext4> mount(block::Device& device, mm::ObjectAllocator& heap);

  std::string_view type() const override { return "ext4"; }
  bool writable() const override { return false; }
  std::string_view remark() const override {
    return needs_recovery_ ? "its journal was not replayed: the last changes may be missing" : "ext4 is read-only here";
  }

  Result<Node> root() override;
  Result<Node> find(const Node& directory, std::string_view name) override;
  Result<void> list(const Node& directory, DirectoryVisitor& visitor) override;
  Result<usize> read(Node& file, u64 offset, std::span<std::byte> out) override;
  Result<Usage> usage() override;

 private:
  struct Geometry {
    u32 block = 0;  ///< bytes
    u32 inode_bytes = 0, inodes_per_group = 0, inodes = 0;
    u32 descriptor_bytes = 0, groups = 0, first_meta_group = 0;
    u32 blocks_per_group = 0, first_data_block = 0;
    u64 blocks = 0, free_blocks = 0;
    bool needs_recovery = false, meta_groups = false, sparse = false;
  };
  struct Inode;
  /// Blocks of a file that are neighbours on the disk.
  struct Run {
    u64 physical = 0;  ///< first block; 0: a hole, which reads as zeros
    u64 blocks = 0;
  };
  struct Found;

  Ext4(BlockCache cache, const Geometry& geometry)
      : cache_(std::move(cache)), geometry_(geometry), needs_recovery_(geometry.needs_recovery) {}

  static Result<Geometry> parse(std::span<const std::byte> super_block, u64 disk_bytes);
  Result<u64> descriptor_at(u32 group) const;
  Result<Inode> inode(u64 number);
  Result<Node> node(u64 number);
  Result<Run> map(const Inode& inode, u64 block);
  Result<Run> map_extents(const Inode& inode, u64 block);
  Result<Run> map_pointers(const Inode& inode, u64 block);
  Result<void> read_range(const Inode& inode, u64 offset, std::span<std::byte> out);
  Result<void> walk(const Node& directory, bool (*action)(void*, u32, std::string_view), void* context);
  template <class Action>
  Result<void> for_each_entry(const Node& directory, Action action);

  BlockCache cache_;
  Geometry geometry_;
  bool needs_recovery_;
};

}  // namespace ax::fs
