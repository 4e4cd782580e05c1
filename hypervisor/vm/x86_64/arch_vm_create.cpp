// How the x86 half of a VM comes into being: nested paging, the PC, boot images, passthrough.
#include <algorithm>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "hypervisor/vm/x86_64/boot_plan.hpp"
#include "hypervisor/vm/x86_64/guest_acpi.hpp"
#include "kernel/base/memory.hpp"
#include "kernel/base/range_list.hpp"
#include "kernel/drivers/cmos_clock.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 kLowest4GiB = 4096_MiB;

}  // namespace

Result<void> ArchVm::create_translation() {
  u64 highest = kLowest4GiB - 1;  // whatever is not memory there leaves the guest, too
  for (const GuestRegion& region : vm_.regions()) highest = std::max(highest, region.gpa.end().value() - 1);
  Virtualization& machine = vm_.hypervisor().guest_execution().virtualization();
  auto translation = NestedPaging::create(Gpa(highest), machine.nested(), vm_.frames());
  if (!translation) return vm_.reject(translation.error(), "has memory beyond what this CPU can translate");
  translation_.emplace(std::move(*translation));
  ports_.emplace(TRY(PortPermissions::create(vm_.frames())));
  return virtualize_apic();
}

// The page only marks the address: the CPU itself never writes to it. A VM without interrupts, or with memory of its own
// there, has no use for it.
Result<void> ArchVm::virtualize_apic() {
  constexpr Gpa kAddress(VLocalApic::kDefaultBase);
  if (!vm_.hypervisor().guest_execution().virtualization().virtualizes_apic()) return {};
  if (vm_.config().interrupt_mode == InterruptMode::None) return {};
  if (std::ranges::any_of(vm_.regions(), [=](const GuestRegion& region) { return region.gpa.contains(kAddress); })) return {};
  apic_access_ = TRY(vm_.frames().allocate(kPageSize, kPageSize)).base;
  memory::fill(reinterpret_cast<std::byte*>(apic_access_->value()), 0, kPageSize);
  return translation_->map({kAddress, kPageSize}, *apic_access_, mm::kReadWrite);
}

Result<void> ArchVm::prepare(Vcpu& vcpu) {
  GuestExecution& execution = vm_.hypervisor().guest_execution();
  timers_[vcpu.index].vm = this;
  timers_[vcpu.index].vcpu = vcpu.index;
  return vcpu.arch.create(execution.virtualization(), vm_.hypervisor().heap(), vm_.frames(),
                          {.translation = *translation_, .port_permissions = ports_->address(), .apic_access = apic_access_},
                          execution.xcr0(), execution.facts().cr4);
}

void ArchVm::destroy_translation() {
  pci_.reset();
  if (apic_access_) vm_.frames().free({*apic_access_, kPageSize});
  apic_access_.reset();
  ports_.reset();
  translation_.reset();
}

bool ArchVm::belongs_to_host(const MachineInfo& machine, HpaRange range) {
  const PcInfo& pc = machine.pc;
  const auto overlaps = [&](const HpaRange& other) { return range.overlaps(other); };
  return overlaps(pc.local_apic) || overlaps({pc.hpet, kPageSize}) ||
         std::ranges::any_of(pc.io_apics, [&](const acpi::IoApic& io_apic) { return overlaps(io_apic.registers); }) ||
         std::ranges::any_of(pc.pci, [&](const acpi::PciSegment& segment) { return overlaps(segment.registers); });
}

Result<void> ArchVm::create_devices() {
  PcConfig config;
  config.vcpus = vm_.vcpu_count();
  config.tsc_hz = drivers::host_timer::frequency();
  config.wall_clock = start_of_day_ = drivers::time_of_day();
  for (const GpaRange& range : vm_.ram()) config.ram += range.size;
  if (const auto valid = config.check(); !valid) return vm_.reject(valid.error(), "cannot have such a PC");
  apics_.emplace(static_cast<PcHost&>(*this), static_cast<EndOfInterruptListener&>(*this), config.vcpus, config.tsc_hz);
  board_.emplace(config, static_cast<PcHost&>(*this), *apics_);
  for (unsigned i = 0; i < config.vcpus; ++i) {
    if (const auto page = vm_.vcpu(i)->arch.backend().apic_page()) (*apics_)[i].share_registers(*page);
  }
  apics_->power_on();
  board_->without_lock().power_on();
  return create_pci();
}

