// The rules that virtual machines must keep, alone and beside each other: shared by the generator and the hypervisor.
//
// `check()` is a template over two small policies, so that it runs in a constant expression, in the host tool (which
// knows image sizes from files and maps violations back to TOML lines) and on the target (which knows them from
// memory).
#pragma once

#include <array>
#include <bit>
#include <optional>

#include "hypervisor/config/bus_masters.hpp"
#include "hypervisor/config/kernel_format.hpp"
#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/format.hpp"

namespace hv {

/// Most vCPUs of one VM: what one GICv3 affinity-0 level addresses, and more than enough for a PC.
inline constexpr u32 kMaxConfiguredVcpus = 16;
/// Guest-physical and host-physical addresses end here: 48 bits, the most that a four-level table translates.
inline constexpr u64 kAddressLimit = u64{1} << 48;
/// x86 I/O ports end here.
inline constexpr u64 kPortLimit = 0x1'0000;

/// The keys of a VM description that a violation can point at.
enum class ConfigKey : u8 {
  Id,
  Name,
  StartAfter,
  CpuNum,
  PhysCpuIds,
  PhysCpuSets,
  Exclusive,
  BudgetUs,
  PeriodUs,
  EntryPoint,
  KernelPath,
  KernelLoadAddr,
  DtbPath,
  DtbLoadAddr,
  BiosPath,
  BiosLoadAddr,
  RamdiskPath,
  RamdiskLoadAddr,
  MemoryRegions,
  PassthroughDevices,
  PassthroughAddresses,
  PassthroughPorts,
  PassthroughPci,
  AllowUnprotectedDma,
  ExcludedDevices,
  EmuDevices,
};

/// The key as a TOML path: "kernel.entry_point".
std::string_view toml_path(ConfigKey key);

/// A value of one VM: `index` is the element of a list, or kWholeValue.
struct Place {
  static constexpr u32 kWholeValue = ~u32{0};
  u32 vm = 0;
  ConfigKey key = ConfigKey::Name;
  u32 index = kWholeValue;
  friend constexpr bool operator==(const Place&, const Place&) = default;
};

enum class Rule : u8 {
  NameEmpty,
  NameTaken,
  IdTaken,
  StartAfterUnknown,
  StartAfterItself,
  StartAfterCycle,
  CpuCountOutOfRange,
  CpuIdsCount,
  CpuSetsCount,
  CpuSetEmpty,
  CpuIdRepeated,
  CpuIdBeyondMachine,
  CpuSetBeyondMachine,
  MoreCpusThanMachine,
  ExclusiveWithoutCpus,
  ExclusiveCpuShared,
  NoCpuLeft,
  BudgetAbovePeriod,
  PeriodWithoutBudget,
  NoMemory,
  MemoryEmpty,
  MemoryWraps,
  MemoryUnaligned,
  MemoryInaccessible,
  MemoryOverlap,
  SharedNotAlloc,
  SharedTwice,
  SharedSizes,
  SharedAlone,
  IdenticalMoves,
  IdenticalStrict,
  ReservedTaken,
  EntryOutsideMemory,
  EntryNotExecutable,
  EntryOutsideImage,
  LoadOutsideMemory,
  ImageTooLarge,
  ImagesOverlap,
  DeviceNeitherPathNorRange,
  PassthroughEmpty,
  PassthroughWraps,
  PassthroughUnaligned,
  PassthroughOverMemory,
  PassthroughConflict,
  PassthroughForeignMemory,
  DeviceRepeated,
  DeviceExcluded,
  DeviceTaken,
  RangeTaken,
  IrqTaken,
  PortsOutOfRange,
  PortsTaken,
  PciRepeated,
  PciTaken,
  PciSegments,
  PciTooMany,
  UnprotectedDma,
  DmaNeedsHostAddresses,
  ExcludedNotPath,
  EmulatedEmpty,
  EmulatedWraps,
  EmulatedOverMemory,
  EmulatedOverlap,
};

/// One broken rule. `a` and `b` are the numbers that its text names (an address, a count, a limit).
struct Violation {
  Rule rule = Rule::NameEmpty;
  Place where{};
  Place other{};
  bool has_other = false;
  u64 a = 0;
  u64 b = 0;
};

/// True when the VMs cannot run as they are described; false for a warning.
bool is_error(Rule rule);
/// What is wrong, in one sentence without a full stop.
void describe(Sink& sink, const Violation& violation, std::span<const VmConfig> vms);
/// What stands at `violation.other`; only when `has_other`.
void describe_other(Sink& sink, const Violation& violation, std::span<const VmConfig> vms);
/// How to repair it; may be empty.
std::string_view fix_for(Rule rule);
/// Other keys whose values the rule reads: when one of them is itself wrong, the violation may be an echo of that.
std::span<const ConfigKey> also_reads(Rule rule);

/// What the checks may know about the world. A size or count of 0 means "not known": rules that need it are skipped.
struct NoFacts {
  constexpr u64 image_size(const Image&) const { return 0; }
  constexpr u32 cpu_count() const { return 0; }
  /// Whether the machine is a PC: CPU ids are APIC ids, which may have gaps, and kernels may say where they go.
  constexpr bool is_pc() const { return false; }
  /// Nothing: not known.
  constexpr std::optional<KernelFormat> format_of(const Image&) const { return KernelFormat::Flat; }
};

/// The facts of a running hypervisor: embedded images have their bytes.
struct TargetFacts {
  u32 cpus = 0;
  bool pc = false;
  constexpr u64 image_size(const Image& image) const { return image.begin == nullptr ? 0 : image.bytes().size(); }
  constexpr u32 cpu_count() const { return cpus; }
  constexpr bool is_pc() const { return pc; }
  constexpr std::optional<KernelFormat> format_of(const Image& image) const {
    if (image.begin == nullptr) return std::nullopt;
    return kernel_format(image.bytes());
  }
};

namespace detail {

/// A range that wraps or ends beyond `limit`.
constexpr bool leaves_space(u64 base, u64 size, u64 limit) { return base > limit || size > limit - base; }
constexpr bool overlap(u64 a, u64 a_size, u64 b, u64 b_size) {
  return a_size != 0 && b_size != 0 && a < b + b_size && b < a + a_size;
}
constexpr bool covers(u64 a, u64 a_size, u64 b, u64 b_size) { return a <= b && b + b_size <= a + a_size; }

/// One image of a VM with the keys it comes from.
struct NamedImage {
  const Image* image;
  ConfigKey path;
  ConfigKey load;
};
constexpr std::array<NamedImage, 4> images_of(const VmConfig& vm) {
  return {{{&vm.kernel, ConfigKey::KernelPath, ConfigKey::KernelLoadAddr},
           {&vm.dtb, ConfigKey::DtbPath, ConfigKey::DtbLoadAddr},
           {&vm.bios, ConfigKey::BiosPath, ConfigKey::BiosLoadAddr},
           {&vm.ramdisk, ConfigKey::RamdiskPath, ConfigKey::RamdiskLoadAddr}}};
}
/// One explicit passthrough range, whichever key it comes from.
struct DeviceRange {
  u64 gpa;
  u64 hpa;
  u64 size;
  Place place;
};

template <class Visit>
constexpr void for_each_device_range(const VmConfig& vm, u32 index, Visit&& visit) {
  for (u32 i = 0; i < vm.passthrough_devices.size(); ++i) {
    const PassthroughDevice& d = vm.passthrough_devices[i];
    if (d.size != 0)
      visit(DeviceRange{d.gpa.value(), d.hpa.value(), d.size, {index, ConfigKey::PassthroughDevices, i}});
  }
  for (u32 i = 0; i < vm.passthrough_ranges.size(); ++i) {
    const PassthroughRange& r = vm.passthrough_ranges[i];
    if (r.size != 0) {
      visit(DeviceRange{r.gpa.value(), r.gpa.value(), r.size, {index, ConfigKey::PassthroughAddresses, i}});
    }
  }
}

constexpr bool valid(const DeviceRange& r) {
  return !leaves_space(r.gpa, r.size, kAddressLimit) && !leaves_space(r.hpa, r.size, kAddressLimit);
}
constexpr bool valid(const MemoryRegion& r) { return !leaves_space(r.gpa.value(), r.size, kAddressLimit); }

/// Emulated devices of these types live in I/O port space or have no window, so they cannot collide with memory.
constexpr bool has_mmio_window(const EmulatedDevice& d) { return d.size != 0 && d.gpa.value() >= kPortLimit; }

template <class Facts, class Report>
class Checker {
 public:
  constexpr Checker(std::span<const VmConfig> vms, const Facts& facts, Report& report)
      : vms_(vms), facts_(facts), report_(report) {}

