// Disks of virtual machines and emulators: virtio block devices (Virtual I/O Device Version 1.2, section 5.2).
#pragma once

#include <array>
#include <span>

#include "kernel/block/request_queue.hpp"
#include "kernel/drivers/virtio.hpp"

namespace ax::drivers {

/// Several requests may be under way. settle() looks what has become of them; the device interrupts only who wants that.
class VirtioBlk final : public block::RequestQueue {
 public:
  static constexpr usize kMemory = 3 * kPageSize;

  /// Takes the device over, whatever state it is in. `memory` is kMemory bytes, page-aligned and at their physical address; the
  /// device uses them until stop(). With `interrupts` it interrupts when it is done, else never. Errors: DeviceFailure (it does
  /// not do as the specification says), NotSupported, NotFound.
  static Result<VirtioBlk> create(VirtioTransport& transport, std::span<std::byte> memory, bool interrupts = false);

  Result<void> submit(block::Request& request) override;
  void settle() override;
  Result<void> reset() override;
  /// The device refers to no memory any more; for good, but for reset().
  void stop();

  u64 sectors() const override { return sectors_; }
  bool writable() const override { return writable_; }
  u32 max_transfer() const override { return 1_MiB; }

 private:
  static constexpr u16 kQueueSize = 16;
  static constexpr usize kDescriptorsPerRequest = 3;
  static constexpr usize kSlots = kQueueSize / kDescriptorsPerRequest;

  struct Descriptor;
  struct Header;

  VirtioBlk(VirtioTransport& transport, std::span<std::byte> memory, bool interrupts)
      : transport_(&transport), memory_(memory.data()), interrupts_(interrupts) {}
  Result<void> start();
  u64 address_of(usize offset) const { return reinterpret_cast<u64>(memory_ + offset); }
  template <class T>
  volatile T& at(usize offset) {
    return *reinterpret_cast<volatile T*>(memory_ + offset);
  }

  VirtioTransport* transport_;
  std::byte* memory_;
  u64 sectors_ = 0;
  bool writable_ = false;
  bool flushes_ = false;
  bool running_ = false;
  bool interrupts_;
  u16 available_ = 0;  ///< indices as the rings count
  u16 used_ = 0;
  std::array<block::Request*, kSlots> slots_{};
};

}  // namespace ax::drivers
