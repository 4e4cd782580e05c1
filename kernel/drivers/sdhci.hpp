// SD cards behind a standard host controller (SD Host Controller Simplified Specification 3.00; the card's side is the Physical
// Layer Simplified Specification 6.00).
#pragma once

#include <array>
#include <span>

#include "kernel/block/request_queue.hpp"

namespace ax::drivers {

/// One controller and the SD memory card in it (SDSC, SDHC, SDXC): 3.3 V, four data lines, 25 MHz. One transfer at a time, by ADMA2 with
/// 32-bit addresses, which the controller does by itself; its interrupt is not used: settle() looks. Registers are accessed by 32 bits
/// only, which every controller understands. A card that is taken out fails what is under way, and reset() until the same card is back.
class Sdhci final : public block::RequestQueue {
 public:
  static constexpr u64 kRegisters = 0x100;
  static constexpr usize kMemory = kPageSize;
  /// What the device reaches: addresses below it, whole cache lines.
  static constexpr u64 kReach = u64{1} << 32;
  static constexpr usize kAlignment = 64;

  /// Takes the controller over, whatever state it is in, and starts the card; at most two seconds. `registers` are kRegisters bytes, mapped
  /// as device memory at VA = PA; `memory` is kMemory bytes below kReach, at their physical address, which the device uses as long as this
  /// is in use. Errors: NotFound (no card), NotSupported (no ADMA2, no SD memory card, one with a layout from after the
  /// specification), Malformed (the card describes itself in a wrong way), TimedOut, DeviceFailure.
  static Result<Sdhci> create(Hpa registers, std::span<std::byte> memory, block::Clock& clock);

  Result<void> submit(block::Request& request) override;
  void settle() override;
  /// Errors: those of create(), DeviceFailure (another card than before).
  Result<void> reset() override;

  u64 sectors() const override { return sectors_; }
  bool writable() const override { return writable_; }
  u32 max_transfer() const override { return 1_MiB; }

 private:
  struct Command;
  /// R2 has 128 bits without the checksum's eight, least significant word first; others have one word.
  using Response = std::array<u32, 4>;

  Sdhci(Hpa registers, std::span<std::byte> memory, block::Clock& clock)
      : base_(registers.value()), memory_(memory.data()), clock_(&clock) {}
  u32 read(u32 offset) const;
  void write(u32 offset, u32 value) const;
  Result<void> wait(u32 offset, u32 mask, u32 value, u64 microseconds);
  void issue(const Command& command, u32 argument);
  Result<Response> run(const Command& command, u32 argument = 0);
  Result<Response> run_application(const Command& command, u32 argument);
  Result<void> set_clock(u32 most_khz);
  Result<void> start_controller();
  Result<void> start_card();
  Result<void> power_card_up();
  Result<void> identify();
  Result<void> describe();
  void finish(block::Request::State state);

  u64 base_;
  std::byte* memory_;
  block::Clock* clock_;
  block::Request* request_ = nullptr;
  u64 sectors_ = 0;
  u32 card_address_ = 0;  ///< as commands want it, in the upper half
  Response identity_{};   ///< the card's; zero before the first
  bool writable_ = false;
  bool by_sectors_ = false;  ///< SDHC and SDXC; SDSC are addressed by bytes
  bool running_ = false;
};

}  // namespace ax::drivers
