#include "kernel/acpi/tables.hpp"

#include <algorithm>
#include <array>

namespace ax::acpi {
namespace {

using mm::load_le;

constexpr u64 kHeaderSize = 36;
constexpr u64 kMaxTableSize = 16_MiB;
constexpr usize kLengthOffset = 4;

constexpr std::string_view kRootPointerSignature = "RSD PTR ";
constexpr usize kOldRootPointerSize = 20, kNewRootPointerSize = 36;
constexpr usize kRevisionOffset = 15, kRsdtOffset = 16, kXsdtOffset = 24;

bool sums_to_zero(Bytes bytes) {
  u8 sum = 0;
  for (std::byte b : bytes) sum = static_cast<u8>(sum + static_cast<u8>(b));
  return sum == 0;
}

bool has_signature(Bytes bytes, std::string_view signature) {
  // The first byte: thousands of places are looked at, and hardly any has it.
  return bytes.size() >= signature.size() && bytes[0] == static_cast<std::byte>(signature[0]) &&
         __builtin_memcmp(bytes.data(), signature.data(), signature.size()) == 0;
}

bool is_root_pointer(Bytes bytes) {
  return bytes.size() >= kOldRootPointerSize && has_signature(bytes, kRootPointerSignature) &&
         sums_to_zero(bytes.first(kOldRootPointerSize));
}

/// A number of a table that may be too short to have it.
template <class T>
T load_or(Bytes table, usize offset, T otherwise) {
  return offset + sizeof(T) <= table.size() ? load_le<T>(table, offset) : otherwise;
}

/// Calls visit(type, entry) for each of the records that begin with a type byte and a length byte.
template <class Visit>
Result<void> for_each_record(Bytes records, Visit visit) {
  constexpr usize kRecordHeader = 2;
  while (!records.empty()) {
    if (records.size() < kRecordHeader) return fail(Error::Malformed);
    const usize length = load_le<u8>(records, 1);
    if (length < kRecordHeader || length > records.size()) return fail(Error::Malformed);
    visit(load_le<u8>(records, 0), records.first(length));
    records = records.subspan(length);
  }
  return {};
}

Register read_register(Bytes table, usize offset) {
  constexpr usize kSize = 12, kAddressOffset = 4;
  constexpr Register::Space kSpaces[] = {Register::Space::Memory, Register::Space::Port, Register::Space::PciConfig};
  if (offset + kSize > table.size()) return {};
  const u8 space = load_le<u8>(table, offset);
  const u64 address = load_le<u64>(table, offset + kAddressOffset);
  if (space >= std::size(kSpaces) || address == 0) return {};
  return {kSpaces[space], address};
}

/// A register block that is given twice: as a generic address, which counts where it is there, and as a port number.
u16 read_port(Bytes table, usize extended_offset, usize offset) {
  constexpr u64 kPorts = 0x1'0000;
  const Register extended = read_register(table, extended_offset);
  const u64 port = extended.space == Register::Space::Port ? extended.address : load_or<u32>(table, offset, 0);
  return port < kPorts ? static_cast<u16>(port) : 0;
}

}  // namespace

// ---- finding tables --------------------------------------------------------------------------------------------------

std::optional<Hpa> scan_for_root_pointer(const mm::PhysicalWindow& memory) {
  constexpr Hpa kEbdaSegment{0x40e};
  constexpr u64 kEbdaSize = 1_KiB, kStep = 16;
  constexpr HpaRange kBios{Hpa(0xe'0000), 128_KiB};
  const Bytes segment = memory.read(kEbdaSegment, sizeof(u16));
  const Hpa ebda(segment.empty() ? 0 : u64{load_le<u16>(segment, 0)} << 4);
  for (const HpaRange& area : {HpaRange{ebda, ebda == Hpa(0) ? 0 : kEbdaSize}, kBios}) {
    for (Hpa at = area.base; at + kOldRootPointerSize <= area.end(); at += kStep) {
      if (is_root_pointer(memory.read(at, kOldRootPointerSize))) return at;
    }
  }
  return std::nullopt;
}

Result<Bytes> read_table(const mm::PhysicalWindow& memory, Hpa address, std::string_view signature) {
  const Bytes header = memory.read(address, kHeaderSize);
  if (header.size() != kHeaderSize) return fail(Error::OutOfRange);
  const u64 length = load_le<u32>(header, kLengthOffset);
  if (!has_signature(header, signature) || length < kHeaderSize || length > kMaxTableSize)
    return fail(Error::Malformed);
  const Bytes table = memory.read(address, length);
  if (table.size() != length) return fail(Error::OutOfRange);
  if (!sums_to_zero(table)) return fail(Error::Malformed);
  return table;
}

Result<Tables> Tables::open(const mm::PhysicalWindow& memory, Hpa root_pointer) {
  const Bytes old_part = memory.read(root_pointer, kOldRootPointerSize);
  if (old_part.empty()) return fail(Error::OutOfRange);
  if (!is_root_pointer(old_part)) return fail(Error::Malformed);
  if (load_le<u8>(old_part, kRevisionOffset) >= 2) {
    const Bytes whole = memory.read(root_pointer, kNewRootPointerSize);
    if (!whole.empty() && sums_to_zero(whole) && load_le<u64>(whole, kXsdtOffset) != 0) {
      const Result<Bytes> xsdt = read_table(memory, Hpa(load_le<u64>(whole, kXsdtOffset)), "XSDT");
      if (xsdt) return Tables(memory, xsdt->subspan(kHeaderSize), sizeof(u64));
    }
  }
  const Bytes rsdt = TRY(read_table(memory, Hpa(load_le<u32>(old_part, kRsdtOffset)), "RSDT"));
  return Tables(memory, rsdt.subspan(kHeaderSize), sizeof(u32));
}

Result<Bytes> Tables::find(std::string_view signature) const {
  for (usize at = 0; at + entry_size_ <= entries_.size(); at += entry_size_) {
    const u64 address = entry_size_ == sizeof(u64) ? load_le<u64>(entries_, at) : load_le<u32>(entries_, at);
    const Result<Bytes> table = read_table(*memory_, Hpa(address), signature);
    if (table) return *table;
  }
  return fail(Error::NotFound);
}

// ---- MADT ------------------------------------------------------------------------------------------------------------

namespace {

enum class MadtRecord : u8 { LocalApic = 0, IoApic = 1, InterruptOverride = 2, LocalApicAddress = 5, LocalX2apic = 9 };

/// Bytes of each record that are read.
constexpr usize kLocalApicSize = 8, kIoApicSize = 12, kOverrideSize = 10, kAddressSize = 12, kX2apicSize = 16;

constexpr u32 kProcessorEnabled = 1 << 0;
constexpr u64 kIoApicRegisters = kPageSize;

bool read_record(MadtRecord type, Bytes record, InterruptControllers& out) {
  switch (type) {
    case MadtRecord::LocalApic:
      if (record.size() < kLocalApicSize) return false;
      if ((load_le<u32>(record, 4) & kProcessorEnabled) == 0) return true;
      out.incomplete |= !out.apic_ids.push_back(load_le<u8>(record, 3));
      return true;
    case MadtRecord::LocalX2apic:
      if (record.size() < kX2apicSize) return false;
      if ((load_le<u32>(record, 8) & kProcessorEnabled) == 0) return true;
      out.incomplete |= !out.apic_ids.push_back(load_le<u32>(record, 4));
      return true;
    case MadtRecord::IoApic:
      if (record.size() < kIoApicSize) return false;
      out.incomplete |= !out.io_apics.push_back({.id = load_le<u8>(record, 2),
                                                 .registers = {Hpa(load_le<u32>(record, 4)), kIoApicRegisters},
                                                 .gsi_base = load_le<u32>(record, 8)});
      return true;
    case MadtRecord::InterruptOverride: {
      if (record.size() < kOverrideSize) return false;
      constexpr u16 kPolarityMask = 3, kActiveLow = 3, kTriggerMask = 3 << 2, kLevel = 3 << 2;
      const u16 flags = load_le<u16>(record, 8);
      out.incomplete |= !out.overrides.push_back({.isa_interrupt = load_le<u8>(record, 3),
                                                  .gsi = load_le<u32>(record, 4),
                                                  .active_low = (flags & kPolarityMask) == kActiveLow,
                                                  .level = (flags & kTriggerMask) == kLevel});
      return true;
    }
    case MadtRecord::LocalApicAddress:
      if (record.size() < kAddressSize) return false;
      out.local_apic = Hpa(load_le<u64>(record, 4));
      return true;
  }
  return true;  // of no interest here
}

}  // namespace

Result<InterruptControllers> read_madt(Bytes madt) {
  constexpr usize kAddressOffset = 36, kFlagsOffset = 40, kRecordsOffset = 44;
  constexpr u32 kPcatCompatible = 1 << 0;
  if (madt.size() < kRecordsOffset) return fail(Error::Malformed);
  InterruptControllers out;
  out.local_apic = Hpa(load_le<u32>(madt, kAddressOffset));
  out.has_8259 = (load_le<u32>(madt, kFlagsOffset) & kPcatCompatible) != 0;
  bool sound = true;
  TRY(for_each_record(madt.subspan(kRecordsOffset), [&](u8 type, Bytes record) {
    sound &= read_record(static_cast<MadtRecord>(type), record, out);
  }));
  if (!sound || !out.local_apic.is_aligned(kPageSize)) return fail(Error::Malformed);
  return out;
}

// ---- other tables ----------------------------------------------------------------------------------------------------

Result<PowerManagement> read_fadt(Bytes fadt) {
  // Offsets of ACPI 6.5 table 5.9.
  constexpr usize kDsdt = 40, kSci = 46, kSmiCommand = 48, kAcpiEnable = 52, kPm1aControl = 64, kPm1bControl = 68;
  constexpr usize kFlags = 112, kReset = 116, kResetValue = 128, kExtendedDsdt = 140, kExtendedPm1a = 172,
                  kExtendedPm1b = 184;
  constexpr u32 kResetSupported = 1 << 10;
  if (fadt.size() < kFlags + sizeof(u32)) return fail(Error::Malformed);
  PowerManagement out;
  out.sci_interrupt = load_le<u16>(fadt, kSci);
  out.smi_command_port = static_cast<u16>(load_le<u32>(fadt, kSmiCommand));
  out.acpi_enable = load_le<u8>(fadt, kAcpiEnable);
  out.pm1a_control_port = read_port(fadt, kExtendedPm1a, kPm1aControl);
  out.pm1b_control_port = read_port(fadt, kExtendedPm1b, kPm1bControl);
  if ((load_le<u32>(fadt, kFlags) & kResetSupported) != 0) {
    out.reset = read_register(fadt, kReset);
    out.reset_value = load_or<u8>(fadt, kResetValue, 0);
  }
  const u64 extended = load_or<u64>(fadt, kExtendedDsdt, 0);
  out.dsdt = Hpa(extended != 0 ? extended : load_le<u32>(fadt, kDsdt));
  return out;
}

Result<StaticVector<PciSegment, 4>> read_mcfg(Bytes mcfg) {
  constexpr usize kEntriesOffset = 44, kEntrySize = 16;
  constexpr u64 kBytesPerBus = 1_MiB;
  StaticVector<PciSegment, 4> out;
  if (mcfg.size() < kEntriesOffset) return fail(Error::Malformed);
  for (usize at = kEntriesOffset; at + kEntrySize <= mcfg.size() && !out.full(); at += kEntrySize) {
    PciSegment segment;
    segment.segment = load_le<u16>(mcfg, at + 8);
    segment.first_bus = load_le<u8>(mcfg, at + 10);
    segment.last_bus = load_le<u8>(mcfg, at + 11);
    if (segment.last_bus < segment.first_bus) return fail(Error::Malformed);
    // The address is that of bus 0, whichever bus is the first.
    segment.registers = {Hpa(load_le<u64>(mcfg, at)) + segment.first_bus * kBytesPerBus,
                         (u64{segment.last_bus} - segment.first_bus + 1) * kBytesPerBus};
    if (!segment.registers.base.is_aligned(kBytesPerBus) || !segment.registers.fits()) return fail(Error::Malformed);
    TRY(out.push_back(segment));
  }
  return out;
}

Result<Hpa> read_hpet(Bytes hpet) {
  constexpr usize kAddress = 40;
  const Register registers = read_register(hpet, kAddress);
  const Hpa address(registers.address);
  if (registers.space != Register::Space::Memory || !address.is_aligned(1_KiB)) return fail(Error::Malformed);
  return address;
}

// ---- \_S5 ------------------------------------------------------------------------------------------------------------

namespace {

/// Reads AML data objects one after the other (ACPI 6.5 20.2).
class AmlReader {
 public:
  explicit AmlReader(Bytes bytes) : bytes_(bytes) {}

  std::optional<u8> byte() {
    if (bytes_.empty()) return std::nullopt;
    const u8 value = load_le<u8>(bytes_, 0);
    bytes_ = bytes_.subspan(1);
    return value;
  }

  /// PkgLength: how many bytes follow is in the upper two bits of the first one.
  bool skip_package_length() {
    const std::optional<u8> lead = byte();
    if (!lead || *lead >> 6 > bytes_.size()) return false;
    bytes_ = bytes_.subspan(*lead >> 6);
    return true;
  }

  /// A constant, of which the low byte counts.
  std::optional<u8> constant() {
    constexpr u8 kZero = 0x00, kOne = 0x01, kBytePrefix = 0x0a, kWordPrefix = 0x0b;
    const std::optional<u8> opcode = byte();
    if (!opcode) return std::nullopt;
    if (*opcode == kZero || *opcode == kOne) return opcode;
    if (*opcode != kBytePrefix && *opcode != kWordPrefix) return std::nullopt;
    const std::optional<u8> value = byte();
    if (value && *opcode == kWordPrefix && !byte()) return std::nullopt;
    return value;
  }

 private:
  Bytes bytes_;
};

std::optional<SleepType> parse_sleep_package(Bytes aml) {
  constexpr u8 kPackageOp = 0x12;
  AmlReader reader(aml);
  if (reader.byte() != kPackageOp || !reader.skip_package_length()) return std::nullopt;
  const std::optional<u8> count = reader.byte();
  if (!count || *count == 0) return std::nullopt;
  const std::optional<u8> a = reader.constant();
  const std::optional<u8> b = *count > 1 ? reader.constant() : a;
  if (!a || !b) return std::nullopt;
  return SleepType{*a, *b};
}

}  // namespace

Result<SleepType> find_soft_off(Bytes dsdt) {
  constexpr std::string_view kName = "_S5_";
  for (usize at = kHeaderSize; at + kName.size() <= dsdt.size(); ++at) {
    if (!has_signature(dsdt.subspan(at), kName)) continue;
    const std::optional<SleepType> type = parse_sleep_package(dsdt.subspan(at + kName.size()));
    if (type) return *type;
  }
  return fail(Error::NotFound);
}

}  // namespace ax::acpi
