#include "hypervisor/vm/x86_64/nested_paging.hpp"

#include <bit>

namespace hv {

Result<NestedPaging> NestedPaging::create(Gpa highest, const mm::NestedCapabilities& capabilities, VmFrames& frames) {
  constexpr u64 kFirstEpoch = 1;
  if (std::bit_width(highest.value()) > static_cast<int>(mm::X86NestedFormat::kInputBits))
    return fail(Error::OutOfRange);
  const HpaRange root = TRY(frames.allocate(kPageSize, kPageSize));
  mm::IdentityTableMemory{}.clear(root.base);
  return NestedPaging(capabilities, root.base, kFirstEpoch, frames);
}

NestedPaging::NestedPaging(NestedPaging&& other) noexcept
    : NestedPaging(other.table_.format().capabilities(), other.table_.root(), other.epoch(), other.source_.frames()) {
  other.owner_ = false;
}

NestedPaging::~NestedPaging() {
  if (!owner_) return;
  source_.release();
  table_.destroy(source_);
  source_.frames().free({table_.root(), kPageSize});
}

Result<void> NestedPaging::map(GpaRange range, Hpa target, mm::PageAttributes attributes) {
  return table_.map(source_, range, target, attributes);
}

Result<void> NestedPaging::unmap(GpaRange range) { return table_.remove(range); }

}  // namespace hv
