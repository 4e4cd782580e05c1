// Physical memory by owner.
#pragma once

#include <optional>
#include <span>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::mm {

/// Who a frame belongs to.
struct Owner {
  enum class Kind : u8 { Free, Host, Device, SharedRegion, Vm };
  Kind kind = Kind::Free;
  u16 vm = 0;  ///< Kind::Vm: the VM's id

  static constexpr Owner host() { return {Kind::Host, 0}; }
  static constexpr Owner device() { return {Kind::Device, 0}; }
  static constexpr Owner shared_region() { return {Kind::SharedRegion, 0}; }
  static constexpr Owner of_vm(u16 id) { return {Kind::Vm, id}; }
  friend constexpr bool operator==(const Owner&, const Owner&) = default;
};

/// Gives out RAM in contiguous ranges of frames and remembers who has them.
///
/// All RAM is described by one sorted array of runs: each allocation is a run, each stretch of free frames is a run. Cost
/// depends on the number of allocations, never on their size or the size of RAM: O(log n) to find a range, O(n) moves of
/// 16 bytes to insert or remove one. The array lies in RAM itself; its size bounds the number of live allocations (one per
/// 64 frames of RAM, at least 512), so that free() never needs memory and never fails.
///
/// Large allocations (2 MiB and more) come from the top of memory, small ones from the bottom, so that pages do not break
/// up the ranges that VMs want. The allocator does not zero frames and does not lock: its owner wraps it in a lock. It must
/// not be used on the exit path of a guest.
class FrameAllocator {
 public:
  FrameAllocator() = default;
  FrameAllocator(const FrameAllocator&) = delete;
  FrameAllocator& operator=(const FrameAllocator&) = delete;

  /// What the machine's memory is made of. Ranges may come in any order, overlap and be unaligned.
  struct Memory {
    std::span<const HpaRange> ram{};       ///< to be given out, but for what follows
    std::span<const HpaRange> reserved{};  ///< kept out of it: see allocate_reserved()
    std::span<const HpaRange> host{};      ///< in use by the host already, reserved or not: image, device tree, modules
  };

  /// Takes the machine's memory over; the array goes to the lowest free range that holds it. Once, before any other call,
  /// with RAM mapped. Errors: OutOfMemory (no room for the array, too many ranges), OutOfRange (a range wraps, reaches beyond
  /// 2^52 or has 16 TiB), BadState (called twice).
  Result<void> initialise(const Memory& memory);

  /// Contiguous frames for at least `bytes`, on an alignment that is a power of two (pages to gigabytes). The contents are
  /// undefined. Errors: OutOfMemory, InvalidArgument (no size, no owner, alignment).
  Result<HpaRange> allocate(u64 bytes, Owner owner, u64 alignment = kPageSize);

  /// Exactly this page-aligned range, for maps with GPA = HPA.
  /// Errors: Unaligned, InvalidArgument, OutOfRange (not RAM, or reserved), Overlap (somebody has part of it), OutOfMemory.
  Result<void> allocate_at(HpaRange range, Owner owner);

  /// Exactly this page-aligned range out of reserved memory that the host does not use itself. The same errors.
  Result<void> allocate_reserved(HpaRange range, Owner owner);

  /// Gives back what an allocate function returned, as a whole. A range that is not a live allocation of `owner` is a broken
  /// host invariant and panics.
  void free(HpaRange allocation, Owner owner);

  /// Gives back everything `owner` has; returns the number of bytes.
  u64 free_all(Owner owner);

  /// Bytes that `owner` has, reserved memory included. O(n).
  u64 bytes_of(Owner owner) const;
  /// Bytes that allocate() could give out, were they contiguous. O(n).
  u64 free_bytes() const;
  /// The owner of the frame at `address`; Kind::Free for free RAM and unclaimed reserved memory; nothing outside both.
  std::optional<Owner> owner_of(Hpa address) const;
  /// Live allocations, those made by initialise() included.
  usize allocation_count() const;

 private:
  /// Where a run goes when it is freed.
  enum class Origin : u8 { Ram, Reserved };

  /// Contiguous frames of one allocation, or free ones. Two free runs of one origin never touch.
  struct Run {
    Hpa base{};
    u32 frames = 0;
    Owner::Kind kind = Owner::Kind::Free;
    Origin origin = Origin::Ram;
    u16 vm = 0;

    Hpa end() const { return base + bytes(); }
    u64 bytes() const { return u64{frames} * kPageSize; }
    HpaRange range() const { return {base, bytes()}; }
    bool is_free() const { return kind == Owner::Kind::Free; }
    Owner owner() const { return {kind, vm}; }
    void set_owner(Owner owner) { kind = owner.kind; vm = owner.vm; }
  };
  static_assert(sizeof(Run) == 16);

  /// Runs that the description of a machine can have before the array has its place.
  static constexpr usize kMaxBootRuns = 256;

  static Run make_run(HpaRange range, Owner owner, Origin origin);
  usize find(Hpa address) const;
  bool has_room() const { return count_ + 2 <= capacity_; }
  Result<void> overlay(HpaRange range, Owner owner, Origin origin);
  Result<void> describe(const Memory& memory);
  Result<void> settle(const Memory& memory);
  Result<void> claim(HpaRange range, Owner owner, Origin origin);
  Result<HpaRange> allocate_low(u64 bytes, Owner owner, u64 alignment);
  Result<HpaRange> allocate_high(u64 bytes, Owner owner, u64 alignment);
  usize cut(usize index, HpaRange part);
  void insert(usize index, const Run& run);
  void release(Run& run);
  void merge_free_runs(usize first, usize last);

  Run* runs_ = nullptr;
  usize count_ = 0;
  usize capacity_ = 0;
  Hpa lowest_free_{};  ///< no free RAM below it: where the search for small ranges starts
};

/// A TableSource (kernel/mm/table_memory.hpp): tables out of a FrameAllocator, one frame each, for one owner.
class OwnedTables {
 public:
  OwnedTables(FrameAllocator& frames, Owner owner) : frames_(frames), owner_(owner) {}

  Result<Hpa> allocate_table() {
    const HpaRange table = TRY(frames_.allocate(kPageSize, owner_));
    return table.base;
  }
  void free_table(Hpa table) { frames_.free({table, kPageSize}, owner_); }

 private:
  FrameAllocator& frames_;
  Owner owner_;
};

}  // namespace ax::mm