  constexpr void run() {
    for (u32 i = 0; i < vms_.size(); ++i) {
      identity(i);
      cpus(i);
      memory(i);
      entry(i);
      images(i);
      passthrough(i);
      ports_and_exclusions(i);
      dma(i);
      emulated(i);
      for (u32 j = 0; j < i; ++j) pair(j, i);
    }
    machine_size();
  }

 private:
  constexpr void fail(Rule rule, Place where, u64 a = 0, u64 b = 0) {
    report_(Violation{rule, where, {}, false, a, b});
  }
  constexpr void clash(Rule rule, Place where, Place other, u64 a = 0, u64 b = 0) {
    report_(Violation{rule, where, other, true, a, b});
  }

  constexpr void identity(u32 v) {
    if (vms_[v].name.empty()) fail(Rule::NameEmpty, {v, ConfigKey::Name});
    const auto names = vms_[v].start_after;
    for (u32 i = 0; i < names.size(); ++i) {
      const Place here{v, ConfigKey::StartAfter, i};
      const u32 other = named(names[i]);
      if (other == vms_.size()) {
        fail(Rule::StartAfterUnknown, here);
      } else if (leads_to(other, v) && first_of_cycle(v)) {
        const bool itself = other == v;
        clash(itself ? Rule::StartAfterItself : Rule::StartAfterCycle, here, {other, itself ? ConfigKey::Name : ConfigKey::StartAfter});
      }
    }
  }

