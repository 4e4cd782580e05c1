// What virtio devices have in common (Virtual I/O Device Version 1.2), whatever bus they are on.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::drivers {

/// One virtio device on its bus: status, features, one queue, configuration. One thread at a time.
class VirtioTransport {
 public:
  /// Device status, section 2.1.
  enum Status : u8 { kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kNeedsReset = 64 };

  /// Physical addresses of queue 0. A legacy device finds `available` right behind the descriptors and `used` at the next page.
  struct Queue {
    u16 size = 0;
    u64 descriptors = 0, available = 0, used = 0;
  };

  virtual u8 status() = 0;
  /// 0 resets: the device has forgotten everything when status() is 0.
  virtual void set_status(u8 status) = 0;
  /// Word 0 or 1 of the features that it offers, and of those that are taken.
  virtual u32 features(unsigned word) = 0;
  virtual void take_features(unsigned word, u32 bits) = 0;
  /// Errors: NotFound (it has no queue 0), NotSupported (not of this size).
  virtual Result<void> set_queue(const Queue& queue) = 0;
  virtual void notify() = 0;
  /// What the device has interrupted for is known; for buses where it waits for that. Interrupt handlers, too.
  virtual void acknowledge_interrupt() {}
  virtual u32 configuration(u32 offset) = 0;
  /// From before version 1.0: no kFeaturesOk.
  virtual bool is_legacy() const = 0;

 protected:
  ~VirtioTransport() = default;
};

inline constexpr u32 kVirtioBlockDevice = 2;

}  // namespace ax::drivers
