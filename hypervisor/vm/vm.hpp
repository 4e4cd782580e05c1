// One virtual machine: its memory, devices and vCPUs.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/console/guest_console.hpp"
#include "hypervisor/device/mmio.hpp"
#include "hypervisor/device/vpl011.hpp"
#include "hypervisor/vcpu/aarch64/virtual_interrupts.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/boot_layout.hpp"
#include "hypervisor/vm/device_selection.hpp"
#include "hypervisor/vm/guest_memory.hpp"
#include "hypervisor/vm/stage2.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/drivers/gic.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Hypervisor;

inline constexpr usize kMaxVcpus = kMaxVgicVcpus;
inline constexpr usize kMaxNamedDevices = 64;

/// Why a VM came to rest.
enum class StopReason : u8 { None, PowerOff, Reset, Crash, Request };
std::string_view describe(StopReason reason);

/// A VM from its creation to its end. Created and destroyed by the manager's thread; in between, its vCPUs run it.
class Vm {
 public:
  /// Allocates memory, loads the images, builds the device tree and the vCPUs. The VM does not run yet. `number` is its
  /// place among the VMs, below kMaxVms. Manager thread. On failure everything is given back and the reason was logged.
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
  bool at_rest() const { return stopped_vcpus_.load(std::memory_order_acquire) == vcpu_count_; }
  StopReason stop_reason() const { return stop_reason_.load(std::memory_order_acquire); }

  const VmConfig& config() const { return config_; }
  std::string_view name() const { return config_.name; }
  unsigned vcpu_count() const { return vcpu_count_; }
  Vcpu* vcpu(unsigned index) { return vcpus_[index].get(); }
  Vcpu* boot_vcpu() { return vcpu(0); }
  VirtualInterrupts& interrupts() { return *interrupts_; }
  /// Ticks that the guest's counter lags behind the host's: guest time starts at 0.
  u64 time_offset() const { return time_offset_; }
  bool is_ram(Gpa address) const;
  u8 gic_version() const;

  /// Points the calling CPU's stage 2 at this VM.
  void load_translation();

  /// A trapped access of `vcpu` to guest-physical `address`; `size` is 1, 2, 4 or 8. Nothing / false: nobody answers there.
  std::optional<u64> mmio_read(Vcpu& vcpu, Gpa address, u32 size);
  bool mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value);

  /// A character for the guest's UART. Any CPU, interrupts masked.
  void console_input(char c);
  /// The guest waits: an unfinished line of its console is shown. Its vCPU's CPU, interrupts masked.
  void console_idle() { uart_wires_.flush(); }

 private:
  struct MmioRegion {
    GpaRange range{};
    MmioDevice* device = nullptr;  ///< nullptr: the terminal's UART
  };
  struct GuestRegion {
    GpaRange gpa{};
    Hpa hpa{};
  };

  /// Frames of this VM out of the machine's.
  class Frames final : public VmFrames {
   public:
    explicit Frames(mm::Owner owner) : owner_(owner) {}
    Result<HpaRange> allocate(u64 bytes, u64 alignment) override;
    void free(HpaRange frames) override;

   private:
    mm::Owner owner_;
  };

  /// What the UART is wired to: the shared console, and its interrupt line.
  class UartWires final : public ConsoleSink, public InterruptLine {
   public:
    explicit UartWires(Vm& owner) : vm_(owner), stream_(owner.name()) {}
    void put(char c) override;
    void set(bool asserted) override;
    /// Cheap when there is nothing to show.
    void flush();
    void close();

   private:
    Vm& vm_;
    ConsoleMux::Stream stream_;
    std::atomic<bool> unshown_{false};
  };

  // vm_create.cpp, in order.
  Result<void> init();
  Result<void> allocate_memory();
  Result<GuestRegion> allocate_region(const MemoryRegion& region);
  void move_addresses(const MemoryRegion& from, Gpa to);
  Result<void> init_stage2(Gpa highest);
  Result<unsigned> choose_cpu(unsigned index) const;
  u64 guest_mpidr(unsigned index) const;
  Result<void> create_vcpus();
  GpaRange console_range() const;
  Result<void> add_device(GpaRange range, MmioDevice* device);
  Result<void> create_devices();
  Result<BootLayout> plan();
  Result<void> load_images(const BootLayout& layout);
  Result<void> select(const fdt::Fdt& host, std::span<NodeRecord> scratch, DeviceSelection& selection);
  Result<void> give_devices(const BootLayout& layout);
  Result<void> map_resources(const PassthroughResources& resources);
  Result<void> give_interrupt(u32 intid, drivers::Trigger trigger);
  bool belongs_to_host(HpaRange range) const;
  Result<void> map_configured_ranges();
  Result<void> map_range(std::string_view what, Gpa gpa, HpaRange host);
  Result<void> write_device_tree(const DeviceSelection& selection, const BootLayout& layout);
  std::unexpected<Error> reject(Error error, std::string_view what) const;

  /// A guest that polls its UART this often without sending anything waits for input.
  static constexpr unsigned kPollsThatMeanWaiting = 16;

  /// The UART and what was typed but did not fit into its FIFO yet.
  struct Terminal {
    explicit Terminal(UartWires& wires) : uart(wires, wires) {}
    /// Input beyond the queue's capacity is lost, as on a real line without flow control.
    void type(char c) { static_cast<void>(typed.push_back(c)); }
    void feed();
    VPl011 uart;
    unsigned reads = 0;  ///< register reads since the last write
    StaticVector<char, 1024> typed{};
  };

  const MmioRegion* find_device(Gpa address, u32 size) const;

  Hypervisor& hypervisor_;
  VmConfig config_;  ///< a copy: addresses move when an identical region cannot be had
  const u16 number_;
  unsigned vcpu_count_ = 0;
  Frames frames_;
  StaticVector<GuestRegion, kMaxVmMemoryRegions> regions_{};
  std::optional<Stage2> stage2_;
  GuestMemory memory_;
  std::optional<VirtualInterrupts> interrupts_;
  std::array<mm::Box<Vcpu>, kMaxVcpus> vcpus_{};
  StaticVector<MmioRegion, 8> mmio_{};
  UartWires uart_wires_{*this};
  Locked<Terminal, LockRank::VirtualDevice> terminal_{uart_wires_};
  u32 uart_interrupt_ = 0;  ///< 0: none
  u64 time_offset_ = 0;
  Gpa fdt_address_{};
  std::atomic<StopReason> stop_reason_{StopReason::None};
  std::atomic<unsigned> stopped_vcpus_{0};
};

}  // namespace hv
