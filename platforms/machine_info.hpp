// MachineInfo: what a platform found out about the machine. Nobody reads the host's FDT or ACPI
// after it has been filled, except to build tables for guests.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax {

inline constexpr usize kMaxCpus = 64;
inline constexpr usize kMaxMemoryRanges = 32;
inline constexpr usize kMaxReservedRanges = 64;
inline constexpr usize kMaxModules = 16;

struct CpuInfo {
  u64 hardware_id = 0;  ///< MPIDR_EL1 affinity fields (bits 39:32, 23:0), or APIC id
  u32 acpi_id = 0;      ///< x86: processor UID of the MADT
  bool online = false;  ///< set by the CPU itself when it has entered its idle loop
};

struct ConsoleInfo {
  enum class Kind : u8 { None, Pl011, Uart16550 };
  Kind kind = Kind::None;
  HpaRange registers{};
  bool is_port = false;   ///< `registers` are I/O ports
  u8 register_shift = 0;  ///< 16550: log2 of the distance of two registers
  u8 register_width = 1;  ///< 16550: bytes per access
  u32 interrupt = 0;      ///< INTID or ISA interrupt; 0 = none
  std::string_view fdt_path{};
};

struct GicInfo {
  u8 version = 0;  ///< 2 or 3 (a GICv4 is driven as a v3)
  HpaRange distributor{};
  HpaRange cpu_interface{};           ///< v2: GICC
  HpaRange hypervisor_interface{};    ///< v2: GICH
  HpaRange virtual_cpu_interface{};   ///< v2: GICV, mapped where a guest expects GICC
  StaticVector<HpaRange, 8> redistributors{};  ///< v3: regions
  u64 redistributor_stride = 0;                ///< v3: 0 = as GICR_TYPER says
  u32 maintenance_interrupt = 25;     ///< INTID
  std::string_view fdt_path{};
};

struct TimerInfo {
  u32 secure_physical_interrupt = 29;     ///< INTIDs of the four EL1/EL2 timers
  u32 physical_interrupt = 30;
  u32 virtual_interrupt = 27;
  u32 hypervisor_interrupt = 26;
  u64 frequency_hz = 0;
};

/// x86: where a register is that ACPI names.
struct AcpiRegister {
  enum class Space : u8 { None, Memory, Port, PciConfig };
  Space space = Space::None;
  u64 address = 0;  ///< PciConfig: device in bits 47:32, function in 31:16, offset in 15:0, on bus 0
};

struct IoApicInfo {
  u8 id = 0;
  HpaRange registers{};
  u32 gsi_base = 0;  ///< global system interrupt of its first pin
};

/// An ISA interrupt that is not the global system interrupt of the same number, active high, edge-triggered.
struct InterruptOverride {
  u8 isa_interrupt = 0;
  u32 gsi = 0;
  bool active_low = false;
  bool level = false;
};

/// Configuration space of PCI buses as memory: one MiB per bus.
struct PciSegment {
  HpaRange registers{};  ///< of `first_bus` and those that follow
  u16 segment = 0;
  u8 first_bus = 0;
  u8 last_bus = 0;
};

/// x86: what ACPI says besides CPUs.
struct PcInfo {
  Hpa rsdp{};                                          ///< 0: no ACPI
  HpaRange local_apic{Hpa(0xfee0'0000), kPageSize};    ///< registers in xAPIC mode
  bool has_8259 = true;
  StaticVector<IoApicInfo, 8> io_apics{};
  StaticVector<InterruptOverride, 16> overrides{};
  StaticVector<PciSegment, 4> pci{};
  Hpa hpet{};                                          ///< registers; 0: none
  u16 pm_timer_port = 0;                               ///< 0: none
  u16 pm1a_control_port = 0;                           ///< 0: no power-off
  u16 pm1b_control_port = 0;                           ///< 0: none
  std::optional<u8> s5_sleep_type_a{};                 ///< SLP_TYP of power-off for each
  u8 s5_sleep_type_b = 0;
  u32 sci_interrupt = 9;                               ///< ISA interrupt or GSI
  u16 smi_command_port = 0;                            ///< 0: always in ACPI mode
  u8 acpi_enable = 0;                                  ///< what switches to ACPI mode, written to smi_command_port
  AcpiRegister reset{};
  u8 reset_value = 0;
};

enum class PsciConduit : u8 { None, Smc, Hvc };

/// A file that the boot loader passed (initrd, multiboot module).
struct ModuleInfo {
  std::string_view name{};
  HpaRange data{};
};

struct MachineInfo {
  std::string_view model{};
  StaticVector<CpuInfo, kMaxCpus> cpus{};              ///< [0] is the boot CPU
  StaticVector<HpaRange, kMaxMemoryRanges> ram{};      ///< sorted, disjoint
  StaticVector<HpaRange, kMaxReservedRanges> reserved{};  ///< never to be allocated: firmware, FDT, this image, /reserved-memory
  HpaRange image{};                                    ///< this hypervisor, bss included
  ConsoleInfo console{};
  GicInfo gic{};
  TimerInfo timer{};
  PsciConduit psci = PsciConduit::None;
  PcInfo pc{};
  StaticVector<ModuleInfo, kMaxModules> modules{};
  std::span<const std::byte> fdt{};                    ///< the host's device tree, in reserved memory; empty without one
  std::string_view command_line{};
};

}  // namespace ax