  /// The VM called `name`, or the number of VMs.
  constexpr u32 named(std::string_view name) const {
    u32 v = 0;
    while (v < vms_.size() && vms_[v].name != name) ++v;
    return v;
  }

  /// Whether no VM before it is in a cycle with `v`: each cycle is reported once.
  constexpr bool first_of_cycle(u32 v) const {
    for (u32 w = 0; w < v; ++w)
      if (leads_to(w, v) && leads_to(v, w)) return false;
    return true;
  }

  /// Whether `from` is `to`, or is started after it, directly or over others.
  constexpr bool leads_to(u32 from, u32 to) const {
    constexpr u32 kMost = 64;  // VMs that are looked at
    u64 reached = from < kMost ? u64{1} << from : 0;
    for (u64 before = 0; before != reached;) {
      before = reached;
      for (u32 v = 0; v < vms_.size() && v < kMost; ++v) {
        if ((before >> v & 1) == 0) continue;
        for (const std::string_view name : vms_[v].start_after)
          if (const u32 next = named(name); next < vms_.size() && next < kMost) reached |= u64{1} << next;
      }
    }
    return to < kMost && (reached >> to & 1) != 0;
  }

  constexpr void cpus(u32 v) {
    const VmConfig& vm = vms_[v];
    if (vm.cpu_count == 0 || vm.cpu_count > kMaxConfiguredVcpus) {
      fail(Rule::CpuCountOutOfRange, {v, ConfigKey::CpuNum}, vm.cpu_count, kMaxConfiguredVcpus);
    }
    const Place count{v, ConfigKey::CpuNum};
    if (!vm.phys_cpu_ids.empty() && vm.phys_cpu_ids.size() != vm.cpu_count) {
      clash(Rule::CpuIdsCount, {v, ConfigKey::PhysCpuIds}, count, vm.phys_cpu_ids.size(), vm.cpu_count);
    }
    if (!vm.phys_cpu_sets.empty() && vm.phys_cpu_sets.size() != vm.cpu_count) {
      clash(Rule::CpuSetsCount, {v, ConfigKey::PhysCpuSets}, count, vm.phys_cpu_sets.size(), vm.cpu_count);
    }
    cpu_ids(v);
    cpu_sets(v);
    if (vm.exclusive_cpus && vm.phys_cpu_ids.empty() && vm.phys_cpu_sets.empty()) {
      fail(Rule::ExclusiveWithoutCpus, {v, ConfigKey::Exclusive});
    }
    no_cpu_left(v);
    budget(v);
  }

  constexpr bool names_cpus(u32 v) const { return !vms_[v].phys_cpu_ids.empty() || !vms_[v].phys_cpu_sets.empty(); }

  /// Which CPU has which id only the machine knows: one VM's exclusive CPUs are either all named by id or all by mask.
  constexpr void no_cpu_left(u32 v) {
    const u32 known = facts_.cpu_count();
    if (known == 0 || known >= 64 || names_cpus(v)) return;
    const u64 machine = (u64{1} << known) - 1;
    for (u32 other = 0; other < vms_.size(); ++other) {
      if (!vms_[other].exclusive_cpus) continue;
      u64 masks = 0;
      for (const u64 set : vms_[other].phys_cpu_sets) masks |= set;
      u32 ids = 0;
      for (u32 i = 0; masks == 0 && i < vms_[other].phys_cpu_ids.size(); ++i) ids += !repeats(vms_[other].phys_cpu_ids, i);
      if ((masks & machine) == machine || ids >= known) {
        return clash(Rule::NoCpuLeft, {v, ConfigKey::CpuNum}, {other, ConfigKey::Exclusive}, known);
      }
    }
  }
  static constexpr bool repeats(std::span<const u64> ids, u32 index) {
    for (u32 i = 0; i < index; ++i)
      if (ids[i] == ids[index]) return true;
    return false;
  }

  constexpr void budget(u32 v) {
    const VmConfig& vm = vms_[v];
    if (vm.budget_us == 0 && vm.period_us != 0) fail(Rule::PeriodWithoutBudget, {v, ConfigKey::PeriodUs});
    const u32 period = vm.period_us != 0 ? vm.period_us : kDefaultPeriodUs;
    if (vm.budget_us > period) fail(Rule::BudgetAbovePeriod, {v, ConfigKey::BudgetUs}, vm.budget_us, period);
  }

