#include "hypervisor/vm/pci_passthrough.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/mmio.hpp>
#include <arch/timer.hpp>

#include "hypervisor/device/pci/pci_scan.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 k4GiB = u64{1} << 32;
constexpr u64 kResetTicksDivisor = 10;  // of a second: 100 ms
constexpr usize kTablesPerRange = 6;    // two placements that have no table yet, and what MSI-X cuts out

constexpr u8 kPins = 4, kDeepest = 8;

Result<void> map_configuration_space(const PciScan& bus) { return platform::map_device(TRY(bus.registers())); }

}  // namespace

// ---- one function -------------------------------------------------------------------------------------------------------

// The model keeps to what PciEcam demands.
u32 PciPassthrough::Function::read_config(u32 offset, u32 size) { return ecam.read(address, offset, size).value_or(~u32{0}); }
void PciPassthrough::Function::write_config(u32 offset, u32 size, u32 value) {
  static_cast<void>(ecam.write(address, offset, size, value));
}

u32 PciPassthrough::Function::read_memory(Hpa at, u32 size) {
  if (size == 1) return arch::mmio_read8(at.value());
  return size == 2 ? arch::mmio_read16(at.value()) : arch::mmio_read32(at.value());
}

void PciPassthrough::Function::write_memory(Hpa at, u32 size, u32 value) {
  if (size == 1) arch::mmio_write8(at.value(), static_cast<u8>(value));
  else if (size == 2) arch::mmio_write16(at.value(), static_cast<u16>(value));
  else arch::mmio_write32(at.value(), value);
}

void PciPassthrough::Function::wait_for_reset() {
  const u64 end = drivers::host_timer::now() + drivers::host_timer::frequency() / kResetTicksDivisor;
  while (drivers::host_timer::now() < end) arch::cpu_relax();
}

// ---- all of a VM --------------------------------------------------------------------------------------------------------

// Not the VM's own: nothing that its configuration passes through by address may have what is mediated.
u16 PciPassthrough::owner() const {
  constexpr u16 kBus = 1 << 15;
  return kBus | vm_.number();
}

Result<mm::Box<PciPassthrough>> PciPassthrough::create(Vm& vm, PciMessageSink& sink, const acpi::PciSegment& segment,
                                                       std::span<const PciWindow> windows) {
  auto pci = TRY(mm::make_box<PciPassthrough>(vm.hypervisor().heap(), vm, sink, segment, windows));
  for (const GuestRegion& region : vm.regions())
    if (region.gpa.overlaps(pci->ecam())) return vm.reject(Error::Overlap, "has memory where PCI configuration space is");
  TRY(map_configuration_space(PciScan(segment, segment.first_bus)));
  for (const PciAddress& address : vm.config().passthrough_pci) TRY(pci->add(address));
  return pci;
}

PciPassthrough::PciPassthrough(Vm& vm, PciMessageSink& sink, const acpi::PciSegment& segment, std::span<const PciWindow> windows)
    : vm_(vm), sink_(sink), segment_(segment), bus_(static_cast<PciSpace&>(*this)) {
  for (const PciWindow& window : windows) static_cast<void>(machine_windows_.push_back(window));
}

PciPassthrough::~PciPassthrough() {
  quiesce();
  vm_.hypervisor().device_owners().release(owner());
}

void PciPassthrough::quiesce() {
  for (mm::Box<Function>& function : functions_) function->model.detach();
}

