// How a VM comes into being, and how it goes.
#include <algorithm>
#include <arch/sysreg.hpp>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/device_selection.hpp"
#include "hypervisor/vm/guest_fdt.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

using mm::Owner;

// Guests get room for what their tree has beyond the host's: memory, boot arguments, nodes of their own.
constexpr usize kFdtGrowth = 16_KiB;
constexpr GpaRange kDefaultConsole{Gpa(0x0900'0000), 4_KiB};
constexpr u64 kGicVirtualInterfaceSize = 8_KiB;
constexpr usize kMinNodeBytes = 16;  // begin and end tokens, an empty name, and a property at least
constexpr u32 kAffinityBitsPerLevel = 8;

constexpr mm::PageAttributes attributes_of(MemoryFlags flags) {
  return {.read = flags.read,
          .write = flags.write,
          .execute = flags.execute,
          .type = flags.device ? mm::MemoryType::Device : mm::MemoryType::Normal};
}

// ICC_SGI1R and GICR_TYPER have the four affinity levels in one word; MPIDR_EL1 has a gap before the highest.
constexpr u32 packed_affinity(u64 mpidr) {
  constexpr unsigned kAff3Shift = 32;
  return static_cast<u32>((mpidr & 0xff'ffff) | (mpidr >> kAff3Shift & 0xff) << (3 * kAffinityBitsPerLevel));
}

constexpr HpaRange whole_pages(HpaRange range) {
  const Hpa base = range.base.align_down(kPageSize);
  return {base, range.end().align_up(kPageSize) - base};
}

/// Memory for the time of one function.
class Scratch {
 public:
  static Result<Scratch> create(mm::ObjectAllocator& heap, usize size) { return Scratch(heap, TRY(heap.allocate(size, alignof(u64))), size); }
  Scratch(Scratch&& other) noexcept : heap_(other.heap_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ~Scratch() {
    if (data_ != nullptr) heap_.free(data_);
  }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  Scratch(mm::ObjectAllocator& heap, std::byte* data, usize size) : heap_(heap), data_(data), size_(size) {}
  mm::ObjectAllocator& heap_;
  std::byte* data_;
  usize size_;
};

bool is_wildcard(const PassthroughDevice& device) { return device.by_path && device.name == "/"; }

bool has_wildcard(const VmConfig& config) { return std::ranges::any_of(config.passthrough_devices, is_wildcard); }

}  // namespace

Result<mm::Box<Vm>> Vm::create(Hypervisor& hypervisor, const VmConfig& config, u16 number) {
  mm::Box<Vm> vm = TRY(mm::make_box<Vm>(hypervisor.heap(), hypervisor, config, number));
  TRY(vm->init());
  return vm;
}

Vm::Vm(Hypervisor& hypervisor, const VmConfig& config, u16 number)
    : hypervisor_(hypervisor), config_(config), number_(number), frames_(Owner::of_vm(number)) {}

Vm::~Vm() {
  uart_wires_.close();
  hypervisor_.interrupts().take_back(*this);
  memory_.zero_all();
  stage2_.reset();
  for (const GuestRegion& region : regions_) frames_.free({region.hpa, region.gpa.size});
}

Result<HpaRange> Vm::Frames::allocate(u64 bytes, u64 alignment) { return platform::frames().lock()->allocate(bytes, owner_, alignment); }
void Vm::Frames::free(HpaRange frames) { platform::frames().lock()->free(frames, owner_); }

std::unexpected<Error> Vm::reject(Error error, std::string_view what) const {
  log::error("VM {} {}", name(), what);
  return fail(error);
}

Result<void> Vm::init() {
  TRY(allocate_memory());
  TRY(create_vcpus());
  TRY(create_devices());
  const BootLayout layout = TRY(plan());
  TRY(load_images(layout));
  TRY(give_devices(layout));
  log::info("VM {}: {} vCPUs, entry {}, device tree {}", name(), vcpu_count_, config_.entry_point, fdt_address_);
  return {};
}

// ---- memory -----------------------------------------------------------------------------------------------------------

Result<void> Vm::allocate_memory() {
  u64 highest = 0;
  for (const MemoryRegion& region : config_.memory) {
    const GuestRegion allocated = TRY(allocate_region(region));
    if (allocated.gpa.base != region.gpa) move_addresses(region, allocated.gpa.base);
    if (!regions_.push_back(allocated)) return reject(Error::OutOfRange, "has more memory regions than are supported");
    highest = std::max(highest, allocated.gpa.end().value() - 1);
  }
  // Emulated devices need not be mapped, but an access to them must reach stage 2 and not the end of the address size.
  for (const GpaRange& range : {console_range(), GpaRange{Gpa(hypervisor_.machine().gic.distributor.base.value()), 64_KiB}})
    highest = std::max(highest, range.end().value() - 1);

  TRY(init_stage2(Gpa(highest)));
  for (usize i = 0; i < regions_.size(); ++i) {
    const GuestRegion& region = regions_[i];
    const MemoryFlags flags = config_.memory[i].flags;
    TRY(stage2_->map(region.gpa, region.hpa, attributes_of(flags)));
    TRY(memory_.add(region.gpa, region.hpa));
  }
  memory_.zero_all();
  return {};
}

Result<void> Vm::init_stage2(Gpa highest) {
  constexpr unsigned kLevels = board::kFeatureEptLevel4 ? 4 : 3;
  const u64 pa_range = arch::ID_AA64MMFR0_EL1::pa_range(arch::ID_AA64MMFR0_EL1::read());
  auto stage2 = Stage2::create(highest, static_cast<unsigned>(pa_range), kLevels, static_cast<u8>(number_ + 1), frames_);
  if (!stage2) return reject(stage2.error(), "has memory or devices beyond what this CPU can translate");
  stage2_.emplace(std::move(*stage2));
  return {};
}

Result<Vm::GuestRegion> Vm::allocate_region(const MemoryRegion& region) {
  const HpaRange identical{Hpa(region.gpa.value()), region.size};
  const GpaRange configured{region.gpa, region.size};

  if (region.map == MapType::Reserved) {
    const auto taken = platform::frames().with([&](auto& frames) { return frames.allocate_reserved(identical, Owner::of_vm(number_)); });
    if (!taken) return reject(taken.error(), "wants reserved memory that the machine does not have or somebody uses");
    TRY(platform::map_memory(identical));
    return GuestRegion{configured, identical.base};
  }
  if (region.map == MapType::Identical &&
      platform::frames().with([&](auto& frames) { return frames.allocate_at(identical, Owner::of_vm(number_)); })) {
    return GuestRegion{configured, identical.base};
  }
  if (region.map == MapType::Identical && config_.strict_addresses)
    return reject(Error::Overlap, "has an identical region (strict = true) whose host memory is not free");

  // Whole blocks in stage 2 where the region has them.
  const u64 alignment = region.size >= 2_MiB ? 2_MiB : kPageSize;
  const auto anywhere = frames_.allocate(region.size, alignment);
  if (!anywhere) return reject(anywhere.error(), "needs more contiguous memory than is free");
  if (region.map == MapType::Alloc) return GuestRegion{configured, anywhere->base};
  log::warn("VM {}: host memory {} is not free: the identical region moves to {}, with every address in it", name(), identical.base,
            anywhere->base);
  return GuestRegion{{Gpa(anywhere->base.value()), region.size}, anywhere->base};
}

void Vm::move_addresses(const MemoryRegion& from, Gpa to) {
  const GpaRange range{from.gpa, from.size};
  for (Gpa* address : {&config_.entry_point, &config_.kernel.load_address, &config_.dtb.load_address, &config_.ramdisk.load_address,
                       &config_.bios.load_address}) {
    if (range.contains(*address)) *address = to + (*address - from.gpa);
  }
}

// ---- processors -------------------------------------------------------------------------------------------------------

Result<unsigned> Vm::choose_cpu(unsigned index) const {
  if (index < config_.phys_cpu_ids.size()) {
    const auto cpu = hypervisor_.cpu_with_id(config_.phys_cpu_ids[index]);
    if (!cpu) log::error("VM {}: vCPU {} wants CPU {:#x}, which is not in use", name(), index, config_.phys_cpu_ids[index]);
    return cpu;
  }
  if (index < config_.phys_cpu_sets.size()) {
    for (unsigned cpu = 0; cpu < hypervisor_.cpu_count(); ++cpu)
      if ((config_.phys_cpu_sets[index] >> cpu & 1) != 0) return cpu;
    log::error("VM {}: vCPU {} may run on CPU set {:#x} only, none of which is in use", name(), index, config_.phys_cpu_sets[index]);
    return fail(Error::NotFound);
  }
  return index % hypervisor_.cpu_count();
}

// The guest sees the affinity of the CPU it was given, so that a device tree of its own fits; vCPUs that share a CPU are told
// apart by their index.
u64 Vm::guest_mpidr(unsigned index) const {
  const auto ids = config_.phys_cpu_ids;
  const bool unique = ids.size() >= config_.cpu_count && std::ranges::all_of(ids, [&](u64 id) { return std::ranges::count(ids, id) == 1; });
  return unique ? ids[index] : index;
}

Result<void> Vm::create_vcpus() {
  if (config_.cpu_count == 0 || config_.cpu_count > kMaxVcpus) return reject(Error::OutOfRange, "has an unsupported number of vCPUs");
  for (unsigned index = 0; index < config_.cpu_count; ++index) {
    const unsigned cpu = TRY(choose_cpu(index));
    vcpus_[index] = TRY(mm::make_box<Vcpu>(hypervisor_.heap(), *this, index, cpu, guest_mpidr(index)));
    ++vcpu_count_;
  }
  return {};
}

// ---- devices ----------------------------------------------------------------------------------------------------------

GpaRange Vm::console_range() const {
  const ConsoleInfo& console = hypervisor_.machine().console;
  if (console.kind == ConsoleInfo::Kind::None) return kDefaultConsole;
  return {Gpa(console.registers.base.value()).align_down(kPageSize), kPageSize};
}

Result<void> Vm::add_device(GpaRange range, MmioDevice& device) {
  for (const GuestRegion& region : regions_)
    if (region.gpa.overlaps(range)) return reject(Error::Overlap, "has memory where its interrupt controller or console is");
  TRY(mmio_.push_back({range, &device}));
  return {};
}

Result<void> Vm::create_devices() {
  const MachineInfo& machine = hypervisor_.machine();
  const GicInfo& gic = machine.gic;
  const auto& hardware = hypervisor_.interrupts().virtual_interface();

  VgicConfig config;
  config.version = gic.version;
  config.vcpu_count = static_cast<u8>(vcpu_count_);
  config.spi_count = static_cast<u16>(std::min(hypervisor_.interrupts().gic().interrupt_count() - kFirstSpi, kMaxSpis));
  config.list_registers = static_cast<u8>(hardware.list_register_count());
  config.priority_bits = static_cast<u8>(hardware.priority_bits());
  config.can_trap_deactivate = hardware.can_trap_deactivate();
  for (unsigned i = 0; i < vcpu_count_; ++i) config.affinity[i] = packed_affinity(vcpus_[i]->mpidr);
  if (const auto valid = config.check(); !valid) return reject(valid.error(), "does not fit the machine's interrupt controller");
  interrupts_.emplace(*this, hypervisor_.interrupts(), config, machine.timer.virtual_interrupt, machine.timer.physical_interrupt);

  const Gpa distributor(gic.distributor.base.value());
  if (gic.version == 2) {
    TRY(add_device({distributor, 4_KiB}, interrupts_->distributor()));
    const Gpa cpu_interface(gic.cpu_interface.base.value());
    TRY(stage2_->map({cpu_interface, kGicVirtualInterfaceSize}, gic.virtual_cpu_interface.base, mm::kDeviceReadWrite));
  } else {
    TRY(add_device({distributor, 64_KiB}, interrupts_->distributor()));
    const HpaRange& region = gic.redistributors[0];
    const u64 size = vcpu_count_ * VgicRedistributors::kStride;
    if (region.size < size) return reject(Error::OutOfRange, "has more vCPUs than the machine's first redistributor region");
    TRY(add_device({Gpa(region.base.value()), size}, interrupts_->redistributors()));
  }
  uart_interrupt_ = machine.console.interrupt;
  TRY(add_device(console_range(), uart_.without_lock()));
  return {};
}

// ---- images -----------------------------------------------------------------------------------------------------------

Result<BootLayout> Vm::plan() {
  for (const Image* image : {&config_.kernel, &config_.dtb, &config_.bios, &config_.ramdisk}) {
    if (image->present() && image->location != ImageLocation::Memory) return reject(Error::NotSupported, "has an image that is not built in");
  }
  if (config_.bios.present()) return reject(Error::NotSupported, "has a BIOS image, which this architecture does not use");
  StaticVector<GpaRange, kMaxVmMemoryRegions> ram;
  for (const GuestRegion& region : regions_) TRY(ram.push_back(region.gpa));
  const auto layout = plan_boot(config_, ram,
                                {.kernel_size = config_.kernel.bytes().size(),
                                 .kernel_header = Arm64Image::parse(config_.kernel.bytes()),
                                 .ramdisk_size = config_.ramdisk.present() ? config_.ramdisk.bytes().size() : 0});
  if (!layout) {
    log::error("VM {}: {}", name(), layout.error().what);
    return fail(layout.error().error);
  }
  return *layout;
}

Result<void> Vm::load_images(const BootLayout& layout) {
  TRY(memory_.write(layout.kernel.base, config_.kernel.bytes()));
  if (!layout.ramdisk.empty()) TRY(memory_.write(layout.ramdisk.base, config_.ramdisk.bytes()));
  return {};
}

// ---- passthrough and device tree --------------------------------------------------------------------------------------

// What other VMs name is theirs; of several wildcards the first VM's wins, so a later one counts for nothing.
Result<void> Vm::select(const fdt::Fdt& host, std::span<NodeRecord> scratch, DeviceSelection& selection) {
  StaticVector<std::string_view, kMaxNamedDevices> taken;
  StaticVector<PassthroughDevice, kMaxNamedDevices> mine;
  bool earlier = true;
  bool wildcard_taken = false;
  for (const VmConfig& other : kStaticVmConfigs) {
    if (other.name == name()) {
      earlier = false;
      continue;
    }
    wildcard_taken |= earlier && has_wildcard(other);
    for (const PassthroughDevice& device : other.passthrough_devices)
      if (device.by_path && !is_wildcard(device)) TRY(taken.push_back(device.name));
  }
  for (const PassthroughDevice& device : config_.passthrough_devices)
    if (!(is_wildcard(device) && wildcard_taken)) TRY(mine.push_back(device));

  VmConfig effective = config_;
  effective.passthrough_devices = mine;
  return select_devices(host, hypervisor_.machine(), effective, taken, scratch, selection);
}

Result<void> Vm::give_devices(const BootLayout& layout) {
  const MachineInfo& machine = hypervisor_.machine();
  const fdt::Fdt host = TRY(fdt::Fdt::parse(machine.fdt));
  auto selection = TRY(mm::make_box<DeviceSelection>(hypervisor_.heap()));
  const usize records = machine.fdt.size() / kMinNodeBytes + 1;
  const Scratch scratch = TRY(Scratch::create(hypervisor_.heap(), records * sizeof(NodeRecord)));
  TRY(select(host, {reinterpret_cast<NodeRecord*>(scratch.bytes().data()), records}, *selection));
  for (const SelectionNote& note : selection->notes) log::warn("VM {}: {}: {}", name(), note.path, note.what);
  TRY(map_resources(selection->resources));
  TRY(map_configured_ranges());
  return write_device_tree(*selection, layout);
}

Result<void> Vm::map_resources(const PassthroughResources& resources) {
  for (const HpaRange& range : resources.mmio) {
    const HpaRange pages = whole_pages(range);
    TRY(stage2_->map({Gpa(pages.base.value()), pages.size}, pages.base, mm::kDeviceReadWrite));
  }
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

Result<void> Vm::give_interrupt(u32 intid, drivers::Trigger trigger) {
  TRY(interrupts_->map_hardware(intid, intid));
  if (const auto given = hypervisor_.interrupts().give_to_vm(intid, *this, intid, trigger); !given) {
    log::error("VM {}: interrupt {} cannot be given to it: {}", name(), intid, given.error());
    return given;
  }
  return {};
}

// The host's own memory and devices are never mapped, whatever the configuration says.
bool Vm::belongs_to_host(HpaRange range) const {
  const MachineInfo& machine = hypervisor_.machine();
  const auto overlaps = [&](const HpaRange& other) { return range.overlaps(other); };
  return std::ranges::any_of(machine.ram, overlaps) || std::ranges::any_of(machine.reserved, overlaps) ||
         std::ranges::any_of(machine.gic.redistributors, overlaps) || overlaps(machine.gic.distributor) || overlaps(machine.gic.cpu_interface) ||
         overlaps(machine.gic.hypervisor_interface) || overlaps(machine.gic.virtual_cpu_interface) || overlaps(whole_pages(machine.console.registers));
}

Result<void> Vm::map_configured_ranges() {
  for (const PassthroughDevice& device : config_.passthrough_devices) {
    if (device.by_path) continue;
    TRY(map_range(device.name, device.gpa, {device.hpa, device.size}));
    if (device.irq >= kFirstSpi) TRY(give_interrupt(device.irq, drivers::Trigger::Level));
  }
  for (const PassthroughRange& range : config_.passthrough_ranges) TRY(map_range("passthrough_addresses", range.gpa, {Hpa(range.gpa.value()), range.size}));
  return {};
}

Result<void> Vm::map_range(std::string_view what, Gpa gpa, HpaRange host) {
  const HpaRange pages = whole_pages(host);
  if (belongs_to_host(pages)) {
    log::error("VM {}: {} at {} belongs to the host and is not passed through", name(), what, host.base);
    return fail(Error::PermissionDenied);
  }
  return stage2_->map({gpa.align_down(kPageSize), pages.size}, pages.base, mm::kDeviceReadWrite);
}

Result<void> Vm::write_device_tree(const DeviceSelection& selection, const BootLayout& layout) {
  const MachineInfo& machine = hypervisor_.machine();
  StaticVector<GpaRange, kMaxVmMemoryRegions> ram;
  StaticVector<GuestCpu, kMaxVcpus> cpus;
  for (const GuestRegion& region : regions_) TRY(ram.push_back(region.gpa));
  for (unsigned i = 0; i < vcpu_count_; ++i) TRY(cpus.push_back({vcpus_[i]->mpidr, machine.cpus[vcpus_[i]->cpu].hardware_id}));

  GuestMachine guest;
  guest.ram = ram;
  guest.cpus = cpus;
  guest.gic_version = machine.gic.version;
  guest.distributor = mmio_[0].range;
  if (machine.gic.version == 2) {
    guest.cpu_interface = {Gpa(machine.gic.cpu_interface.base.value()), kGicVirtualInterfaceSize};
  } else {
    guest.redistributors = mmio_[1].range;
  }
  guest.timer = machine.timer;
  guest.console = console_range();
  guest.console_interrupt = uart_interrupt_;
  guest.initrd = layout.ramdisk;
  guest.command_line = config_.command_line;

  const usize room = std::min<usize>(layout.fdt.size, machine.fdt.size() + config_.dtb.bytes().size() + kFdtGrowth);
  const Scratch buffer = TRY(Scratch::create(hypervisor_.heap(), room));
  const std::span<std::byte> out = buffer.bytes();
  const auto size = config_.dtb.present() ? adapt_guest_fdt(TRY(fdt::Fdt::parse(config_.dtb.bytes())), guest, out)
                                          : write_guest_fdt(selection, guest, out);
  if (!size) return reject(size.error(), "does not get a device tree");
  TRY(memory_.write(layout.fdt.base, out.first(*size)));
  fdt_address_ = layout.fdt.base;
  return {};
}

}  // namespace hv
