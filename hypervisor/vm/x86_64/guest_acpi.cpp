#include "hypervisor/vm/x86_64/guest_acpi.hpp"

#include <array>
#include <cstring>
#include <string_view>

#include "hypervisor/device/x86_64/port_watchdog.hpp"

namespace hv {
namespace {

using namespace acpi_hardware;

constexpr u32 kLocalApic = 0xfee0'0000, kIoApic = 0xfec0'0000;

struct [[gnu::packed]] TableHeader {
  char signature[4];
  u32 length;
  u8 revision;
  u8 checksum;
  char oem_id[6];
  char oem_table_id[8];
  u32 oem_revision;
  char creator_id[4];
  u32 creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

/// Generic address structure (5.2.3.2).
struct [[gnu::packed]] Address {
  enum Space : u8 { kMemory = 0, kPort = 1 };
  u8 space = 0;
  u8 bit_width = 0;
  u8 bit_offset = 0;
  u8 access_size = 0;  ///< 1: byte, 2: word, 3: double word
  u64 address = 0;
};
constexpr Address port_block(u16 port, u8 bytes) {
  return {Address::kPort, static_cast<u8>(8 * bytes), 0, static_cast<u8>(bytes == 1 ? 1 : bytes == 2 ? 2 : 3), port};
}

struct [[gnu::packed]] RootPointer {
  char signature[8];
  u8 checksum;  ///< of the first 20 bytes
  char oem_id[6];
  u8 revision;
  u32 rsdt;
  u32 length;
  u64 xsdt;
  u8 extended_checksum;
  u8 reserved[3];
};
static_assert(sizeof(RootPointer) == 36);
constexpr usize kFirstRootPointer = 20;  ///< as in ACPI 1.0

/// FADT, revision 5 (5.2.9). What is not named stays zero: there is no SMI command port, no GPE block, no processor
/// sleep state.
struct [[gnu::packed]] Fadt {
  TableHeader header;
  u32 facs = 0;
  u32 dsdt = 0;
  u8 reserved = 0;
  u8 profile = 0;
  u16 sci = kSciInterrupt;
  u32 smi_command = 0;
  u8 acpi_enable = 0, acpi_disable = 0, s4_bios = 0, pstate_control = 0;
  u32 pm1a_event = kPm1aEventPort, pm1b_event = 0, pm1a_control = kPm1aControlPort, pm1b_control = 0, pm2_control = 0,
      pm_timer = kPmTimerPort, gpe0 = 0, gpe1 = 0;
  u8 pm1_event_size = kPm1EventSize, pm1_control_size = kPm1ControlSize, pm2_control_size = 0,
     pm_timer_size = kPmTimerSize, gpe0_size = 0, gpe1_size = 0, gpe1_base = 0, cst_control = 0;
  u16 c2_latency = 0xffff, c3_latency = 0xffff;  ///< not supported
  u16 flush_size = 0, flush_stride = 0;
  u8 duty_offset = 0, duty_width = 0, day_alarm = 0, month_alarm = 0;
  u8 century = 0x32;  ///< in the RTC's memory
  u16 boot_flags = kLegacyDevices | kNoVga;
  u8 reserved2 = 0;
  u32 flags = kWbinvd | kC1 | kNoSleepButton | kNoFixedRtcWake | kHasResetRegister | kHeadless;
  Address reset = port_block(kResetPort, 1);
  u8 reset_value = kResetValue;
  u16 arm_boot_flags = 0;
  u8 minor_revision = 1;
  u64 x_facs = 0, x_dsdt = 0;
  Address x_pm1a_event = port_block(kPm1aEventPort, kPm1EventSize), x_pm1b_event{},
          x_pm1a_control = port_block(kPm1aControlPort, kPm1ControlSize), x_pm1b_control{}, x_pm2_control{},
          x_pm_timer = port_block(kPmTimerPort, kPmTimerSize), x_gpe0{}, x_gpe1{};
  Address sleep_control{}, sleep_status{};

