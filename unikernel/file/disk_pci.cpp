// Virtio disks on PCI.
#include <algorithm>
#include <arch/mmio.hpp>
#include <optional>

#include "kernel/drivers/local_apic.hpp"
#include "kernel/drivers/virtio_pci.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/file/disk.hpp"

namespace ax::uni {
namespace {

using drivers::PciEcam;
using drivers::PciFunction;

constexpr u8 kDevices = 32, kFunctions = 8;
constexpr u32 kHeaderType = 0x0e, kSecondaryBus = 0x19, kMultiFunction = 0x80, kBridge = 1, kNobody = 0xffff;
constexpr usize kMaxBuses = 8;
constexpr u64 kMessageEntry = 16;

constinit std::optional<drivers::VirtioPci> disk;
constinit std::optional<PciEcam> disk_bus;
constinit PciFunction disk_function;

/// Looks at `bus` and notes the buses behind its bridges.
bool search(const PciEcam& ecam, u16 segment, u8 bus, StaticVector<u8, kMaxBuses>& buses) {
  for (u8 device = 0; device < kDevices; ++device) {
    u8 functions = 1;
    for (u8 function = 0; function < functions; ++function) {
      const PciFunction f{segment, bus, device, function};
      const auto registers = ecam.registers_of(f);
      if (!registers || !platform::map_device(*registers) || ecam.read(f, 0, 2).value_or(kNobody) == kNobody) continue;
      const u32 type = ecam.read(f, kHeaderType, 1).value_or(0);
      if (function == 0 && (type & kMultiFunction) != 0) functions = kFunctions;
      if ((type & ~kMultiFunction) == kBridge) {
        const u8 behind = static_cast<u8>(ecam.read(f, kSecondaryBus, 1).value_or(0));
        if (std::ranges::find(buses, behind) == buses.end()) static_cast<void>(buses.push_back(behind));
        continue;
      }
      const auto probed = drivers::VirtioPci::probe(ecam, f, drivers::kVirtioBlockDevice, &platform::map_device);
      if (!probed) continue;
      disk.emplace(*probed);
      disk_bus.emplace(ecam);
      disk_function = f;
      return true;
    }
  }
  return false;
}

}  // namespace

drivers::VirtioTransport* find_disk() {
  for (const acpi::PciSegment& segment : platform::machine().pc.pci) {
    const PciEcam ecam(segment);
    StaticVector<u8, kMaxBuses> buses;
    static_cast<void>(buses.push_back(segment.first_bus));
    for (usize i = 0; i < buses.size(); ++i) {
      if (search(ecam, segment.segment, buses[i], buses)) return &*disk;
    }
  }
  return nullptr;
}

/// By the first entry of its MSI-X table (PCI Local Bus Specification 3.0, 6.8.2).
Result<void> attach_disk(void (*handler)()) {
  constexpr u32 kBars = 0x10, kCapabilities = 0x34, kNext = 1, kControl = 2, kTable = 4, k64Bit = 4;
  constexpr u8 kMessages = 0x11;
  constexpr u16 kEnable = 1 << 15, kAllMasked = 1 << 14;
  constexpr unsigned kMostCapabilities = 48;
  constexpr u32 kMessageAddress = 0xfee0'0000, kDestinationShift = 12;
  const auto read = [](u32 offset, u32 bytes) { return disk_bus->read(disk_function, offset, bytes); };
  u32 at = TRY(read(kCapabilities, 1)) & ~u32{3};
  for (unsigned i = 0; at != 0 && i < kMostCapabilities && TRY(read(at, 1)) != kMessages; ++i) at = TRY(read(at + kNext, 1)) & ~u32{3};
  if (at == 0 || TRY(read(at, 1)) != kMessages) return fail(Error::NotFound);
  const u32 place = TRY(read(at + kTable, 4)), bar = kBars + (place & 7) * 4, low = TRY(read(bar, 4));
  u64 table = (low & ~u32{15}) + (place & ~u32{7});
  if ((low & 6) == k64Bit) table += u64{TRY(read(bar + 4, 4))} << 32;
  TRY(platform::map_device({Hpa(table), kMessageEntry}));
  const u32 entry[] = {kMessageAddress | static_cast<u32>(platform::machine().cpus[0].hardware_id) << kDestinationShift, 0,
                       drivers::host_vector::kFirstLine, 0};
  for (u32 i = 0; i < std::size(entry); ++i) arch::mmio_write32(table + i * sizeof(u32), entry[i]);
  const u32 control = TRY(read(at + kControl, 2));
  TRY(disk_bus->write(disk_function, at + kControl, 2, (control | kEnable) & ~u32{kAllMasked}));
  disk->use_message(0);
  return attach_device({}, handler);
}

}  // namespace ax::uni
