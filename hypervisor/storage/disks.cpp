#include "hypervisor/storage/disks.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "kernel/log/log.hpp"
#include "kernel/mm/physical_memory.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr std::string_view kGuestDirectory = "guest";

/// RAM is mapped where it lies; stacks, for one, are elsewhere.
bool is_ram(const void* data, usize size) {
  const HpaRange range{Hpa(reinterpret_cast<u64>(data)), size};
  return std::ranges::any_of(platform::machine().ram, [&](const HpaRange& ram) { return ram.contains(range); });
}

/// The same, for a controller of SD cards.
bool is_low_ram(const void* data, usize size) {
  const u64 address = reinterpret_cast<u64>(data);
  return address % drivers::Sdhci::kAlignment == 0 && address + size <= drivers::Sdhci::kReach && is_ram(data, size);
}
constexpr usize kCardBounce = 64_KiB;

std::span<std::byte> bytes_of(HpaRange memory) { return {mm::direct_map_pointer(memory.base), memory.size}; }

/// What the boot loader passed for a VM is none: not even a damaged one.
bool is_disk(HpaRange module, mm::ObjectAllocator& heap) {
  block::RamDisk disk(bytes_of(module), false);
  const auto table = block::read_partitions(disk);
  if (!table || !table->empty()) return true;
  const auto mounted = fs::AnyFileSystem::mount(disk, heap);
  return mounted || mounted.error() != Error::NotSupported;
}

/// Frames for a device and its driver. What the device might still write to is never given back.
Result<std::byte*> allocate(u64 size) {
  const HpaRange frames = TRY(platform::frames().lock()->allocate(size, mm::Owner::host()));
  return mm::direct_map_pointer(frames.base);
}

}  // namespace

u64 HostClock::microseconds() { return VmManager::microseconds_since(0); }
void HostClock::relax() { arch::cpu_relax(); }

// ---- finding ----------------------------------------------------------------------------------------------------------

void Disks::start() {
  find_disks(hypervisor_, *this);
  for (const ModuleInfo& module : platform::machine().modules)
    if (is_disk(module.data, hypervisor_.heap())) add_memory(module.data, false, module.name);
  build_tree();
}

bool Disks::may_claim(std::span<const HpaRange> registers) const {
  const auto on_page = [&](HpaRange range) {
    return std::ranges::any_of(registers, [&](HpaRange mine) { return DeviceOwners::pages_around(mine).overlaps(DeviceOwners::pages_around(range)); });
  };
  for (const VmConfig& vm : kStaticVmConfigs) {
    for (const PassthroughDevice& device : vm.passthrough_devices)
      if (!device.by_path && on_page({device.hpa, device.size})) return false;
    for (const PassthroughRange& range : vm.passthrough_ranges)
      if (on_page({Hpa(range.gpa.value()), range.size})) return false;
  }
  return true;
}

bool Disks::claim(std::span<const HpaRange> registers) {
  DeviceOwners& owners = hypervisor_.device_owners();
  return may_claim(registers) && std::ranges::all_of(registers, [&](HpaRange mine) {
    return owners.claim(DeviceOwners::kHost, DeviceOwners::pages_around(mine)).has_value();
  });
}

void Disks::add(const drivers::VirtioMmio& transport, std::string_view name) { add_virtio(&Disk::mmio, transport, name); }
void Disks::add(const drivers::VirtioPci& transport, std::string_view name) { add_virtio(&Disk::pci, transport, name); }

template <class Transport>
void Disks::add_virtio(std::optional<Transport> Disk::*place, const Transport& transport, std::string_view name) {
  auto disk = mm::make_box<Disk>(hypervisor_.heap());
  if (!disk) return add_made(std::move(disk), "vd", name);
  drivers::VirtioTransport& its = ((**disk).*place).emplace(transport);
  add_made(start_virtio(std::move(*disk), its), "vd", name);
}

void Disks::add_card(Hpa registers, std::string_view name) {
  if constexpr (board::kFeatureSdmmc) {
    auto card = make_card(registers);
    if (!card && card.error() == Error::NotFound) return log::info("{}: no SD card", name);
    add_made(std::move(card), "sd", name);
  }
}

void Disks::add_memory(HpaRange memory, bool writable, std::string_view name) {
  auto disk = mm::make_box<Disk>(hypervisor_.heap());
  if (disk) (*disk)->device = &(*disk)->memory.emplace(bytes_of(memory), writable);
  add_made(std::move(disk), "rd", name);
}