  static constexpr u16 kLegacyDevices = 1 << 0, kNoVga = 1 << 2;
  static constexpr u32 kWbinvd = 1 << 0, kC1 = 1 << 2, kNoSleepButton = 1 << 5, kNoFixedRtcWake = 1 << 6,
                       kHasResetRegister = 1 << 10, kHeadless = 1 << 12;
};
static_assert(sizeof(Fadt) == 268);

struct [[gnu::packed]] Facs {
  char signature[4] = {'F', 'A', 'C', 'S'};
  u32 length = 64;
  u32 hardware_signature = 0, waking_vector = 0, global_lock = 0, flags = 0;
  u64 x_waking_vector = 0;
  u8 version = 2;
  u8 reserved[31] = {};
};
static_assert(sizeof(Facs) == 64);

// MADT and its entries (5.2.12).
struct [[gnu::packed]] Madt {
  TableHeader header;
  u32 local_apic = kLocalApic;
  u32 flags = 1;  ///< there are 8259s
};
struct [[gnu::packed]] MadtLocalApic {
  u8 type = 0, length = 8, processor, apic_id;
  u32 flags = 1;  ///< enabled
};
struct [[gnu::packed]] MadtIoApic {
  u8 type = 1, length = 12, id, reserved = 0;
  u32 address = kIoApic, gsi_base = 0;
};
struct [[gnu::packed]] MadtOverride {
  u8 type = 2, length = 10, bus = 0, source;
  u32 gsi;
  u16 flags;
};
struct [[gnu::packed]] MadtNmi {
  u8 type = 4, length = 6, processor = 0xff;  ///< all
  u16 flags = 0;
  u8 lint = 1;
};
constexpr u16 kActiveHighLevel = 0b1101;
constexpr u32 kTimerInterrupt = 0, kTimerGsi = 2;

// ---- AML -------------------------------------------------------------------------------------------------------------

/// Encodes what little the DSDT needs (ACPI 6.5 chapter 20), at compile time.
class Aml {
 public:
  static constexpr usize kCapacity = 768;

  constexpr void bytes(std::initializer_list<u8> list) {
    for (u8 byte : list) bytes_[size_++] = byte;
  }
  constexpr void text(std::string_view name) {
    for (char c : name) bytes_[size_++] = static_cast<u8>(c);
  }
  /// Begins an object whose length stands in its front, in two bytes; close() it with the answer.
  constexpr usize open(std::initializer_list<u8> opcode) {
    bytes(opcode);
    size_ += 2;
    return size_ - 2;
  }
  constexpr void close(usize at) {
    const usize length = size_ - at;
    bytes_[at] = static_cast<u8>(0x40 | (length & 0xf));  // one more byte follows
    bytes_[at + 1] = static_cast<u8>(length >> 4);
  }

  /// Name(`name`, EisaId("PNPxxxx")).
  constexpr void pnp_id(u8 high, u8 low) {
    bytes({kName});
    text("_HID");
    bytes({kDoubleWord, 0x41, 0xd0, high, low});
  }
  /// Name(_CRS, ResourceTemplate { IO (port, count), IRQNoFlags { irq } }).
  constexpr void resources(u16 port, u8 count, u8 irq) {
    bytes({kName});
    text("_CRS");
    const u8 low = static_cast<u8>(port), high = static_cast<u8>(port >> 8);
    const u16 irqs = static_cast<u16>(1 << irq);
    const usize buffer = open({kBuffer});
    bytes({kByte, 13});
    bytes({0x47, 1, low, high, low, high, 1, count});                           // I/O port descriptor, 16 bits decoded
    bytes({0x22, static_cast<u8>(irqs), static_cast<u8>(irqs >> 8), 0x79, 0});  // IRQ descriptor, end tag
    close(buffer);
  }

  /// `value` in `size` bytes.
  constexpr void number(u64 value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes_[size_++] = static_cast<u8>(value >> i * 8);
  }
  /// Name(`name`, Buffer of `size` bytes), which follow.
  constexpr usize begin_resources(u8 size) {
    bytes({kName});
    text("_CRS");
    const usize buffer = open({kBuffer});
    bytes({kByte, size});
    return buffer;
  }

  constexpr std::span<const u8> view() const { return {bytes_.data(), size_}; }

  static constexpr u8 kName = 0x08, kByte = 0x0a, kDoubleWord = 0x0c, kScope = 0x10, kBuffer = 0x11, kPackage = 0x12,
                      kExtended = 0x5b, kDevice = 0x82;

