// What ACPI tables describe, as values.
#pragma once

#include <optional>

#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax::acpi {

/// Where a register is (ACPI 6.5 5.2.3.2, generic address structure).
struct Register {
  enum class Space : u8 { None, Memory, Port, PciConfig };
  Space space = Space::None;
  u64 address = 0;  ///< PciConfig: device in bits 47:32, function in 31:16, offset in 15:0, on bus 0
};

struct IoApic {
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

/// MADT (5.2.12).
struct InterruptControllers {
  Hpa local_apic{};
  bool has_8259 = false;
  StaticVector<u32, 256> apic_ids{};  ///< of the processors that are enabled
  StaticVector<IoApic, 8> io_apics{};
  StaticVector<InterruptOverride, 16> overrides{};
  bool incomplete = false;  ///< more of something than fits was left out
};

/// Configuration space of PCI buses as memory, one MiB per bus (PCI Firmware Specification 4.1.2, MCFG).
struct PciSegment {
  HpaRange registers{};  ///< of `first_bus` and those that follow
  u16 segment = 0;
  u8 first_bus = 0;
  u8 last_bus = 0;
};

/// FADT (5.2.9): what it takes to switch the machine off, to reset it, and to take its events.
struct PowerManagement {
  u16 sci_interrupt = 0;      ///< ISA interrupt or GSI
  u16 smi_command_port = 0;   ///< 0: the machine is always in ACPI mode
  u8 acpi_enable = 0;         ///< what switches to ACPI mode, written to smi_command_port
  u16 pm1a_control_port = 0;  ///< 0: none
  u16 pm1b_control_port = 0;  ///< 0: none
  Register reset{};
  u8 reset_value = 0;
  Hpa dsdt{};
};

/// SLP_TYP values of a sleep state for PM1a_CNT and PM1b_CNT (7.4.2).
struct SleepType {
  u8 a = 0;
  u8 b = 0;
};

}  // namespace ax::acpi