Result<mm::Box<Disks::Disk>> Disks::start_virtio(mm::Box<Disk> disk, drivers::VirtioTransport& transport) {
  using drivers::VirtioBlk;
  std::byte* const memory = TRY(allocate(VirtioBlk::kMemory + kPageSize));
  disk->virtio.emplace(TRY(VirtioBlk::create(transport, {memory, VirtioBlk::kMemory})));
  disk->device = &disk->queued.emplace(*disk->virtio, disk->clock, std::span(memory + VirtioBlk::kMemory, kPageSize), &is_ram);
  return disk;
}

Result<mm::Box<Disks::Disk>> Disks::make_card(Hpa registers) {
  using drivers::Sdhci;
  mm::Box<Disk> disk = TRY(mm::make_box<Disk>(hypervisor_.heap()));
  std::byte* const memory = TRY(allocate(Sdhci::kMemory + kCardBounce));
  disk->card.emplace(TRY(Sdhci::create(registers, {memory, Sdhci::kMemory}, disk->clock)));
  disk->device = &disk->queued.emplace(*disk->card, disk->clock, std::span(memory + Sdhci::kMemory, kCardBounce), &is_low_ram);
  return disk;
}

/// Counts per kind: vda, vdb, sda.
void Disks::add_made(Result<mm::Box<Disk>> made, std::string_view kind, std::string_view machine_name) {
  const auto added = made ? disks_.push_back(std::move(*made)) : Result<mm::Box<Disk>*>(fail(made.error()));
  if (!added) return log::warn("disk {} is not used: {}", machine_name, added.error());
  Disk& disk = ***added;
  const auto before = std::ranges::count_if(disks_, [&](const mm::Box<Disk>& other) { return fs::text(other->name).starts_with(kind); });
  for (const char c : kind) static_cast<void>(disk.name.push_back(c));
  static_cast<void>(disk.name.push_back(static_cast<char>('a' + before)));
  mount_all(disk, machine_name);
}

// ---- mounting ---------------------------------------------------------------------------------------------------------

void Disks::mount_all(Disk& disk, std::string_view machine_name) {
  const std::string_view name = fs::text(disk.name);
  block::Device& device = *disk.device;
  log::info("disk {}: {}, {} MiB{}", name, machine_name, device.sectors() >> 11, device.writable() ? "" : ", read-only");
  const auto table = block::read_partitions(device);
  if (!table) return log::warn("disk {}: its partition table cannot be used: {}", name, table.error());
  if (table->empty()) return mount(device, name, {});
  for (const block::PartitionRange& range : *table) mount(device, name, range);
}

void Disks::mount(block::Device& disk, std::string_view name, const block::PartitionRange& range) {
  auto box = mm::make_box<Volume>(hypervisor_.heap());
  if (!box) return;
  Volume& volume = **box;
  for (const char c : name) static_cast<void>(volume.name.push_back(c));
  block::Device* device = &disk;
  if (range.number != 0) {
    if (range.number >= 10) static_cast<void>(volume.name.push_back(static_cast<char>('0' + range.number / 10 % 10)));
    static_cast<void>(volume.name.push_back(static_cast<char>('0' + range.number % 10)));
    device = &volume.partition.emplace(disk, range.first, range.sectors);
  }
  auto mounted = fs::AnyFileSystem::mount(*device, hypervisor_.heap(), &unix_time);
  if (!mounted) {
    log::warn("disk {}: no file system that can be used: {}", fs::text(volume.name), mounted.error());
    return;
  }
  volume.system.emplace(std::move(*mounted));
  if (!volumes_.push_back(std::move(*box))) log::warn("disk {}: too many file systems", name);
}

void Disks::build_tree() {
  const auto has_guests = [](const mm::Box<Volume>& volume) {
    fs::FileSystem& system = volume->system->get();
    const auto root = system.root();
    return root && system.find(*root, kGuestDirectory).has_value();
  };
  const mm::Box<Volume>* root = std::ranges::find_if(volumes_, has_guests);
  if (root == volumes_.end()) root = volumes_.begin();
  for (mm::Box<Volume>& volume : volumes_) {
    fs::FileSystem& system = volume->system->get();
    const std::string_view name = fs::text(volume->name), remark = system.remark();
    const bool is_root = &volume == root;
    static_cast<void>(tree_.mount(system, is_root ? std::string_view() : name, name));
    log::info("disk {}: {} at /{}{}{}", name, system.type(), is_root ? std::string_view() : name, remark.empty() ? "" : "; ", remark);
  }
}

Result<fs::Location> Disks::open(std::string_view path) {
  const fs::Path absolute = TRY(fs::Path::make(fs::Path(), path));
  const fs::Location found = TRY(tree_.find(absolute));
  if (found.node.kind == fs::Kind::Directory) return fail(Error::IsDirectory);
  return found.node.kind == fs::Kind::File ? Result<fs::Location>(found) : fail(Error::NotSupported);
}

}  // namespace hv
