#include "hypervisor/vm/cpu_placement.hpp"

#include <algorithm>
#include <bit>

namespace hv {
namespace {

constexpr u64 bit_of(unsigned cpu) { return u64{1} << cpu; }

std::unexpected<PlacementError> refuse(Error error, std::string_view what) {
  return std::unexpected(PlacementError{error, what});
}

u64 cpu_with_id(CpuIds machine, u64 id) {
  const auto found = std::ranges::find(machine, id);
  return found == machine.end() ? 0 : bit_of(static_cast<unsigned>(found - machine.begin()));
}

/// What its description names for one vCPU, in use or not as far as that can be said.
u64 named_cpus(const VmConfig& vm, unsigned index, CpuIds machine) {
  if (index < vm.phys_cpu_sets.size()) return vm.phys_cpu_sets[index];
  return index < vm.phys_cpu_ids.size() ? cpu_with_id(machine, vm.phys_cpu_ids[index]) : 0;
}

u64 named_cpus(const VmConfig& vm, CpuIds machine) {
  u64 all = 0;
  for (unsigned i = 0; i < vm.cpu_count; ++i) all |= named_cpus(vm, i, machine);
  return all;
}

/// The CPUs that other VMs do not share with `vm`.
u64 withheld_cpus(const VmConfig& vm, std::span<const VmConfig> vms, CpuIds machine) {
  u64 withheld = 0;
  for (const VmConfig& other : vms)
    if (other.name != vm.name && (other.exclusive_cpus || vm.exclusive_cpus)) withheld |= named_cpus(other, machine);
  return withheld;
}

unsigned nth_set(u64 mask, unsigned n) {
  for (n %= static_cast<unsigned>(std::popcount(mask)); n != 0; --n) mask &= mask - 1;
  return static_cast<unsigned>(std::countr_zero(mask));
}

constexpr u64 kMicrosecondsPerSecond = 1'000'000;

}  // namespace

std::expected<CpuPlacement, PlacementError> place_vcpu(const VmConfig& vm, u16 number, unsigned index,
                                                       std::span<const VmConfig> vms, CpuIds machine) {
  const u64 in_use = machine.size() >= 64 ? ~u64{0} : bit_of(static_cast<unsigned>(machine.size())) - 1;
  const u64 withheld = withheld_cpus(vm, vms, machine);
  const bool anywhere = index >= vm.phys_cpu_sets.size() && index >= vm.phys_cpu_ids.size();
  u64 cpus = (anywhere ? ~u64{0} : named_cpus(vm, index, machine)) & in_use;
  if (cpus == 0) return refuse(Error::NotFound, "names a CPU (phys_cpu_ids, phys_cpu_sets) that is not in use");
  if (anywhere) {
    cpus &= ~withheld;
    if (cpus == 0) return refuse(Error::Busy, "has no CPU left to run on: all are exclusive to other VMs");
  }
  if ((cpus & withheld) != 0) return refuse(Error::Busy, "shares a CPU with another VM, and one of the two has exclusive = true");

  const u64 id = index < vm.phys_cpu_ids.size() ? cpu_with_id(machine, vm.phys_cpu_ids[index]) & cpus : 0;
  return CpuPlacement{cpus, nth_set(id != 0 ? id : cpus, id != 0 ? 0 : number + index)};
}

std::expected<Scheduling, PlacementError> scheduling_of(const VmConfig& vm, u64 cpus, u64 hz, u64 default_slice) {
  const auto within = [](u64 value, u64 min, u64 max) { return value == 0 || (min <= value && value <= max); };
  const u64 period = vm.period_us != 0 ? vm.period_us : kDefaultPeriodUs;
  if (vm.priority > kMaxPriority || !within(vm.time_slice_us, kMinTimeSliceUs, kMaxTimeSliceUs) ||
      !within(vm.budget_us, kMinBudgetUs, period) || !within(vm.period_us, kMinPeriodUs, kMaxPeriodUs))
    return refuse(Error::InvalidArgument, "has a priority, time_slice_us, budget_us or period_us that is out of range");
  const auto ticks = [hz](u64 microseconds) { return std::max<u64>(microseconds * hz / kMicrosecondsPerSecond, 1); };
  Scheduling how{.priority = vm.priority, .slice = vm.time_slice_us != 0 ? ticks(vm.time_slice_us) : default_slice, .cpus = cpus};
  if (vm.budget_us != 0 && vm.budget_us != period) {
    how.budget = ticks(vm.budget_us);
    how.period = ticks(period);
  }
  return how;
}

}  // namespace hv
