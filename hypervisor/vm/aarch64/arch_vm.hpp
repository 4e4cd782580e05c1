// The aarch64 half of a VM: stage 2, interrupt controller, PL011, boot images and device tree.
#pragma once

#include <optional>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/device/mmio.hpp"
#include "hypervisor/device/vpl011.hpp"
#include "hypervisor/vcpu/aarch64/arch_vcpu.hpp"
#include "hypervisor/vcpu/aarch64/virtual_interrupts.hpp"
#include "hypervisor/vm/boot_layout.hpp"
#include "hypervisor/vm/pci_host_bridge.hpp"
#include "hypervisor/vm/pci_passthrough.hpp"
#include "hypervisor/vm/stage2.hpp"
#include "hypervisor/vm/stolen_time.hpp"
#include "hypervisor/vm/tlb_residents.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/drivers/gic.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

class Vcpu;
class Vm;
struct DeviceSelection;
struct NodeRecord;
struct PassthroughResources;

inline constexpr usize kMaxVcpus = kMaxVgicVcpus;

class ArchVm final : private PciMessageSink {
 public:
  /// Of a kernel, the loader only looks at the first page.
  static constexpr bool kStreamsKernel = true;
  /// PCI functions: no I/O ports, and firmware may have left them without addresses.
  static constexpr bool kHasPorts = false, kPlacesPciMemory = true;

  explicit ArchVm(Vm& owner);

  // Called by Vm in this order, on the manager's thread; each logs why it fails.
  /// An address space that reaches all of the VM's memory and devices; empty.
  Result<void> create_translation();
  /// Errors: those of mm::PageTable::map().
  Result<void> map(GpaRange range, Hpa target, mm::PageAttributes attributes) { return stage2_->map(range, target, attributes); }
  // For PciPassthrough.
  void unmap(GpaRange range) { static_cast<void>(stage2_->unmap(range)); }
  Result<void> set_tables_aside(usize count) { return stage2_->set_tables_aside(count); }
  bool open_ports(u16, u32, bool) { return false; }
  /// Messages would need an ITS or a frame of the machine's for each guest.
  Result<PciMessage> give_message(u32) { return fail(Error::NotSupported); }
  /// The INTID of `pin` of `device` on the root bus. Errors: those of find_pci_interrupt().
  Result<u32> find_pci_line(u8 device, u8 pin, u8 firmware_line);
  /// The guest has the line, under the same number. Errors: those of PhysicalInterrupts::give_to_vm().
  Result<u32> give_pci_line(u32 line, std::span<const GuestPciLine> given);
  /// What the guest knows vCPU `index` by: MPIDR_EL1 affinity.
  static u64 guest_id(const VmConfig& config, unsigned index);
  /// A vCPU that was just made.
  Result<void> prepare(Vcpu&) { return {}; }
  /// vCPUs exist.
  Result<void> create_devices();
  Result<void> load_images();
  /// Passthrough, then the device tree.
  Result<void> give_devices();
  StartState start_state() const;
  Gpa entry() const { return start_state().entry; }
  /// The guest's time begins; vCPUs take it from Vm::time_offset() when they are loaded.
  void begin_time() {}
  /// Devices of the machine do no DMA any more; nothing runs any more.
  void quiesce_devices();
  /// Address space and tables go; nothing runs any more.
  void destroy_translation() {
    pci_.reset();
    stage2_.reset();
  }

  /// Part of the host's own interrupt controller, or PCI configuration space.
  static bool belongs_to_host(const MachineInfo& machine, HpaRange range);

  /// Points stage 2 of the calling CPU, number `cpu`, at this VM, of which `vcpu` is about to run.
  void load_translation(unsigned cpu, unsigned vcpu);
  VirtualInterrupts& interrupts() { return *interrupts_; }
  StolenTime& stolen_time() { return stolen_time_; }
  u8 gic_version() const;

