// Disks as file systems see them: sectors that are read and written by calls that return when it is done.
#pragma once

#include <cstddef>
#include <span>

#include "kernel/base/result.hpp"

namespace ax::block {

/// The unit of addresses and transfers, whatever the medium's own blocks are.
inline constexpr usize kSectorSize = 512;

/// A disk, a partition, or memory that plays one. Calls block the calling thread for a bounded time and are not for interrupt
/// handlers or the exit path; one thread at a time. A sector is written whole or not at all, as disks promise; several
/// sectors of one call may be cut between any two.
class Device {
 public:
  /// `data` is a multiple of kSectorSize. Errors: OutOfRange (nothing was transferred), DeviceFailure, TimedOut.
  Result<void> read(u64 sector, std::span<std::byte> data) {
    TRY(check(sector, data.size()));
    return do_read(sector, data);
  }
  /// The same, and ReadOnly. What was written is safe from a power cut after flush().
  Result<void> write(u64 sector, std::span<const std::byte> data) {
    if (!writable_) return fail(Error::ReadOnly);
    TRY(check(sector, data.size()));
    return do_write(sector, data);
  }
  virtual Result<void> flush() = 0;

  u64 sectors() const { return sectors_; }
  bool writable() const { return writable_; }

 protected:
  ~Device() = default;
  Device(u64 sectors, bool writable) : sectors_(sectors), writable_(writable) {}

  virtual Result<void> do_read(u64 sector, std::span<std::byte> data) = 0;
  virtual Result<void> do_write(u64 sector, std::span<const std::byte> data) = 0;

 private:
  Result<void> check(u64 sector, usize bytes) const {
    if (bytes % kSectorSize != 0) return fail(Error::Unaligned);
    if (sector > sectors_ || bytes / kSectorSize > sectors_ - sector) return fail(Error::OutOfRange);
    return {};
  }

  u64 sectors_;
  bool writable_;
};

/// Memory as a disk. The owner of the memory keeps it.
class RamDisk final : public Device {
 public:
  explicit RamDisk(std::span<std::byte> memory, bool writable = true) : Device(memory.size() / kSectorSize, writable), memory_(memory) {}
  Result<void> flush() override { return {}; }

 private:
  Result<void> do_read(u64 sector, std::span<std::byte> data) override {
    __builtin_memcpy(data.data(), memory_.data() + sector * kSectorSize, data.size());
    return {};
  }
  Result<void> do_write(u64 sector, std::span<const std::byte> data) override {
    __builtin_memcpy(memory_.data() + sector * kSectorSize, data.data(), data.size());
    return {};
  }

  std::span<std::byte> memory_;
};

/// Part of another device, which must outlive it: [first, first + sectors) are inside.
class Partition final : public Device {
 public:
  Partition(Device& whole, u64 first, u64 count) : Device(count, whole.writable()), whole_(whole), first_(first) {}
  Result<void> flush() override { return whole_.flush(); }

 private:
  Result<void> do_read(u64 sector, std::span<std::byte> data) override { return whole_.read(first_ + sector, data); }
  Result<void> do_write(u64 sector, std::span<const std::byte> data) override { return whole_.write(first_ + sector, data); }

  Device& whole_;
  u64 first_;
};

}  // namespace ax::block
