// A PCI function of the machine as the guest that owns it sees it: configuration space and interrupt messages are mediated.
// PCI Local Bus Specification 3.0 chapter 6, PCI Express Base Specification 7.5.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "hypervisor/device/mmio.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"

namespace hv {

/// The registers of the physical function. `size` is 1, 2 or 4, offsets and addresses are multiples of it.
class PciHardware {
 public:
  /// Configuration space, `offset` below 256.
  virtual u32 read_config(u32 offset, u32 size) = 0;
  virtual void write_config(u32 offset, u32 size, u32 value) = 0;
  /// The memory behind a base address register.
  virtual u32 read_memory(Hpa address, u32 size) = 0;
  virtual void write_memory(Hpa address, u32 size, u32 value) = 0;
  /// The function has been told to reset itself: comes back when it can be asked again (PCI Express 6.6.2: 100 ms).
  virtual void wait_for_reset() = 0;

 protected:
  ~PciHardware() = default;
};

/// A message-signalled interrupt: what is written where.
struct PciMessage {
  u64 address = 0;
  u32 data = 0;
  friend constexpr bool operator==(const PciMessage&, const PciMessage&) = default;
};

/// Where the messages that the guest has asked for go: to its own interrupt controller.
class PciMessageSink {
 public:
  virtual void send(const PciMessage& message) = 0;

 protected:
  ~PciMessageSink() = default;
};

/// A memory range of the function, as firmware or the host placed it.
struct PciBar {
  Hpa base{};
  u64 size = 0;  ///< a power of two
  u8 index = 0;  ///< of its first register
  bool is_64bit = false;
  bool prefetchable = false;
};

/// What the guest can do with it:
/// - identification, class and subsystem are the hardware's; there is no expansion ROM, no I/O space and no second function;
/// - base address registers can be sized and rewritten, but the memory stays where it is: a guest that moves it loses it
///   until it puts it back;
/// - of the command register bus mastering goes to the hardware; memory decoding stays on there;
/// - MSI, MSI-X, PCI Express and vendor-specific capabilities are shown, the latter two read-only; all else, and everything from
///   offset 256 on, reads as zero;
/// - MSI and MSI-X are emulated: the hardware sends the host's messages, and hardware_message() passes the guest's on.
///
/// Context: under the VM's device lock. attach() and detach() on the manager's thread while no vCPU runs.
class VPciFunction {
 public:
  static constexpr unsigned kMaxMessages = 16;
  static constexpr u32 kConfigSize = 256;

  /// `hardware` and `sink` outlive the function.
  VPciFunction(PciHardware& hardware, PciMessageSink& sink) : hardware_(hardware), sink_(sink) {}
  VPciFunction(const VPciFunction&) = delete;
  VPciFunction& operator=(const VPciFunction&) = delete;

  /// Reads what the hardware is; it does no DMA from now on. Errors: NotFound (nothing there), NotSupported (a bridge), BadState (a
  /// memory range without an address).
  Result<void> probe();
  std::span<const PciBar> bars() const { return bars_; }
  /// Most messages that it can send and that can be mediated.
  unsigned message_count() const { return message_count_; }
  /// The interrupt pin as the guest reads it: 1 to 4 for INTA to INTD, 0 for none.
  void set_interrupt_pin(u8 pin) { interrupt_pin_ = pin; }
  u8 hardware_interrupt_pin();

  /// Resets the function and makes it the guest's; the memory of its ranges can be accessed. `host` is what the hardware is to
  /// send as message 0, 1 ...: at most message_count() of them. The guest sees no more.
  void attach(std::span<const PciMessage> host);
  /// The hardware does no DMA and sends no messages any more, and is reset as far as it can be.
  void detach();

  u32 read(u32 offset, u32 size);
  void write(u32 offset, u32 size, u32 value);

  /// Whether the page has registers that are mediated, so that it must not be mapped.
  bool mediates(Hpa page) const;
  /// An access to such a page, `size` 1, 2, 4 or 8. Wider ones than 4 are split.
  u64 read_memory(Hpa address, u32 size);
  void write_memory(Hpa address, u32 size, u64 value);

  /// The hardware has sent message `index`. One that the guest has masked is remembered, one that it has not enabled is not.
  void hardware_message(unsigned index);

 private:
  struct Capability {
    u8 id = 0;
    u8 offset = 0;
    u8 length = 0;
    u8 next = 0;  ///< as the guest reads it
  };
  /// What the guest has written into an entry of its MSI-X table, or its MSI capability.
  struct Entry {
    std::array<u32, 4> words{};  ///< address, upper address, data, vector control
    bool missed = false;                   ///< came while it was masked
    bool masked() const { return (words[3] & 1) != 0; }
    PciMessage message() const { return {words[0] | u64{words[1]} << 32, words[2]}; }
  };
  struct Table {
    Hpa base{};
    u32 entries = 0;  ///< of the hardware
  };

  Result<void> read_bars();
  void read_capabilities();
  void read_msix(const Capability& capability);
  const Capability* capability_at(u32 offset) const;
  const Capability* find(u8 id) const;
  u32 read_word(u32 offset);
  void write_word(u32 offset, u32 value, u32 mask);
  u32 read_bar(u32 index) const;
  void write_bar(u32 index, u32 value, u32 mask);
  void write_command(u32 value);
  u32 read_msi(const Capability& msi, u32 word);
  void write_msi(const Capability& msi, u32 word, u32 value, u32 mask);
  void write_msix_control(u32 value);
  void program_msi();
  void program_msix_control();
  void program_entry(unsigned index);
  bool enabled() const { return msix_enabled_ ? !msix_masked_ : msi_enabled_; }
  Entry& entry(unsigned index) { return msix_enabled_ ? entries_[index] : msi_; }
  void send_missed(unsigned index);
  void reset_hardware();

  PciHardware& hardware_;
  PciMessageSink& sink_;
  StaticVector<PciBar, 6> bars_{};
  StaticVector<Capability, 16> capabilities_{};
  std::array<u32, 6> bar_values_{};  ///< as the guest wrote them
  Table table_{};                    ///< MSI-X; no entries: there is none
  u8 first_capability_ = 0;
  u8 interrupt_line_ = 0;
  u8 interrupt_pin_ = 0;
  u16 command_ = 0;
  u8 message_count_ = 0;
  bool msi_enabled_ = false;
  bool msix_enabled_ = false;
  bool msix_masked_ = false;
  StaticVector<PciMessage, kMaxMessages> host_{};
  std::array<Entry, kMaxMessages> entries_{};
  Entry msi_{};
};

}  // namespace hv