 private:
  std::array<u8, kCapacity> bytes_{};
  usize size_ = 0;
};

constexpr Aml kDsdt = [] {
  Aml aml;
  aml.bytes({Aml::kName});
  aml.text("_S5_");
  // One byte for the length, as firmware writes it and others look for it.
  aml.bytes({Aml::kPackage, 8, 4, Aml::kByte, kSoftOff, Aml::kByte, kSoftOff, 0, 0});
  const usize scope = aml.open({Aml::kScope});
  aml.text("\\_SB_");
  const usize serial = aml.open({Aml::kExtended, Aml::kDevice});
  aml.text("COM1");
  aml.pnp_id(0x05, 0x01);
  aml.bytes({Aml::kName});
  aml.text("_UID");
  aml.bytes({1});
  aml.resources(0x3f8, 8, 4);
  aml.close(serial);
  const usize clock = aml.open({Aml::kExtended, Aml::kDevice});
  aml.text("RTC_");
  aml.pnp_id(0x0b, 0x00);
  aml.resources(0x70, 2, 8);
  aml.close(clock);
  aml.close(scope);
  return aml;
}();

/// Name(_PRT, Package { Package { device << 16 | 0xffff, pin, 0, gsi } ... }): pins that are wired to the I/O APIC (ACPI 6.5 6.2.13).
void pci_routing(Aml& aml, std::span<const GuestPciLine> lines) {
  aml.bytes({Aml::kName});
  aml.text("_PRT");
  const usize table = aml.open({Aml::kPackage});
  aml.bytes({static_cast<u8>(lines.size())});
  for (const GuestPciLine& line : lines) {
    const usize row = aml.open({Aml::kPackage});
    aml.bytes({4, Aml::kDoubleWord});
    aml.number(u32{line.device} << 16 | 0xffff, 4);
    aml.bytes({Aml::kByte, static_cast<u8>(line.pin - 1), Aml::kByte, 0, Aml::kByte, static_cast<u8>(line.line)});
    aml.close(row);
  }
  aml.close(table);
}

// The host bridge, with the ports of configuration mechanism 1, and the memory that configuration space takes. Descriptors: ACPI 6.4.
Aml pci_devices(const GuestPci& pci) {
  constexpr u8 kBusSize = 16, kPortSize = 8, kWindowSize = 46, kFixedSize = 12, kEndSize = 2;
  constexpr u8 kFixedProducer = 0x0c, kReadWrite = 1, kAllPorts = 3, kMemory = 0, kPorts = 1;
  Aml aml;
  const usize scope = aml.open({Aml::kScope});
  aml.text("\\_SB_");
  const usize bridge = aml.open({Aml::kExtended, Aml::kDevice});
  aml.text("PCI0");
  aml.pnp_id(0x0a, 0x08);
  aml.bytes({Aml::kName});
  aml.text("_CID");
  aml.bytes({Aml::kDoubleWord, 0x41, 0xd0, 0x0a, 0x03});
  if (!pci.lines.empty()) pci_routing(aml, pci.lines);
  const usize resources = aml.begin_resources(static_cast<u8>(kBusSize + kPortSize + pci.windows.size() * kWindowSize + kEndSize));
  aml.bytes({0x88, kBusSize - 3, 0, 2, kFixedProducer, 0});  // one bus
  for (const u16 value : {0, 0, 0, 0, 1}) aml.number(value, 2);
  aml.bytes({0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8});
  for (const PciWindow& window : pci.windows) {
    aml.bytes({0x8a, kWindowSize - 3, 0, window.is_port ? kPorts : kMemory, kFixedProducer, window.is_port ? kAllPorts : kReadWrite});
    for (const u64 value : {u64{0}, window.base, window.base + window.size - 1, u64{0}, window.size}) aml.number(value, 8);
  }
  aml.bytes({0x79, 0});
  aml.close(resources);
  aml.close(bridge);
  const usize reserved = aml.open({Aml::kExtended, Aml::kDevice});
  aml.text("PCIC");
  aml.pnp_id(0x0c, 0x02);
  const usize fixed = aml.begin_resources(kFixedSize + kEndSize);
  aml.bytes({0x86, kFixedSize - 3, 0, kReadWrite});
  aml.number(pci.ecam.base.value(), 4);
  aml.number(pci.ecam.size, 4);
  aml.bytes({0x79, 0});
  aml.close(fixed);
  aml.close(reserved);
  aml.close(scope);
  return aml;
}

/// MCFG (PCI Firmware Specification 4.1.2): segment 0, bus 0.
struct [[gnu::packed]] Mcfg {
  TableHeader header;
  u64 reserved = 0;
  u64 ecam;
  u16 segment = 0;
  u8 first_bus = 0, last_bus = 0;
  u32 reserved2 = 0;
};
static_assert(sizeof(Mcfg) == 60);

/// WDAT (Microsoft's Hardware Watchdog Timers Design Specification): a watchdog described by actions on registers.
struct [[gnu::packed]] Wdat {
  TableHeader header;
  u32 header_length = 32;
  u16 segment = 0xff;  ///< no PCI function
  u8 bus = 0xff, device = 0xff, function = 0xff, reserved[3] = {};
  u32 timer_period = 1;  ///< of a count, in milliseconds
  u32 max_count, min_count = 1;
  u8 flags = 1;  ///< enabled
  u8 reserved2[3] = {};
  u32 entry_count;
};
static_assert(sizeof(Wdat) == 36 + 32);
struct [[gnu::packed]] WdatEntry {
  u8 action, instruction;
  u16 reserved = 0;
  Address address;
  u32 value = 0, mask = ~u32{0};
};
static_assert(sizeof(WdatEntry) == 24);

constexpr u8 kReadValue = 0, kReadCount = 1, kWriteValue = 2, kWriteCount = 3;
// It runs whatever is written to its control register.
constexpr WdatEntry kWdatEntries[] = {
    {1, kWriteValue, 0, port_block(PortWatchdog::kCountdown, 4)},           // reset
    {4, kReadCount, 0, port_block(PortWatchdog::kCountdown, 4)},            // query the countdown
    {5, kReadCount, 0, port_block(PortWatchdog::kPeriod, 4)},               // query its period
    {6, kWriteCount, 0, port_block(PortWatchdog::kPeriod, 4)},              // set its period
    {8, kReadValue, 0, port_block(PortWatchdog::kControl, 4), 1, 1},        // does it run?
    {9, kWriteValue, 0, port_block(PortWatchdog::kControl, 4), 1, 1},       // run
    {10, kReadValue, 0, port_block(PortWatchdog::kControl, 4), 0, 1},       // is it stopped?
    {11, kWriteValue, 0, port_block(PortWatchdog::kControl, 4), 0, 1},      // stop
};

// ---- the tables one after the other ---------------------------------------------------------------------------------------

u8 checksum(std::span<const std::byte> bytes) {
  u8 sum = 0;
  for (std::byte byte : bytes) sum = static_cast<u8>(sum + std::to_integer<u8>(byte));
  return static_cast<u8>(-sum);
}

class Writer {
 public:
  Writer(const GuestAcpi& machine, std::span<std::byte> out) : machine_(machine), out_(out) {}

