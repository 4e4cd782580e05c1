// VmConfig: the one description of a virtual machine that the hypervisor knows.
//
// The generator writes it as constexpr data (vm_configs.hpp); a description that arrives at run time is decoded into the
// same struct. Freestanding, and included by the host tools so that both sides share the cross-checks.
#pragma once

#include <span>
#include <string_view>

#include "hypervisor/config/pci_address.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// How a guest-physical range gets its host memory (`memory_regions[i][3]`).
enum class MapType : u8 {
  Alloc = 0,      ///< any free host frames, mapped at the configured GPA
  Identical = 1,  ///< HPA = GPA if that RAM is free; else another range, and every address of the VM moves with it
  Reserved = 2,   ///< HPA = GPA, RAM that the host has set aside and never allocates
};

/// What a guest may do with a range (`memory_regions[i][2]`, and the mapping flags of passthrough ranges).
struct MemoryFlags {
  bool read = false;
  bool write = false;
  bool execute = false;
  bool device = false;  ///< Device-nGnRE / uncached instead of normal write-back memory

  /// The bit assignment of the TOML files: 1 read, 2 write, 4 execute, 16 device. Bit 8 (user) has no meaning for stage 2.
  static constexpr MemoryFlags from_bits(u64 bits) {
    return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 16) != 0};
  }
  friend constexpr bool operator==(const MemoryFlags&, const MemoryFlags&) = default;
};

struct MemoryRegion {
  Gpa gpa{};
  u64 size = 0;  ///< bytes
  MemoryFlags flags{};
  MapType map = MapType::Alloc;
  std::string_view shared{};  ///< name of memory that every VM has which says it; empty: this VM's alone

  /// Whether an operating system may use it as its RAM: what it may not write, and what others write to, is none.
  constexpr bool is_ram() const { return flags.read && flags.write && !flags.device && shared.empty(); }
};

enum class ImageLocation : u8 { Memory, Fs, Module };

/// One image of a VM: where its bytes come from and where the guest finds them.
struct Image {
  ImageLocation location = ImageLocation::Memory;
  std::string_view path{};            ///< as written in the TOML file, for messages and for `Fs`
  const std::byte* begin = nullptr;   ///< `Memory`: the embedded bytes [begin, end); host-owned, immutable
  const std::byte* end = nullptr;
  Gpa load_address{};
  std::string_view sha256{};  ///< 64 hexadecimal digits that it must have when it is loaded; empty: whatever

  constexpr bool present() const { return !path.empty(); }
  std::span<const std::byte> bytes() const { return {begin, static_cast<usize>(end - begin)}; }
};

/// How the kernel is entered (`boot_protocol`).
enum class BootProtocol : u8 {
  Direct,     ///< as its format wants
  Multiboot,  ///< x86: in 32-bit protected mode, with a Multiboot 1 information structure
};

enum class InterruptMode : u8 { None, Emulated, Passthrough };

/// A host device given to the VM: by device-tree path, or as an explicit address range.
struct PassthroughDevice {
  std::string_view name{};  ///< device-tree path when `by_path`, else a free name for the report
  bool by_path = false;     ///< "/" is the wildcard: everything that nobody names
  Gpa gpa{};
  Hpa hpa{};
  u64 size = 0;
  u32 irq = 0;              ///< host interrupt number as in the file; 0 = none
};

/// An address range that is passed through one to one.
struct PassthroughRange {
  Gpa gpa{};
  u64 size = 0;
};

/// `emu_devices[i][4]`.
enum class EmulatedDeviceType : u16 {
  Dummy = 0x0,
  InterruptController = 0x1,
  Console = 0x2,
  FwCfg = 0x3,
  IvcChannel = 0xa,
  GicRedistributor = 0x20,
  GicDistributor = 0x21,
  GicIts = 0x22,
  X86IoApic = 0x23,
  X86Pit = 0x24,
  RiscvPlic = 0x30,
  VirtioBlk = 0xe1,
  VirtioNet = 0xe2,
  VirtioConsole = 0xe3,
};