Result<void> PciPassthrough::add(PciAddress at) {
  std::string_view why = "its host bridge has no such bus";
  const auto attempt = [&]() -> Result<void> {
    const drivers::PciFunction place{at.segment, at.bus, at.device, at.function};
    auto box = TRY(mm::make_box<Function>(vm_.hypervisor().heap(), segment_, place, sink_));
    Function& function = *box;
    const HpaRange registers = TRY(function.ecam.registers_of(place));
    TRY(platform::map_device(registers));
    why = "another VM or the host has it";
    TRY(vm_.hypervisor().device_owners().claim(owner(), registers));
    why = "it is not there, or is a bridge";
    TRY(function.model.probe(ArchVm::kHasPorts));
    why = "its memory has no address, and its host bridge no room";
    TRY(find_addresses(function));
    why = "another VM or the host has a part of its memory or ports";
    TRY(take_bars(function));
    why = "it has no messages, and its interrupt line is another VM's or the host's: give all functions that share it to one VM";
    TRY(functions_.push_back(std::move(box)));
    TRY(take_messages(function));
    TRY(take_line(function));
    function.model.attach(messages_);
    return bus_.without_lock().add(function.model);
  };
  const auto added = attempt();
  if (!added) {
    log::error("VM {}: PCI function {:04x}:{:02x}:{:02x}.{} cannot be given to it: {} ({})", vm_.name(), at.segment, at.bus, at.device,
               at.function, why, added.error());
  }
  return added;
}

// ---- memory ---------------------------------------------------------------------------------------------------------------

// Where firmware has put it; on machines that start without one, where there is room. Behind a bridge only firmware knows.
Result<void> PciPassthrough::find_addresses(Function& function) {
  PciScan::Taken taken;
  for (PciBar& bar : function.model.bars()) {
    if (bar.is_port) {
      bar.base = Hpa(bar.bus);
      continue;
    }
    auto address = bar.bus == 0 ? std::nullopt : pci_address_of(machine_windows_, false, bar.bus, bar.size);
    if (ArchVm::kPlacesPciMemory && !address && function.address.bus == segment_.first_bus) {
      if (taken.empty()) taken = PciScan(segment_, segment_.first_bus).taken();
      const auto room = find_pci_room(machine_windows_, taken, bar.size, bar.is_64bit);
      if (!room) return fail(Error::OutOfMemory);
      bar.bus = *room;
      static_cast<void>(taken.push_back({bar.bus, bar.size}));
      address = pci_address_of(machine_windows_, false, bar.bus, bar.size);
    }
    if (!address) return fail(Error::BadState);
    bar.base = Hpa(*address);
  }
  return {};
}

Result<void> PciPassthrough::take_bars(Function& function) {
  DeviceOwners& owners = vm_.hypervisor().device_owners();
  for (const PciBar& bar : function.model.bars()) {
    const HpaRange range = bar.is_port ? DeviceOwners::ports(static_cast<u16>(bar.bus), bar.size) : HpaRange{bar.base, bar.size};
    TRY(owners.claim(owner(), range));
    if (!bar.is_port) TRY(platform::map_device(DeviceOwners::pages_around(range)));
  }
  return {};
}

GpaRange PciPassthrough::window(bool above_4gib) const {
  Gpa first(~u64{0}), end(0);
  for (const mm::Box<Function>& function : functions_) {
    for (const PciBar& bar : function->model.bars()) {
      if (bar.is_port || (bar.base.value() >= k4GiB) != above_4gib) continue;
      first = std::min(first, Gpa(bar.base.value()));
      end = std::max(end, Gpa(bar.base.value() + bar.size));
    }
  }
  return end == Gpa(0) ? GpaRange{} : GpaRange{first, end - first};
}

Result<void> PciPassthrough::start() {
  usize ranges = 0;
  for (const mm::Box<Function>& function : functions_) ranges += function->model.bars().size();
  TRY(vm_.arch.set_tables_aside(std::min(ranges * kTablesPerRange, TranslationTables::kMaxReserve)));
  if (bus_.without_lock().start()) return {};
  return vm_.reject(Error::Overlap, "has something else where the memory of its PCI functions is");
}

bool PciPassthrough::map(GpaRange range, Hpa target) {
  return vm_.arch.map(range, target, mm::kDeviceReadWrite).has_value();
}

void PciPassthrough::unmap(GpaRange range) { vm_.arch.unmap(range); }

bool PciPassthrough::open_ports(u16 first, u32 count, bool open) { return vm_.arch.open_ports(first, count, open); }

// ---- interrupts -----------------------------------------------------------------------------------------------------------

Result<void> PciPassthrough::take_messages(Function& function) {
  messages_.clear();
  const u32 first = static_cast<u32>(functions_.size() - 1) * VPciFunction::kMaxMessages;
  for (u32 i = 0; i < function.model.message_count(); ++i) {
    const auto message = vm_.arch.give_message(first + i);
    if (!message) break;  // fewer will do, or none
    TRY(messages_.push_back(*message));
  }
  return {};
}

