#include "hypervisor/storage/pci_disks.hpp"

#include <algorithm>
#include <board_config.hpp>

#include "hypervisor/device/pci/pci_scan.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/storage/disks.hpp"
#include "kernel/drivers/virtio_pci.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

using drivers::PciFunction;

constexpr u32 kVendor = 0x00, kCommand = 0x04, kClass = 0x0a;
constexpr u32 kMemorySpace = 1 << 1, kBusMaster = 1 << 2, kInterruptDisable = 1 << 10;
constexpr u32 kVirtioVendor = 0x1af4, kSdHostController = 0x0805;
constexpr u32 kBarFlags = 0xf;
constexpr usize kMaxBars = 6, kMaxBuses = 8;

bool is_named(PciFunction f) {
  const PciAddress address{f.segment, f.bus, f.device, f.function};
  return std::ranges::any_of(kStaticVmConfigs,
                             [&](const VmConfig& vm) { return std::ranges::find(vm.passthrough_pci, address) != vm.passthrough_pci.end(); });
}

class Search {
 public:
  Search(Disks& disks, const acpi::PciSegment& segment, std::span<const PciWindow> windows)
      : disks_(disks), ecam_(segment), segment_(segment), windows_(windows) {}

  void run() {
    static_cast<void>(buses_.push_back(segment_.first_bus));
    for (usize i = 0; i < buses_.size(); ++i) {
      const PciScan bus(segment_, buses_[i]);
      const auto registers = bus.registers();
      // Where firmware has placed nothing, what is on the root bus gets its addresses here.
      if (registers && platform::map_device(*registers)) search(bus, i == 0 && !windows_.empty());
    }
  }

 private:
  u32 read(PciFunction f, u32 offset, u32 bytes) const { return ecam_.read(f, offset, bytes).value_or(~u32{0}); }
  void write(PciFunction f, u32 offset, u32 bytes, u32 value) const { static_cast<void>(ecam_.write(f, offset, bytes, value)); }

  void add_bus(u8 bus) {
    if (std::ranges::find(buses_, bus) == buses_.end()) static_cast<void>(buses_.push_back(bus));
  }

  void search(const PciScan& bus, bool places) {
    if (places) taken_ = bus.taken();
    bus.for_each_function([&](const PciFunction& f, u8 type) {
      if (type == PciScan::kBridge) add_bus(bus.bus_behind(f));
      if (type == PciScan::kEndpoint && !is_named(f)) look_at(bus, f, places);
    });
  }

  /// Gives addresses to what has none. Its memory is off meanwhile.
  void place(const PciScan& bus, PciFunction f) {
    bus.for_each_memory_bar(f, PciScan::kEndpoint, [&](const PciScan::MemoryBar& bar) {
      if (bar.bus != 0) return;
      write(f, kCommand, 2, read(f, kCommand, 2) & ~kMemorySpace);
      write(f, bar.offset, 4, ~u32{0});
      const u32 mask = read(f, bar.offset, 4) & ~kBarFlags;
      const u64 size = u64{~mask} + 1;
      const u64 room = mask == 0 ? 0 : find_pci_room(windows_, taken_, size, bar.is_64bit).value_or(0);
      write(f, bar.offset, 4, static_cast<u32>(room));
      if (bar.is_64bit) write(f, bar.offset + 4, 4, static_cast<u32>(room >> 32));
      if (room != 0) static_cast<void>(taken_.push_back({room, size}));
    });
  }

  void look_at(const PciScan& bus, PciFunction f, bool places) {
    const bool is_virtio = read(f, kVendor, 2) == kVirtioVendor, is_card = board::kFeatureSdmmc && read(f, kClass, 2) == kSdHostController;
    const auto registers = ecam_.registers_of(f);
    if ((!is_virtio && !is_card) || !registers) return;
    if (places) place(bus, f);
    // Its own registers and the pages that its memory begins at: enough to meet a VM that names them.
    StaticVector<HpaRange, 1 + kMaxBars> mine;
    static_cast<void>(mine.push_back(*registers));
    bus.for_each_memory_bar(f, PciScan::kEndpoint, [&](const PciScan::MemoryBar& bar) {
      if (bar.bus != 0 && is_seen(bar.bus)) static_cast<void>(mine.push_back({Hpa(bar.bus), kPageSize}));
    });
    if (!disks_.may_claim(mine)) return;
    std::array<char, 16> name;
    BufferSink sink(name.data(), name.size());
    print(sink, "{:04x}:{:02x}:{:02x}.{}", f.segment, f.bus, f.device, f.function);
    if (is_card) return look_at_card(f, mine, sink.view());
    const auto transport = drivers::VirtioPci::probe(ecam_, f, drivers::kVirtioBlockDevice, &platform::map_device);
    if (transport && disks_.claim(mine)) disks_.add(*transport, sink.view());
  }
  /// Whether CPUs see it where the bus does.
  bool is_seen(u64 address) const { return windows_.empty() || pci_address_of(windows_, false, address, kPageSize) == address; }

  /// The first slot: its registers are in the first range.
  void look_at_card(PciFunction f, std::span<const HpaRange> mine, std::string_view name) {
    if (mine.size() < 2 || !platform::map_device(mine[1]) || !disks_.claim(mine)) return;
    write(f, kCommand, 2, read(f, kCommand, 2) | kMemorySpace | kBusMaster | kInterruptDisable);
    disks_.add_card(mine[1].base, name);
  }

  Disks& disks_;
  drivers::PciEcam ecam_;
  const acpi::PciSegment& segment_;
  std::span<const PciWindow> windows_;
  PciScan::Taken taken_{};
  StaticVector<u8, kMaxBuses> buses_{};
};

}  // namespace

void find_pci_disks(Disks& disks, const acpi::PciSegment& segment, std::span<const PciWindow> windows) { Search(disks, segment, windows).run(); }

}  // namespace hv
