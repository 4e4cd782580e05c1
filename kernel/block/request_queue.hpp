// The asynchronous side of a disk: what its driver implements, and the device that callers make of it.
#pragma once

#include <atomic>

#include "kernel/block/device.hpp"

namespace ax::block {

/// One transfer. The caller owns it and the memory until it is settled: completed by the driver, or forgotten by reset().
struct Request {
  enum class Operation : u8 { Read, Write, Flush };
  enum class State : u8 { Pending, Done, Failed };

  Operation operation = Operation::Read;
  u64 sector = 0;
  std::byte* data = nullptr;  ///< contiguous, at its physical address; a multiple of kSectorSize
  u32 size = 0;               ///< bytes
  std::atomic<State> state{State::Pending};
};

/// A driver's queue of requests. Functions are for one thread at a time; settle() may also be called by the device's
/// interrupt handler, with the interrupt masked for everybody else.
class RequestQueue {
 public:
  /// Gives it to the device and returns. Errors: Busy (the queue is full: settle() makes room), BadState (the device is gone).
  virtual Result<void> submit(Request& request) = 0;
  /// Marks as Done or Failed what the device has finished.
  virtual void settle() = 0;
  /// Stops the device, whatever it is doing: it refers to no request or memory any more when this returns. Then makes it
  /// usable again. Errors: DeviceFailure (it is not usable).
  virtual Result<void> reset() = 0;

  virtual u64 sectors() const = 0;
  virtual bool writable() const = 0;
  /// Most bytes of one request; a multiple of kSectorSize.
  virtual u32 max_transfer() const = 0;

 protected:
  ~RequestQueue() = default;
};

/// Time for deadlines, and what a thread does while it waits.
class Clock {
 public:
  virtual u64 microseconds() = 0;
  virtual void relax() = 0;

 protected:
  ~Clock() = default;
};

/// Synchronous calls over a queue. A request that is not answered in time makes the device be reset and is tried once more; one
/// that the device fails is tried again, too.
class QueuedDevice final : public Device {
 public:
  /// Whether a device can reach [data, data + size) at its address as it is.
  using Reach = bool (*)(const void* data, usize size);

  static constexpr u64 kTimeoutUs = 5'000'000;
  static constexpr unsigned kAttempts = 2;

  /// `bounce` is memory that the device reaches, at least a sector: what lies elsewhere (on a stack) goes through it.
  QueuedDevice(RequestQueue& queue, Clock& clock, std::span<std::byte> bounce, Reach reach)
      : Device(queue.sectors(), queue.writable()), queue_(queue), clock_(clock), bounce_(bounce), reach_(reach) {}

  Result<void> flush() override { return run(Request::Operation::Flush, 0, nullptr, 0); }

 private:
  Result<void> do_read(u64 sector, std::span<std::byte> data) override;
  Result<void> do_write(u64 sector, std::span<const std::byte> data) override;
  Result<void> transfer(Request::Operation operation, u64 sector, std::byte* data, usize size);
  Result<void> run(Request::Operation operation, u64 sector, std::byte* data, u32 size);
  Result<void> attempt(Request& request);

  RequestQueue& queue_;
  Clock& clock_;
  std::span<std::byte> bounce_;
  Reach reach_;
};

}  // namespace ax::block