  constexpr void cpu_ids(u32 v) {
    const std::span<const u64> ids = vms_[v].phys_cpu_ids;
    // Affinity level 0 counts from 0 inside a cluster: a plain small id at or above the CPU count names no CPU.
    constexpr u64 kAffinity0 = 0xff;
    const bool counts_up = facts_.cpu_count() != 0 && !facts_.is_pc();
    for (u32 i = 0; i < ids.size(); ++i) {
      const Place here{v, ConfigKey::PhysCpuIds, i};
      if (counts_up && ids[i] <= kAffinity0 && ids[i] >= facts_.cpu_count()) {
        fail(Rule::CpuIdBeyondMachine, here, ids[i], facts_.cpu_count());
      }
      for (u32 j = 0; j < i; ++j) {
        if (ids[i] == ids[j]) clash(Rule::CpuIdRepeated, here, {v, ConfigKey::PhysCpuIds, j}, ids[i]);
      }
    }
  }

  constexpr void cpu_sets(u32 v) {
    const std::span<const u64> sets = vms_[v].phys_cpu_sets;
    const u32 known = facts_.cpu_count();
    const u64 machine = known == 0 || known >= 64 ? ~u64{0} : (u64{1} << known) - 1;
    for (u32 i = 0; i < sets.size(); ++i) {
      const Place here{v, ConfigKey::PhysCpuSets, i};
      if (sets[i] == 0) fail(Rule::CpuSetEmpty, here);
      if ((sets[i] & ~machine) != 0) fail(Rule::CpuSetBeyondMachine, here, sets[i], known);
    }
  }

  /// CPU ids are MPIDR values that only the machine knows; but more different ones than CPUs cannot all exist.
  constexpr void machine_size() {
    if (facts_.cpu_count() == 0) return;
    u32 distinct = 0;
    for (u32 v = 0; v < vms_.size(); ++v) {
      for (u32 i = 0; i < vms_[v].phys_cpu_ids.size(); ++i) {
        if (named_before(v, i)) continue;
        if (++distinct == facts_.cpu_count() + 1) {
          fail(Rule::MoreCpusThanMachine, {v, ConfigKey::PhysCpuIds, i}, vms_[v].phys_cpu_ids[i], facts_.cpu_count());
        }
      }
    }
  }
  constexpr bool named_before(u32 vm, u32 index) const {
    const u64 id = vms_[vm].phys_cpu_ids[index];
    for (u32 v = 0; v <= vm; ++v) {
      const std::span<const u64> ids = vms_[v].phys_cpu_ids;
      for (u32 i = 0; i < (v == vm ? index : ids.size()); ++i) {
        if (ids[i] == id) return true;
      }
    }
    return false;
  }

  constexpr void memory(u32 v) {
    const std::span<const MemoryRegion> regions = vms_[v].memory;
    if (regions.empty()) fail(Rule::NoMemory, {v, ConfigKey::MemoryRegions});
    for (u32 i = 0; i < regions.size(); ++i) {
      const MemoryRegion& r = regions[i];
      const Place here{v, ConfigKey::MemoryRegions, i};
      if (r.size == 0) fail(Rule::MemoryEmpty, here);
      if (!valid(r)) fail(Rule::MemoryWraps, here, r.gpa.value(), r.size);
      if (!is_aligned(r.gpa.value() | r.size, kPageSize)) fail(Rule::MemoryUnaligned, here, r.gpa.value(), r.size);
      if (!r.flags.read && !r.flags.write && !r.flags.execute) fail(Rule::MemoryInaccessible, here);
      if (!r.shared.empty()) shared_memory(here);
      for (u32 j = 0; j < i && valid(r); ++j) {
        const MemoryRegion& o = regions[j];
        if (valid(o) && overlap(r.gpa.value(), r.size, o.gpa.value(), o.size)) {
          clash(Rule::MemoryOverlap, here, {v, ConfigKey::MemoryRegions, j}, r.gpa.value(), r.size);
        }
      }
    }
  }

  /// Memory that several VMs have: any host memory, of one size, once in each VM.
  constexpr void shared_memory(Place here) {
    const MemoryRegion& r = vms_[here.vm].memory[here.index];
    if (r.map != MapType::Alloc) fail(Rule::SharedNotAlloc, here);
    bool alone = true;
    for (u32 v = 0; v < vms_.size(); ++v) {
      for (u32 i = 0; i < vms_[v].memory.size(); ++i) {
        const MemoryRegion& other = vms_[v].memory[i];
        if (other.shared != r.shared) continue;
        alone = alone && v == here.vm;
        const Place there{v, ConfigKey::MemoryRegions, i};
        if (v == here.vm && i < here.index) clash(Rule::SharedTwice, here, there);
        if (v < here.vm && other.size != r.size) clash(Rule::SharedSizes, here, there, r.size, other.size);
      }
    }
    if (alone) fail(Rule::SharedAlone, here);
  }

