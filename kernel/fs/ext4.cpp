#include "kernel/fs/ext4.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/mm/physical_window.hpp"

namespace ax::fs {

using mm::load_le;

namespace {

constexpr u64 kSuperBlockAt = 1024;
constexpr usize kSuperBlockBytes = 1024;
constexpr u32 kRootInode = 2;

namespace super {
constexpr usize kInodes = 0x00, kBlocks = 0x04, kFreeBlocks = 0x0c, kFirstDataBlock = 0x14, kLogBlock = 0x18, kBlocksPerGroup = 0x20,
                kInodesPerGroup = 0x28, kMagicAt = 0x38, kRevision = 0x4c, kInodeSize = 0x58, kIncompatible = 0x60, kReadOnlyCompatible = 0x64,
                kDescriptorSize = 0xfe, kFirstMetaGroup = 0x104, kBlocksHigh = 0x150, kFreeBlocksHigh = 0x158;
constexpr u16 kMagic = 0xef53;
constexpr u32 kMostLogBlock = 6;
}  // namespace super

/// s_feature_incompat.
enum Feature : u32 {
  kFileType = 0x2,
  kRecover = 0x4,
  kMetaGroups = 0x10,
  kExtents = 0x40,
  k64Bit = 0x80,
  kMultiMount = 0x100,
  kFlexGroups = 0x200,
  kLargeInodeAttributes = 0x400,
  kChecksumSeed = 0x2000,
  kLargeDirectories = 0x4000,
  kInlineData = 0x8000,
  kEncryption = 0x1'0000,
  kCaseFold = 0x2'0000,
};
// Of inline and encrypted data, only the files that have it cannot be read.
constexpr u32 kKnown = kFileType | kRecover | kMetaGroups | kExtents | k64Bit | kMultiMount | kFlexGroups | kLargeInodeAttributes |
                       kChecksumSeed | kLargeDirectories | kInlineData | kEncryption | kCaseFold;
constexpr u32 kSparseSuper = 0x1;  ///< s_feature_ro_compat

constexpr usize kOldDescriptor = 32, kOldInode = 128;
constexpr usize kInodeTableAt = 0x08, kInodeTableHighAt = 0x28;

namespace extent {
constexpr u16 kMagic = 0xf30a;
constexpr usize kHeader = 12, kEntry = 12;
constexpr usize kEntries = 2, kDepth = 6;             // header
constexpr usize kLength = 4, kHigh = 6, kLow = 8;     // leaf
constexpr usize kChildLow = 4, kChildHigh = 8;        // index
constexpr u32 kMostDepth = 5, kMostLength = 32768;    // a longer one is not initialised
}  // namespace extent

constexpr u64 kMostDirectoryBytes = 64_MiB;
constexpr usize kDirectoryHeader = 8;

}  // namespace

struct Ext4::Inode {
  static constexpr usize kBlockAt = 0x28, kBlockBytes = 60;
  static constexpr u32 kExtentsFlag = 0x8'0000, kInlineFlag = 0x1000'0000, kEncryptedFlag = 0x800;
  enum Type : u16 { kTypeMask = 0xf000, kDirectory = 0x4000, kRegular = 0x8000, kLink = 0xa000 };

  u16 mode = 0;
  u32 flags = 0;
  u64 size = 0;
  u64 changed = 0;
  std::array<std::byte, kBlockBytes> block{};

