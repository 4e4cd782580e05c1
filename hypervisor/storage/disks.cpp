#include "hypervisor/storage/disks.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/timer.hpp>

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

}  // namespace

u64 HostClock::microseconds() { return VmManager::microseconds_since(0); }
void HostClock::relax() { arch::cpu_relax(); }

// ---- finding ----------------------------------------------------------------------------------------------------------

void Disks::start() {
  find_disks(hypervisor_, *this);
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

void Disks::add(const DiskTransport& transport, std::string_view name) {
  if (const auto added = try_add(transport, name); !added) log::warn("disk {} is not used: {}", name, added.error());
}

Result<void> Disks::try_add(const DiskTransport& transport, std::string_view name) {
  mm::Box<Disk>& disk = *TRY(disks_.push_back({}));
  disk = TRY(mm::make_box<Disk>(hypervisor_.heap(), transport, name));
  const HpaRange memory = TRY(platform::frames().lock()->allocate(drivers::VirtioBlk::kMemory + kPageSize, mm::Owner::host()));
  std::byte* bytes = mm::direct_map_pointer(memory.base);
  auto driver = drivers::VirtioBlk::create(disk->transport, {bytes, drivers::VirtioBlk::kMemory});
  if (!driver) {
    // Nothing that the device might still write to is given back.
    disks_.pop_back();
    return fail(driver.error());
  }
  disk->driver.emplace(*driver);
  disk->device.emplace(*disk->driver, disk->clock, std::span(bytes + drivers::VirtioBlk::kMemory, kPageSize), &is_ram);
  mount_all(*disk);
  return {};
}

// ---- mounting ---------------------------------------------------------------------------------------------------------

void Disks::mount_all(Disk& disk) {
  std::array<char, 4> letters{'v', 'd', static_cast<char>('a' + disks_.size() - 1), '\0'};
  const std::string_view name(letters.data(), 3);
  log::info("disk {}: {}, {} MiB{}", name, std::string_view(disk.name.begin(), disk.name.size()), disk.device->sectors() >> 11, disk.device->writable() ? "" : ", read-only");
  const auto table = block::read_partitions(*disk.device);
  if (!table) return log::warn("disk {}: its partition table cannot be used: {}", name, table.error());
  if (table->empty()) return mount(*disk.device, name, {});
  for (const block::PartitionRange& range : *table) mount(*disk.device, name, range);
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
