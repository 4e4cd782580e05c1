#include "kernel/fs/mount.hpp"

namespace ax::fs {

Result<AnyFileSystem> AnyFileSystem::mount(block::Device& device, mm::ObjectAllocator& heap, Fat::Time time) {
  AnyFileSystem any;
  auto ext4 = Ext4::mount(device, heap);
  if (ext4) {
    any.ext4_.emplace(std::move(*ext4));
    return any;
  }
  if (ext4.error() != Error::NotSupported) return fail(ext4.error());
  any.fat_.emplace(TRY(Fat::mount(device, heap, time)));
  return any;
}

}  // namespace ax::fs
