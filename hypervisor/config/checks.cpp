#include "hypervisor/config/checks.hpp"

namespace hv {
namespace {

constexpr std::string_view kTomlPaths[] = {
    "base.id",
    "base.name",
    "base.start_after",
    "base.cpu_num",
    "base.phys_cpu_ids",
    "base.phys_cpu_sets",
    "base.exclusive",
    "base.budget_us",
    "base.period_us",
    "kernel.entry_point",
    "kernel.kernel_path",
    "kernel.kernel_load_addr",
    "kernel.dtb_path",
    "kernel.dtb_load_addr",
    "kernel.bios_path",
    "kernel.bios_load_addr",
    "kernel.ramdisk_path",
    "kernel.ramdisk_load_addr",
    "kernel.memory_regions",
    "devices.passthrough_devices",
    "devices.passthrough_addresses",
    "devices.passthrough_ports",
    "devices.passthrough_pci",
    "devices.allow_unprotected_dma",
    "devices.excluded_devices",
    "devices.emu_devices",
};
static_assert(std::size(kTomlPaths) == static_cast<usize>(ConfigKey::EmuDevices) + 1);

using Vms = std::span<const VmConfig>;

std::string_view vm_name(const Place& place, Vms vms) { return vms[place.vm].name; }

/// The last part of the key's path: what the user wrote.
std::string_view key_name(ConfigKey key) {
  const std::string_view path = toml_path(key);
  return path.substr(path.find('.') + 1);
}

std::string_view device_name(const Place& place, Vms vms) {
  const VmConfig& vm = vms[place.vm];
  switch (place.key) {
    case ConfigKey::PassthroughDevices: return vm.passthrough_devices[place.index].name;
    case ConfigKey::EmuDevices: return vm.emulated_devices[place.index].name;
    case ConfigKey::ExcludedDevices: return vm.excluded_devices[place.index];
    case ConfigKey::StartAfter: return vm.start_after[place.index];
    default: return key_name(place.key);
  }
}

const MemoryRegion& region_of(const Place& place, Vms vms) { return vms[place.vm].memory[place.index]; }

/// In `text`, {a} and {b} stand for the violation's numbers, {A} and {B} for the same in hexadecimal; {v} and {o} for the VM where it is
/// and the other one, {d} and {e} for their devices; {i} for the index, {s} for the shared region, {x} for the VM that has the CPU to
/// itself, {p} for a PCI function or a device.
struct RuleText {
  Rule rule;
  bool error;
  const char* text;
  const char* fix;
  std::span<const ConfigKey> also_reads;
};

constexpr ConfigKey kMemory[] = {ConfigKey::MemoryRegions};
constexpr ConfigKey kCpus[] = {ConfigKey::CpuNum};
constexpr ConfigKey kCode[] = {ConfigKey::MemoryRegions, ConfigKey::KernelPath, ConfigKey::KernelLoadAddr, ConfigKey::BiosPath,
                               ConfigKey::BiosLoadAddr};
constexpr ConfigKey kPlacement[] = {ConfigKey::MemoryRegions, ConfigKey::KernelLoadAddr, ConfigKey::DtbLoadAddr,
                                    ConfigKey::BiosLoadAddr, ConfigKey::RamdiskLoadAddr};
constexpr ConfigKey kBudget[] = {ConfigKey::BudgetUs, ConfigKey::PeriodUs};
constexpr ConfigKey kExclusive[] = {ConfigKey::PhysCpuIds, ConfigKey::PhysCpuSets, ConfigKey::Exclusive};

constexpr ConfigKey kDma[] = {ConfigKey::AllowUnprotectedDma};

constexpr const char* kPageFix = "use multiples of 0x1000 (4 KiB)";
constexpr const char* kRangeFix = "addresses end at 0x1_0000_0000_0000 (48 bits)";
constexpr const char* kOneOwnerFix = "give it to one of the two VMs only";

// One row per rule, in the order of the enumeration.
constexpr RuleText kRules[] = {
    {Rule::NameEmpty, true, "the name is empty", "give the VM a name", {}},
    {Rule::NameTaken,
     true,
     "another VM has the name '{v}' already",
     "give each VM a name of its own: consoles and commands tell them apart by it",
     {}},
    {Rule::IdTaken, false, "another VM has id {a} already, this one takes the next free id", "give each VM an id of its own", {}},
    {Rule::StartAfterUnknown, true, "there is no VM '{d}'", "name VMs that are built into the same image", {}},
    {Rule::StartAfterItself, true, "a VM cannot be started after itself", "remove one of the names", {}},
    {Rule::StartAfterCycle,
     true,
     "VM '{o}' is started after '{v}' already, directly or over others: none of them could begin",
     "remove one of the names",
     {}},
    {Rule::CpuCountOutOfRange, true, "{a} vCPUs: a VM has 1 to {b}", "", {}},
    {Rule::CpuIdsCount, true, "phys_cpu_ids has {a} entries, but cpu_num is {b}", "list one physical CPU per vCPU", kCpus},
    {Rule::CpuSetsCount, true, "phys_cpu_sets has {a} entries, but cpu_num is {b}", "list one mask per vCPU", kCpus},
    {Rule::CpuSetEmpty, true, "the mask of vCPU {i} allows no CPU at all", "set at least one bit: bit N stands for CPU N", {}},
    {Rule::CpuIdRepeated, false, "two vCPUs of this VM share physical CPU {A}", "name a different CPU unless that is meant", {}},
    {Rule::CpuIdBeyondMachine,
     true,
     "physical CPU {A} does not exist: the machine brings up {b} (smp)",
     "name a CPU below smp, or raise smp in the board file",
     {}},
    {Rule::CpuSetBeyondMachine,
     true,
     "mask {A} names a CPU that does not exist: the machine brings up {b} (smp)",
     "clear the bits at and above smp, or raise smp in the board file",
     {}},
    {Rule::MoreCpusThanMachine,
     true,
     "physical CPU {A} is one too many: the VMs name more CPUs than the {b} that are brought up (smp)",
     "let VMs share CPUs, or raise smp in the board file",
     {}},
    {Rule::ExclusiveWithoutCpus, true, "exclusive = true, but the VM names no physical CPU",
     "add phys_cpu_ids (or phys_cpu_sets)", kExclusive},
    {Rule::ExclusiveCpuShared, true, "physical CPU {A} is exclusive to VM '{x}'",
     "name another CPU, or set exclusive = false where CPUs may be shared", kExclusive},
    {Rule::NoCpuLeft, true, "no CPU is left for this VM: all {a} (smp) are exclusive to VM '{o}'",
     "set exclusive = false there, leave it fewer CPUs, or raise smp in the board file", kExclusive},
    {Rule::BudgetAbovePeriod, true, "a vCPU cannot run for {a} microseconds (budget_us) in every {b} (period_us)",
     "lower budget_us or raise period_us", kBudget},
    {Rule::PeriodWithoutBudget, true, "period_us has no effect without budget_us", "add budget_us, or remove period_us", kBudget},
    {Rule::NoMemory, true, "the VM has no memory", "add a region: [base, size, flags, map_type]", {}},
    {Rule::MemoryEmpty, true, "the region has size 0", kPageFix, {}},
    {Rule::MemoryWraps, true, "the region {A} + {B} leaves the address space", kRangeFix, {}},
    {Rule::MemoryUnaligned, true, "base {A} and size {B} must be multiples of the page size", kPageFix, {}},
    {Rule::MemoryInaccessible,
     true,
     "the flags let the guest neither read, write nor execute",
     "add 1 (read), 2 (write), 4 (execute): RAM is 0x7",
     {}},
    {Rule::MemoryOverlap, true, "the region {A} + {B} overlaps another one of this VM", "move or shrink one of the two", {}},
    {Rule::SharedNotAlloc,
     true,
     "the shared region '{s}' is not of map_type 0 (alloc)",
     "use map_type 0: each VM gives the region an address of its own",
     {}},
    {Rule::SharedTwice, true, "this VM has the shared region '{s}' already", "name it once, or use another name", {}},
    {Rule::SharedSizes, true, "the shared region '{s}' has size {A} here and {B} there", "give it one size in all VMs", {}},
    {Rule::SharedAlone, false, "no other VM has the shared region '{s}'", "name it in another VM too, or remove the name", {}},
    {Rule::IdenticalMoves,
     false,
     "the identical region {A} + {B} is taken: it moves, and entry point and load addresses with it",
     "choose free addresses, or set strict = true to make this an error",
     {}},
    {Rule::IdenticalStrict,
     true,
     "the identical region {A} + {B} is taken, and strict = true forbids moving it",
     "choose free addresses, or set strict = false",
     {}},
    {Rule::ReservedTaken, true, "two VMs claim the same reserved memory", kOneOwnerFix, {}},
    {Rule::EntryOutsideMemory, true, "the entry point {A} lies outside the VM's memory",
     "put it inside a region of memory_regions", kMemory},
    {Rule::EntryNotExecutable, true, "the entry point {A} lies in memory that is not executable",
     "add 4 (execute) to the region's flags", kMemory},
    {Rule::EntryOutsideImage, true, "the entry point {A} lies outside the kernel image",
     "entry_point is usually kernel_load_addr (or bios_load_addr)", kCode},
    {Rule::LoadOutsideMemory, true, "the load address {A} lies outside the VM's memory",
     "put it inside a region of memory_regions", kMemory},
    {Rule::ImageTooLarge, true, "the image needs {A} bytes, its region has room for {B}",
     "enlarge the region or lower the load address", kPlacement},
    {Rule::ImagesOverlap, true, "the image at {A} overlaps another one", "move one of the load addresses", kPlacement},
    {Rule::DeviceNeitherPathNorRange,
     true,
     "'{d}' is neither a device-tree path nor an address range nor an interrupt",
     "write [\"/path/in/the/device/tree\"] or [name, base_gpa, base_hpa, length, irq] with a length or irq above 0",
     {}},
    {Rule::PassthroughEmpty, true, "the range has size 0", kPageFix, {}},
    {Rule::PassthroughWraps, true, "the range {A} + {B} leaves the address space", kRangeFix, {}},
    {Rule::PassthroughUnaligned,
     true,
     "the range {A} + {B} must start and end on a page: only whole pages can be passed through",
     kPageFix,
     {}},
    {Rule::PassthroughOverMemory,
     true,
     "the range {A} + {B} overlaps the VM's own memory",
     "move the memory region or shrink the range",
     {}},
    {Rule::PassthroughConflict,
     true,
     "guest address {A} would have to lead to {B} and elsewhere too",
     "make the ranges disjoint, or give both the same offset",
     {}},
    {Rule::PassthroughForeignMemory,
     true,
     "the range {A} + {B} reaches into the memory of VM '{o}'",
     "shrink the range or move the other VM's region",
     {}},
    {Rule::DeviceRepeated, false, "device {d} is listed twice", "remove one of the two", {}},
    {Rule::DeviceExcluded,
     true,
     "device {d} is passed through and excluded at the same time",
     "remove it from one of the two lists",
     {}},
    {Rule::DeviceTaken, true, "device {d} belongs to VM '{o}' already", kOneOwnerFix, {}},
    {Rule::RangeTaken, true, "the host range {A} + {B} overlaps one of VM '{o}'", kOneOwnerFix, {}},
    {Rule::IrqTaken, true, "interrupt {a} of '{d}' belongs to '{e}' of VM '{o}' already", kOneOwnerFix, {}},
    {Rule::PortsOutOfRange, true, "ports {A} + {B} are not a range below 0x10000", "", {}},
    {Rule::PortsTaken, true, "ports {A} + {B} overlap ports of VM '{o}'", kOneOwnerFix, {}},
    {Rule::PciRepeated, false, "the PCI function is listed twice", "remove one of the two", {}},
    {Rule::PciTaken, true, "the PCI function belongs to VM '{o}' already", kOneOwnerFix, {}},
    {Rule::PciSegments,
     true,
     "the PCI function is behind another host bridge than the first one",
     "give a VM functions of one segment only: it sees one bus",
     {}},
    {Rule::PciTooMany, true, "more than {a} PCI functions", "leave some to another VM", {}},
    {Rule::UnprotectedDma, true, "{p} can write to all of the machine's memory: no IOMMU confines it",
     "add allow_unprotected_dma = true if the guest is to be trusted with that", kDma},
    {Rule::DmaNeedsHostAddresses, true,
     "devices that do DMA would miss this memory: they know host addresses, and the guest knows its own",
     "use map_type 1 (identical) or 2 (reserved)", kDma},
    {Rule::ExcludedNotPath, true, "'{d}' is not a device-tree path", "a path starts with '/'", {}},
    {Rule::EmulatedEmpty, true, "the device has no window: its length is 0", "give the length in bytes as the third value", {}},
    {Rule::EmulatedWraps, true, "the window {A} + {B} leaves the address space", kRangeFix, {}},
    {Rule::EmulatedOverMemory, true, "the window {A} + {B} overlaps the VM's memory", "move the device or the memory region", {}},
    {Rule::EmulatedOverlap, true, "the window {A} + {B} overlaps device '{e}'", "move one of the two", {}},
};

consteval bool rows_are_in_order() {
  for (usize i = 0; i < std::size(kRules); ++i) {
    if (static_cast<usize>(kRules[i].rule) != i) return false;
  }
  return std::size(kRules) == static_cast<usize>(Rule::EmulatedOverlap) + 1;
}
static_assert(rows_are_in_order());

consteval bool placeholders_are_known() {
  constexpr std::string_view kKnown = "abABvodeisxp";
  for (const RuleText& rule : kRules) {
    const std::string_view text = rule.text;
    for (usize at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1))
      if (kKnown.find(text[at + 1]) == std::string_view::npos || text[at + 2] != '}') return false;
  }
  return true;
}
static_assert(placeholders_are_known());

void write_placeholder(Sink& sink, char placeholder, const Violation& v, Vms vms) {
  switch (placeholder) {
    case 'a': return print(sink, "{}", v.a);
    case 'b': return print(sink, "{}", v.b);
    case 'A': return print(sink, "{:#x}", v.a);
    case 'B': return print(sink, "{:#x}", v.b);
    case 'i': return print(sink, "{}", v.where.index);
    case 'v': return sink.write(vm_name(v.where, vms));
    case 'o': return sink.write(vm_name(v.other, vms));
    case 'x': return sink.write(vm_name(vms[v.where.vm].exclusive_cpus ? v.where : v.other, vms));
    case 'd': return sink.write(device_name(v.where, vms));
    case 'e': return sink.write(device_name(v.other, vms));
    case 's': return sink.write(region_of(v.where, vms).shared);
    default:
      if (v.where.key == ConfigKey::PassthroughPci) return sink.write("a PCI function");
      print(sink, "device {}", device_name(v.where, vms));
  }
}

const RuleText& row(Rule rule) { return kRules[static_cast<usize>(rule)]; }

}  // namespace

std::string_view toml_path(ConfigKey key) { return kTomlPaths[static_cast<usize>(key)]; }
bool is_error(Rule rule) { return row(rule).error; }
std::string_view fix_for(Rule rule) { return row(rule).fix; }
std::span<const ConfigKey> also_reads(Rule rule) { return row(rule).also_reads; }

void describe(Sink& sink, const Violation& violation, std::span<const VmConfig> vms) {
  std::string_view text = row(violation.rule).text;
  for (usize at = text.find('{'); at != std::string_view::npos; at = text.find('{')) {
    constexpr usize kPlaceholder = 3;
    sink.write(text.substr(0, at));
    write_placeholder(sink, text[at + 1], violation, vms);
    text.remove_prefix(at + kPlaceholder);
  }
  sink.write(text);
}

void describe_other(Sink& sink, const Violation& violation, std::span<const VmConfig> vms) {
  const Place& other = violation.other;
  const VmConfig& vm = vms[other.vm];
  print(sink, "{} of VM '{}'", key_name(other.key), vm.name);
  if (other.key == ConfigKey::MemoryRegions) {
    const MemoryRegion& region = vm.memory[other.index];
    print(sink, ": {:#x} + {:#x}", region.gpa, region.size);
  }
}

}  // namespace hv