// A bridge passes its devices' pins on, turned by the device's number (PCI-to-PCI Bridge 1.2 9.1).
Result<u8> PciPassthrough::root_pin(drivers::PciFunction& place, u8 pin) const {
  for (u8 depth = 0; place.bus != segment_.first_bus; ++depth) {
    if (depth == kDeepest) return fail(Error::NotFound);
    std::optional<drivers::PciFunction> bridge;
    for (u32 bus = segment_.first_bus; bus < place.bus && !bridge; ++bus) {
      const PciScan scan(segment_, static_cast<u8>(bus));
      TRY(map_configuration_space(scan));
      scan.for_each_function([&](const drivers::PciFunction& f, u8 type) {
        if (type == PciScan::kBridge && scan.bus_behind(f) == place.bus) bridge = f;
      });
    }
    if (!bridge) return fail(Error::NotFound);
    pin = static_cast<u8>((pin - 1 + place.device) % kPins + 1);
    place = *bridge;
  }
  return pin;
}

// Who has messages can do without its line.
Result<void> PciPassthrough::take_line(Function& function) {
  VPciFunction& model = function.model;
  const u8 pin = model.hardware_interrupt_pin();
  const auto index = static_cast<unsigned>(functions_.size() - 1);
  const auto find = [&]() -> Result<u32> {
    if (pin == 0 || vm_.config().interrupt_mode == InterruptMode::None) return fail(Error::NotFound);
    drivers::PciFunction place = function.address;
    // What firmware says of a line is about the function itself.
    u8 root = pin;
    if constexpr (ArchVm::kPlacesPciMemory) root = TRY(root_pin(place, pin));
    return vm_.arch.find_pci_line(place.device, root, model.hardware_interrupt_line());
  };
  const auto machine_line = find();
  if (!machine_line) {
    if (messages_.empty()) log::warn("VM {}: PCI function {:02x}:{:02x}.{} has no interrupt", vm_.name(), function.address.bus,
                                     function.address.device, function.address.function);
    return {};
  }
  const auto same = std::ranges::find(lines_, *machine_line, &GuestPciLine::machine_line);
  const auto line = same != lines_.end() ? Result<u32>(same->line) : vm_.arch.give_pci_line(*machine_line, lines_);
  if (!line) {
    if (messages_.empty()) return fail(line.error());
    log::info("VM {}: PCI function {:02x}:{:02x}.{} has messages only: line {} is not free", vm_.name(), function.address.bus,
              function.address.device, function.address.function, *machine_line);
    return {};
  }
  model.give_interrupt_pin(static_cast<u8>(std::min<u32>(*line, 0xff)));
  return lines_.push_back({VPciBus::device_number(index), pin, *line, *machine_line}) ? Result<void>() : fail(Error::OutOfMemory);
}

void PciPassthrough::hardware_message(u32 number) {
  const u32 function = number / VPciFunction::kMaxMessages;
  const auto bus = bus_.lock_masked();
  if (function < bus->size()) bus->function(function).hardware_message(number % VPciFunction::kMaxMessages);
}

// ---- exits ----------------------------------------------------------------------------------------------------------------

// The machine's registers take aligned accesses only.
std::optional<u64> PciPassthrough::mmio_read(Gpa address, u32 size) {
  if (!is_aligned(address.value(), size)) return std::nullopt;
  const auto bus = bus_.lock_masked();
  if (!ecam().contains(address)) return bus->memory_read(address, size);
  if (size > sizeof(u32)) return std::nullopt;
  return bus->read(address - ecam().base, size);
}

bool PciPassthrough::mmio_write(Gpa address, u32 size, u64 value) {
  if (!is_aligned(address.value(), size)) return false;
  const auto bus = bus_.lock_masked();
  if (!ecam().contains(address)) return bus->memory_write(address, size, value);
  if (size > sizeof(u32)) return false;
  bus->write(address - ecam().base, size, static_cast<u32>(value));
  return true;
}

}  // namespace hv
