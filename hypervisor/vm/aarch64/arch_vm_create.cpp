// How the aarch64 half of a VM comes into being: stage 2, interrupt controller, boot images, device tree.
#include <algorithm>
#include <arch/mmio.hpp>
#include <arch/sysreg.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>

#include "hypervisor/device/sbsa_watchdog.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/boot_layout.hpp"
#include "hypervisor/vm/device_selection.hpp"
#include "hypervisor/vm/guest_fdt.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

// Guests get room for what their tree has beyond the host's: memory, boot arguments, nodes of their own.
constexpr usize kFdtGrowth = 16_KiB;
constexpr GpaRange kDefaultConsole{Gpa(0x0900'0000), 4_KiB};
constexpr usize kMinNodeBytes = 16;  // begin and end tokens, an empty name, and a property at least
constexpr u32 kAffinityBitsPerLevel = 8;
constexpr usize kMaxNamedDevices = 64;

// ICC_SGI1R and GICR_TYPER have the four affinity levels in one word; MPIDR_EL1 has a gap before the highest.
constexpr u32 packed_affinity(u64 mpidr) {
  constexpr unsigned kAff3Shift = 32;
  return static_cast<u32>((mpidr & 0xff'ffff) | (mpidr >> kAff3Shift & 0xff) << (3 * kAffinityBitsPerLevel));
}

/// A guest's GICv2 CPU interface is where the machine has its own, and like it where its pages are spread.
GpaRange guest_cpu_interface(const GicInfo& gic) {
  constexpr u64 kTwoPages = 8_KiB;
  const bool spread =
      gic.cpu_interface.size == GicInfo::kSpreadInterface && gic.virtual_cpu_interface.size == GicInfo::kSpreadInterface;
  return {Gpa(gic.cpu_interface.base.value()), spread ? GicInfo::kSpreadInterface : kTwoPages};
}

bool is_wildcard(const PassthroughDevice& device) { return device.by_path && device.name == "/"; }

bool has_wildcard(const VmConfig& config) { return std::ranges::any_of(config.passthrough_devices, is_wildcard); }

}  // namespace

// The guest sees the affinity of the CPU it was given, so that a device tree of its own fits; vCPUs that share a CPU are told
// apart by their index.
u64 ArchVm::guest_id(const VmConfig& config, unsigned index) {
  const auto ids = config.phys_cpu_ids;
  const bool unique =
      ids.size() >= config.cpu_count && std::ranges::all_of(ids, [&](u64 id) { return std::ranges::count(ids, id) == 1; });
  return unique ? ids[index] : index;
}

const EmulatedDevice* ArchVm::emulated(EmulatedDeviceType type) const {
  const auto devices = vm_.config().emulated_devices;
  const auto at = std::ranges::find(devices, type, &EmulatedDevice::type);
  return at == devices.end() ? nullptr : &*at;
}

// Where the machine has its own, unless the configuration names a place.
Gpa ArchVm::distributor_address() const {
  for (const EmulatedDeviceType type : {EmulatedDeviceType::GicDistributor, EmulatedDeviceType::InterruptController}) {
    if (const EmulatedDevice* placed = emulated(type)) return placed->gpa;
  }
  return Gpa(vm_.hypervisor().machine().gic.distributor.base.value());
}

GpaRange ArchVm::console_range() const {
  if (const EmulatedDevice* placed = emulated(EmulatedDeviceType::Console)) return {placed->gpa, kPageSize};
  const ConsoleInfo& console = vm_.hypervisor().machine().console;
  if (console.kind == ConsoleInfo::Kind::None) return kDefaultConsole;
  return {Gpa(console.registers.base.value()).align_down(kPageSize), kPageSize};
}

Result<void> ArchVm::create_translation() {
  u64 highest = 0;
  for (const GuestRegion& region : vm_.regions()) highest = std::max(highest, region.gpa.end().value() - 1);
  // Emulated devices need not be mapped, but an access to them must reach stage 2 and not the end of the address size.
  for (const GpaRange& range : {console_range(), GpaRange{distributor_address(), 64_KiB}})
    highest = std::max(highest, range.end().value() - 1);
  if (const EmulatedDevice* placed = emulated(EmulatedDeviceType::GicRedistributor))
    highest = std::max(highest, placed->gpa.value() + vm_.vcpu_count() * VgicRedistributors::kStride - 1);

  TRY(find_host_bridge());
  if (host_bridge_) {
    highest = std::max(highest, host_bridge_->segment.registers.base.value() + VPciBus::kEcamSize - 1);
    for (const PciWindow& window : host_bridge_->windows) highest = std::max(highest, window.base + window.size - 1);
  }

  constexpr unsigned kLevels = board::kFeatureEptLevel4 ? 4 : 3;
  const u64 pa_range = arch::ID_AA64MMFR0_EL1::pa_range(arch::ID_AA64MMFR0_EL1::read());
  auto stage2 =
      Stage2::create(Gpa(highest), static_cast<unsigned>(pa_range), kLevels, static_cast<u8>(vm_.number() + 1), vm_.frames());
  if (!stage2) return vm_.reject(stage2.error(), "has memory or devices beyond what this CPU can translate");
  stage2_.emplace(std::move(*stage2));
  return {};
}

Result<void> ArchVm::find_host_bridge() {
  const auto functions = vm_.config().passthrough_pci;
  if (functions.empty()) return {};
  const fdt::Fdt tree = TRY(fdt::Fdt::parse(vm_.hypervisor().machine().fdt));
  const auto found = find_pci_host_bridge(tree, functions[0].segment);
  if (!found) return vm_.reject(found.error(), "wants PCI functions, and the machine has no pci-host-ecam-generic bridge of that segment");
  host_bridge_ = *found;
  return {};
}

// The guest's bridge has the windows of the machine's.
Result<void> ArchVm::create_pci() {
  if (!host_bridge_) return {};
  pci_ = TRY(PciPassthrough::create(vm_, static_cast<PciMessageSink&>(*this), host_bridge_->segment, host_bridge_->windows));
  for (const PciWindow& window : host_bridge_->windows) {
    const GpaRange range{Gpa(window.base), window.size};
    const auto overlaps = [&](const auto& other) { return range.overlaps(other); };
    if (std::ranges::any_of(vm_.regions(), overlaps, &GuestRegion::gpa) || std::ranges::any_of(mmio_, overlaps, &MmioRegion::range))
      return vm_.reject(Error::Overlap, "has memory or an emulated device where PCI functions may be put");
    TRY(pci_->add_window(window));
  }
  return {};
}

Result<u32> ArchVm::find_pci_line(u8 device, u8 pin, u8) {
  const fdt::Fdt tree = TRY(fdt::Fdt::parse(vm_.hypervisor().machine().fdt));
  const auto interrupt = TRY(find_pci_interrupt(tree, *host_bridge_, device, pin));
  return interrupt.intid;
}

Result<u32> ArchVm::give_pci_line(u32 line, std::span<const GuestPciLine>) {
  TRY(give_interrupt(line, drivers::Trigger::Level));
  return line;
}

Result<void> ArchVm::add_device(GpaRange range, MmioDevice* device) {
  for (const GuestRegion& region : vm_.regions())
    if (region.gpa.overlaps(range)) return vm_.reject(Error::Overlap, "has memory where its interrupt controller or console is");
  if (!range.base.is_aligned(kPageSize))
    return vm_.reject(Error::Unaligned, "has an emulated device that does not begin on a page");
  for (const MmioRegion& other : mmio_)
    if (other.range.overlaps(range)) return vm_.reject(Error::Overlap, "has two emulated devices at the same addresses");
  TRY(mmio_.push_back({range, device}));
  // The exit path knows these without asking; one that does not fit is answered as any other.
  for (u64 offset = 0; device != nullptr && offset < kPageSize; offset += sizeof(u32)) {
    const auto value = device->read_constant({offset, sizeof(u32)});
    if (value) static_cast<void>(constants_.push_back({range.base + offset, static_cast<u32>(*value)}));
  }
  return {};
}

u32 ArchVm::spi_count() const { return std::min(vm_.hypervisor().interrupts().gic().interrupt_count() - kFirstSpi, kMaxSpis); }

Result<void> ArchVm::create_devices() {
  const MachineInfo& machine = vm_.hypervisor().machine();
  const GicInfo& gic = machine.gic;
  const auto& hardware = vm_.hypervisor().interrupts().virtual_interface();

  VgicConfig config;
  config.version = gic.version;
  config.vcpu_count = static_cast<u8>(vm_.vcpu_count());
  config.spi_count = static_cast<u16>(spi_count());
  config.list_registers = static_cast<u8>(hardware.list_register_count());
  config.priority_bits = static_cast<u8>(hardware.priority_bits());
  config.forwards = vm_.config().interrupt_mode != InterruptMode::None;
  config.can_trap_deactivate = hardware.can_trap_deactivate();
  config.can_end_by_hardware = hardware.can_end_by_hardware();
  for (unsigned i = 0; i < vm_.vcpu_count(); ++i) config.affinity[i] = packed_affinity(vm_.vcpu(i)->guest_id);
  if (const auto valid = config.check(); !valid)
    return vm_.reject(valid.error(), "does not fit the machine's interrupt controller");
  interrupts_.emplace(vm_, vm_.hypervisor().interrupts(), config, machine.timer.virtual_interrupt,
                      machine.timer.physical_interrupt);

  TRY(choose_delivery());
  const Gpa distributor = distributor_address();
  if (gic.version == 2) {
    TRY(add_device({distributor, 4_KiB}, &interrupts_->distributor()));
    TRY(stage2_->map(guest_cpu_interface(gic), gic.virtual_cpu_interface.base, mm::kDeviceReadWrite));
  } else {
    TRY(add_device({distributor, 64_KiB}, &interrupts_->distributor()));
    const HpaRange& region = gic.redistributors[0];
    const u64 size = vm_.vcpu_count() * VgicRedistributors::kStride;
    const EmulatedDevice* placed = emulated(EmulatedDeviceType::GicRedistributor);
    if (placed == nullptr && region.size < size)
      return vm_.reject(Error::OutOfRange, "has more vCPUs than the machine's first redistributor region");
    TRY(add_device({placed != nullptr ? placed->gpa : Gpa(region.base.value()), size}, &interrupts_->redistributors()));
  }
  TRY(add_device(console_range(), nullptr));
  return create_pci();
}

// The console's own interrupt is the host's. A VM that takes its interrupts directly gets another for its emulated one.
Result<void> ArchVm::choose_delivery() {
  PhysicalInterrupts& host = vm_.hypervisor().interrupts();
  uart_interrupt_ = vm_.hypervisor().machine().console.interrupt;
  if (const EmulatedDevice* placed = emulated(EmulatedDeviceType::Console); placed != nullptr && placed->irq >= kFirstSpi)
    uart_interrupt_ = placed->irq;
  const std::string_view reason = host.why_injected(vm_.config());
  if (vm_.config().interrupt_mode != InterruptMode::Passthrough) return {};
  if (!reason.empty()) {
    log::info("VM {}: interrupts are injected: {}", vm_.name(), reason);
    return {};
  }
  log::info("VM {}: interrupts are delivered directly", vm_.name());
  interrupts_->make_direct();
  if (uart_interrupt_ == 0) return {};
  uart_interrupt_ = TRY(host.find_free_spi());
  return give_interrupt(uart_interrupt_, drivers::Trigger::Edge);
}

Result<void> ArchVm::load_images() {
  const VmConfig& config = vm_.config();
  if (config.bios.present()) return vm_.reject(Error::NotSupported, "has a BIOS image, which this architecture does not use");
  const auto header = Arm64Image::parse(config.kernel.bytes());
  // Such a kernel would stop before it can say anything.
  if (const auto why = header ? header->why_not_on(arch::ID_AA64MMFR0_EL1::read()) : std::string_view(); !why.empty())
    return vm_.reject(Error::NotSupported, why);
  const GuestRam ram = vm_.ram();
  const auto layout = plan_boot(
      config, ram,
      {.kernel_size = vm_.image_size(config.kernel), .kernel_header = header, .ramdisk_size = vm_.image_size(config.ramdisk)});
  if (!layout) return vm_.reject(layout.error().error, layout.error().what);
  layout_ = *layout;
  if (!layout_.stolen_time.empty()) stolen_time_.place(layout_.stolen_time.base, drivers::host_timer::frequency());
  TRY(vm_.place_image(config.kernel, layout_.kernel.base));
  if (!layout_.ramdisk.empty()) TRY(vm_.place_image(config.ramdisk, layout_.ramdisk.base));
  return {};
}

// What other VMs name is theirs; of several wildcards the first VM's wins, so a later one counts for nothing.
Result<void> ArchVm::select(const fdt::Fdt& host, std::span<NodeRecord> scratch, DeviceSelection& selection) {
  StaticVector<std::string_view, kMaxNamedDevices> taken;
  StaticVector<PassthroughDevice, kMaxNamedDevices> mine;
  bool earlier = true;
  bool wildcard_taken = false;
  for (const VmConfig& other : vm_.hypervisor().vms().configs()) {
    if (other.name == vm_.name()) {
      earlier = false;
      continue;
    }
    wildcard_taken |= earlier && has_wildcard(other);
    for (const PassthroughDevice& device : other.passthrough_devices)
      if (device.by_path && !is_wildcard(device)) TRY(taken.push_back(device.name));
  }
  for (const PassthroughDevice& device : vm_.config().passthrough_devices)
    if (!(is_wildcard(device) && wildcard_taken)) TRY(mine.push_back(device));

  VmConfig effective = vm_.config();
  effective.passthrough_devices = mine;
  const auto others = TRY(mm::make_box<DeviceOwners::Ranges>(vm_.hypervisor().heap()));
  vm_.hypervisor().device_owners().of_others(vm_.number(), *others);
  return select_devices(host, vm_.hypervisor().machine(), effective, {.paths = taken, .pages = *others}, scratch, selection);
}

Result<void> ArchVm::give_devices() {
  const MachineInfo& machine = vm_.hypervisor().machine();
  const fdt::Fdt host = TRY(fdt::Fdt::parse(machine.fdt));
  auto selection = TRY(mm::make_box<DeviceSelection>(vm_.hypervisor().heap()));
  const usize records = machine.fdt.size() / kMinNodeBytes + 1;
  const mm::Scratch scratch = TRY(mm::Scratch::create(vm_.hypervisor().heap(), records * sizeof(NodeRecord)));
  const auto selected = select(host, {reinterpret_cast<NodeRecord*>(scratch.bytes().data()), records}, *selection);
  for (const SelectionNote& note : selection->notes) log::warn("VM {}: {}: {}", vm_.name(), note.path, note.what);
  if (!selected) return vm_.reject(selected.error(), "does not get its devices");
  TRY(map_resources(selection->resources));
  TRY(map_configured_ranges());
  TRY(place_watchdog(selection->resources));
  if (pci_) TRY(pci_->start());
  return write_device_tree(*selection);
}

// Where the guest has nothing else; its own device tree, if it has one, cannot know.
Result<void> ArchVm::place_watchdog(const PassthroughResources& taken) {
  if (!vm_.watchdog().present()) return {};
  const VmConfig& config = vm_.config();
  GpaRange window{console_range().base, sbsa_watchdog::kSize};
  const auto overlaps = [&](u64 base, u64 size) { return window.overlaps({Gpa(base), size}); };
  const auto is_taken = [&] {
    return std::ranges::any_of(vm_.regions(), [&](const auto& r) { return overlaps(r.gpa.base.value(), r.gpa.size); }) ||
           std::ranges::any_of(mmio_, [&](const auto& r) { return overlaps(r.range.base.value(), r.range.size); }) ||
           (host_bridge_ && std::ranges::any_of(host_bridge_->windows, [&](const auto& w) { return overlaps(w.base, w.size); })) ||
           std::ranges::any_of(taken.mmio, [&](const auto& r) { return overlaps(r.base.value(), r.size); }) ||
           std::ranges::any_of(config.passthrough_devices, [&](const auto& d) { return overlaps(d.gpa.value(), d.size); }) ||
           std::ranges::any_of(config.passthrough_ranges, [&](const auto& r) { return overlaps(r.gpa.value(), r.size); });
  };
  while (is_taken()) window.base = window.base + 64_KiB;
  watchdog_ = window;
  watchdog_interrupt_ = find_watchdog_interrupt(taken);
  log::debug("VM {}: watchdog at {}, interrupt {}", vm_.name(), window.base, watchdog_interrupt_);
  return add_device(window, nullptr);
}

// The last one that nothing else of the guest has. Without its interrupt a driver still has the second stage: a controller that
// is the machine's own has none to spare for it.
u32 ArchVm::find_watchdog_interrupt(const PassthroughResources& taken) {
  if (interrupts_->direct() != nullptr) return 0;
  for (u32 intid = kFirstSpi + spi_count(); intid-- > kFirstSpi;) {
    const auto is_its = [&](const auto& device) { return device.irq == intid; };
    const auto is_line = [&](const GuestPciLine& l) { return l.line == intid; };
    if ((!pci_ || std::ranges::none_of(pci_->lines(), is_line)) && !taken.interrupts.test(intid) && intid != uart_interrupt_ &&
        std::ranges::none_of(vm_.config().passthrough_devices, is_its) &&
        std::ranges::none_of(vm_.config().emulated_devices, is_its))
      return intid;
  }
  return 0;
}

// A device that a guest left in the middle of something would go on writing to memory that is somebody else's by then.
void ArchVm::quiesce_devices() {
  reset_virtio();
  if (pci_) pci_->quiesce();
}

void ArchVm::reset_virtio() {
  constexpr u64 kStatus = 0x70;  // Virtio 1.1 4.2.2: zero resets
  for (Hpa registers : virtio_) arch::mmio_write32(registers.value() + kStatus, 0);
}

Result<void> ArchVm::map_resources(const PassthroughResources& resources) {
  for (Hpa registers : resources.virtio) {
    TRY(platform::map_device({registers, sizeof(u32)}));
    TRY(virtio_.push_back(registers));
  }
  reset_virtio();
  for (const HpaRange& range : resources.mmio) TRY(vm_.map_device("a device", Gpa(range.base.value()), range));
  for (const HpaRange& range : resources.memory) {
    TRY(stage2_->map({Gpa(range.base.value()), range.size}, range.base, mm::kReadWrite));
  }
  for (u32 intid = kFirstSpi; intid < kInterruptLimit; ++intid) {
    if (!resources.interrupts.test(intid)) continue;
    const auto trigger = resources.edge_triggered.test(intid) ? drivers::Trigger::Edge : drivers::Trigger::Level;
    TRY(give_interrupt(intid, trigger));
  }
  return {};
}

Result<void> ArchVm::give_interrupt(u32 intid, drivers::Trigger trigger) {
  if (vm_.config().interrupt_mode == InterruptMode::None) return {};
  TRY(interrupts_->map_hardware(intid, intid));
  if (const auto given = vm_.hypervisor().interrupts().give_to_vm(intid, vm_, intid, trigger); !given) {
    log::error("VM {}: interrupt {} cannot be given to it: {}", vm_.name(), intid, given.error());
    return given;
  }
  if (interrupts_->direct() != nullptr) interrupts_->give_directly(intid);
  return {};
}

bool ArchVm::belongs_to_host(const MachineInfo& machine, HpaRange range) {
  const GicInfo& gic = machine.gic;
  const auto overlaps = [&](const HpaRange& other) { return range.overlaps(other); };
  const auto tree = fdt::Fdt::parse(machine.fdt);
  return (tree && is_pci_configuration_space(*tree, range)) || overlaps(machine.console.registers) || std::ranges::any_of(gic.redistributors, overlaps) || overlaps(gic.distributor) ||
         overlaps(gic.cpu_interface) || overlaps(gic.hypervisor_interface) || overlaps(gic.virtual_cpu_interface);
}

Result<void> ArchVm::map_configured_ranges() {
  for (const PassthroughDevice& device : vm_.config().passthrough_devices) {
    if (device.by_path) continue;
    TRY(vm_.map_passthrough(device.name, device.gpa, {device.hpa, device.size}));
    if (device.irq >= kFirstSpi) TRY(give_interrupt(device.irq, drivers::Trigger::Level));
  }
  for (const PassthroughRange& range : vm_.config().passthrough_ranges)
    TRY(vm_.map_passthrough("passthrough_addresses", range.gpa, {Hpa(range.gpa.value()), range.size}));
  return {};
}

Result<void> ArchVm::write_device_tree(const DeviceSelection& selection) {
  const MachineInfo& machine = vm_.hypervisor().machine();
  const GuestRam ram = vm_.ram();
  StaticVector<GuestCpu, kMaxVcpus> cpus;
  for (unsigned i = 0; i < vm_.vcpu_count(); ++i)
    TRY(cpus.push_back({vm_.vcpu(i)->guest_id, machine.cpus[vm_.vcpu(i)->cpu].hardware_id}));

  GuestMachine guest;
  guest.ram = ram;
  guest.cpus = cpus;
  guest.gic_version = machine.gic.version;
  guest.distributor = mmio_[0].range;
  if (machine.gic.version == 2) {
    guest.cpu_interface = guest_cpu_interface(machine.gic);
  } else {
    guest.redistributors = mmio_[1].range;
  }
  guest.timer = machine.timer;
  guest.console = console_range();
  guest.console_interrupt = uart_interrupt_;
  guest.watchdog = watchdog_;
  if (pci_) guest.pci = {.ecam = pci_->ecam(), .windows = pci_->windows(), .lines = pci_->lines(), .like = host_bridge_->node};
  guest.watchdog_interrupt = watchdog_interrupt_;
  guest.initrd = layout_.ramdisk;
  guest.reserved = layout_.stolen_time;
  guest.command_line = vm_.config().command_line;

  const usize room = std::min<usize>(layout_.fdt.size, machine.fdt.size() + vm_.config().dtb.bytes().size() + kFdtGrowth);
  const mm::Scratch buffer = TRY(mm::Scratch::create(vm_.hypervisor().heap(), room));
  const std::span<std::byte> out = buffer.bytes();
  const auto size = vm_.config().dtb.present() ? adapt_guest_fdt(TRY(fdt::Fdt::parse(vm_.config().dtb.bytes())), guest, out)
                                               : write_guest_fdt(selection, guest, out);
  if (!size) return vm_.reject(size.error(), "does not get a device tree");
  TRY(vm_.memory().write(layout_.fdt.base, out.first(*size)));
  return {};
}

}  // namespace hv
