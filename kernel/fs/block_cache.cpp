#include "kernel/fs/block_cache.hpp"

#include <cstring>

namespace ax::fs {

using block::kSectorSize;

Result<usize> BlockCache::fetch(u64 number) {
  usize oldest = 0;
  for (usize i = 0; i < kLines; ++i) {
    if (tags_[i] == number) {
      used_[i] = ++uses_;
      return i;
    }
    if (uses_ - used_[i] > uses_ - used_[oldest]) oldest = i;
  }
  const u64 first = number * (kLine / kSectorSize);
  if (first >= device_->sectors()) return fail(Error::OutOfRange);
  const u64 sectors = std::min<u64>(kLine / kSectorSize, device_->sectors() - first);
  tags_[oldest] = kNone;
  TRY(device_->read(first, {line(oldest), sectors * kSectorSize}));
  tags_[oldest] = number;
  used_[oldest] = ++uses_;
  return oldest;
}

Result<void> BlockCache::read(u64 offset, std::span<std::byte> out) {
  const u64 bytes = device_->sectors() * kSectorSize;
  if (offset > bytes || out.size() > bytes - offset) return fail(Error::OutOfRange);
  for (usize done = 0; done < out.size();) {
    const u64 at = offset + done;
    const usize index = TRY(fetch(at / kLine)), within = at % kLine;
    const usize step = std::min(out.size() - done, kLine - within);
    std::memcpy(out.data() + done, line(index) + within, step);
    done += step;
  }
  return {};
}

// Sector by sector where more than one is touched: the caller orders its changes by them.
Result<void> BlockCache::write(u64 offset, std::span<const std::byte> bytes) {
  const u64 end = device_->sectors() * kSectorSize;
  if (offset > end || bytes.size() > end - offset) return fail(Error::OutOfRange);
  for (usize done = 0; done < bytes.size();) {
    const u64 at = offset + done;
    const usize index = TRY(fetch(at / kLine)), within = at % kLine, sector = align_down(within, kSectorSize);
    const usize step = std::min(bytes.size() - done, sector + kSectorSize - within);
    std::memcpy(line(index) + within, bytes.data() + done, step);
    if (const auto written = device_->write(at / kSectorSize, {line(index) + sector, kSectorSize}); !written) {
      tags_[index] = kNone;  // it holds what the disk does not
      return written;
    }
    done += step;
  }
  return {};
}

void BlockCache::forget(u64 offset, u64 size) {
  for (u64& tag : tags_)
    if (tag != kNone && tag * kLine < offset + size && offset < (tag + 1) * kLine) tag = kNone;
}

Result<void> BlockCache::read_contents(u64 offset, std::span<std::byte> out) {
  const usize head = std::min<usize>(out.size(), align_up(offset, kSectorSize) - offset);
  const usize body = align_down(out.size() - head, kSectorSize);
  TRY(read(offset, out.first(head)));
  if (body != 0) TRY(device_->read((offset + head) / kSectorSize, out.subspan(head, body)));
  return read(offset + head + body, out.subspan(head + body));
}

Result<void> BlockCache::write_contents(u64 offset, std::span<const std::byte> bytes) {
  const usize head = std::min<usize>(bytes.size(), align_up(offset, kSectorSize) - offset);
  const usize body = align_down(bytes.size() - head, kSectorSize);
  TRY(write(offset, bytes.first(head)));
  if (body != 0) {
    forget(offset + head, body);
    TRY(device_->write((offset + head) / kSectorSize, bytes.subspan(head, body)));
  }
  return write(offset + head + body, bytes.subspan(head + body));
}

Result<void> BlockCache::zero(u64 offset, u64 size) {
  const std::array<std::byte, kSectorSize> zeros{};
  for (u64 done = 0; done < size; done += kSectorSize)
    TRY(write(offset + done, std::span(zeros).first(std::min<u64>(kSectorSize, size - done))));
  return {};
}

}  // namespace ax::fs
