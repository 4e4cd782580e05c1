// The service `disk`: the FAT file system of the machine's virtio disk is "/". A thread that waits for the device sleeps until its
// interrupt, and lets others run meanwhile; where there is no such interrupt the device is asked.
#include <algorithm>
#include <optional>

#include "kernel/base/format.hpp"
#include "kernel/block/request_queue.hpp"
#include "kernel/drivers/virtio_blk.hpp"
#include "kernel/fs/fat.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/object_heap.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/time.hpp"
#include "unikernel/file/disk.hpp"
#include "unikernel/file/open_files.hpp"

namespace ax::uni {
namespace {

constexpr usize kBounceBytes = 64_KiB;

constinit u32 interrupts = 0;
constinit drivers::VirtioTransport* transport = nullptr;

void take_interrupt() {
  transport->acknowledge_interrupt();
  __atomic_add_fetch(&interrupts, 1, __ATOMIC_SEQ_CST);
  wake_all(&interrupts);
}

class DiskClock final : public block::Clock {
 public:
  u64 microseconds() override { return monotonic_now() / 1000; }
  /// Between two looks at the device: an interrupt since the last one may be what this look has missed.
  void relax() override {
    if (!interrupting) return yield();
    if (seen_ == __atomic_load_n(&interrupts, __ATOMIC_SEQ_CST))
      wait_for_word(&interrupts, seen_, monotonic_now() + block::QueuedDevice::kTimeoutUs * 1000);
    seen_ = __atomic_load_n(&interrupts, __ATOMIC_SEQ_CST);
  }

  bool interrupting = false;

 private:
  u32 seen_ = 0;
};

constinit DiskClock disk_clock;
constinit std::optional<drivers::VirtioBlk> driver;
constinit std::optional<block::QueuedDevice> device;

/// RAM and the image are mapped where they lie; a program's mappings and stacks are elsewhere.
bool is_ram(const void* data, usize size) {
  const HpaRange range{Hpa(reinterpret_cast<u64>(data)), size};
  return std::ranges::any_of(platform::machine().ram, [&](const HpaRange& ram) { return ram.contains(range); });
}

[[noreturn]] void refuse(std::string_view what, Error error) {
  log::print_line("unikernel: {}: {}", what, error);
  end_program(kSystemFailureStatus);
}

fs::Fat& as_fat(fs::FileSystem& system) { return static_cast<fs::Fat&>(system); }

void start() {
  transport = find_disk();
  if (transport == nullptr) stop_program("the service blkfs needs a virtio disk, and this machine has none");
  const auto memory = platform::frames().lock()->allocate(drivers::VirtioBlk::kMemory + kBounceBytes, mm::Owner::host());
  if (!memory) stop_program("there is not enough memory for the disk's driver");
  std::byte* bytes = reinterpret_cast<std::byte*>(memory->base.value());
  disk_clock.interrupting = start_interrupts() && attach_disk(take_interrupt);
  const auto made = drivers::VirtioBlk::create(*transport, {bytes, drivers::VirtioBlk::kMemory}, disk_clock.interrupting);
  if (!made) refuse("the virtio disk cannot be used", made.error());
  driver.emplace(*made);
  device.emplace(*driver, disk_clock, std::span(bytes + drivers::VirtioBlk::kMemory, kBounceBytes), &is_ram);
  auto mounted = fs::Fat::mount(*device, object_heap(), &seconds_now);
  if (!mounted) refuse("the disk holds no FAT16 or FAT32 file system that can be used", mounted.error());
  const auto place = object_heap().allocate(sizeof(fs::Fat), alignof(fs::Fat));
  if (!place) stop_program("there is not enough memory for the file system");
  set_volume({
      .system = ::new (*place) fs::Fat(std::move(*mounted)),
      .shorten = [](fs::FileSystem& system, fs::Node& file, u64 size) { return as_fat(system).shorten(file, size); },
      .detach = [](fs::FileSystem& system, const fs::Node& directory,
                   std::string_view name) { return as_fat(system).detach(directory, name); },
      .release = [](fs::FileSystem& system, fs::Node& file) { return as_fat(system).release(file); },
      .move = [](fs::FileSystem& system, const fs::Node& from, std::string_view name, const fs::Node& to,
                 std::string_view new_name) { return as_fat(system).move(from, name, to, new_name); },
  });
}

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_disk{"disk", {}, ax::uni::start};
