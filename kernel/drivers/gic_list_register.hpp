// Virtual-interrupt list registers of GICv2 and GICv3 behind one form.
#pragma once

#include <array>

#include "kernel/base/types.hpp"

namespace ax {

enum class ListRegisterState : u8 { Invalid = 0, Pending = 1, Active = 2, PendingActive = 3 };

/// The fields of a list register by name. `ListRegister` is the packed form.
struct ListRegisterFields {
  u32 virtual_id = 0;   ///< INTID that the guest sees
  u32 physical_id = 0;  ///< `hardware` only: INTID that is deactivated together with the virtual one (10 bits)
  u8 source_cpu = 0;    ///< GICv2 SGIs only: the requesting vCPU, in the acknowledge register's CPUID field (3 bits)
  u8 priority = 0;      ///< 8 bits; GICH_LR keeps the upper five
  bool group1 = false;
  ListRegisterState state = ListRegisterState::Invalid;
  bool hardware = false;     ///< HW = 1; never together with PendingActive or `maintenance`
  bool maintenance = false;  ///< `!hardware` only: raise the maintenance interrupt when the guest deactivates it
  friend constexpr bool operator==(const ListRegisterFields&, const ListRegisterFields&) = default;
};

/// One list register. Stored in the layout of ICH_LR<n>_EL2, so that GICv3 moves it to and from the system register as
/// it is; GICv2 converts with `from_gich`/`to_gich`. The SGI source, which GICv3 does not have, occupies pINTID bits
/// that are RES0 there and is only ever set by a GICv2 model. IHI 0069 12.4.7, IHI 0048 5.3.8.
class ListRegister {
 public:
  constexpr ListRegister() = default;
  constexpr explicit ListRegister(u64 ich) : bits_(ich) {}
  static constexpr ListRegister pack(const ListRegisterFields& f) {
    u64 bits = u64{f.virtual_id} | u64{f.priority} << kPriorityShift | u64{f.group1} << kGroupShift |
               u64{f.hardware} << kHardwareShift | u64{static_cast<u8>(f.state)} << kStateShift;
    if (f.hardware)
      bits |= u64{f.physical_id & kPhysicalMask} << kPhysicalShift;
    else
      bits |= u64{f.source_cpu & kSourceMask} << kPhysicalShift | u64{f.maintenance} << kMaintenanceShift;
    return ListRegister(bits);
  }

  constexpr u32 virtual_id() const { return static_cast<u32>(bits_); }
  constexpr u32 physical_id() const { return hardware() ? physical_field() : 0; }
  constexpr u8 source_cpu() const { return hardware() ? u8{0} : static_cast<u8>(physical_field() & kSourceMask); }
  constexpr u8 priority() const { return static_cast<u8>(bits_ >> kPriorityShift); }
  constexpr bool group1() const { return (bits_ >> kGroupShift & 1) != 0; }
  constexpr bool hardware() const { return (bits_ >> kHardwareShift & 1) != 0; }
  constexpr bool maintenance() const { return !hardware() && (bits_ >> kMaintenanceShift & 1) != 0; }
  constexpr ListRegisterState state() const { return static_cast<ListRegisterState>(bits_ >> kStateShift); }
  constexpr bool pending() const { return (bits_ >> kStateShift & 1) != 0; }
  constexpr bool active() const { return (bits_ >> kStateShift & 2) != 0; }
  constexpr ListRegisterFields unpack() const {
    return {virtual_id(), physical_id(), source_cpu(), priority(), group1(), state(), hardware(), maintenance()};
  }

  /// The value for ICH_LR<n>_EL2.
  constexpr u64 to_ich() const { return bits_; }
  static constexpr ListRegister from_ich(u64 value) { return ListRegister(value); }

  /// The value for GICH_LR<n>. Interrupt numbers are below 1024 there, and the priority has five bits.
  constexpr u32 to_gich() const {
    const u64 physical = hardware() ? physical_field() : u64{source_cpu()} | u64{maintenance()} << 9;
    return static_cast<u32>((bits_ & kPhysicalMask) | physical << 10 | u64{priority()} >> 3 << 23 |
                            (bits_ >> kStateShift) << 28 | u64{group1()} << 30 | u64{hardware()} << 31);
  }
  static constexpr ListRegister from_gich(u32 value) {
    return pack({.virtual_id = value & kPhysicalMask,
                 .physical_id = value >> 10 & kPhysicalMask,
                 .source_cpu = static_cast<u8>(value >> 10 & kSourceMask),
                 .priority = static_cast<u8>((value >> 23 & 0x1f) << 3),
                 .group1 = (value >> 30 & 1) != 0,
                 .state = static_cast<ListRegisterState>(value >> 28 & 3),
                 .hardware = value >> 31 != 0,
                 .maintenance = (value >> 19 & 1) != 0});
  }

  friend constexpr bool operator==(ListRegister, ListRegister) = default;

 private:
  static constexpr unsigned kPhysicalShift = 32;
  static constexpr unsigned kMaintenanceShift = 41;  // HW = 0: the top bit of the 10-bit number is the EOI bit
  static constexpr unsigned kPriorityShift = 48;
  static constexpr unsigned kGroupShift = 60;
  static constexpr unsigned kHardwareShift = 61;
  static constexpr unsigned kStateShift = 62;
  static constexpr u32 kPhysicalMask = 0x3ff;
  static constexpr u32 kSourceMask = 0x7;

  constexpr u32 physical_field() const { return static_cast<u32>(bits_ >> kPhysicalShift) & kPhysicalMask; }

  u64 bits_ = 0;
};
static_assert(sizeof(ListRegister) == 8);

/// Bits of ICH_HCR_EL2 and GICH_HCR that a vGIC asks for; both registers have them at the same place.
/// IHI 0069 12.4.5, IHI 0048 5.3.1.
namespace virtual_control {
inline constexpr u32 kEnable = 1u << 0;           ///< En: virtual CPU interface on
inline constexpr u32 kUnderflow = 1u << 1;        ///< UIE: maintenance interrupt when none or one is valid
inline constexpr u32 kEntryNotPresent = 1u << 2;  ///< LRENPIE: ... when EOIcount is not zero
inline constexpr u32 kNoPending = 1u << 3;        ///< NPIE: ... when no list register is pending
inline constexpr u32 kTrapDeactivate = 1u << 14;  ///< TDIR, GICv3 with ICH_VTR_EL2.TDS: trap ICC_DIR_EL1
inline constexpr unsigned kEoiCountShift = 27;    ///< EOIcount[31:27], read back after an exit
}  // namespace virtual_control

inline constexpr usize kMaxListRegisters = 16;

/// What goes into the hardware before a guest entry and comes back after an exit.
///
/// Entry: write `entries[0, count)`, make every other list register that this CPU wrote before invalid (0), write
/// `control` to xxx_HCR with EOIcount = 0. Exit: read `entries[0, count)` back, and EOIcount of xxx_HCR into
/// `eoi_count`. While `count` is 0 and stays 0 there is nothing to move.
struct ListRegisterSet {
  std::array<ListRegister, kMaxListRegisters> entries{};
  u32 count = 0;
  u32 control = virtual_control::kEnable;
  u32 eoi_count = 0;
};

}  // namespace ax