struct EmulatedDevice {
  std::string_view name{};
  Gpa gpa{};
  u64 size = 0;
  u32 irq = 0;
  EmulatedDeviceType type = EmulatedDeviceType::Dummy;
  std::span<const u64> arguments{};
};

/// What happens when a guest does what no guest may do, or does not feed its watchdog (`on_crash`).
enum class CrashPolicy : u8 { Halt, Restart, Shutdown };

/// Who starts the VM the first time (`start`).
enum class StartPolicy : u8 {
  Auto,    ///< the hypervisor
  Manual,  ///< a command of the shell
};

/// Limits of the keys that say how vCPUs are scheduled.
inline constexpr u8 kMaxPriority = 7;  ///< the most urgent
inline constexpr u8 kDefaultPriority = 3;
inline constexpr u32 kMinTimeSliceUs = 100;
inline constexpr u32 kMaxTimeSliceUs = 1'000'000;
inline constexpr u32 kMinBudgetUs = 100;
inline constexpr u32 kMinPeriodUs = 1'000;
inline constexpr u32 kMaxPeriodUs = 1'000'000;
inline constexpr u32 kDefaultPeriodUs = 100'000;

/// Everything about one VM. All views refer to static storage, or to the run-time description that owns them.
struct VmConfig {
  u32 id = 0;
  std::string_view name{};
  std::string_view source{};  ///< the TOML file, for messages

  u32 cpu_count = 1;
  std::span<const u64> phys_cpu_ids{};   ///< per vCPU: MPIDR affinity or APIC id of the CPU it runs on; may be empty
  std::span<const u64> phys_cpu_sets{};  ///< per vCPU: bit mask of CPU indices it may run on; may be empty
  bool exclusive_cpus = false;
  u8 priority = kDefaultPriority;
  u32 time_slice_us = 0;  ///< longest turn among vCPUs of the same priority; 0: the board's default
  u32 budget_us = 0;      ///< most that each vCPU runs in a period; 0: no limit
  u32 period_us = 0;      ///< 0: kDefaultPeriodUs

  /// First instruction of the boot CPU, in the BIOS or in a kernel whose format (kernel_format.hpp) does not say it.
  Gpa entry_point{};
  BootProtocol boot_protocol = BootProtocol::Direct;
  bool kernel_places_itself = false;  ///< no load address is given (kernel.load_address = 0): the kernel's format says it
  Image kernel{};
  Image dtb{};
  Image bios{};
  Image ramdisk{};
  std::string_view command_line{};
  bool strict_addresses = false;  ///< an identical region that cannot be had is an error instead of a move

  std::span<const MemoryRegion> memory{};

  InterruptMode interrupt_mode = InterruptMode::None;
  std::span<const PassthroughDevice> passthrough_devices{};
  std::span<const PassthroughRange> passthrough_ranges{};
  std::span<const PassthroughRange> passthrough_ports{};     ///< x86: gpa = first port, size = number of ports
  std::span<const PciAddress> passthrough_pci{};             ///< host PCI functions
  std::span<const std::string_view> excluded_devices{};      ///< device-tree paths
  /// The guest may have devices that write to memory by themselves although no IOMMU keeps them inside the guest's.
  bool allow_unprotected_dma = false;
  std::span<const EmulatedDevice> emulated_devices{};

  CrashPolicy on_crash = CrashPolicy::Halt;
  StartPolicy start = StartPolicy::Auto;
  u32 watchdog_ms = 0;  ///< longest time between two signs of life; 0: nobody watches
  std::span<const std::string_view> start_after{};  ///< names of VMs that are started before this one
};

/// The VMs that were built into this image, in boot order. Defined by the generated vm_configs.cpp.
extern const std::span<const VmConfig> kStaticVmConfigs;
/// Whether the machine restarts, instead of powering off, when the last VM has stopped (feature reboot-on-system-off).
extern const bool kRestartAtEnd;

}  // namespace hv
