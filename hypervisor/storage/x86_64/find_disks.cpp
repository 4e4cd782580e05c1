// Virtio disks on PCI.
#include <algorithm>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/storage/disks.hpp"
#include "kernel/drivers/cmos_clock.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

using drivers::PciFunction;

constexpr u8 kDevices = 32, kFunctions = 8;
constexpr u32 kHeaderType = 0x0e, kSecondaryBus = 0x19, kBars = 0x10;
constexpr u32 kMultiFunction = 0x80, kBridge = 1, kNobody = 0xffff;
constexpr usize kMaxBuses = 8;

bool is_named(PciFunction f) {
  const PciAddress address{f.segment, f.bus, f.device, f.function};
  return std::ranges::any_of(kStaticVmConfigs,
                             [&](const VmConfig& vm) { return std::ranges::find(vm.passthrough_pci, address) != vm.passthrough_pci.end(); });
}

class Search {
 public:
  Search(Disks& disks, const acpi::PciSegment& segment) : disks_(disks), ecam_(segment), segment_(segment) {}

  void run() {
    static_cast<void>(buses_.push_back(segment_.first_bus));
    for (usize i = 0; i < buses_.size(); ++i) look_at_bus(buses_[i]);
  }

 private:
  u32 read(PciFunction f, u32 offset, u32 bytes) const { return ecam_.read(f, offset, bytes).value_or(~u32{0}); }

  void look_at_bus(u8 bus) {
    for (u8 device = 0; device < kDevices; ++device) {
      u8 functions = 1;
      for (u8 function = 0; function < functions; ++function) {
        const PciFunction f{segment_.segment, bus, device, function};
        const auto registers = ecam_.registers_of(f);
        if (!registers || !platform::map_device(*registers) || read(f, 0, 2) == kNobody) continue;
        const u32 type = read(f, kHeaderType, 1);
        if (function == 0 && (type & kMultiFunction) != 0) functions = kFunctions;
        if ((type & ~kMultiFunction) == kBridge) add_bus(static_cast<u8>(read(f, kSecondaryBus, 1)));
        if ((type & ~kMultiFunction) == 0 && !is_named(f)) look_at(f, *registers);
      }
    }
  }
  void add_bus(u8 bus) {
    if (std::ranges::find(buses_, bus) == buses_.end()) static_cast<void>(buses_.push_back(bus));
  }
  void look_at(PciFunction f, HpaRange registers) {
    constexpr u32 kVirtioVendor = 0x1af4;
    if (read(f, 0, 2) != kVirtioVendor) return;
    // Its own registers and the pages that its memory windows begin at: enough to meet a VM that names them.
    StaticVector<HpaRange, 7> mine;
    static_cast<void>(mine.push_back(registers));
    for (u32 bar = 0; bar < 6; ++bar) {
      const u32 low = read(f, kBars + bar * 4, 4);
      const bool is_wide = (low & 6) == 4;
      const u64 base = (low & ~u64{15}) | (is_wide ? u64{read(f, kBars + bar * 4 + 4, 4)} << 32 : 0);
      if ((low & 1) == 0 && base != 0) static_cast<void>(mine.push_back({Hpa(base), kPageSize}));
      bar += is_wide;
    }
    if (!disks_.may_claim(mine)) return;
    const auto transport = drivers::VirtioPci::probe(ecam_, f, drivers::kVirtioBlockDevice, &platform::map_device);
    if (!transport || !disks_.claim(mine)) return;
    std::array<char, 16> name;
    BufferSink sink(name.data(), name.size());
    print(sink, "{:04x}:{:02x}:{:02x}.{}", f.segment, f.bus, f.device, f.function);
    disks_.add(*transport, sink.view());
  }

  Disks& disks_;
  drivers::PciEcam ecam_;
  const acpi::PciSegment& segment_;
  StaticVector<u8, kMaxBuses> buses_{};
};

}  // namespace

u64 unix_time() { return drivers::time_of_day(); }

void find_disks(Hypervisor& hypervisor, Disks& disks) {
  for (const acpi::PciSegment& segment : hypervisor.machine().pc.pci) Search(disks, segment).run();
}

}  // namespace hv
