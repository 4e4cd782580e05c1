// Every field of a VmConfig in one list: what a compiled description (vm_description.hpp) is written from and read into.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "hypervisor/config/vm_config.hpp"

namespace hv {

/// The structures that a VmConfig is made of.
enum class RecordId : u8 {
  VmConfig,
  Image,
  MemoryRegion,
  MemoryFlags,
  PassthroughDevice,
  PassthroughRange,
  PciAddress,
  EmulatedDevice,
};

enum class FieldKind : u8 {
  U8,  ///< and flags and enumerations of that size
  U16,
  U32,
  U64,      ///< and addresses
  Text,     ///< std::string_view
  Numbers,  ///< span of u64
  Texts,    ///< span of std::string_view
  Record,   ///< a structure
  Records,  ///< span of structures
};

/// One member of a structure. Without pointers, so that a position-independent image needs no relocations for the list.
struct Field {
  std::array<char, 22> text{};
  FieldKind kind = FieldKind::U8;
  RecordId record = RecordId::VmConfig;  ///< of a Record, or of each of Records
  u32 most = 0;                          ///< highest value; of text, most bytes; U64: no meaning
  u16 offset = 0;                        ///< bytes

  constexpr std::string_view name() const { return std::string_view(text.data(), text.size()).substr(0, length()); }

