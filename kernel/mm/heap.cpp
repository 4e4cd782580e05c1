#include "kernel/mm/heap.hpp"

#include <array>
#include <bit>

#include "kernel/base/check.hpp"
#include "kernel/mm/physical_memory.hpp"

namespace ax::mm {

namespace {

constexpr usize kHeaderSize = 64;
constexpr usize kSlabPayload = kPageSize - kHeaderSize;

/// Slot sizes: powers of two serve every alignment, the steps between them waste less. The last
/// three go four, three and two times into a frame with its header.
constexpr std::array<u16, 12> kSlotSizes = {32, 48, 64, 96, 128, 192, 256, 384, 512, 960, 1344, 1984};
constexpr usize kLargeObject = kSlotSizes.size();

constexpr u64 kMagic = 0x5ab0'0b1ec7'5ab0;

/// Index into kSlotSizes, or kLargeObject.
constexpr usize size_class_of(usize bytes, usize alignment) {
  for (usize i = 0; i < kSlotSizes.size(); ++i) {
    if (kSlotSizes[i] >= bytes && is_aligned(kSlotSizes[i], alignment)) return i;
  }
  return kLargeObject;
}

}  // namespace

struct Heap::Header {
  u64 magic = kMagic;
  Header* next = nullptr;  ///< in the list of slabs with room
  Header* previous = nullptr;
  u64 used[2] = {};        ///< bit n: slot n is in use
  u64 bytes = 0;           ///< large object: of all its frames
  u16 size_class = 0;
  u16 used_count = 0;

  std::byte* payload() { return reinterpret_cast<std::byte*>(this) + kHeaderSize; }
  usize slot_size() const { return kSlotSizes[size_class]; }
  usize slot_count() const { return kSlabPayload / slot_size(); }
  bool is_full() const { return used_count == slot_count(); }
  HpaRange frames() const { return {Hpa(reinterpret_cast<u64>(this)), bytes}; }

  usize take_slot() {
    const usize word = used[0] != ~u64{0} ? 0 : 1;
    const usize bit = static_cast<usize>(std::countr_one(used[word]));
    used[word] |= u64{1} << bit;
    ++used_count;
    return word * 64 + bit;
  }

  void free_slot(usize slot) {
    const u64 bit = u64{1} << (slot % 64);
    AX_CHECK((used[slot / 64] & bit) != 0);
    used[slot / 64] &= ~bit;
    --used_count;
  }
};

void Heap::link(Header& slab) {
  Header*& head = slabs_with_room_[slab.size_class];
  slab.previous = nullptr;
  slab.next = head;
  if (head != nullptr) head->previous = &slab;
  head = &slab;
}

void Heap::unlink(Header& slab) {
  if (slab.next != nullptr) slab.next->previous = slab.previous;
  (slab.previous != nullptr ? slab.previous->next : slabs_with_room_[slab.size_class]) = slab.next;
}

Result<Heap::Header*> Heap::add_slab(usize size_class) {
  const HpaRange frame = TRY(frames_.allocate(kPageSize, Owner::host()));
  Header* slab = ::new (static_cast<void*>(direct_map_pointer(frame.base))) Header;
  slab->bytes = frame.size;
  slab->size_class = static_cast<u16>(size_class);
  link(*slab);
  return slab;
}

Result<std::byte*> Heap::allocate_large(usize bytes) {
  const HpaRange frames = TRY(frames_.allocate(bytes + kHeaderSize, Owner::host()));
  Header* header = ::new (static_cast<void*>(direct_map_pointer(frames.base))) Header;
  header->bytes = frames.size;
  header->size_class = kLargeObject;
  used_bytes_ += frames.size;
  return header->payload();
}

Result<std::byte*> Heap::allocate(usize bytes, usize alignment) {
  static_assert(sizeof(Header) <= kHeaderSize && kSlotSizes.size() == kClassCount);
  AX_CHECK(bytes != 0 && is_power_of_two(alignment) && alignment <= kMaxAlignment);
  const usize size_class = size_class_of(bytes, alignment);
  if (size_class == kLargeObject) return allocate_large(bytes);
  Header* slab = slabs_with_room_[size_class];
  if (slab == nullptr) slab = TRY(add_slab(size_class));
  std::byte* storage = slab->payload() + slab->take_slot() * slab->slot_size();
  if (slab->is_full()) unlink(*slab);
  used_bytes_ += slab->slot_size();
  return storage;
}

void Heap::free(std::byte* storage) {
  // Objects never start at the start of a frame: the header of theirs does.
  Header& header = *reinterpret_cast<Header*>(align_down(reinterpret_cast<u64>(storage), kPageSize));
  AX_CHECK(header.magic == kMagic);
  const usize offset = static_cast<usize>(storage - header.payload());
  if (header.size_class == kLargeObject) {
    AX_CHECK(offset == 0);
    used_bytes_ -= header.bytes;
  } else {
    AX_CHECK(offset % header.slot_size() == 0 && offset < kSlabPayload);
    const bool was_full = header.is_full();
    header.free_slot(offset / header.slot_size());
    used_bytes_ -= header.slot_size();
    if (was_full) link(header);
    if (header.used_count != 0) return;
    unlink(header);
  }
  header.magic = 0;
  frames_.free(header.frames(), Owner::host());
}

}  // namespace ax::mm