  /// The region that holds `address` and can hold images, or the number of regions.
  constexpr u32 region_at(const VmConfig& vm, u64 address) const {
    u32 i = 0;
    for (; i < vm.memory.size(); ++i) {
      const MemoryRegion& r = vm.memory[i];
      if (valid(r) && r.shared.empty() && r.gpa.value() <= address && address - r.gpa.value() < r.size) break;
    }
    return i;
  }

  /// Whether the kernel says itself where it is entered, so that entry_point has no meaning. On a PC a kernel that is not
  /// known yet may be such a one.
  constexpr bool brings_entry(const VmConfig& vm) const {
    if (vm.bios.present()) return false;
    const std::optional<KernelFormat> format = facts_.format_of(vm.kernel);
    return vm.kernel_places_itself || (format ? carries_entry(*format) : facts_.is_pc());
  }

  /// Whether the description fixes where the image goes; 0 leaves the choice to the hypervisor, except for the BIOS and
  /// for a kernel that does not know it.
  constexpr bool is_placed(const VmConfig& vm, const NamedImage& named) const {
    if (!named.image->present()) return named.image->load_address.value() != 0;
    if (named.load == ConfigKey::BiosLoadAddr) return true;
    if (named.load != ConfigKey::KernelLoadAddr) return named.image->load_address.value() != 0;
    const bool own_place = facts_.format_of(vm.kernel) == KernelFormat::Elf && !vm.bios.present();
    return !vm.kernel_places_itself && !own_place;
  }

  constexpr void entry(u32 v) {
    const VmConfig& vm = vms_[v];
    if (brings_entry(vm)) return;
    const u64 address = vm.entry_point.value();
    const Place here{v, ConfigKey::EntryPoint};
    const u32 region = region_at(vm, address);
    if (region == vm.memory.size()) {
      if (!vm.memory.empty()) fail(Rule::EntryOutsideMemory, here, address);
      return;
    }
    if (!vm.memory[region].flags.execute) {
      clash(Rule::EntryNotExecutable, here, {v, ConfigKey::MemoryRegions, region}, address);
    }
    if (!in_code_image(vm, address)) clash(Rule::EntryOutsideImage, here, {v, ConfigKey::KernelLoadAddr}, address);
  }

  /// Whether a kernel or BIOS image may hold `address`; an image of unknown size holds everything above its start.
  constexpr bool in_code_image(const VmConfig& vm, u64 address) const {
    for (const Image* image : {&vm.kernel, &vm.bios}) {
      const u64 size = facts_.image_size(*image);
      const u64 start = image->load_address.value();
      if (image->present() && start <= address && (size == 0 || address - start < size)) return true;
    }
    return false;
  }

  constexpr void images(u32 v) {
    const std::array<NamedImage, 4> all = images_of(vms_[v]);
    for (u32 i = 0; i < all.size(); ++i) {
      if (!is_placed(vms_[v], all[i])) continue;
      image_in_memory(v, all[i]);
      for (u32 j = 0; j < i; ++j) {
        if (is_placed(vms_[v], all[j])) image_pair(v, all[j], all[i]);
      }
    }
  }

  constexpr void image_in_memory(u32 v, const NamedImage& named) {
    const VmConfig& vm = vms_[v];
    const u64 address = named.image->load_address.value();
    const u32 region = region_at(vm, address);
    if (region == vm.memory.size()) {
      if (!vm.memory.empty()) fail(Rule::LoadOutsideMemory, {v, named.load}, address);
      return;
    }
    const MemoryRegion& r = vm.memory[region];
    const u64 size = facts_.image_size(*named.image);
    const u64 room = r.gpa.value() + r.size - address;
    if (size > room) clash(Rule::ImageTooLarge, {v, named.path}, {v, ConfigKey::MemoryRegions, region}, size, room);
  }

  /// An image of unknown size occupies at least its first byte.
  constexpr void image_pair(u32 v, const NamedImage& first, const NamedImage& second) {
    const u64 a = first.image->load_address.value();
    const u64 b = second.image->load_address.value();
    const u64 a_size = facts_.image_size(*first.image);
    const u64 b_size = facts_.image_size(*second.image);
    if (a >= kAddressLimit || b >= kAddressLimit) return;
    if (overlap(a, a_size == 0 ? 1 : a_size, b, b_size == 0 ? 1 : b_size)) {
      clash(Rule::ImagesOverlap, {v, second.load}, {v, first.load}, b, a_size);
    }
  }

