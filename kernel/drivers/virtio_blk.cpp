#include "kernel/drivers/virtio_blk.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace ax::drivers {
namespace {

using block::Request;

// The memory: descriptors and the available ring, the used ring at the next page as legacy devices want it, headers and
// states of the requests in a third.
constexpr usize kDescriptors = 0, kAvailable = 256, kUsed = kPageSize, kHeaders = 2 * kPageSize, kStates = kHeaders + 1024;
// In both rings: flags, index, entries.
constexpr usize kRingIndex = 2, kRingEntries = 4, kUsedEntry = 8;
constexpr u16 kNoInterrupt = 1;

enum DescriptorFlag : u16 { kNext = 1, kDeviceWrites = 2 };
enum RequestType : u32 { kIn = 0, kOut = 1, kFlush = 4 };
constexpr u8 kOk = 0, kNotDone = 0xff;

constexpr u32 kReadOnlyFeature = 1 << 5, kFlushFeature = 1 << 9;
constexpr u32 kVersion1Feature = 1 << 0;  // of word 1

constexpr unsigned kResetPolls = 1'000'000;

/// The rings are memory that the device looks at.
void order() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace

struct VirtioBlk::Descriptor {
  u64 address;
  u32 size;
  u16 flags, next;
};
struct VirtioBlk::Header {
  u32 type, reserved;
  u64 sector;
};

Result<VirtioBlk> VirtioBlk::create(VirtioTransport& transport, std::span<std::byte> memory, bool interrupts) {
  VirtioBlk device(transport, memory, interrupts);
  TRY(device.start());
  return device;
}

void VirtioBlk::stop() {
  running_ = false;
  transport_->set_status(0);
  for (unsigned polls = 0; transport_->status() != 0 && polls < kResetPolls; ++polls) {
  }
  for (Request*& slot : slots_)
    if (Request* request = std::exchange(slot, nullptr)) request->state.store(Request::State::Failed, std::memory_order_release);
}

/// Section 3.1.1.
Result<void> VirtioBlk::start() {
  using T = VirtioTransport;
  stop();
  if (transport_->status() != 0) return fail(Error::DeviceFailure);
  u8 status = T::kAcknowledge | T::kDriver;
  transport_->set_status(status);
  const u32 offered = transport_->features(0);
  transport_->take_features(0, offered & (kReadOnlyFeature | kFlushFeature));
  if (!transport_->is_legacy()) {
    if ((transport_->features(1) & kVersion1Feature) == 0) return fail(Error::NotSupported);
    transport_->take_features(1, kVersion1Feature);
    transport_->set_status(status |= T::kFeaturesOk);
    if ((transport_->status() & T::kFeaturesOk) == 0) return fail(Error::NotSupported);
  }
  writable_ = (offered & kReadOnlyFeature) == 0;
  flushes_ = (offered & kFlushFeature) != 0;
  std::memset(memory_, 0, kMemory);
  at<u16>(kAvailable) = interrupts_ ? 0 : kNoInterrupt;
  available_ = used_ = 0;
  order();
  TRY(transport_->set_queue({.size = kQueueSize,
                             .descriptors = address_of(kDescriptors),
                             .available = address_of(kAvailable),
                             .used = address_of(kUsed)}));
  // Whoever says more than fits into bytes says nothing.
  constexpr u64 kMostSectors = u64{1} << 54;
  const u64 capacity = transport_->configuration(0) | u64{transport_->configuration(4)} << 32;
  if (sectors_ == 0) sectors_ = std::min(capacity, kMostSectors);
  if (capacity < sectors_) return fail(Error::DeviceFailure);
  transport_->set_status(status | T::kDriverOk);
  running_ = true;
  return {};
}

Result<void> VirtioBlk::reset() { return start(); }

Result<void> VirtioBlk::submit(Request& request) {
  if (!running_) return fail(Error::BadState);
  usize slot = 0;
  while (slot < kSlots && slots_[slot] != nullptr) ++slot;
  if (slot == kSlots) return fail(Error::Busy);
  if (request.operation == Request::Operation::Flush && !flushes_) {
    request.state.store(Request::State::Done, std::memory_order_release);  // what is written is on the medium
    return {};
  }
  constexpr u32 kTypes[] = {kIn, kOut, kFlush};
  const usize header = kHeaders + slot * sizeof(Header), state = kStates + slot;
  const Header contents{kTypes[static_cast<u8>(request.operation)], 0, request.sector};
  std::memcpy(memory_ + header, &contents, sizeof contents);
  at<u8>(state) = kNotDone;

  const u16 first = static_cast<u16>(slot * kDescriptorsPerRequest);
  const bool has_data = request.size != 0;
  const u16 last = static_cast<u16>(first + (has_data ? 2 : 1));
  const auto describe = [&](u16 index, u64 address, u32 size, u16 flags) {
    const Descriptor d{address, size, static_cast<u16>(flags | (index != last ? kNext : 0)), static_cast<u16>(index + 1)};
    std::memcpy(memory_ + kDescriptors + index * sizeof d, &d, sizeof d);
  };
  describe(first, address_of(header), sizeof(Header), 0);
  if (has_data)
    describe(first + 1, reinterpret_cast<u64>(request.data), request.size, request.operation == Request::Operation::Read ? kDeviceWrites : 0);
  describe(last, address_of(state), 1, kDeviceWrites);

  slots_[slot] = &request;
  at<u16>(kAvailable + kRingEntries + available_ % kQueueSize * sizeof(u16)) = first;
  order();
  at<u16>(kAvailable + kRingIndex) = ++available_;
  order();
  transport_->notify();
  return {};
}

// What the device writes is not believed: an index that is nobody's is passed over.
void VirtioBlk::settle() {
  const u16 end = at<u16>(kUsed + kRingIndex);
  order();
  for (unsigned i = 0; used_ != end && i < kQueueSize; ++i, ++used_) {
    const u32 first = at<u32>(kUsed + kRingEntries + used_ % kQueueSize * kUsedEntry);
    const usize slot = first / kDescriptorsPerRequest;
    if (first % kDescriptorsPerRequest != 0 || slot >= kSlots) continue;
    Request* request = std::exchange(slots_[slot], nullptr);
    if (request == nullptr) continue;
    const bool ok = at<u8>(kStates + slot) == kOk;
    request->state.store(ok ? Request::State::Done : Request::State::Failed, std::memory_order_release);
  }
}

}  // namespace ax::drivers
