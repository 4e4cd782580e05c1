// One virtual machine: its memory, vCPUs and life; devices and boot protocol are its architecture's (ArchVm).
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/device/watchdog.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/arch_vm.hpp"
#include "hypervisor/vm/guest_memory.hpp"
#include "hypervisor/vm/guest_output.hpp"
#include "hypervisor/storage/image_files.hpp"
#include "hypervisor/vm/vm_frames.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Hypervisor;

/// Why a VM came to rest.
enum class StopReason : u8 { None, PowerOff, Reset, Crash, Request, Watchdog };
std::string_view describe(StopReason reason);

/// Memory of a guest: guest-physical range, and the host memory behind it.
struct GuestRegion {
  GpaRange gpa{};
  Hpa hpa{};
  bool is_ram = false;  ///< the tables that the guest reads call it RAM
};
using GuestRam = StaticVector<GpaRange, kMaxVmMemoryRegions>;

/// A VM from its creation to its end. Created and destroyed by the manager's thread; in between, its vCPUs run it.
class Vm {
 public:
  /// Allocates memory, loads the images, builds the tables that the guest reads, and the vCPUs. The VM does not run yet.
  /// `number` is its place among the VMs, below kMaxVms. Manager thread. On failure everything is given back and the reason
  /// was logged.
  static Result<mm::Box<Vm>> create(Hypervisor& hypervisor, const VmConfig& config, u16 number);

  Vm(Hypervisor& hypervisor, const VmConfig& config, u16 number);
  /// Only when no vCPU runs any more. Scrubs and frees its memory.
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  /// Starts the boot vCPU. Manager thread.
  void start();
  /// Makes every vCPU stop; the first reason counts. Any CPU, interrupts masked.
  void request_stop(StopReason reason);
  /// A vCPU has given up the hardware for good. Its own CPU, interrupts masked.
  void vcpu_stopped(Vcpu& vcpu);
  /// Makes every vCPU leave its guest and stay out of it; is_paused() tells when all have, and the manager is told. Manager thread.
  void pause();
  /// Lets them go on; their time goes on from where it stood. Only when is_paused(). Manager thread.
  void resume();
  /// A vCPU has left its guest, its state is out of the hardware. Its own CPU, interrupts masked.
  void vcpu_paused();
  bool is_paused() const { return paused_at_.load(std::memory_order_acquire) != 0; }
  bool at_rest() const { return stopped_vcpus_.load(std::memory_order_acquire) == vcpu_count_; }
  StopReason stop_reason() const { return stop_reason_.load(std::memory_order_acquire); }

  const VmConfig& config() const { return config_; }
  std::string_view name() const { return config_.name; }
  u16 number() const { return number_; }
  /// When it was told to stop, in host timer ticks. After request_stop().
  u64 stop_asked_at() const { return stop_asked_at_; }
  unsigned vcpu_count() const { return vcpu_count_; }
  Vcpu* vcpu(unsigned index) { return vcpus_[index].get(); }
  Vcpu* boot_vcpu() { return vcpu(0); }
  /// Ticks that the guest's counter lags behind the host's: guest time starts at 0 and stands still while paused.
  u64 time_offset() const { return time_offset_.load(std::memory_order_relaxed); }
  /// The guest's time, in ticks of the host's timer. Any context.
  u64 now() const;
  std::span<const GuestRegion> regions() const { return regions_; }
  /// The regions that the guest's tables call RAM, in the order of the configuration.
  GuestRam ram() const;
  bool is_ram(Gpa address) const;
  GuestMemory& memory() { return memory_; }
  const GuestMemory& memory() const { return memory_; }

  /// In ticks of its own time. Any CPU.
  Watchdog& watchdog() { return watchdog_; }
  const Watchdog& watchdog() const { return watchdog_; }
  /// The guest has fed it, or asked for another time. On the exit path.
  void watchdog_changed();

  /// A character for the guest's serial port. Any CPU, interrupts masked.
  void console_input(char c) { arch.console_input(c); }
  /// The guest waits: an unfinished line of its console is shown. Its vCPU's CPU, interrupts masked.
  void console_idle() { output_.flush(); }

  // For ArchVm.
  Hypervisor& hypervisor() { return hypervisor_; }
  VmFrames& frames() { return frames_; }
  GuestOutput& output() { return output_; }
  /// While the VM is made: bytes of an image, which may be more than image.bytes() if it is streamed from a disk (ImageFiles).
  u64 image_size(const Image& image) const;
  /// Puts all of an image there. Error: that of GuestMemory::write(); the reason was logged.
  Result<void> place_image(const Image& image, Gpa to);
  /// Logs why the VM cannot be created.
  std::unexpected<Error> reject(Error error, std::string_view what) const;
  /// Maps a range of `passthrough_devices` or `passthrough_addresses`. The host's interrupt controller, timer and console are
  /// left out; what else belongs to the host, or to another VM, is refused.
  Result<void> map_passthrough(std::string_view what, Gpa gpa, HpaRange host);
  /// Maps the whole pages around device registers and makes them this VM's. Errors: Busy (another VM has them), those of
  /// mm::PageTable::map().
  Result<void> map_device(std::string_view what, Gpa gpa, HpaRange host);

 private:
  /// Frames of this VM out of the machine's.
  class Frames final : public VmFrames {
   public:
    explicit Frames(mm::Owner owner) : owner_(owner) {}
    Result<HpaRange> allocate(u64 bytes, u64 alignment) override;
    void free(HpaRange frames) override;

   private:
    mm::Owner owner_;
  };

  void request(VcpuRequest what);

  // vm_create.cpp, in order.
  Result<void> init();
  Result<void> allocate_memory();
  Result<GuestRegion> allocate_region(const MemoryRegion& region);
  Result<Hpa> share_region(const MemoryRegion& region);
  void free_region(const MemoryRegion& config, const GuestRegion& region);
  void move_addresses(const MemoryRegion& from, Gpa to);
  Result<void> map_memory();
  Result<void> create_vcpus();
  Result<void> create_vcpu(unsigned index, std::span<const u64> machine_cpus);
  std::array<Image*, 4> images() { return {&config_.kernel, &config_.dtb, &config_.bios, &config_.ramdisk}; }
  Result<void> find_images();
  Result<void> check(const Image& image) const;
  void forget_images();

  Hypervisor& hypervisor_;
  VmConfig config_;  ///< a copy: addresses move when an identical region cannot be had
  const u16 number_;
  unsigned vcpu_count_ = 0;
  Frames frames_;
  GuestOutput output_;
  StaticVector<GuestRegion, kMaxVmMemoryRegions> regions_{};
  GuestMemory memory_;
  mm::Box<ImageFiles> files_;  ///< until it is made
  std::array<mm::Box<Vcpu>, kMaxVcpus> vcpus_{};
  std::atomic<u64> time_offset_{0};
  std::atomic<u64> paused_at_{0};  ///< host timer ticks; 0: it is not
  std::atomic<unsigned> paused_vcpus_{0};
  std::atomic<StopReason> stop_reason_{StopReason::None};
  Watchdog watchdog_;
  u64 stop_asked_at_ = 0;  ///< written by whoever sets the reason, before the vCPUs hear of it
  std::atomic<unsigned> stopped_vcpus_{0};

 public:
  ArchVm arch;
};

}  // namespace hv
