#include "platforms/x86-qemu-q35/discovery.hpp"

#include <algorithm>

#include "kernel/acpi/tables.hpp"
#include "platforms/common/ranges.hpp"

namespace ax::platform {
namespace {

constexpr u64 kMegabyte = 1_MiB;
/// The last APIC id that an xAPIC can name; 255 means all.
constexpr u32 kLastXapicId = 254;

class Discovery {
 public:
  Discovery(const mm::PhysicalWindow& memory, const BootInfo& info, const BootFacts& facts, MachineInfo& machine,
            DiscoveryFindings& findings)
      : memory_(memory), info_(info), facts_(facts), machine_(machine), pc_(machine.pc), findings_(findings) {}

  Result<void> run() {
    machine_.model = "PC";
    machine_.ram = info_.ram;
    machine_.reserved = info_.reserved;
    machine_.modules = info_.modules;
    machine_.command_line = info_.command_line;
    if (info_.incomplete) warn("the boot loader lists more memory or modules than are supported: the rest is not used");
    TRY(reserve({Hpa(0), kPageSize}));  // address 0 stays nobody's
    for (const ModuleInfo& module : machine_.modules) TRY(reserve(module.data));
    sort_and_join(machine_.reserved);
    TRY(find_trampoline());
    add_cpu(facts_.boot_apic_id);
    read_acpi();
    return {};
  }

 private:
  void warn(std::string_view text) { (void)findings_.warnings.push_back(text); }

  Result<void> reserve(HpaRange range) {
    if (range.empty()) return {};
    if (machine_.reserved.full()) sort_and_join(machine_.reserved);
    TRY(machine_.reserved.push_back(whole_pages_around(range)));
    return {};
  }

  Result<void> find_trampoline();
  void add_cpu(u32 apic_id);
  void read_acpi();
  void read_interrupt_controllers(const acpi::Tables& tables);
  void read_power(const acpi::Tables& tables);

  const mm::PhysicalWindow& memory_;
  const BootInfo& info_;
  const BootFacts& facts_;
  MachineInfo& machine_;
  PcInfo& pc_;
  DiscoveryFindings& findings_;
};

/// The highest free page below 1 MiB: firmware and boot loaders like the low ones.
Result<void> Discovery::find_trampoline() {
  for (const HpaRange& ram : machine_.ram) {
    if (ram.base >= Hpa(kMegabyte)) break;
    const HpaRange low{ram.base, std::min(ram.end().value(), kMegabyte) - ram.base.value()};
    TRY(for_each_gap(low, machine_.reserved, [&](HpaRange gap) -> Result<void> {
      findings_.trampoline = gap.end() - kPageSize;
      return {};
    }));
  }
  if (findings_.trampoline == Hpa(0)) {
    warn("no free page below 1 MiB: other CPUs stay off");
    return {};
  }
  TRY(reserve({findings_.trampoline, kPageSize}));
  sort_and_join(machine_.reserved);
  return {};
}

void Discovery::add_cpu(u32 apic_id) {
  for (const CpuInfo& cpu : machine_.cpus) {
    if (cpu.hardware_id == apic_id) return;
  }
  if (apic_id > kLastXapicId && !facts_.has_x2apic) return warn("a CPU that only an x2APIC could reach is left out");
  if (!machine_.cpus.push_back({.hardware_id = apic_id})) warn("more CPUs than are supported: the rest stays off");
}

void Discovery::read_interrupt_controllers(const acpi::Tables& tables) {
  const auto madt = tables.find("APIC");
  if (!madt) return warn("no MADT: only the boot CPU is used, and no device interrupt");
  const auto controllers = acpi::read_madt(*madt);
  if (!controllers) return warn("the MADT is damaged: only the boot CPU is used, and no device interrupt");
  if (controllers->incomplete) warn("the MADT lists more than is supported: the rest is not used");
  for (u32 apic_id : controllers->apic_ids) add_cpu(apic_id);
  if (controllers->local_apic != Hpa(0)) pc_.local_apic.base = controllers->local_apic;
  pc_.has_8259 = controllers->has_8259;
  pc_.io_apics = controllers->io_apics;
  pc_.overrides = controllers->overrides;
}

void Discovery::read_power(const acpi::Tables& tables) {
  const auto fadt = tables.find("FACP");
  const auto power = fadt ? acpi::read_fadt(*fadt) : fail(fadt.error());
  if (!power) return warn("no usable FADT: the machine cannot be switched off");
  pc_.power = *power;
  const auto dsdt = acpi::read_table(memory_, power->dsdt, "DSDT");
  const auto soft_off = dsdt ? acpi::find_soft_off(*dsdt) : fail(dsdt.error());
  if (!soft_off) return warn("no \\_S5 in the DSDT: the machine cannot be switched off");
  pc_.soft_off = *soft_off;
}

void Discovery::read_acpi() {
  const std::optional<Hpa> root = info_.rsdp != Hpa(0) ? info_.rsdp : acpi::scan_for_root_pointer(memory_);
  if (!root) return warn("no ACPI: only the boot CPU is used");
  const Result<acpi::Tables> tables = acpi::Tables::open(memory_, *root);
  if (!tables) return warn("the ACPI root table is damaged: only the boot CPU is used");
  read_interrupt_controllers(*tables);
  read_power(*tables);
  if (const auto mcfg = tables->find("MCFG")) {
    const auto segments = acpi::read_mcfg(*mcfg);
    segments ? static_cast<void>(pc_.pci = *segments) : warn("the MCFG is damaged: PCI devices are not reached");
  }
  if (const auto hpet = tables->find("HPET")) pc_.hpet = acpi::read_hpet(*hpet).value_or(Hpa(0));
}

}  // namespace

Result<void> discover(const mm::PhysicalWindow& memory, const BootInfo& info, const BootFacts& facts,
                      MachineInfo& machine, DiscoveryFindings& findings) {
  return Discovery(memory, info, facts, machine, findings).run();
}

}  // namespace ax::platform