  Result<usize> run() {
    const usize root = reserve(sizeof(RootPointer), kTableAlignment);
    const usize facs = reserve(sizeof(Facs), kFacsAlignment);
    const usize dsdt = begin("DSDT", 2);
    append(kDsdt.view().data(), kDsdt.view().size());
    end(dsdt);
    const usize madt = write_madt();
    const usize fadt = write_fadt(facs, dsdt);
    tables_ = {fadt, madt};
    table_count_ = 2;
    if (machine_.watchdog_ms != 0) write_watchdog();
    if (!machine_.pci.ecam.empty()) write_pci();
    const usize rsdt = write_root_table<u32>("RSDT");
    const usize xsdt = write_root_table<u64>("XSDT");
    if (at_ > out_.size()) return fail(Error::OutOfRange);
    const Facs facs_value;
    std::memcpy(&out_[facs], &facs_value, sizeof facs_value);
    write_root_pointer(root, rsdt, xsdt);
    return at_;
  }

 private:
  static constexpr usize kTableAlignment = 16, kFacsAlignment = 64;

  u64 address(usize offset) const { return machine_.base.value() + offset; }

  usize reserve(usize size, usize alignment) {
    const usize offset = align_up(at_, alignment);
    if (offset + size <= out_.size()) std::memset(out_.data() + at_, 0, offset + size - at_);
    at_ = offset + size;
    return offset;
  }