  /// A trapped access of `vcpu` to guest-physical `address`; `size` is 1, 2, 4 or 8. Nothing / false: nobody answers there.
  std::optional<u64> mmio_read(Vcpu& vcpu, Gpa address, u32 size);
  bool mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value);
  /// What mmio_read() would answer for ever; nothing for all that may change. Takes no lock.
  std::optional<u32> mmio_read_constant(Gpa address, u32 size) const {
    for (const ConstantRegister& r : constants_)
      if (r.address == address && size == sizeof r.value) return r.value;
    return std::nullopt;
  }

  /// The first stage of the watchdog is over, unless the guest feeds it right now. Any CPU, interrupts masked.
  void watchdog_warns();

  /// A character for the guest's UART. Any CPU, interrupts masked.
  void console_input(char c);

 private:
  struct MmioRegion {
    GpaRange range{};
    MmioDevice* device = nullptr;  ///< nullptr: the terminal's UART, or the watchdog
  };

  /// A device register of which MmioDevice::read_constant() knows the value.
  struct ConstantRegister {
    Gpa address{};
    u32 value = 0;
  };

  /// The UART's interrupt line.
  class UartInterrupt final : public InterruptLine {
   public:
    explicit UartInterrupt(ArchVm& owner) : vm_(owner) {}
    void set(bool asserted) override;
    /// After an access to the UART. A line that the machine's controller only knows as pending has to be told again that it is
    /// still asserted.
    void refresh();

   private:
    ArchVm& vm_;
    bool asserted_ = false;
  };

  /// A guest that polls its UART this often without sending anything waits for input.
  static constexpr unsigned kPollsThatMeanWaiting = 16;

  /// The UART and what was typed but did not fit into its FIFO yet.
  struct Terminal {
    Terminal(ConsoleSink& sink, InterruptLine& line) : uart(sink, line) {}
    /// Input beyond the queue's capacity is lost, as on a real line without flow control.
    void type(char c) { static_cast<void>(typed.push_back(c)); }
    void feed();
    VPl011 uart;
    unsigned reads = 0;  ///< register reads since the last write
    StaticVector<char, 1024> typed{};
  };

  void send(const PciMessage&) override {}
  Result<void> find_host_bridge();
  Result<void> create_pci();
  void reset_virtio();
  const MmioRegion* find_device(Gpa address, u32 size) const;
  /// The device of that type that the configuration places; nullptr: none.
  const EmulatedDevice* emulated(EmulatedDeviceType type) const;
  Gpa distributor_address() const;
  u32 spi_count() const;
  GpaRange console_range() const;
  bool is_watchdog(const MmioRegion& region) const { return region.range.base == watchdog_.base && !watchdog_.empty(); }
  Result<void> place_watchdog(const PassthroughResources& taken);
  u32 find_watchdog_interrupt(const PassthroughResources& taken);
  void set_watchdog_line(bool asserted);
  Result<void> add_device(GpaRange range, MmioDevice* device);
  Result<void> select(const fdt::Fdt& host, std::span<NodeRecord> scratch, DeviceSelection& selection);
  Result<void> map_resources(const PassthroughResources& resources);
  Result<void> map_configured_ranges();
  Result<void> choose_delivery();
  Result<void> give_interrupt(u32 intid, drivers::Trigger trigger);
  Result<void> write_device_tree(const DeviceSelection& selection);

  Vm& vm_;
  std::optional<Stage2> stage2_;
  TlbResidents tlb_residents_;
  std::optional<VirtualInterrupts> interrupts_;
  StaticVector<MmioRegion, 8> mmio_{};
  StaticVector<Hpa, 64> virtio_{};  ///< devices of the machine that are the VM's; mapped here, too
  StaticVector<ConstantRegister, 4> constants_{};
  UartInterrupt uart_line_{*this};
  Locked<Terminal, LockRank::VirtualDevice> terminal_;
  u32 uart_interrupt_ = 0;  ///< 0: none
  GpaRange watchdog_{};     ///< empty: none
  std::optional<PciHostBridge> host_bridge_;  ///< of the VM's PCI functions
  mm::Box<PciPassthrough> pci_;               ///< empty: the VM has none
  u32 watchdog_interrupt_ = 0;  ///< of its first stage; 0: none
  BootLayout layout_;
  StolenTime stolen_time_;
};

}  // namespace hv
