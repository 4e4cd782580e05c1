// MachineInfo: what a platform found out about the machine. Nobody reads the host's FDT or ACPI
// after it has been filled, except to build tables for guests.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernel/acpi/description.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax {

inline constexpr usize kMaxCpus = 64;
inline constexpr usize kMaxMemoryRanges = 32;
inline constexpr usize kMaxReservedRanges = 64;
inline constexpr usize kMaxModules = 16;

struct CpuInfo {
  u64 hardware_id = 0;  ///< MPIDR_EL1 affinity fields (bits 39:32, 23:0), APIC id, or hart number
  bool online = false;  ///< set by the CPU itself when it has entered its idle loop
  u32 plic_context = 0;  ///< riscv64: the PLIC's context of its supervisor mode
};

struct ConsoleInfo {
  enum class Kind : u8 { None, Pl011, Uart16550, Cadence, Imx, Sbi };
  Kind kind = Kind::None;
  HpaRange registers{};
  bool is_port = false;   ///< `registers` are I/O ports
  u8 register_shift = 0;  ///< 16550: log2 of the distance of two registers
  u8 register_width = 1;  ///< 16550: bytes per access
  u32 interrupt = 0;      ///< INTID, ISA interrupt or PLIC source; 0 = none
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

  /// v2: each of the two 4 KiB pages of a CPU interface fills 64 KiB, over and over again, so that pages of 64 KiB can map it.
  static constexpr u64 kSpreadInterface = 128_KiB;
  /// Where the two pages of `interface` stand behind one another.
  static constexpr u64 registers_of(const HpaRange& interface) {
    constexpr u64 kLastOfFirst = 60_KiB;
    return interface.base.value() + (interface.size == kSpreadInterface ? kLastOfFirst : 0);
  }
};

struct TimerInfo {
  u32 secure_physical_interrupt = 29;     ///< INTIDs of the four EL1/EL2 timers
  u32 physical_interrupt = 30;
  u32 virtual_interrupt = 27;
  u32 hypervisor_interrupt = 26;
  u64 frequency_hz = 0;
};

/// riscv64: the controller of device interrupts.
struct PlicInfo {
  HpaRange registers{};
  u32 sources = 0;  ///< numbered from 1; 0: there is no PLIC
  std::string_view fdt_path{};
};

/// x86: what ACPI says besides CPUs.
struct PcInfo {
  HpaRange local_apic{Hpa(0xfee0'0000), kPageSize};     ///< registers in xAPIC mode
  bool has_8259 = true;
  StaticVector<acpi::IoApic, 8> io_apics{};
  StaticVector<acpi::InterruptOverride, 16> overrides{};
  StaticVector<acpi::PciSegment, 4> pci{};
  Hpa hpet{};                                           ///< registers; 0: none
  acpi::PowerManagement power{};
  std::optional<acpi::SleepType> soft_off{};            ///< S5

  /// How an ISA interrupt arrives at the I/O APICs.
  acpi::InterruptOverride route(u8 isa_interrupt) const {
    for (const acpi::InterruptOverride& entry : overrides) {
      if (entry.isa_interrupt == isa_interrupt) return entry;
    }
    return {.isa_interrupt = isa_interrupt, .gsi = isa_interrupt};
  }
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
  PlicInfo plic{};
  TimerInfo timer{};
  PsciConduit psci = PsciConduit::None;
  PcInfo pc{};
  StaticVector<ModuleInfo, kMaxModules> modules{};
  std::span<const std::byte> fdt{};                    ///< the host's device tree, in reserved memory; empty without one
  std::string_view command_line{};
};

}  // namespace ax
