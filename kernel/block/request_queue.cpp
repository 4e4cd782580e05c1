#include "kernel/block/request_queue.hpp"

#include <algorithm>
#include <cstring>

namespace ax::block {

Result<void> QueuedDevice::do_read(u64 sector, std::span<std::byte> data) {
  return transfer(Request::Operation::Read, sector, data.data(), data.size());
}

Result<void> QueuedDevice::do_write(u64 sector, std::span<const std::byte> data) {
  // A driver only reads what is written.
  return transfer(Request::Operation::Write, sector, const_cast<std::byte*>(data.data()), data.size());
}

Result<void> QueuedDevice::transfer(Request::Operation operation, u64 sector, std::byte* data, usize size) {
  const bool direct = reach_(data, size);
  const usize most = direct ? queue_.max_transfer() : std::min<usize>(queue_.max_transfer(), align_down(bounce_.size(), kSectorSize));
  for (usize done = 0; done < size;) {
    const u32 step = static_cast<u32>(std::min(size - done, most));
    std::byte* memory = direct ? data + done : bounce_.data();
    if (!direct && operation == Request::Operation::Write) std::memcpy(memory, data + done, step);
    TRY(run(operation, sector + done / kSectorSize, memory, step));
    if (!direct && operation == Request::Operation::Read) std::memcpy(data + done, memory, step);
    done += step;
  }
  return {};
}

Result<void> QueuedDevice::run(Request::Operation operation, u64 sector, std::byte* data, u32 size) {
  Result<void> result;
  for (unsigned i = 0; i < kAttempts; ++i) {
    Request request{.operation = operation, .sector = sector, .data = data, .size = size};
    result = attempt(request);
    if (result) return result;
    // The device must have let go of the request, and of the memory, before they are gone.
    TRY(queue_.reset());
  }
  return result;
}

Result<void> QueuedDevice::attempt(Request& request) {
  TRY(queue_.submit(request));
  const u64 end = clock_.microseconds() + kTimeoutUs;
  for (;;) {
    queue_.settle();
    const Request::State state = request.state.load(std::memory_order_acquire);
    if (state == Request::State::Done) return {};
    if (state == Request::State::Failed) return fail(Error::DeviceFailure);
    if (clock_.microseconds() >= end) return fail(Error::TimedOut);
    clock_.relax();
  }
}

}  // namespace ax::block