  constexpr void passthrough(u32 v) {
    const VmConfig& vm = vms_[v];
    for (u32 i = 0; i < vm.passthrough_devices.size(); ++i) {
      const PassthroughDevice& d = vm.passthrough_devices[i];
      const Place here{v, ConfigKey::PassthroughDevices, i};
      if (!d.by_path && d.size == 0 && d.irq == 0) fail(Rule::DeviceNeitherPathNorRange, here);
      for (u32 j = 0; d.by_path && j < i; ++j) {
        const PassthroughDevice& o = vm.passthrough_devices[j];
        if (o.by_path && o.name == d.name) clash(Rule::DeviceRepeated, here, {v, ConfigKey::PassthroughDevices, j});
      }
      for (u32 j = 0; d.by_path && j < vm.excluded_devices.size(); ++j) {
        if (vm.excluded_devices[j] == d.name) clash(Rule::DeviceExcluded, here, {v, ConfigKey::ExcludedDevices, j});
      }
    }
    for (u32 i = 0; i < vm.passthrough_ranges.size(); ++i) {
      if (vm.passthrough_ranges[i].size == 0) fail(Rule::PassthroughEmpty, {v, ConfigKey::PassthroughAddresses, i});
    }
    for_each_device_range(vm, v, [&](const DeviceRange& r) { device_range(v, r); });
  }

  constexpr void device_range(u32 v, const DeviceRange& r) {
    const VmConfig& vm = vms_[v];
    if (!valid(r)) return fail(Rule::PassthroughWraps, r.place, r.gpa, r.size);
    if (!is_aligned(r.gpa | r.hpa | r.size, kPageSize)) fail(Rule::PassthroughUnaligned, r.place, r.gpa, r.size);
    for (u32 i = 0; i < vm.memory.size(); ++i) {
      const MemoryRegion& m = vm.memory[i];
      if (valid(m) && overlap(r.gpa, r.size, m.gpa.value(), m.size)) {
        clash(Rule::PassthroughOverMemory, r.place, {v, ConfigKey::MemoryRegions, i}, r.gpa, r.size);
      }
    }
    for_each_device_range(vm, v, [&](const DeviceRange& o) {
      const bool earlier = o.place.key < r.place.key || (o.place.key == r.place.key && o.place.index < r.place.index);
      if (earlier && valid(o) && overlap(r.gpa, r.size, o.gpa, o.size) && r.gpa - r.hpa != o.gpa - o.hpa) {
        clash(Rule::PassthroughConflict, r.place, o.place, r.gpa, r.hpa);
      }
    });
  }

  constexpr void ports_and_exclusions(u32 v) {
    const VmConfig& vm = vms_[v];
    for (u32 i = 0; i < vm.passthrough_ports.size(); ++i) {
      const PassthroughRange& p = vm.passthrough_ports[i];
      if (p.size == 0 || leaves_space(p.gpa.value(), p.size, kPortLimit)) {
        fail(Rule::PortsOutOfRange, {v, ConfigKey::PassthroughPorts, i}, p.gpa.value(), p.size);
      }
    }
    for (u32 i = 0; i < vm.excluded_devices.size(); ++i) {
      if (!vm.excluded_devices[i].starts_with('/')) fail(Rule::ExcludedNotPath, {v, ConfigKey::ExcludedDevices, i});
    }
  }

  /// What writes to memory by itself reaches all of the machine's, and knows nothing of guest-physical addresses.
  constexpr void dma(u32 v) {
    const VmConfig& vm = vms_[v];
    for (u32 i = 0; i < vm.passthrough_devices.size(); ++i) {
      const PassthroughDevice& d = vm.passthrough_devices[i];
      if (d.by_path && is_bus_master_name(d.name)) bus_master({v, ConfigKey::PassthroughDevices, i});
    }
    for (u32 i = 0; i < vm.passthrough_pci.size(); ++i) {
      const Place here{v, ConfigKey::PassthroughPci, i};
      for (u32 j = 0; j < i; ++j) {
        if (vm.passthrough_pci[i] == vm.passthrough_pci[j]) clash(Rule::PciRepeated, here, {v, ConfigKey::PassthroughPci, j});
      }
      if (vm.passthrough_pci[i].segment != vm.passthrough_pci[0].segment) clash(Rule::PciSegments, here, {v, ConfigKey::PassthroughPci, 0});
      if (i == kMaxPciFunctions) fail(Rule::PciTooMany, here, kMaxPciFunctions);
      bus_master(here);
    }
    for (u32 i = 0; vm.allow_unprotected_dma && i < vm.memory.size(); ++i) {
      const MemoryRegion& r = vm.memory[i];
      // Operating systems leave the first MiB of a PC, which must be there, to firmware.
      const bool firmware = facts_.is_pc() && valid(r) && r.gpa.value() + r.size <= 1_MiB;
      if (r.map == MapType::Alloc && !firmware) {
        clash(Rule::DmaNeedsHostAddresses, {v, ConfigKey::MemoryRegions, i}, {v, ConfigKey::AllowUnprotectedDma});
      }
    }
  }

