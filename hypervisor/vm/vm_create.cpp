// How a VM comes into being, and how it goes.
#include <algorithm>
#include <arch/timer.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/cpu_placement.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/base/sha256.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

using mm::Owner;

constexpr mm::PageAttributes attributes_of(MemoryFlags flags) {
  return {.read = flags.read,
          .write = flags.write,
          .execute = flags.execute,
          .type = flags.device ? mm::MemoryType::Device : mm::MemoryType::Normal};
}

constexpr MemoryUse use_of(const MemoryRegion& region) {
  const MemoryFlags flags = region.flags;
  return {.guest_writes = flags.write,
          .guarded = !(flags.read && flags.write && flags.execute),
          .shared = !region.shared.empty()};
}

/// The boot loader's module of that name: the first word of the text that came with it, or the last part of that path. The only one is
/// also called `initrd`.
std::span<const std::byte> module_named(std::string_view name) {
  const auto& modules = platform::machine().modules;
  const bool any = modules.size() == 1 && name == "initrd";
  for (const ModuleInfo& module : modules) {
    const std::string_view path = module.name.substr(0, module.name.find(' '));
    if (any || path == name || path.substr(path.rfind('/') + 1) == name) return {mm::direct_map_pointer(module.data.base), module.data.size};
  }
  return {};
}

/// For memory that no GuestMemory scrubs. Not the caches only: guests start with theirs off.
void scrub(HpaRange frames) { arch::zero_pages_to_memory(mm::direct_map(frames.base).value(), frames.size); }

constexpr HpaRange whole_pages(HpaRange range) {
  const Hpa base = range.base.align_down(kPageSize);
  return {base, range.end().align_up(kPageSize) - base};
}

}  // namespace

Result<mm::Box<Vm>> Vm::create(Hypervisor& hypervisor, const VmConfig& config, u16 number) {
  mm::Box<Vm> vm = TRY(mm::make_box<Vm>(hypervisor.heap(), hypervisor, config, number));
  TRY(vm->init());
  return vm;
}

Vm::Vm(Hypervisor& hypervisor, const VmConfig& config, u16 number)
    : hypervisor_(hypervisor),
      config_(config),
      number_(number),
      frames_(Owner::of_vm(number)),
      output_(hypervisor.console(), config_.name, hypervisor.vms().history(number)),
      watchdog_(config.watchdog_ms * (drivers::host_timer::frequency() / 1000)),
      arch(*this) {}

Vm::~Vm() {
  output_.close();
  arch.quiesce_devices();
  hypervisor_.interrupts().take_back(*this);
  hypervisor_.device_owners().release(number_);
  memory_.zero_all();
  for (mm::Box<Vcpu>& vcpu : vcpus_) vcpu.reset();
  arch.destroy_translation();
  for (usize i = 0; i < regions_.size(); ++i) free_region(config_.memory[i], regions_[i]);
}

Result<HpaRange> Vm::Frames::allocate(u64 bytes, u64 alignment) {
  return platform::frames().lock()->allocate(bytes, owner_, alignment);
}
void Vm::Frames::free(HpaRange frames) { platform::frames().lock()->free(frames, owner_); }

std::unexpected<Error> Vm::reject(Error error, std::string_view what) const {
  log::error("VM {} {}", name(), what);
  return fail(error);
}

Result<void> Vm::init() {
  TRY(find_images());
  TRY(allocate_memory());
  TRY(map_memory());
  TRY(create_vcpus());
  TRY(arch.create_devices());
  TRY(arch.load_images());
  TRY(arch.give_devices());
  forget_images();
  log::info("VM {}: {} vCPUs, entry {}", name(), vcpu_count_, arch.entry());
  return {};
}