// A PC's bus has the CPU's addresses. The guest may move its functions to where its PC has no memory and no other devices; above 4 GiB
// there is only room for what is there.
Result<void> ArchVm::create_pci() {
  const auto functions = vm_.config().passthrough_pci;
  if (functions.empty()) return {};
  const auto segments = vm_.hypervisor().machine().pc.pci;
  const auto segment = std::ranges::find(segments, functions[0].segment, &acpi::PciSegment::segment);
  if (segment == segments.end()) return vm_.reject(Error::NotFound, "wants PCI functions of a machine that has no PCI Express like that");
  constexpr PciWindow kMachine[] = {{.size = u64{1} << 48}, {.size = u64{1} << 16, .is_port = true}};
  pci_ = TRY(PciPassthrough::create(vm_, static_cast<PciMessageSink&>(*this), *segment, kMachine));
  constexpr u64 kFirstPort = 0x1000, kPorts = 0x1'0000, kEndOfWindow = 0xfec0'0000;
  TRY(pci_->add_window({.bus = kFirstPort, .base = kFirstPort, .size = kPorts - kFirstPort, .is_port = true}));
  if (GpaRange low = pci_->window(false); !low.empty()) {
    u64 first = 0;
    const auto is_below = [&](GpaRange range) {
      if (range.end() <= low.base) first = std::max(first, range.end().value());
    };
    is_below(pci_->ecam());
    for (const GuestRegion& region : vm_.regions()) is_below(region.gpa);
    first = std::min(align_up(first, 1_MiB), low.base.value());
    TRY(pci_->add_window({.bus = first, .base = first, .size = std::max(kEndOfWindow, low.end().value()) - first}));
  }
  if (const GpaRange high = pci_->window(true); !high.empty())
    TRY(pci_->add_window({.bus = high.base.value(), .base = high.base.value(), .size = high.size}));
  return {};
}

Result<PciMessage> ArchVm::give_message(u32 number) { return vm_.hypervisor().interrupts().give_message(vm_, number); }

Result<u32> ArchVm::find_pci_line(u8, u8, u8 firmware_line) {
  constexpr u8 kIsaLines = 16;
  return firmware_line != 0 && firmware_line < kIsaLines ? Result<u32>(vm_.hypervisor().machine().pc.route(firmware_line).gsi) : fail(Error::NotFound);
}

// At the same place as the machine's, if that is not an emulated device's or one that the configuration names.
Result<u32> ArchVm::give_pci_line(u32 gsi, std::span<const GuestPciLine> given) {
  const auto devices = vm_.config().passthrough_devices;
  const auto is_free = [&](u32 pin) {
    return PcMachine::is_free_line(pin) && std::ranges::find(devices, pin, &PassthroughDevice::irq) == devices.end() &&
           std::ranges::find(given, pin, &GuestPciLine::line) == given.end();
  };
  u32 pin = gsi;
  for (u32 other = VIoApic::kPins; !is_free(pin) && other-- > 0;) pin = other;
  if (!is_free(pin)) return fail(Error::OutOfRange);
  TRY(vm_.hypervisor().interrupts().give_to_vm(gsi, vm_, pin));
  return pin;
}

Result<Gpa> ArchVm::load_firmware_tables() {
  GuestAcpi tables{.cpu_count = vm_.vcpu_count(), .watchdog_ms = vm_.config().watchdog_ms};
  if (pci_) tables.pci = {.ecam = pci_->ecam(), .windows = pci_->windows(), .lines = pci_->lines()};
  const mm::Scratch scratch = TRY(mm::Scratch::create(vm_.hypervisor().heap(), guest_acpi_size(tables.cpu_count)));
  const usize size = TRY(write_guest_acpi(tables, scratch.bytes()));
  if (const auto written = vm_.memory().write(tables.base, scratch.bytes().first(size)); !written)
    return vm_.reject(written.error(), "has no memory for the ACPI tables at 0xe0000");
  return tables.base;
}