  constexpr void bus_master(Place device) {
    if (!vms_[device.vm].allow_unprotected_dma) fail(Rule::UnprotectedDma, device);
  }

  constexpr void emulated(u32 v) {
    const VmConfig& vm = vms_[v];
    for (u32 i = 0; i < vm.emulated_devices.size(); ++i) {
      const EmulatedDevice& d = vm.emulated_devices[i];
      const Place here{v, ConfigKey::EmuDevices, i};
      if (d.size == 0) fail(Rule::EmulatedEmpty, here);
      if (leaves_space(d.gpa.value(), d.size, kAddressLimit)) {
        fail(Rule::EmulatedWraps, here, d.gpa.value(), d.size);
        continue;
      }
      for (u32 j = 0; has_mmio_window(d) && j < vm.memory.size(); ++j) {
        const MemoryRegion& m = vm.memory[j];
        if (valid(m) && overlap(d.gpa.value(), d.size, m.gpa.value(), m.size)) {
          clash(Rule::EmulatedOverMemory, here, {v, ConfigKey::MemoryRegions, j}, d.gpa.value(), d.size);
        }
      }
      for (u32 j = 0; j < i; ++j) {
        const EmulatedDevice& o = vm.emulated_devices[j];
        const bool sane = !leaves_space(o.gpa.value(), o.size, kAddressLimit);
        if (sane && overlap(d.gpa.value(), d.size, o.gpa.value(), o.size)) {
          clash(Rule::EmulatedOverlap, here, {v, ConfigKey::EmuDevices, j}, d.gpa.value(), d.size);
        }
      }
    }
  }

  /// Rules between two VMs; `a` comes first in boot order and keeps what both want.
  constexpr void pair(u32 a, u32 b) {
    if (!vms_[a].name.empty() && vms_[a].name == vms_[b].name) {
      clash(Rule::NameTaken, {b, ConfigKey::Name}, {a, ConfigKey::Name});
    }
    if (vms_[a].id == vms_[b].id) clash(Rule::IdTaken, {b, ConfigKey::Id}, {a, ConfigKey::Id}, vms_[a].id);
    pair_cpus(a, b);
    pair_memory(a, b);
    pair_devices(a, b);
    pair_ranges(a, b);
    pair_ports(a, b);
    pair_pci(a, b);
    foreign_memory(a, b);
    foreign_memory(b, a);
  }

  constexpr void pair_cpus(u32 a, u32 b) {
    if (!vms_[a].exclusive_cpus && !vms_[b].exclusive_cpus) return;
    for (u32 i = 0; i < vms_[b].phys_cpu_ids.size(); ++i) {
      for (u32 j = 0; j < vms_[a].phys_cpu_ids.size(); ++j) {
        if (vms_[a].phys_cpu_ids[j] == vms_[b].phys_cpu_ids[i]) {
          clash(Rule::ExclusiveCpuShared, {b, ConfigKey::PhysCpuIds, i}, {a, ConfigKey::PhysCpuIds, j},
                vms_[b].phys_cpu_ids[i]);
        }
      }
    }
    for (u32 i = 0; i < vms_[b].phys_cpu_sets.size(); ++i) {
      for (u32 j = 0; j < vms_[a].phys_cpu_sets.size(); ++j) {
        const u64 both = vms_[a].phys_cpu_sets[j] & vms_[b].phys_cpu_sets[i];
        if (both != 0) {
          clash(Rule::ExclusiveCpuShared, {b, ConfigKey::PhysCpuSets, i}, {a, ConfigKey::PhysCpuSets, j},
                static_cast<u64>(std::countr_zero(both)));
        }
      }
    }
  }

  constexpr void pair_memory(u32 a, u32 b) {
    for (u32 i = 0; i < vms_[b].memory.size(); ++i) {
      for (u32 j = 0; j < vms_[a].memory.size(); ++j) {
        const MemoryRegion& later = vms_[b].memory[i];
        const MemoryRegion& earlier = vms_[a].memory[j];
        if (later.map == MapType::Alloc || earlier.map == MapType::Alloc) continue;
        if (!valid(later) || !valid(earlier)) continue;
        if (!overlap(later.gpa.value(), later.size, earlier.gpa.value(), earlier.size)) continue;
        host_memory_clash({a, ConfigKey::MemoryRegions, j}, {b, ConfigKey::MemoryRegions, i});
      }
    }
  }