Result<void> Vm::find_images() {
  u64 room = 0;
  for (const MemoryRegion& region : config_.memory) room += region.size;
  const bool any = std::ranges::any_of(images(), [](const Image* image) { return image->present() && image->location == ImageLocation::Fs; });
  if constexpr (board::kFeatureFs) {
    if (any) files_ = TRY(mm::make_box<ImageFiles>(hypervisor_.heap(), hypervisor_));
  }
  for (Image* image : images()) {
    if (!image->present()) continue;
    if (image->location == ImageLocation::Memory) {
      TRY(check(*image));
      continue;
    }
    if (image->location == ImageLocation::Module) {
      const std::span bytes = module_named(image->path);
      if (bytes.empty()) return reject(Error::NotFound, "wants a module that the boot loader did not pass");
      image->begin = bytes.data();
      image->end = bytes.data() + bytes.size();
      TRY(check(*image));
      continue;
    }
    if (!files_) return reject(Error::NotSupported, "has an image on a disk, which needs the feature fs");
    // What is put somewhere and not looked into goes there directly.
    const bool streamed = image == &config_.ramdisk || (image == &config_.kernel && ArchVm::kStreamsKernel);
    if (const auto opened = files_->open(*image, streamed, room); !opened) {
      log::error("VM {}: {} cannot be loaded: {}", name(), image->path, opened.error());
      return opened;
    }
    if (!files_->is_streamed(*image)) TRY(check(*image));
    log::info("VM {}: {} has {} bytes", name(), image->path, files_->size(*image));
  }
  return {};
}

/// Of an image that is in memory.
Result<void> Vm::check(const Image& image) const {
  if (image.sha256.empty()) return {};
  Sha256 hash;
  hash.add(image.bytes());
  if (hash.finish_is(image.sha256)) return {};
  log::error("VM {}: {} has another SHA-256 than its description says", name(), image.path);
  return fail(Error::Malformed);
}

void Vm::forget_images() {
  if (!files_) return;
  for (Image* image : images())
    if (image->location == ImageLocation::Fs) image->begin = image->end = nullptr;
  files_.reset();
}

u64 Vm::image_size(const Image& image) const {
  if (!image.present()) return 0;
  if constexpr (board::kFeatureFs)
    if (files_) return files_->size(image);
  return image.bytes().size();
}

Result<void> Vm::place_image(const Image& image, Gpa to) {
  if constexpr (board::kFeatureFs) {
    if (files_ && files_->is_streamed(image)) {
      const auto loaded = files_->load(image, memory_, to);
      if (!loaded) log::error("VM {}: {} cannot be loaded: {}", name(), image.path, loaded.error());
      return loaded;
    }
  }
  return memory_.write(to, image.bytes());
}

// ---- memory -----------------------------------------------------------------------------------------------------------

Result<void> Vm::allocate_memory() {
  for (const MemoryRegion& region : config_.memory) {
    GuestRegion allocated = TRY(allocate_region(region));
    allocated.is_ram = region.is_ram();
    if (allocated.gpa.base != region.gpa) move_addresses(region, allocated.gpa.base);
    if (!regions_.push_back(allocated)) return reject(Error::OutOfRange, "has more memory regions than are supported");
  }
  return {};
}

Result<void> Vm::map_memory() {
  TRY(arch.create_translation());
  for (usize i = 0; i < regions_.size(); ++i) {
    const GuestRegion& region = regions_[i];
    TRY(arch.map(region.gpa, region.hpa, attributes_of(config_.memory[i].flags)));
    TRY(memory_.add(region.gpa, region.hpa, use_of(config_.memory[i])));
  }
  memory_.zero_all();
  return {};
}