Result<void> ArchVm::load_images() {
  const VmConfig& config = vm_.config();
  GuestRam ram = vm_.ram();
  sort_ranges(std::span<GpaRange>(ram.begin(), ram.size()));
  const mm::Scratch scratch = TRY(mm::Scratch::create(vm_.hypervisor().heap(), boot_area::kScratchSize));
  memory::fill(scratch.bytes().data(), 0, boot_area::kScratchSize);
  const auto bytes_of = [](const Image& image) { return image.present() ? image.bytes() : std::span<const std::byte>(); };
  const auto plan = plan_x86_boot({.config = config,
                                   .ram = ram,
                                   .kernel = config.kernel.bytes(),
                                   .ramdisk = {static_cast<const std::byte*>(nullptr), vm_.image_size(config.ramdisk)},
                                   .bios = bytes_of(config.bios),
                                   .rsdp = TRY(load_firmware_tables()),
                                   .scratch = scratch.bytes()});
  if (!plan) return vm_.reject(plan.error().error, plan.error().what);
  // The RAM disk is only counted, so that it can be streamed.
  for (const BootPiece& piece : plan->pieces)
    TRY(piece.bytes.data() == nullptr ? vm_.place_image(config.ramdisk, piece.to) : vm_.memory().write(piece.to, piece.bytes));
  start_ = plan->start;
  return {};
}

Result<void> ArchVm::give_devices() {
  if (vm_.config().interrupt_mode == InterruptMode::Passthrough)
    log::info("VM {}: interrupts are injected: an interrupt that goes to a guest directly would need posted interrupts",
              vm_.name());
  const VmConfig& config = vm_.config();
  for (const PassthroughDevice& device : config.passthrough_devices) {
    if (device.by_path)
      return vm_.reject(Error::NotSupported, "names a device by its place in a device tree, which PCs do not have");
    // A list of all that a PC has names devices that the guest gets emulated, and with them their lines.
    const HpaRange registers{device.hpa, device.size};
    const bool emulated = belongs_to_host(vm_.hypervisor().machine(), registers);
    TRY(vm_.map_passthrough(device.name, device.gpa, registers));
    if (device.irq != 0 && !emulated) TRY(give_line(device));
  }
  for (const PassthroughRange& range : config.passthrough_ranges)
    TRY(vm_.map_passthrough("passthrough_addresses", range.gpa, {Hpa(range.gpa.value()), range.size}));
  return give_ports();
}

// The guest's I/O APIC has the line at the same place as the machine's.
Result<void> ArchVm::give_line(const PassthroughDevice& device) {
  const auto given = PcMachine::is_free_line(device.irq) ? vm_.hypervisor().interrupts().give_to_vm(device.irq, vm_, device.irq)
                                                         : Result<void>(fail(Error::PermissionDenied));
  if (given) return {};
  const std::string_view why = given.error() == Error::Busy         ? "the host or another VM has it"
                               : given.error() == Error::OutOfRange ? "no I/O APIC has it"
                                                                    : "it is that of an emulated device, or beyond 23";
  log::error("VM {}: interrupt {} of {} cannot be given to it: {}", vm_.name(), device.irq, device.name, why);
  return given;
}

// The console's ports, the interrupt controllers, the timer and power management are the host's.
Result<void> ArchVm::give_ports() {
  const MachineInfo& machine = vm_.hypervisor().machine();
  const auto console = static_cast<u32>(machine.console.registers.base.value());
  constexpr u32 kConsolePorts = 8;
  const struct {
    u32 first, count;
  } kept[] = {{0x20, 2},
              {0x40, 4},
              {0x61, 1},
              {0xa0, 2},
              {0x4d0, 2},
              {0xcf8, 8},
              {console, machine.console.is_port ? kConsolePorts : 0},
              {machine.pc.power.pm1a_control_port, 2}};
  for (const PassthroughRange& range : vm_.config().passthrough_ports) {
    const u64 first = range.gpa.value();
    const bool taken =
        std::ranges::any_of(kept, [&](const auto& k) { return first < k.first + k.count && k.first < first + range.size; });
    if (taken) {
      log::error("VM {}: ports {:#x} to {:#x} belong to the host", vm_.name(), first, first + range.size - 1);
      return fail(Error::PermissionDenied);
    }
    if (const auto claimed = vm_.hypervisor().device_owners().claim(vm_.number(), DeviceOwners::ports(static_cast<u16>(first), range.size)); !claimed) {
      log::error("VM {}: ports {:#x} to {:#x} belong to another VM or a PCI function", vm_.name(), first, first + range.size - 1);
      return claimed;
    }
    TRY(ports_->allow(static_cast<u16>(first), static_cast<u32>(range.size)));
  }
  return pci_ ? pci_->start() : Result<void>();
}

}  // namespace hv
