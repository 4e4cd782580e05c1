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

struct RuleText {
  Rule rule;
  bool error;
  void (*describe)(Sink&, const Violation&, Vms);
  std::string_view fix;
  std::span<const ConfigKey> also_reads;
};

constexpr ConfigKey kMemory[] = {ConfigKey::MemoryRegions};
constexpr ConfigKey kCpus[] = {ConfigKey::CpuNum};
constexpr ConfigKey kCode[] = {ConfigKey::MemoryRegions, ConfigKey::KernelPath, ConfigKey::KernelLoadAddr,
                               ConfigKey::BiosPath, ConfigKey::BiosLoadAddr};
constexpr ConfigKey kPlacement[] = {ConfigKey::MemoryRegions, ConfigKey::KernelLoadAddr, ConfigKey::DtbLoadAddr,
                                    ConfigKey::BiosLoadAddr, ConfigKey::RamdiskLoadAddr};
constexpr ConfigKey kBudget[] = {ConfigKey::BudgetUs, ConfigKey::PeriodUs};
constexpr ConfigKey kExclusive[] = {ConfigKey::PhysCpuIds, ConfigKey::PhysCpuSets, ConfigKey::Exclusive};

constexpr ConfigKey kDma[] = {ConfigKey::AllowUnprotectedDma};

constexpr std::string_view kPageFix = "use multiples of 0x1000 (4 KiB)";
constexpr std::string_view kRangeFix = "addresses end at 0x1_0000_0000_0000 (48 bits)";
constexpr std::string_view kOneOwnerFix = "give it to one of the two VMs only";