  /// Appends to the table in the making; beyond the end of `out_` only counts.
  void append(const void* bytes, usize size) {
    if (at_ + size <= out_.size()) std::memcpy(out_.data() + at_, bytes, size);
    at_ += size;
  }
  template <class T>
  void append(const T& value) {
    append(&value, sizeof value);
  }

  static TableHeader header(std::string_view signature, u8 revision) {
    TableHeader h{{},
                  0,
                  revision,
                  0,
                  {'A', 'x', 'V', 'i', 's', 'o'},
                  {'A', 'x', 'V', 'i', 's', 'o', 'r', ' '},
                  1,
                  {'A', 'x', 'V', 'i'},
                  1};
    std::memcpy(h.signature, signature.data(), sizeof h.signature);
    return h;
  }
  usize begin(std::string_view signature, u8 revision) {
    const usize offset = reserve(0, kTableAlignment);
    append(header(signature, revision));
    return offset;
  }
  /// Fills in the length and the checksum.
  void end(usize table) {
    if (at_ > out_.size()) return;
    const u32 length = static_cast<u32>(at_ - table);
    std::memcpy(&out_[table + offsetof(TableHeader, length)], &length, sizeof length);
    out_[table + offsetof(TableHeader, checksum)] = std::byte{checksum(out_.subspan(table, length))};
  }

  usize write_madt() {
    const usize table = begin("APIC", 3);
    at_ = table;
    append(Madt{.header = header("APIC", 3)});
    for (u32 i = 0; i < machine_.cpu_count; ++i)
      append(MadtLocalApic{.processor = static_cast<u8>(i), .apic_id = static_cast<u8>(i)});
    append(MadtIoApic{.id = machine_.io_apic_id});
    append(MadtOverride{.source = kTimerInterrupt, .gsi = kTimerGsi, .flags = 0});
    append(MadtOverride{.source = kSciInterrupt, .gsi = kSciInterrupt, .flags = kActiveHighLevel});
    append(MadtNmi{});
    end(table);
    return table;
  }

  usize write_fadt(usize facs, usize dsdt) {
    const usize table = reserve(0, kTableAlignment);
    append(Fadt{.header = header("FACP", 5),
                .facs = static_cast<u32>(address(facs)),
                .dsdt = static_cast<u32>(address(dsdt)),
                .x_dsdt = address(dsdt)});
    end(table);
    return table;
  }

  void write_watchdog() {
    const usize wdat = reserve(0, kTableAlignment);
    append(Wdat{.header = header("WDAT", 1), .max_count = machine_.watchdog_ms, .entry_count = std::size(kWdatEntries)});
    append(kWdatEntries);
    end(wdat);
    tables_[table_count_++] = wdat;
  }

  void write_pci() {
    const usize ssdt = begin("SSDT", 2);
    const Aml devices = pci_devices(machine_.pci);
    append(devices.view().data(), devices.view().size());
    end(ssdt);
    const usize mcfg = reserve(0, kTableAlignment);
    append(Mcfg{.header = header("MCFG", 1), .ecam = machine_.pci.ecam.base.value()});
    end(mcfg);
    tables_[table_count_++] = ssdt;
    tables_[table_count_++] = mcfg;
  }

  template <class Pointer>
  usize write_root_table(std::string_view signature) {
    const usize table = begin(signature, 1);
    for (usize i = 0; i < table_count_; ++i) append(static_cast<Pointer>(address(tables_[i])));
    end(table);
    return table;
  }

  void write_root_pointer(usize offset, usize rsdt, usize xsdt) {
    RootPointer root{{'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
                     0,
                     {'A', 'x', 'V', 'i', 's', 'o'},
                     2,
                     static_cast<u32>(address(rsdt)),
                     sizeof(RootPointer),
                     address(xsdt),
                     0,
                     {}};
    const std::span bytes = std::as_bytes(std::span(&root, 1));
    root.checksum = checksum(bytes.first(kFirstRootPointer));
    root.extended_checksum = checksum(bytes);
    std::memcpy(&out_[offset], &root, sizeof root);
  }

  const GuestAcpi& machine_;
  std::span<std::byte> out_;
  usize at_ = 0;
  std::array<usize, 5> tables_{};
  usize table_count_ = 0;
};

}  // namespace

Result<usize> write_guest_acpi(const GuestAcpi& machine, std::span<std::byte> out) {
  return Writer(machine, out).run();
}

}  // namespace hv
