#include "hypervisor/storage/image_files.hpp"

#include <algorithm>

#include "hypervisor/main/hypervisor.hpp"
#include "kernel/base/sha256.hpp"
#include "kernel/log/log.hpp"
#include "kernel/mm/physical_memory.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 kProgressBytes = 16_MiB;  ///< read at once, and said

}  // namespace

ImageFiles::~ImageFiles() {
  for (const File& file : files_)
    if (!file.frames.empty()) platform::frames().lock()->free(file.frames, mm::Owner::host());
}

ImageFiles::File* ImageFiles::find(const Image& image) {
  const auto at = std::ranges::find(files_, &image, &File::image);
  return at == files_.end() ? nullptr : at;
}

Result<void> ImageFiles::open(Image& image, bool streamed, u64 limit) {
  const auto location = TRY(hypervisor_.disks().open(image.path));
  File& file = *TRY(files_.push_back({.image = &image, .location = location}));
  const u64 size = file.location.node.size;
  if (size == 0) return fail(Error::Truncated);
  if (size > limit) return fail(Error::OutOfRange);
  const usize here = static_cast<usize>(streamed ? std::min<u64>(size, kHead) : size);
  file.frames = TRY(platform::frames().lock()->allocate(align_up(here, kPageSize), mm::Owner::host()));
  image.begin = mm::direct_map_pointer(file.frames.base);
  image.end = image.begin + here;
  return read(file, 0, {mm::direct_map_pointer(file.frames.base), here});
}

u64 ImageFiles::size(const Image& image) const {
  const auto at = std::ranges::find(files_, &image, &File::image);
  return at == files_.end() ? image.bytes().size() : at->location.node.size;
}

Result<void> ImageFiles::read(File& file, u64 offset, std::span<std::byte> out) {
  const u64 total = file.location.node.size;
  while (!out.empty()) {
    const usize step = static_cast<usize>(std::min<u64>(out.size(), kProgressBytes));
    if (TRY(file.location.system->read(file.location.node, offset, out.first(step))) != step) return fail(Error::Truncated);
    offset += step;
    out = out.subspan(step);
    if (total > kProgressBytes) log::info("{}: {} of {} MiB", file.image->path, offset >> 20, total >> 20);
  }
  return {};
}

Result<void> ImageFiles::load(const Image& image, GuestMemory& memory, Gpa to) {
  struct Source final : MemorySource {
    explicit Source(File& f) : file(f) {}
    Result<void> read(u64 offset, std::span<std::byte> out) override {
      TRY(ImageFiles::read(file, offset, out));
      if (!file.image->sha256.empty()) hash.add(out);
      return {};
    }
    File& file;
    Sha256 hash;
  };
  File* file = find(image);
  if (file == nullptr) return fail(Error::BadState);
  Source source(*file);
  TRY(memory.fill({to, file->location.node.size}, source));
  if (image.sha256.empty() || source.hash.finish_is(image.sha256)) return {};
  log::error("{} has another SHA-256 than its description says", image.path);
  return fail(Error::Malformed);
}

}  // namespace hv
