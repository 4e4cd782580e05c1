#include "hypervisor/vcpu/x86_64/guest_access.hpp"

#include <algorithm>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {
namespace {

constexpr u64 kOffsetMask = kPageSize - 1;
constexpr u64 kAddresses32 = 0xffff'ffff;

}  // namespace

[[gnu::noinline]] std::expected<Gpa, EmulationFault> GuestAccess::translate(u64 linear, PageAccess access) {
  Translation& known = known_[static_cast<usize>(access)];
  const u64 page = linear & ~kOffsetMask, offset = linear & kOffsetMask;
  if (known.linear_page == page) return known.page + offset;
  const bool covered = access == PageAccess::Read || (access == PageAccess::Write && operand_writable_);
  if (operand_ && covered && (operand_->value() & kOffsetMask) == offset) {
    const Gpa address = *operand_;
    known = {page, address.align_down(kPageSize)};
    if (operand_writable_)
      known_[static_cast<usize>(PageAccess::Read)] = known_[static_cast<usize>(PageAccess::Write)] = known;
    operand_.reset();
    return address;
  }
  const auto physical =
      walk_guest_pages(memory_, state_, linear, access, access == PageAccess::Fetch ? &fetched_ : nullptr);
  if (!physical) return std::unexpected(EmulationFault{x86::Vector::kPageFault, physical.error(), linear});
  known = {page, physical->align_down(kPageSize)};
  return *physical;
}

/// The part in each page, after all parts were translated.
[[gnu::noinline]] EmulationHost::Status GuestAccess::access(u64 linear, u32 size, Action action, u64& value) {
  const PageAccess kind = action == Action::Read ? PageAccess::Read : PageAccess::Write;
  const auto first = translate(linear, kind);
  if (!first) return std::unexpected(first.error());
  const u32 here = static_cast<u32>(kPageSize - (linear & kOffsetMask));
  if (here >= size) {
    access_physical(*first, size, action, value);
    return {};
  }
  u64 rest = linear + here;
  if ((state_.efer & x86::Efer::kLma) == 0) rest &= kAddresses32;
  const auto second = translate(rest, kind);
  if (!second) return std::unexpected(second.error());
  // The pieces' sizes need not be powers of two.
  for (u32 i = 0; i < size; ++i) {
    u64 byte = value >> (8 * i) & 0xff;
    access_physical(i < here ? *first + i : *second + (i - here), 1, action, byte);
    if (action == Action::Read) value |= byte << (8 * i);
  }
  return {};
}

/// Within one page, which is RAM or not as a whole.
void GuestAccess::access_physical(Gpa address, u32 size, Action action, u64& value) {
  if (action == Action::Read) {
    const std::optional<u64> word = memory_.load(address, size);
    value = word ? *word : bus_.mmio_read(address, size);
  } else if (action == Action::Write && !memory_.store(address, size, value)) {
    bus_.mmio_write(address, size, value);
  }
}

EmulationHost::Value GuestAccess::read(u64 linear, u32 size) {
  u64 value = 0;
  if (const auto done = access(linear, size, Action::Read, value); !done) return std::unexpected(done.error());
  return value;
}

EmulationHost::Status GuestAccess::write(u64 linear, u32 size, u64 value) {
  return access(linear, size, Action::Write, value);
}

EmulationHost::Status GuestAccess::check_write(u64 linear, u32 size) {
  u64 nothing = 0;
  return access(linear, size, Action::CheckWrite, nothing);
}

std::expected<usize, EmulationFault> GuestAccess::fetch(u64 linear, std::span<u8> bytes) {
  usize done = 0;
  if (bytes.size() >= kMaxInstructionLength && (linear & kOffsetMask) <= kPageSize - kMaxInstructionLength) {
    const auto physical = translate(linear, PageAccess::Fetch);
    if (!physical) return std::unexpected(physical.error());
    if (memory_.read_fast(*physical, std::as_writable_bytes(bytes.first<kMaxInstructionLength>())))
      return kMaxInstructionLength;
  }
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