  Kind kind() const {
    switch (mode & kTypeMask) {
      case kDirectory: return Kind::Directory;
      case kRegular: return Kind::File;
      case kLink: return Kind::Link;
      default: return Kind::Other;
    }
  }
};

Result<Ext4> Ext4::mount(block::Device& device, mm::ObjectAllocator& heap) {
  BlockCache cache = TRY(BlockCache::create(device, heap));
  const u64 bytes = device.sectors() * block::kSectorSize;
  if (bytes < kSuperBlockAt + kSuperBlockBytes) return fail(Error::NotSupported);
  std::array<std::byte, kSuperBlockBytes> super_block;
  TRY(cache.read(kSuperBlockAt, super_block));
  const Geometry geometry = TRY(parse(super_block, bytes));
  return Ext4(std::move(cache), geometry);
}

Result<Ext4::Geometry> Ext4::parse(std::span<const std::byte> s, u64 disk_bytes) {
  const auto word = [&](usize at) { return load_le<u32>(s, at); };
  if (load_le<u16>(s, super::kMagicAt) != super::kMagic) return fail(Error::NotSupported);
  const u32 features = word(super::kIncompatible), log_block = word(super::kLogBlock);
  const bool old = word(super::kRevision) == 0;
  if (!old && (features & ~kKnown) != 0) return fail(Error::NotSupported);
  if (log_block > super::kMostLogBlock) return fail(Error::Malformed);
  Geometry g;
  g.block = 1024u << log_block;
  g.inode_bytes = old ? kOldInode : load_le<u16>(s, super::kInodeSize);
  g.inodes = word(super::kInodes);
  g.inodes_per_group = word(super::kInodesPerGroup);
  g.blocks_per_group = word(super::kBlocksPerGroup);
  g.first_data_block = word(super::kFirstDataBlock);
  const bool wide = !old && (features & k64Bit) != 0;
  g.descriptor_bytes = wide ? load_le<u16>(s, super::kDescriptorSize) : kOldDescriptor;
  g.blocks = word(super::kBlocks) | (wide ? u64{word(super::kBlocksHigh)} << 32 : 0);
  g.free_blocks = word(super::kFreeBlocks) | (wide ? u64{word(super::kFreeBlocksHigh)} << 32 : 0);
  g.needs_recovery = (features & kRecover) != 0;
  g.meta_groups = (features & kMetaGroups) != 0;
  g.sparse = (word(super::kReadOnlyCompatible) & kSparseSuper) != 0;
  g.first_meta_group = word(super::kFirstMetaGroup);
  if (!is_power_of_two(g.inode_bytes) || g.inode_bytes < kOldInode || g.inode_bytes > g.block || g.inodes_per_group == 0 ||
      g.blocks_per_group == 0 || !is_power_of_two(g.descriptor_bytes) || g.descriptor_bytes < kOldDescriptor ||
      g.descriptor_bytes > g.block || g.blocks <= g.first_data_block)
    return fail(Error::Malformed);
  if (g.blocks > disk_bytes / g.block) return fail(Error::Truncated);
  const u64 groups = (g.blocks - g.first_data_block - 1) / g.blocks_per_group + 1;
  if (groups > ~u32{0}) return fail(Error::Malformed);
  g.groups = static_cast<u32>(groups);
  return g;
}

Result<Node> Ext4::root() {
  const Node root = TRY(node(kRootInode));
  return root.kind == Kind::Directory ? Result<Node>(root) : fail(Error::Malformed);
}

Result<Usage> Ext4::usage() {
  return Usage{.total = geometry_.blocks * geometry_.block, .free = std::min(geometry_.free_blocks, geometry_.blocks) * geometry_.block};
}

// ---- inodes -----------------------------------------------------------------------------------------------------------

namespace {

/// Groups 0 and 1, and the powers of 3, 5 and 7 have copies of the superblock.
bool has_super_block(u32 group) {
  if (group <= 1) return true;
  for (const u32 base : {3u, 5u, 7u}) {
    u64 power = base;
    while (power < group) power *= base;
    if (power == group) return true;
  }
  return false;
}

}  // namespace

/// Byte on the disk. Descriptors follow the superblock, or, with meta block groups, lie in one block at the start of the group
/// that is the first of those it describes.
Result<u64> Ext4::descriptor_at(u32 group) const {
  const u32 per_block = geometry_.block / geometry_.descriptor_bytes, meta_group = group / per_block;
  u64 block = kSuperBlockAt / geometry_.block + 1 + meta_group;
  if (geometry_.meta_groups && meta_group >= geometry_.first_meta_group) {
    const u32 first = meta_group * per_block;
    block = geometry_.first_data_block + u64{first} * geometry_.blocks_per_group + (!geometry_.sparse || has_super_block(first));
  }
  if (block >= geometry_.blocks) return fail(Error::Malformed);
  return block * geometry_.block + u64{group % per_block} * geometry_.descriptor_bytes;
}

Result<Ext4::Inode> Ext4::inode(u64 number) {
  if (number == 0 || number > geometry_.inodes) return fail(Error::Malformed);
  const u32 group = static_cast<u32>((number - 1) / geometry_.inodes_per_group);
  if (group >= geometry_.groups) return fail(Error::Malformed);
  const u64 descriptor = TRY(descriptor_at(group));
  u64 table = TRY(cache_.load<u32>(descriptor + kInodeTableAt));
  if (geometry_.descriptor_bytes > kOldDescriptor) table |= u64{TRY(cache_.load<u32>(descriptor + kInodeTableHighAt))} << 32;
  if (table == 0 || table >= geometry_.blocks) return fail(Error::Malformed);

  std::array<std::byte, kOldInode> raw;
  TRY(cache_.read(table * geometry_.block + (number - 1) % geometry_.inodes_per_group * geometry_.inode_bytes, raw));
  constexpr usize kMode = 0x00, kSizeLow = 0x04, kChanged = 0x10, kFlags = 0x20, kSizeHigh = 0x6c;
  Inode out;
  out.mode = load_le<u16>(raw, kMode);
  out.flags = load_le<u32>(raw, kFlags);
  out.size = load_le<u32>(raw, kSizeLow) | u64{load_le<u32>(raw, kSizeHigh)} << 32;
  out.changed = load_le<u32>(raw, kChanged);
  std::copy_n(raw.begin() + Inode::kBlockAt, Inode::kBlockBytes, out.block.begin());
  return out;
}

Result<Node> Ext4::node(u64 number) {
  const Inode found = TRY(inode(number));
  return Node{.kind = found.kind(), .size = found.size, .id = number, .changed = found.changed};
}

// ---- contents ---------------------------------------------------------------------------------------------------------

Result<Ext4::Run> Ext4::map_extents(const Inode& inode, u64 block) {
  using namespace extent;
  std::array<std::byte, kEntry> entry;
  u64 at = 0;  ///< byte on the disk of the node; 0: it is in the inode
  const auto load = [&](usize offset) -> Result<void> {
    if (at != 0) return cache_.read(at + offset, entry);
    std::copy_n(inode.block.begin() + offset, kEntry, entry.begin());
    return {};
  };
  u32 depth = kMostDepth + 1;
  u64 next = ~u64{0};  ///< where the next entry begins, of this node or of one above
  for (;;) {
    TRY(load(0));
    const u32 count = load_le<u16>(entry, kEntries), own_depth = load_le<u16>(entry, kDepth);
    const usize room = at == 0 ? Inode::kBlockBytes : geometry_.block;
    // Each level is nearer to the leaves than the one above, so that this ends.
    if (load_le<u16>(entry, 0) != kMagic || own_depth >= depth || (depth <= kMostDepth && own_depth + 1 != depth) ||
        kHeader + count * kEntry > room)
      return fail(Error::Malformed);
    depth = own_depth;
    // The last entry that begins at or before the block.
    u32 low = 0, high = count;
    while (low < high) {
      const u32 middle = (low + high) / 2;
      TRY(load(kHeader + middle * kEntry));
      load_le<u32>(entry, 0) <= block ? low = middle + 1 : high = middle;
    }
    const u32 found = low;
    if (found < count) {
      TRY(load(kHeader + found * kEntry));
      next = std::min<u64>(next, load_le<u32>(entry, 0));
    }
    // A tree that contradicts itself must not stand still.
    if (next <= block) return fail(Error::Malformed);
    if (found == 0) return Run{.blocks = next - block};
    TRY(load(kHeader + (found - 1) * kEntry));
    if (depth == 0) {
      const u32 length = load_le<u16>(entry, kLength);
      const bool written = length <= kMostLength;
      const u64 blocks = written ? length : length - kMostLength, within = block - load_le<u32>(entry, 0);
      const u64 first = load_le<u32>(entry, kLow) | u64{load_le<u16>(entry, kHigh)} << 32;
      if (within >= blocks) return Run{.blocks = next - block};
      if (first == 0 || first >= geometry_.blocks || blocks > geometry_.blocks - first) return fail(Error::Malformed);
      return Run{.physical = written ? first + within : 0, .blocks = blocks - within};
    }
    const u64 child = load_le<u32>(entry, kChildLow) | u64{load_le<u16>(entry, kChildHigh)} << 32;
    if (child == 0 || child >= geometry_.blocks) return fail(Error::Malformed);
    at = child * geometry_.block;
  }
}

/// Twelve blocks, then blocks of pointers, of pointers to those, and once more.
Result<Ext4::Run> Ext4::map_pointers(const Inode& inode, u64 block) {
  constexpr u64 kDirect = 12;
  const u64 per_block = geometry_.block / sizeof(u32);
  u64 pointer = 0, reach = 1;
  if (block < kDirect) {
    pointer = load_le<u32>(inode.block, block * sizeof(u32));
  } else {
    u64 rest = block - kDirect;
    usize level = 0;
    for (reach = per_block; rest >= reach; reach *= per_block) {
      rest -= reach;
      if (++level == 3) return fail(Error::Malformed);
    }
    pointer = load_le<u32>(inode.block, (kDirect + level) * sizeof(u32));
    for (block = rest; reach != 1;) {
      if (pointer >= geometry_.blocks) return fail(Error::Malformed);
      if (pointer == 0) return Run{.blocks = reach - block % reach};
      reach /= per_block;
      pointer = TRY(cache_.load<u32>(pointer * geometry_.block + block / reach % per_block * sizeof(u32)));
    }
  }
  if (pointer >= geometry_.blocks) return fail(Error::Malformed);
  return Run{.physical = pointer, .blocks = 1};
}

Result<Ext4::Run> Ext4::map(const Inode& inode, u64 block) {
  if ((inode.flags & (Inode::kInlineFlag | Inode::kEncryptedFlag)) != 0) return fail(Error::NotSupported);
  return (inode.flags & Inode::kExtentsFlag) != 0 ? map_extents(inode, block) : map_pointers(inode, block);
}

/// Within the file.
Result<void> Ext4::read_range(const Inode& inode, u64 offset, std::span<std::byte> out) {
  for (usize done = 0; done < out.size();) {
    const u64 at = offset + done, block = at / geometry_.block, within = at % geometry_.block;
    Run run = TRY(map(inode, block));
    u64 wanted = (out.size() - done + within + geometry_.block - 1) / geometry_.block;
    // Block maps tell one at a time.
    while (run.physical != 0 && run.blocks < wanted && (inode.flags & Inode::kExtentsFlag) == 0) {
      const Run more = TRY(map(inode, block + run.blocks));
      if (more.physical != run.physical + run.blocks) break;
      ++run.blocks;
    }
    wanted = std::min(wanted, run.blocks);
    const usize step = static_cast<usize>(std::min<u64>(out.size() - done, wanted * geometry_.block - within));
    const std::span<std::byte> part = out.subspan(done, step);
    if (run.physical == 0) {
      std::ranges::fill(part, std::byte{});
    } else {
      TRY(cache_.read_contents(run.physical * geometry_.block + within, part));
    }
    done += step;
  }
  return {};
}

Result<usize> Ext4::read(Node& file, u64 offset, std::span<std::byte> out) {
  const Inode found = TRY(inode(file.id));
  if (found.kind() == Kind::Directory) return fail(Error::IsDirectory);
  if (found.kind() == Kind::Other) return fail(Error::NotSupported);
  if (offset >= found.size) return usize{0};
  const usize size = static_cast<usize>(std::min<u64>(out.size(), found.size - offset));
  // A short link is in the place of the block numbers.
  if (found.kind() == Kind::Link && found.size < Inode::kBlockBytes && (found.flags & Inode::kExtentsFlag) == 0) {
    std::copy_n(found.block.begin() + offset, size, out.begin());
    return size;
  }
  TRY(read_range(found, offset, out.first(size)));
  return size;
}

// ---- directories ------------------------------------------------------------------------------------------------------

/// Calls `action(context, inode, name)` until it returns false. The nodes of a hashed directory look like blocks without entries.
Result<void> Ext4::walk(const Node& directory, bool (*action)(void*, u32, std::string_view), void* context) {
  if (directory.kind != Kind::Directory) return fail(Error::NotDirectory);
  const Inode own = TRY(inode(directory.id));
  if (own.size > kMostDirectoryBytes) return fail(Error::Malformed);
  std::array<std::byte, kDirectoryHeader> header;
  std::array<char, kMaxName> name;
  for (u64 start = 0; start + geometry_.block <= own.size; start += geometry_.block) {
    const Run run = TRY(map(own, start / geometry_.block));
    if (run.physical == 0) return fail(Error::Malformed);
    const u64 block = run.physical * geometry_.block;
    for (u64 at = 0; at + kDirectoryHeader <= geometry_.block;) {
      TRY(cache_.read(block + at, header));
      const u32 number = load_le<u32>(header, 0), length = load_le<u8>(header, 6);
      const u32 step = load_le<u16>(header, 4);
      // 64 KiB blocks: the step of one entry that is the whole block is written as 65535 or 0.
      const u64 whole = step == 0xffff || step == 0 ? geometry_.block : step;
      if (whole < kDirectoryHeader || whole > geometry_.block - at || length > whole - kDirectoryHeader) return fail(Error::Malformed);
      TRY(cache_.read(block + at + kDirectoryHeader, std::as_writable_bytes(std::span(name).first(length))));
      if (number != 0 && length != 0 && !action(context, number, std::string_view(name.data(), length))) return {};
      at += whole;
    }
  }
  return {};
}

/// The same with a lambda: one walk() for all of them.
template <class Action>
Result<void> Ext4::for_each_entry(const Node& directory, Action action) {
  return walk(directory, [](void* context, u32 inode, std::string_view name) { return (*static_cast<Action*>(context))(inode, name); }, &action);
}

Result<Node> Ext4::find(const Node& directory, std::string_view name) {
  u32 number = 0;
  TRY(for_each_entry(directory, [&](u32 inode, std::string_view entry) {
    if (entry == name) number = inode;
    return number == 0;
  }));
  return number == 0 ? fail(Error::NotFound) : node(number);
}

Result<void> Ext4::list(const Node& directory, DirectoryVisitor& visitor) {
  return for_each_entry(directory, [&](u32 number, std::string_view name) {
    if (name == "." || name == "..") return true;
    // An entry whose inode cannot be read is shown all the same.
    return visitor.visit(name, node(number).value_or(Node{.kind = Kind::Other}));
  });
}

}  // namespace ax::fs