 private:
  constexpr usize length() const { return std::string_view(text.data(), text.size()).find('\0'); }
};

namespace detail {

template <class T>
inline constexpr bool kIsSpan = false;
template <class T>
inline constexpr bool kIsSpan<std::span<const T>> = true;
template <class T>
inline constexpr RecordId kRecordId = RecordId::VmConfig;
template <>
inline constexpr RecordId kRecordId<Image> = RecordId::Image;
template <>
inline constexpr RecordId kRecordId<MemoryRegion> = RecordId::MemoryRegion;
template <>
inline constexpr RecordId kRecordId<MemoryFlags> = RecordId::MemoryFlags;
template <>
inline constexpr RecordId kRecordId<PassthroughDevice> = RecordId::PassthroughDevice;
template <>
inline constexpr RecordId kRecordId<PassthroughRange> = RecordId::PassthroughRange;
template <>
inline constexpr RecordId kRecordId<PciAddress> = RecordId::PciAddress;
template <>
inline constexpr RecordId kRecordId<EmulatedDevice> = RecordId::EmulatedDevice;

template <class T>
consteval u32 highest() {
  constexpr u32 kLongestText = 2047;
  if constexpr (std::is_integral_v<T>)
    return static_cast<u32>(std::numeric_limits<T>::max());
  else
    return kLongestText;
}
/// The last value of an enumeration, the highest of a number, the longest text that the schema takes.
template <class T>
inline constexpr u32 kMost = highest<T>();
template <>
inline constexpr u32 kMost<MapType> = static_cast<u32>(MapType::Reserved);
template <>
inline constexpr u32 kMost<ImageLocation> = static_cast<u32>(ImageLocation::Module);
template <>
inline constexpr u32 kMost<BootProtocol> = static_cast<u32>(BootProtocol::Multiboot);
template <>
inline constexpr u32 kMost<InterruptMode> = static_cast<u32>(InterruptMode::Passthrough);
template <>
inline constexpr u32 kMost<CrashPolicy> = static_cast<u32>(CrashPolicy::Shutdown);
template <>
inline constexpr u32 kMost<StartPolicy> = static_cast<u32>(StartPolicy::Manual);
template <>
inline constexpr u32 kMost<EmulatedDeviceType> = static_cast<u32>(EmulatedDeviceType::VirtioConsole);

template <class T>
consteval FieldKind kind_of_field() {
  constexpr FieldKind kNumbers[] = {FieldKind::U8,  FieldKind::U8,  FieldKind::U16, FieldKind::U32, FieldKind::U32,
                                    FieldKind::U64, FieldKind::U64, FieldKind::U64, FieldKind::U64};
  if (std::is_same_v<T, std::string_view>) return FieldKind::Text;
  if (std::is_same_v<T, std::span<const u64>>) return FieldKind::Numbers;
  if (std::is_same_v<T, std::span<const std::string_view>>) return FieldKind::Texts;
  if (kIsSpan<T>) return FieldKind::Records;
  if (kRecordId<T> != RecordId::VmConfig) return FieldKind::Record;
  return kNumbers[sizeof(T)];
}

template <class T>
inline constexpr RecordId kItemId = kRecordId<T>;
template <class T>
inline constexpr RecordId kItemId<std::span<const T>> = kRecordId<T>;

template <class T>
consteval Field field(std::string_view name, usize offset, u32 most = kMost<T>) {
  Field out{.kind = kind_of_field<T>(), .record = kItemId<T>, .most = most, .offset = static_cast<u16>(offset)};
  for (usize i = 0; i < name.size(); ++i) out.text[i] = name[i];
  return out;
}

}  // namespace detail

/// One member, and one with another highest value, or longest text, than its type has.
#define HV_FIELD(structure, member) detail::field<decltype(structure::member)>(#member, offsetof(structure, member))
#define HV_FIELD_TO(structure, member, most) \
  detail::field<decltype(structure::member)>(#member, offsetof(structure, member), most)

inline constexpr u32 kLongestVmName = 63;

inline constexpr Field kImageFields[] = {
    // `begin` and `end` are where the bytes are in this machine: no description knows them.
    HV_FIELD(Image, location),
    HV_FIELD(Image, path),
    HV_FIELD(Image, load_address),
    HV_FIELD_TO(Image, sha256, 64),
};
inline constexpr Field kMemoryRegionFields[] = {
    HV_FIELD(MemoryRegion, gpa), HV_FIELD(MemoryRegion, size),   HV_FIELD(MemoryRegion, flags),
    HV_FIELD(MemoryRegion, map), HV_FIELD(MemoryRegion, shared),
};
inline constexpr Field kMemoryFlagsFields[] = {
    HV_FIELD(MemoryFlags, read),
    HV_FIELD(MemoryFlags, write),
    HV_FIELD(MemoryFlags, execute),
    HV_FIELD(MemoryFlags, device),
};
inline constexpr Field kPassthroughDeviceFields[] = {
    HV_FIELD(PassthroughDevice, name), HV_FIELD(PassthroughDevice, by_path), HV_FIELD(PassthroughDevice, gpa),
    HV_FIELD(PassthroughDevice, hpa),  HV_FIELD(PassthroughDevice, size),    HV_FIELD(PassthroughDevice, irq),
};
inline constexpr Field kPassthroughRangeFields[] = {
    HV_FIELD(PassthroughRange, gpa),
    HV_FIELD(PassthroughRange, size),
};
inline constexpr Field kPciAddressFields[] = {
    HV_FIELD(PciAddress, segment),
    HV_FIELD(PciAddress, bus),
    HV_FIELD_TO(PciAddress, device, 31),
    HV_FIELD_TO(PciAddress, function, 7),
};
inline constexpr Field kEmulatedDeviceFields[] = {
    HV_FIELD(EmulatedDevice, name), HV_FIELD(EmulatedDevice, gpa),  HV_FIELD(EmulatedDevice, size),
    HV_FIELD(EmulatedDevice, irq),  HV_FIELD(EmulatedDevice, type), HV_FIELD(EmulatedDevice, arguments),
};
inline constexpr Field kVmConfigFields[] = {
    HV_FIELD_TO(VmConfig, id, 0xffff),
    HV_FIELD_TO(VmConfig, name, kLongestVmName),
    HV_FIELD(VmConfig, source),
    HV_FIELD(VmConfig, cpu_count),
    HV_FIELD(VmConfig, phys_cpu_ids),
    HV_FIELD(VmConfig, phys_cpu_sets),
    HV_FIELD(VmConfig, exclusive_cpus),
    HV_FIELD_TO(VmConfig, priority, kMaxPriority),
    HV_FIELD_TO(VmConfig, time_slice_us, kMaxTimeSliceUs),
    HV_FIELD_TO(VmConfig, budget_us, kMaxPeriodUs),
    HV_FIELD_TO(VmConfig, period_us, kMaxPeriodUs),
    HV_FIELD(VmConfig, entry_point),
    HV_FIELD(VmConfig, boot_protocol),
    HV_FIELD(VmConfig, kernel_places_itself),
    HV_FIELD(VmConfig, kernel),
    HV_FIELD(VmConfig, dtb),
    HV_FIELD(VmConfig, bios),
    HV_FIELD(VmConfig, ramdisk),
    HV_FIELD(VmConfig, command_line),
    HV_FIELD(VmConfig, strict_addresses),
    HV_FIELD(VmConfig, memory),
    HV_FIELD(VmConfig, interrupt_mode),
    HV_FIELD(VmConfig, passthrough_devices),
    HV_FIELD(VmConfig, passthrough_ranges),
    HV_FIELD(VmConfig, passthrough_ports),
    HV_FIELD(VmConfig, passthrough_pci),
    HV_FIELD(VmConfig, excluded_devices),
    HV_FIELD(VmConfig, allow_unprotected_dma),
    HV_FIELD(VmConfig, emulated_devices),
    HV_FIELD(VmConfig, on_crash),
    HV_FIELD(VmConfig, start),
    HV_FIELD(VmConfig, watchdog_ms),
    HV_FIELD(VmConfig, start_after),
};
#undef HV_FIELD
#undef HV_FIELD_TO

constexpr std::span<const Field> fields_of(RecordId id) {
  switch (id) {
    case RecordId::VmConfig: return kVmConfigFields;
    case RecordId::Image: return kImageFields;
    case RecordId::MemoryRegion: return kMemoryRegionFields;
    case RecordId::MemoryFlags: return kMemoryFlagsFields;
    case RecordId::PassthroughDevice: return kPassthroughDeviceFields;
    case RecordId::PassthroughRange: return kPassthroughRangeFields;
    case RecordId::PciAddress: return kPciAddressFields;
    case RecordId::EmulatedDevice: return kEmulatedDeviceFields;
  }
  return {};
}

/// Calls action.operator()<T>() with the structure that lists of `id` hold. The other structures stand alone.
template <class Action>
constexpr auto with_item_type(RecordId id, Action&& action) {
  switch (id) {
    case RecordId::PassthroughDevice: return action.template operator()<PassthroughDevice>();
    case RecordId::PassthroughRange: return action.template operator()<PassthroughRange>();
    case RecordId::PciAddress: return action.template operator()<PciAddress>();
    case RecordId::EmulatedDevice: return action.template operator()<EmulatedDevice>();
    default: return action.template operator()<MemoryRegion>();
  }
}

}  // namespace hv
