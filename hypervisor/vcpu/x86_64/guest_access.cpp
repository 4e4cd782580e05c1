#include "hypervisor/vcpu/x86_64/guest_access.hpp"

#include <algorithm>
#include <bit>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {
namespace {

constexpr u64 kOffsetMask = kPageSize - 1;
constexpr u64 kAddresses32 = 0xffff'ffff;

}  // namespace

std::expected<Gpa, EmulationFault> GuestAccess::translate(u64 linear, PageAccess access) {
  Translation& known = known_[static_cast<usize>(access)];
  const u64 page = linear & ~kOffsetMask, offset = linear & kOffsetMask;
  if (known.linear_page == page) return known.page + offset;
  if (operand_ && access != PageAccess::Fetch && (operand_->value() & kOffsetMask) == offset) {
    const Gpa address = *operand_;
    known_[static_cast<usize>(PageAccess::Read)] =
        known_[static_cast<usize>(PageAccess::Write)] = {page, address.align_down(kPageSize)};
    operand_.reset();
    return address;
  }
  const auto physical = walk_guest_pages(memory_, state_, linear, access);
  if (!physical) return std::unexpected(EmulationFault{x86::Vector::kPageFault, physical.error(), linear});
  known = {page, physical->align_down(kPageSize)};
  return *physical;
}

/// Calls action(physical address, offset in the access, size) for the part in each page, after all parts were translated.
template <class Action>
EmulationHost::Status GuestAccess::for_each_piece(u64 linear, u32 size, PageAccess access, Action action) {
  const auto first = translate(linear, access);
  if (!first) return std::unexpected(first.error());
  const u32 here = static_cast<u32>(std::min<u64>(size, kPageSize - (linear & kOffsetMask)));
  if (here == size) {
    action(*first, 0, size);
    return {};
  }
  u64 rest = linear + here;
  if ((state_.efer & x86::Efer::kLma) == 0) rest &= kAddresses32;
  const auto second = translate(rest, access);
  if (!second) return std::unexpected(second.error());
  action(*first, 0, here);
  action(*second, here, size - here);
  return {};
}

u64 GuestAccess::read_physical(Gpa address, u32 size) {
  u64 value = 0;
  if (memory_.read(address, std::as_writable_bytes(std::span(&value, 1)).first(size))) return value;
  if (std::has_single_bit(size)) return bus_.mmio_read(address, size);
  for (u32 i = 0; i < size; ++i) value |= bus_.mmio_read(address + i, 1) << (8 * i);
  return value;
}

void GuestAccess::write_physical(Gpa address, u32 size, u64 value) {
  if (memory_.write(address, std::as_bytes(std::span(&value, 1)).first(size))) return;
  if (std::has_single_bit(size)) return bus_.mmio_write(address, size, value);
  for (u32 i = 0; i < size; ++i) bus_.mmio_write(address + i, 1, value >> (8 * i) & 0xff);
}

EmulationHost::Value GuestAccess::read(u64 linear, u32 size) {
  u64 value = 0;
  const auto read_piece = [&](Gpa address, u32 offset, u32 piece) { value |= read_physical(address, piece) << (8 * offset); };
  const auto done = for_each_piece(linear, size, PageAccess::Read, read_piece);
  if (!done) return std::unexpected(done.error());
  return value;
}

EmulationHost::Status GuestAccess::write(u64 linear, u32 size, u64 value) {
  return for_each_piece(linear, size, PageAccess::Write, [&](Gpa address, u32 offset, u32 piece) {
    const u64 part = value >> (8 * offset);
    write_physical(address, piece, piece == sizeof(u64) ? part : part & ((u64{1} << 8 * piece) - 1));
  });
}

EmulationHost::Status GuestAccess::check_write(u64 linear, u32 size) {
  return for_each_piece(linear, size, PageAccess::Write, [](Gpa, u32, u32) {});
}

std::expected<usize, EmulationFault> GuestAccess::fetch(u64 linear, std::span<u8> bytes) {
  usize done = 0;
  while (done < bytes.size()) {
    const u64 at = linear + done;
    const auto physical = translate(at, PageAccess::Fetch);
    if (!physical && done == 0) return std::unexpected(physical.error());
    if (!physical) break;
    const usize piece = std::min<usize>(bytes.size() - done, kPageSize - (at & kOffsetMask));
    if (!memory_.read(*physical, std::as_writable_bytes(bytes.subspan(done, piece)))) break;
    done += piece;
  }
  return done;
}

}  // namespace hv