Result<GuestRegion> Vm::allocate_region(const MemoryRegion& region) {
  const HpaRange identical{Hpa(region.gpa.value()), region.size};
  const GpaRange configured{region.gpa, region.size};

  if (!region.shared.empty()) return GuestRegion{configured, TRY(share_region(region))};
  if (region.map == MapType::Reserved) {
    const auto taken =
        platform::frames().with([&](auto& frames) { return frames.allocate_reserved(identical, Owner::of_vm(number_)); });
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
  log::warn("VM {}: host memory {} is not free: the identical region moves to {}, with every address in it", name(),
            identical.base, anywhere->base);
  return GuestRegion{{Gpa(anywhere->base.value()), region.size}, anywhere->base};
}

// Scrubbed by its first and last user: others have it meanwhile.
Result<Hpa> Vm::share_region(const MemoryRegion& region) {
  SharedRegions& shared = hypervisor_.shared_regions();
  if (const auto there = shared.join(region.shared)) {
    if (there->size == region.size) return there->base;
    shared.leave(region.shared);
    return reject(Error::InvalidArgument, "has a shared region of another size than the VM before it");
  }
  const auto frames = platform::frames().lock()->allocate(region.size, Owner::shared_region(), region.size >= 2_MiB ? 2_MiB : kPageSize);
  if (!frames) return reject(frames.error(), "needs more contiguous shared memory than is free");
  if (!shared.add(region.shared, *frames)) {
    platform::frames().lock()->free(*frames, Owner::shared_region());
    return reject(Error::OutOfRange, "has more shared regions than are supported");
  }
  scrub(*frames);
  return frames->base;
}

void Vm::free_region(const MemoryRegion& config, const GuestRegion& region) {
  const HpaRange frames{region.hpa, region.gpa.size};
  if (config.shared.empty()) return frames_.free(frames);
  if (!hypervisor_.shared_regions().leave(config.shared)) return;
  scrub(frames);
  platform::frames().lock()->free(frames, Owner::shared_region());
}

void Vm::move_addresses(const MemoryRegion& from, Gpa to) {
  const GpaRange range{from.gpa, from.size};
  for (Gpa* address : {&config_.entry_point, &config_.kernel.load_address, &config_.dtb.load_address,
                       &config_.ramdisk.load_address, &config_.bios.load_address}) {
    if (range.contains(*address)) *address = to + (*address - from.gpa);
  }
}

// ---- processors -------------------------------------------------------------------------------------------------------

Result<void> Vm::create_vcpus() {
  if (config_.cpu_count == 0 || config_.cpu_count > kMaxVcpus)
    return reject(Error::OutOfRange, "has an unsupported number of vCPUs");
  StaticVector<u64, board::kMaxCpus> ids;
  for (unsigned cpu = 0; cpu < hypervisor_.cpu_count(); ++cpu) TRY(ids.push_back(hypervisor_.machine().cpus[cpu].hardware_id));
  for (unsigned index = 0; index < config_.cpu_count; ++index) TRY(create_vcpu(index, ids));
  return {};
}

Result<void> Vm::create_vcpu(unsigned index, std::span<const u64> machine_cpus) {
  const u64 hz = drivers::host_timer::frequency();
  const auto place = place_vcpu(config_, number_, index, hypervisor_.vms().configs(), machine_cpus);
  if (!place) return reject(place.error().error, place.error().what);
  const auto how = scheduling_of(config_, place->cpus, hz, hz / board::kTicksPerSecond);
  if (!how) return reject(how.error().error, how.error().what);
  vcpus_[index] =
      TRY(mm::make_box<Vcpu>(hypervisor_.heap(), *this, index, place->first, *how, ArchVm::guest_id(config_, index)));
  TRY(arch.prepare(*vcpus_[index]));
  ++vcpu_count_;
  return {};
}

// ---- passthrough ------------------------------------------------------------------------------------------------------

Result<void> Vm::map_passthrough(std::string_view what, Gpa gpa, HpaRange host) {
  if (host.empty()) return {};  // a device that is an interrupt line and I/O ports
  const HpaRange pages = whole_pages(host);
  const MachineInfo& machine = hypervisor_.machine();
  const auto overlaps = [&](const HpaRange& other) { return pages.overlaps(other); };
  // The host's own memory and devices are never mapped, whatever the configuration says. Guests have emulated interrupt
  // controllers, timers and consoles where the host's are, so a file that lists those describes what they get.
  if (ArchVm::belongs_to_host(machine, pages)) {
    log::warn("VM {}: {} at {} is the host's; the guest has emulated devices instead", name(), what, host.base);
    return {};
  }
  if (std::ranges::any_of(machine.ram, overlaps) || std::ranges::any_of(machine.reserved, overlaps)) {
    log::error("VM {}: {} at {} belongs to the host and is not passed through", name(), what, host.base);
    return fail(Error::PermissionDenied);
  }
  return map_device(what, gpa, host);
}

Result<void> Vm::map_device(std::string_view what, Gpa gpa, HpaRange host) {
  const HpaRange pages = whole_pages(host);
  if (const auto claimed = hypervisor_.device_owners().claim(number_, pages); !claimed) {
    log::error("VM {}: {} at {} cannot be given to it: another VM has a device on the same page", name(), what, host.base);
    return claimed;
  }
  return arch.map({gpa.align_down(kPageSize), pages.size}, pages.base, mm::kDeviceReadWrite);
}

}  // namespace hv
