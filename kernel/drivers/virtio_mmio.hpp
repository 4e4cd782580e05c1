// Virtio devices behind a window of registers (section 4.2), versions 1 (legacy) and 2.
#pragma once

#include "kernel/drivers/virtio.hpp"

namespace ax::drivers {

class VirtioMmio final : public VirtioTransport {
 public:
  static constexpr u64 kSize = 0x200;

  /// `registers` are mapped as device memory at VA = PA. Error: NotFound (nothing there, or not a `device`).
  static Result<VirtioMmio> probe(Hpa registers, u32 device);

  u8 status() override;
  void set_status(u8 status) override;
  u32 features(unsigned word) override;
  void take_features(unsigned word, u32 bits) override;
  Result<void> set_queue(const Queue& queue) override;
  void notify() override;
  void acknowledge_interrupt() override;
  u32 configuration(u32 offset) override;
  bool is_legacy() const override { return legacy_; }

 private:
  VirtioMmio(Hpa registers, bool legacy) : base_(registers.value()), legacy_(legacy) {}
  u32 read(u32 offset) const;
  void write(u32 offset, u32 value) const;

  u64 base_;
  bool legacy_;
};

}  // namespace ax::drivers