// One row per rule, in the order of the enumeration.
constexpr RuleText kRules[] = {
    {Rule::NameEmpty,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "the name is empty"); },
     "give the VM a name",
     {}},
    {Rule::NameTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "another VM has the name '{}' already", vm_name(v.where, vms));
     },
     "give each VM a name of its own: consoles and commands tell them apart by it",
     {}},
    {Rule::IdTaken,
     false,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "another VM has id {} already, this one takes the next free id", v.a);
     },
     "give each VM an id of its own",
     {}},
    {Rule::StartAfterUnknown,
     true,
     [](Sink& s, const Violation& v, Vms vms) { print(s, "there is no VM '{}'", device_name(v.where, vms)); },
     "name VMs that are built into the same image",
     {}},
    {Rule::StartAfterCycle,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       if (v.where.vm == v.other.vm) return print(s, "a VM cannot be started after itself");
       print(s, "VM '{}' is started after '{}' already, directly or over others: none of them could begin",
             vm_name(v.other, vms), vm_name(v.where, vms));
     },
     "remove one of the names",
     {}},
    {Rule::CpuCountOutOfRange,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "{} vCPUs: a VM has 1 to {}", v.a, v.b); },
     "",
     {}},
    {Rule::CpuIdsCount, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "phys_cpu_ids has {} entries, but cpu_num is {}", v.a, v.b); },
     "list one physical CPU per vCPU", kCpus},
    {Rule::CpuSetsCount, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "phys_cpu_sets has {} entries, but cpu_num is {}", v.a, v.b); },
     "list one mask per vCPU", kCpus},
    {Rule::CpuSetEmpty,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the mask of vCPU {} allows no CPU at all", v.where.index); },
     "set at least one bit: bit N stands for CPU N",
     {}},
    {Rule::CpuIdRepeated,
     false,
     [](Sink& s, const Violation& v, Vms) { print(s, "two vCPUs of this VM share physical CPU {:#x}", v.a); },
     "name a different CPU unless that is meant",
     {}},
    {Rule::CpuIdBeyondMachine,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "physical CPU {:#x} does not exist: the machine brings up {} (smp)", v.a, v.b);
     },
     "name a CPU below smp, or raise smp in the board file",
     {}},
    {Rule::CpuSetBeyondMachine,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "mask {:#x} names a CPU that does not exist: the machine brings up {} (smp)", v.a, v.b);
     },
     "clear the bits at and above smp, or raise smp in the board file",
     {}},
    {Rule::MoreCpusThanMachine,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "physical CPU {:#x} is one too many: the VMs name more CPUs than the {} that are brought up (smp)", v.a,
             v.b);
     },
     "let VMs share CPUs, or raise smp in the board file",
     {}},
    {Rule::ExclusiveWithoutCpus, true,
     [](Sink& s, const Violation&, Vms) { print(s, "exclusive = true, but the VM names no physical CPU"); },
     "add phys_cpu_ids (or phys_cpu_sets)", kExclusive},
    {Rule::ExclusiveCpuShared, true,
     [](Sink& s, const Violation& v, Vms vms) {
       const bool own = vms[v.where.vm].exclusive_cpus;
       print(s, "physical CPU {:#x} is exclusive to VM '{}'", v.a, vm_name(own ? v.where : v.other, vms));
     },
     "name another CPU, or set exclusive = false where CPUs may be shared", kExclusive},
    {Rule::NoCpuLeft, true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "no CPU is left for this VM: all {} (smp) are exclusive to VM '{}'", v.a, vm_name(v.other, vms));
     },
     "set exclusive = false there, leave it fewer CPUs, or raise smp in the board file", kExclusive},
    {Rule::BudgetAbovePeriod, true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "a vCPU cannot run for {} microseconds (budget_us) in every {} (period_us)", v.a, v.b);
     },
     "lower budget_us or raise period_us", kBudget},
    {Rule::PeriodWithoutBudget, true,
     [](Sink& s, const Violation&, Vms) { print(s, "period_us has no effect without budget_us"); },
     "add budget_us, or remove period_us", kBudget},
    {Rule::NoMemory,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "the VM has no memory"); },
     "add a region: [base, size, flags, map_type]",
     {}},
    {Rule::MemoryEmpty, true, [](Sink& s, const Violation&, Vms) { print(s, "the region has size 0"); }, kPageFix, {}},
    {Rule::MemoryWraps,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the region {:#x} + {:#x} leaves the address space", v.a, v.b); },
     kRangeFix,
     {}},
    {Rule::MemoryUnaligned,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "base {:#x} and size {:#x} must be multiples of the page size", v.a, v.b);
     },
     kPageFix,
     {}},
    {Rule::MemoryInaccessible,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "the flags let the guest neither read, write nor execute"); },
     "add 1 (read), 2 (write), 4 (execute): RAM is 0x7",
     {}},
    {Rule::MemoryOverlap,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the region {:#x} + {:#x} overlaps another one of this VM", v.a, v.b);
     },
     "move or shrink one of the two",
     {}},
    {Rule::SharedNotAlloc,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the shared region '{}' is not of map_type 0 (alloc)", region_of(v.where, vms).shared);
     },
     "use map_type 0: each VM gives the region an address of its own",
     {}},
    {Rule::SharedTwice,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "this VM has the shared region '{}' already", region_of(v.where, vms).shared);
     },
     "name it once, or use another name",
     {}},
    {Rule::SharedSizes,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the shared region '{}' has size {:#x} here and {:#x} there", region_of(v.where, vms).shared, v.a, v.b);
     },
     "give it one size in all VMs",
     {}},
    {Rule::SharedAlone,
     false,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "no other VM has the shared region '{}'", region_of(v.where, vms).shared);
     },
     "name it in another VM too, or remove the name",
     {}},
    {Rule::IdenticalMoves,
     false,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the identical region {:#x} + {:#x} is taken: it moves, and entry point and load addresses with it",
             v.a, v.b);
     },
     "choose free addresses, or set strict = true to make this an error",
     {}},
    {Rule::IdenticalStrict,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the identical region {:#x} + {:#x} is taken, and strict = true forbids moving it", v.a, v.b);
     },
     "choose free addresses, or set strict = false",
     {}},
    {Rule::ReservedTaken,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "two VMs claim the same reserved memory"); },
     kOneOwnerFix,
     {}},
    {Rule::EntryOutsideMemory, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the entry point {:#x} lies outside the VM's memory", v.a); },
     "put it inside a region of memory_regions", kMemory},
    {Rule::EntryNotExecutable, true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the entry point {:#x} lies in memory that is not executable", v.a);
     },
     "add 4 (execute) to the region's flags", kMemory},
    {Rule::EntryOutsideImage, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the entry point {:#x} lies outside the kernel image", v.a); },
     "entry_point is usually kernel_load_addr (or bios_load_addr)", kCode},
    {Rule::LoadOutsideMemory, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the load address {:#x} lies outside the VM's memory", v.a); },
     "put it inside a region of memory_regions", kMemory},
    {Rule::ImageTooLarge, true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the image needs {:#x} bytes, its region has room for {:#x}", v.a, v.b);
     },
     "enlarge the region or lower the load address", kPlacement},
    {Rule::ImagesOverlap, true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the image at {:#x} overlaps another one", v.a); },
     "move one of the load addresses", kPlacement},
    {Rule::DeviceNeitherPathNorRange,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "'{}' is neither a device-tree path nor an address range nor an interrupt", device_name(v.where, vms));
     },
     "write [\"/path/in/the/device/tree\"] or [name, base_gpa, base_hpa, length, irq] with a length or irq above 0",
     {}},
    {Rule::PassthroughEmpty,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "the range has size 0"); },
     kPageFix,
     {}},
    {Rule::PassthroughWraps,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the range {:#x} + {:#x} leaves the address space", v.a, v.b); },
     kRangeFix,
     {}},
    {Rule::PassthroughUnaligned,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the range {:#x} + {:#x} must start and end on a page: only whole pages can be passed through", v.a,
             v.b);
     },
     kPageFix,
     {}},
    {Rule::PassthroughOverMemory,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "the range {:#x} + {:#x} overlaps the VM's own memory", v.a, v.b);
     },
     "move the memory region or shrink the range",
     {}},
    {Rule::PassthroughConflict,
     true,
     [](Sink& s, const Violation& v, Vms) {
       print(s, "guest address {:#x} would have to lead to {:#x} and elsewhere too", v.a, v.b);
     },
     "make the ranges disjoint, or give both the same offset",
     {}},
    {Rule::PassthroughForeignMemory,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the range {:#x} + {:#x} reaches into the memory of VM '{}'", v.a, v.b, vm_name(v.other, vms));
     },
     "shrink the range or move the other VM's region",
     {}},
    {Rule::DeviceRepeated,
     false,
     [](Sink& s, const Violation& v, Vms vms) { print(s, "device {} is listed twice", device_name(v.where, vms)); },
     "remove one of the two",
     {}},
    {Rule::DeviceExcluded,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "device {} is passed through and excluded at the same time", device_name(v.where, vms));
     },
     "remove it from one of the two lists",
     {}},
    {Rule::DeviceTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "device {} belongs to VM '{}' already", device_name(v.where, vms), vm_name(v.other, vms));
     },
     kOneOwnerFix,
     {}},
    {Rule::RangeTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the host range {:#x} + {:#x} overlaps one of VM '{}'", v.a, v.b, vm_name(v.other, vms));
     },
     kOneOwnerFix,
     {}},
    {Rule::IrqTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "interrupt {} of '{}' belongs to '{}' of VM '{}' already", v.a, device_name(v.where, vms),
             device_name(v.other, vms), vm_name(v.other, vms));
     },
     kOneOwnerFix,
     {}},
    {Rule::PortsOutOfRange,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "ports {:#x} + {:#x} are not a range below 0x10000", v.a, v.b); },
     "",
     {}},
    {Rule::PortsTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "ports {:#x} + {:#x} overlap ports of VM '{}'", v.a, v.b, vm_name(v.other, vms));
     },
     kOneOwnerFix,
     {}},
    {Rule::PciRepeated,
     false,
     [](Sink& s, const Violation&, Vms) { print(s, "the PCI function is listed twice"); },
     "remove one of the two",
     {}},
    {Rule::PciTaken,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the PCI function belongs to VM '{}' already", vm_name(v.other, vms));
     },
     kOneOwnerFix,
     {}},
    {Rule::UnprotectedDma,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       if (v.where.key == ConfigKey::PassthroughPci) print(s, "a PCI function");
       else print(s, "device {}", device_name(v.where, vms));
       print(s, " can write to all of the machine's memory: no IOMMU confines it");
     },
     "add allow_unprotected_dma = true if the guest is to be trusted with that",
     kDma},
    {Rule::DmaNeedsHostAddresses,
     true,
     [](Sink& s, const Violation&, Vms) {
       print(s, "devices that do DMA would miss this memory: they know host addresses, and the guest knows its own");
     },
     "use map_type 1 (identical) or 2 (reserved)",
     kDma},
    {Rule::ExcludedNotPath,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "'{}' is not a device-tree path", device_name(v.where, vms));
     },
     "a path starts with '/'",
     {}},
    {Rule::EmulatedEmpty,
     true,
     [](Sink& s, const Violation&, Vms) { print(s, "the device has no window: its length is 0"); },
     "give the length in bytes as the third value",
     {}},
    {Rule::EmulatedWraps,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the window {:#x} + {:#x} leaves the address space", v.a, v.b); },
     kRangeFix,
     {}},
    {Rule::EmulatedOverMemory,
     true,
     [](Sink& s, const Violation& v, Vms) { print(s, "the window {:#x} + {:#x} overlaps the VM's memory", v.a, v.b); },
     "move the device or the memory region",
     {}},
    {Rule::EmulatedOverlap,
     true,
     [](Sink& s, const Violation& v, Vms vms) {
       print(s, "the window {:#x} + {:#x} overlaps device '{}'", v.a, v.b, device_name(v.other, vms));
     },
     "move one of the two",
     {}},
};

consteval bool rows_are_in_order() {
  for (usize i = 0; i < std::size(kRules); ++i) {
    if (static_cast<usize>(kRules[i].rule) != i) return false;
  }
  return std::size(kRules) == static_cast<usize>(Rule::EmulatedOverlap) + 1;
}
static_assert(rows_are_in_order());

const RuleText& row(Rule rule) { return kRules[static_cast<usize>(rule)]; }

}  // namespace

std::string_view toml_path(ConfigKey key) { return kTomlPaths[static_cast<usize>(key)]; }
bool is_error(Rule rule) { return row(rule).error; }
std::string_view fix_for(Rule rule) { return row(rule).fix; }
std::span<const ConfigKey> also_reads(Rule rule) { return row(rule).also_reads; }

void describe(Sink& sink, const Violation& violation, std::span<const VmConfig> vms) {
  row(violation.rule).describe(sink, violation, vms);
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
