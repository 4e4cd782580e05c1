#include "hypervisor/vm/pci_passthrough.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/mmio.hpp>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 k4GiB = u64{1} << 32;
constexpr u64 kResetTicksDivisor = 10;  // of a second: 100 ms

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

Result<mm::Box<PciPassthrough>> PciPassthrough::create(Vm& vm, PciMessageSink& sink) {
  const auto segments = vm.hypervisor().machine().pc.pci;
  if (segments.empty()) return vm.reject(Error::NotFound, "wants PCI functions of a machine that has no PCI Express");
  auto pci = TRY(mm::make_box<PciPassthrough>(vm.hypervisor().heap(), vm, sink, segments[0]));
  for (const GuestRegion& region : vm.regions())
    if (region.gpa.overlaps(pci->ecam())) return vm.reject(Error::Overlap, "has memory where PCI configuration space is");
  for (const PciAddress& address : vm.config().passthrough_pci) {
    if (const auto added = pci->add(address); !added) {
      log::error("VM {}: PCI function {:04x}:{:02x}:{:02x}.{} cannot be given to it: {}", vm.name(), address.segment, address.bus,
                 address.device, address.function, added.error());
      return std::unexpected(added.error());
    }
  }
  return pci;
}

PciPassthrough::~PciPassthrough() {
  for (mm::Box<Function>& function : functions_) function->model.detach();
}

Result<void> PciPassthrough::add(PciAddress at) {
  const drivers::PciFunction place{at.segment, at.bus, at.device, at.function};
  auto box = TRY(mm::make_box<Function>(vm_.hypervisor().heap(), segment_, place, sink_));
  Function& function = *box;
  const HpaRange registers = TRY(function.ecam.registers_of(place));
  TRY(platform::map_device(registers));
  TRY(vm_.hypervisor().device_owners().claim(vm_.number(), registers));
  TRY(function.model.probe());
  for (const PciBar& bar : function.model.bars()) {
    if (bar.size < kPageSize) return fail(Error::NotSupported);  // shares its page with others
    TRY(platform::map_device({bar.base, bar.size}));
  }
  TRY(functions_.push_back(std::move(box)));
  TRY(map_bars(function));

  StaticVector<PciMessage, VPciFunction::kMaxMessages> messages;
  const u32 first = static_cast<u32>(functions_.size() - 1) * VPciFunction::kMaxMessages;
  for (u32 i = 0; i < function.model.message_count(); ++i) {
    const auto message = vm_.hypervisor().interrupts().give_message(vm_, first + i);
    if (!message && i == 0) return std::unexpected(message.error());
    if (!message) break;  // fewer will do
    TRY(messages.push_back(*message));
  }
  if (messages.empty()) log::warn("VM {}: PCI function {:02x}:{:02x}.{} has no messages, and no interrupt", vm_.name(), at.bus, at.device, at.function);
  function.model.attach(messages);
  return bus_.add(function.model);
}

// A page with registers that are mediated stays out.
Result<void> PciPassthrough::map_bars(Function& function) {
  for (const PciBar& bar : function.model.bars()) {
    const HpaRange range{bar.base, bar.size};
    Hpa from = bar.base;
    for (Hpa page = bar.base; page <= range.end(); page = page + kPageSize) {
      if (page != range.end() && !function.model.mediates(page)) continue;
      if (from != page) TRY(vm_.map_device("PCI memory", Gpa(from.value()), {from, page - from}));
      if (page != range.end()) TRY(vm_.hypervisor().device_owners().claim(vm_.number(), {page, kPageSize}));
      from = page + kPageSize;
    }
  }
  return {};
}

GpaRange PciPassthrough::window(bool above_4gib) const {
  Gpa first(~u64{0}), end(0);
  for (const mm::Box<Function>& function : functions_) {
    for (const PciBar& bar : function->model.bars()) {
      if ((bar.base.value() >= k4GiB) != above_4gib) continue;
      first = std::min(first, Gpa(bar.base.value()));
      end = std::max(end, Gpa(bar.base.value() + bar.size));
    }
  }
  return end == Gpa(0) ? GpaRange{} : GpaRange{first, end - first};
}

VPciFunction* PciPassthrough::mediator(Gpa address) {
  for (mm::Box<Function>& function : functions_)
    if (function->model.mediates(Hpa(address.value()).align_down(kPageSize))) return &function->model;
  return nullptr;
}

// The machine's registers take aligned accesses only.
std::optional<u64> PciPassthrough::mmio_read(Gpa address, u32 size) {
  if (!is_aligned(address.value(), size)) return std::nullopt;
  if (VPciFunction* function = mediator(address)) return function->read_memory(Hpa(address.value()), size);
  if (!ecam().contains(address) || size > sizeof(u32)) return std::nullopt;
  return bus_.read(address - ecam().base, size);
}

bool PciPassthrough::mmio_write(Gpa address, u32 size, u64 value) {
  if (!is_aligned(address.value(), size)) return false;
  if (VPciFunction* function = mediator(address)) {
    function->write_memory(Hpa(address.value()), size, value);
    return true;
  }
  if (!ecam().contains(address) || size > sizeof(u32)) return false;
  bus_.write(address - ecam().base, size, static_cast<u32>(value));
  return true;
}

void PciPassthrough::hardware_message(u32 number) {
  const u32 function = number / VPciFunction::kMaxMessages;
  if (function < functions_.size()) functions_[function]->model.hardware_message(number % VPciFunction::kMaxMessages);
}

}  // namespace hv
