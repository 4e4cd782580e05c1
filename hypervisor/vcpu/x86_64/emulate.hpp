// Executing a decoded instruction in the guest's place: on its registers, with its memory and devices behind an
// interface.
#pragma once

#include <expected>
#include <optional>

#include "hypervisor/vcpu/x86_64/context.hpp"
#include "hypervisor/vcpu/x86_64/decoder.hpp"

namespace hv {

/// An exception that the instruction raises. `address` is CR2 of a page fault.
struct EmulationFault {
  u8 vector = 0;
  u32 error_code = 0;
  u64 address = 0;
  friend constexpr bool operator==(const EmulationFault&, const EmulationFault&) = default;
};

/// What an instruction can reach. Linear addresses are canonical, or 32 bits; an access may cross pages. Sizes are in
/// bytes: 1, 2, 4 or 8; values have zeros above them.
class EmulationHost {
 public:
  using Value = std::expected<u64, EmulationFault>;
  using Status = std::expected<void, EmulationFault>;

  virtual Value read(u64 linear, u32 size) = 0;
  virtual Status write(u64 linear, u32 size, u64 value) = 0;
  /// Whether write() would succeed. Comes before everything that has an effect, so that a fault leaves none.
  virtual Status check_write(u64 linear, u32 size) = 0;
  virtual u32 port_in(u16 port, u32 size) = 0;
  virtual void port_out(u16 port, u32 size, u32 value) = 0;
  virtual SegmentState segment(SegmentRegister which) = 0;

 protected:
  ~EmulationHost() = default;
};

enum class EmulationProgress : u8 {
  Complete,  ///< step over the instruction: its length, its interrupt shadow, a single-step trap
  Again,     ///< a REP that has not ended: registers say how far it is; the same, without a length
};

/// A REP does at most this many steps in one call, and one while the guest single-steps.
inline constexpr unsigned kMaxRepeatSteps = 64;

/// Executes `instruction`, which stands at `registers.rip`. Changes the general-purpose registers and the flags, never
/// rip. After a fault they are as the architecture wants: as before, or after the steps of a REP that are done. Moves
/// to and from control registers are the backend's: #UD here.
std::expected<EmulationProgress, EmulationFault> emulate(const Instruction& instruction, CpuMode mode,
                                                         GuestRegisters& registers, EmulationHost& host);

}  // namespace hv
