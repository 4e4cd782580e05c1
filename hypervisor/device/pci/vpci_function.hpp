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

/// A range of the function's memory or ports.
struct PciBar {
  // As firmware or the host placed it.
  u64 bus = 0;   ///< what the hardware's register holds; 0: it has no place
  Hpa base{};    ///< where the CPU finds it; a port's number, too
  u64 size = 0;  ///< a power of two
  u8 index = 0;  ///< of its first register
  bool is_64bit = false;
  bool prefetchable = false;
  bool is_port = false;
  // As the guest placed it: VPciBus's.
  bool direct = false;         ///< the guest reaches it without an exit, but for what is mediated
  std::optional<u64> guest{};  ///< guest-physical address, or port; nothing: it is not decoded there
  constexpr bool guest_has(bool port, u64 address, u64 count) const {
    return guest && is_port == port && address >= *guest && count <= size && address - *guest <= size - count;
  }
};

/// What the guest can do with it:
/// - identification, class and subsystem are the hardware's; there is no expansion ROM and no second function;
/// - base address registers can be sized and rewritten: the hardware's never change, the guest's say where it finds what is behind;
/// - of the command register bus mastering goes to the hardware, and the interrupt pin's disable bit if the guest has the line; decoding
///   stays on there, and is the guest's in what it finds;
/// - MSI, MSI-X, PCI Express and vendor-specific capabilities are shown, the latter two read-only; all else, and everything from
///   offset 256 on, reads as zero;
/// - MSI and MSI-X are emulated: the hardware sends the host's messages, and hardware_message() passes the guest's on. Without messages
///   of the host's neither is shown.
///
/// Context: under the bus's lock. attach() and detach() on the manager's thread while no vCPU runs.
class VPciFunction {
 public:
  static constexpr unsigned kMaxMessages = 16;
  static constexpr u32 kConfigSize = 256;

  /// `hardware` and `sink` outlive the function.
  VPciFunction(PciHardware& hardware, PciMessageSink& sink) : hardware_(hardware), sink_(sink) {}
  VPciFunction(const VPciFunction&) = delete;
  VPciFunction& operator=(const VPciFunction&) = delete;

  /// Reads what the hardware is; it does no DMA from now on, and decodes nothing. Ports are left out unless `with_ports`. Errors:
  /// NotFound (nothing there), NotSupported (a bridge).
  Result<void> probe(bool with_ports);
  /// Before attach() each of them gets its `base`, and its `bus` address if it has none.
  std::span<PciBar> bars() { return bars_; }
  /// Most messages that it can send and that can be mediated.
  unsigned message_count() const { return message_count_; }
  /// INTA to INTD as 1 to 4; 0: none.
  u8 hardware_interrupt_pin();
  /// The line that firmware says it has.
  u8 hardware_interrupt_line();
  /// The guest has the line of its pin, and finds `line` in the register that says so.
  void give_interrupt_pin(u8 line);
  u8 interrupt_pin() const { return interrupt_pin_; }

  /// Resets the function and makes it the guest's, where the machine has it and decoded; the memory of its ranges can be accessed. `host`
  /// is what the hardware is to send as message 0, 1 ...: at most message_count() of them. The guest sees no more.
  void attach(std::span<const PciMessage> host);
  /// The hardware does no DMA and sends no interrupts any more, and is reset as far as it can be.
  void detach();

  u32 read(u32 offset, u32 size);
  void write(u32 offset, u32 size, u32 value);
  /// The bus address that the guest has given the range; nothing while it does not let it be decoded.
  std::optional<u64> guest_bus_address(const PciBar& bar) const;

  /// The pages with registers that are mediated, so that they must not be mapped; may be empty.
  HpaRange mediated() const;
  /// An access to a memory range at its host address, `size` 1, 2, 4 or 8. Wider ones than 4 are split.
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
    bool shown = true;
  };
  /// What the guest has written into an entry of its MSI-X table, or its MSI capability.
  struct Entry {
    std::array<u32, 4> words{};  ///< address, upper address, data, vector control
    bool missed = false;                   ///< came while it was masked
    bool masked() const { return (words[3] & 1) != 0; }
    PciMessage message() const { return {words[0] | u64{words[1]} << 32, words[2]}; }
  };
  struct Table {
    u64 offset = 0;
    u32 entries = 0;  ///< of the hardware
    u8 bar = 0;       ///< its place in `bars_`
  };

  void read_bars(bool with_ports);
  void restore_bars();
  void read_capabilities();
  void link_capabilities();
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
  std::optional<u64> table_offset(Hpa address) const;
  Hpa table_base() const { return bars_[table_.bar].base + table_.offset; }
  bool enabled() const { return msix_enabled_ ? !msix_masked_ : msi_enabled_; }
  Entry& entry(unsigned index) { return msix_enabled_ ? entries_[index] : msi_; }
  void send_missed(unsigned index);
  bool reset_hardware();

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