  /// Reserved memory cannot be had elsewhere; of two identical regions the later one moves, unless its VM is strict.
  constexpr void host_memory_clash(Place earlier, Place later) {
    const auto map_of = [&](Place p) { return vms_[p.vm].memory[p.index].map; };
    if (map_of(earlier) == MapType::Reserved && map_of(later) == MapType::Reserved) {
      return clash(Rule::ReservedTaken, later, earlier);
    }
    const bool later_moves = map_of(later) == MapType::Identical;
    const Place mover = later_moves ? later : earlier;
    const Place keeper = later_moves ? earlier : later;
    const Rule rule = vms_[mover.vm].strict_addresses ? Rule::IdenticalStrict : Rule::IdenticalMoves;
    const MemoryRegion& r = vms_[mover.vm].memory[mover.index];
    clash(rule, mover, keeper, r.gpa.value(), r.size);
  }

  constexpr void pair_devices(u32 a, u32 b) {
    for (u32 i = 0; i < vms_[b].passthrough_devices.size(); ++i) {
      for (u32 j = 0; j < vms_[a].passthrough_devices.size(); ++j) {
        const PassthroughDevice& later = vms_[b].passthrough_devices[i];
        const PassthroughDevice& earlier = vms_[a].passthrough_devices[j];
        const Place here{b, ConfigKey::PassthroughDevices, i};
        const Place there{a, ConfigKey::PassthroughDevices, j};
        const bool same_path = later.by_path && earlier.by_path && later.name == earlier.name;
        if (same_path && later.name != "/") clash(Rule::DeviceTaken, here, there);
        if (later.irq != 0 && later.irq == earlier.irq) clash(Rule::IrqTaken, here, there, later.irq);
      }
    }
  }

  /// A range that strictly covers another VM's is a wildcard: it gets what nobody names. Anything else is a conflict.
  constexpr void pair_ranges(u32 a, u32 b) {
    for_each_device_range(vms_[b], b, [&](const DeviceRange& later) {
      for_each_device_range(vms_[a], a, [&](const DeviceRange& earlier) {
        if (!valid(later) || !valid(earlier) || !overlap(later.hpa, later.size, earlier.hpa, earlier.size)) return;
        const bool wider = covers(later.hpa, later.size, earlier.hpa, earlier.size);
        const bool narrower = covers(earlier.hpa, earlier.size, later.hpa, later.size);
        if (wider == narrower) clash(Rule::RangeTaken, later.place, earlier.place, later.hpa, later.size);
      });
    });
  }

  constexpr void pair_ports(u32 a, u32 b) {
    for (u32 i = 0; i < vms_[b].passthrough_ports.size(); ++i) {
      for (u32 j = 0; j < vms_[a].passthrough_ports.size(); ++j) {
        const PassthroughRange& later = vms_[b].passthrough_ports[i];
        const PassthroughRange& earlier = vms_[a].passthrough_ports[j];
        if (overlap(later.gpa.value(), later.size, earlier.gpa.value(), earlier.size)) {
          clash(Rule::PortsTaken, {b, ConfigKey::PassthroughPorts, i}, {a, ConfigKey::PassthroughPorts, j},
                later.gpa.value(), later.size);
        }
      }
    }
  }

  constexpr void pair_pci(u32 a, u32 b) {
    for (u32 i = 0; i < vms_[b].passthrough_pci.size(); ++i) {
      for (u32 j = 0; j < vms_[a].passthrough_pci.size(); ++j) {
        if (vms_[a].passthrough_pci[j] == vms_[b].passthrough_pci[i]) {
          clash(Rule::PciTaken, {b, ConfigKey::PassthroughPci, i}, {a, ConfigKey::PassthroughPci, j});
        }
      }
    }
  }

  /// A passthrough range of `owner` must not reach into host memory that belongs to `victim`; a covering one skips it.
  constexpr void foreign_memory(u32 owner, u32 victim) {
    for_each_device_range(vms_[owner], owner, [&](const DeviceRange& r) {
      for (u32 i = 0; i < vms_[victim].memory.size(); ++i) {
        const MemoryRegion& m = vms_[victim].memory[i];
        if (m.map == MapType::Alloc || !valid(m) || !valid(r)) continue;
        const bool wildcard = covers(r.hpa, r.size, m.gpa.value(), m.size) && r.size != m.size;
        if (!wildcard && overlap(r.hpa, r.size, m.gpa.value(), m.size)) {
          clash(Rule::PassthroughForeignMemory, r.place, {victim, ConfigKey::MemoryRegions, i}, r.hpa, r.size);
        }
      }
    });
  }

  std::span<const VmConfig> vms_;
  const Facts& facts_;
  Report& report_;
};

}  // namespace detail

/// Runs every rule over `vms` in boot order and calls `report(const Violation&)` for each one that is broken.
template <class Facts, class Report>
constexpr void check(std::span<const VmConfig> vms, const Facts& facts, Report&& report) {
  detail::Checker<Facts, std::remove_reference_t<Report>>(vms, facts, report).run();
}

}  // namespace hv
