// Virtio devices on PCI (section 4.1), with the capabilities of version 1.0.
#pragma once

#include "kernel/drivers/pci_ecam.hpp"
#include "kernel/drivers/virtio.hpp"

namespace ax::drivers {

class VirtioPci final : public VirtioTransport {
 public:
  /// Makes registers accessible as device memory at VA = PA.
  using Map = Result<void> (*)(HpaRange registers);

  /// The configuration space of `function` is mapped. Switches its memory and bus mastering on, and its interrupt line off. Errors:
  /// NotFound (nothing there, or not a `device`), NotSupported (registers that version 1.0 does not have, or in I/O ports), Malformed,
  /// those of `map`.
  static Result<VirtioPci> probe(const PciEcam& ecam, PciFunction function, u32 device, Map map);

  u8 status() override;
  void set_status(u8 status) override;
  u32 features(unsigned word) override;
  void take_features(unsigned word, u32 bits) override;
  Result<void> set_queue(const Queue& queue) override;
  void notify() override;
  u32 configuration(u32 offset) override;
  bool is_legacy() const override { return false; }
  /// The entry of the function's MSI-X table whose message queue 0 sends from the next set_queue() on.
  void use_message(u16 entry) { message_ = entry; }

 private:
  static constexpr u16 kNoMessage = 0xffff;

  VirtioPci() = default;

  u64 common_ = 0, notify_ = 0, device_ = 0;  ///< addresses of the structures
  u32 notify_multiplier_ = 0;
  u16 message_ = kNoMessage;
};

}  // namespace ax::drivers
