// The services of platforms/platform.hpp that are the same on every platform. <root.hpp> is that of the platform that this is
// compiled for.
#include "platforms/common/services.hpp"

#include "platforms/platform.hpp"

namespace ax::platform {
namespace {

Root& root() { return Root::instance(); }

}  // namespace

MachineInfo& machine() { return root().machine; }
LockedFrames& frames() { return root().frames; }

Result<void> map_device(HpaRange range) { return root().space.map_identity(root().frames, range, mm::kDeviceReadWrite); }
Result<void> map_memory(HpaRange range) { return root().space.map_identity(root().frames, range, mm::kReadWrite); }
Result<Hva> allocate_stack(u64 size) { return root().space.allocate_stack(root().frames, size); }
void free_stack(Hva top, u64 size) { root().space.free_stack(root().frames, top, size); }

Result<void> map_pages(Range<Hva> where, Hpa frames, mm::PageAttributes attributes) {
  return root().space.map(root().frames, where, frames, attributes);
}
Result<void> unmap_pages(Range<Hva> where) { return root().space.unmap(root().frames, where); }
Result<void> protect_pages(Range<Hva> where, mm::PageAttributes attributes) {
  return root().space.protect(root().frames, where, attributes);
}
std::optional<Hpa> physical_address(Hva address) {
  const auto found = translate(address);
  return found ? std::optional(found->address) : std::nullopt;
}

}  // namespace ax::platform
