#include "tests/unit/vcpu/x86_64/fake_vcpu_hardware.hpp"

#include <utility>

namespace hv {

using vcpu_test::hardware;

void load_breakpoints(const BreakpointAddresses& addresses) { hardware.breakpoints = addresses; }
void save_breakpoints(BreakpointAddresses& addresses) { addresses = hardware.breakpoints; }
u64 read_guest_msr(u32 index) { return hardware.msrs[index]; }
void write_guest_msr(u32 index, u64 value) { hardware.msrs[index] = value; }

u64 read_hardware(GuestRegister which) { return hardware.registers[which]; }
void write_hardware(GuestRegister which, u64 value) { hardware.registers[which] = value; }
HostState host_state() { return {.cr3 = 0xc3000, .cs = 8, .tr = 0x28, .tr_base = 0x1234}; }
void take_host_interrupt(u8 vector) { hardware.interrupts.push_back(vector); }
void take_host_nmi() { ++hardware.nmis; }

Result<FloatingPointState> FloatingPointState::create(u64 components, VmFrames& frames) {
  return FloatingPointState(components, TRY(frames.allocate(kPageSize, kPageSize)), frames);
}
FloatingPointState::FloatingPointState(FloatingPointState&& other) noexcept
    : components_(other.components_), area_(std::exchange(other.area_, {})), frames_(other.frames_) {}
FloatingPointState::~FloatingPointState() {
  if (!area_.empty()) frames_.free(area_);
}
void FloatingPointState::reset() { xcr0_ = 1; }
u64 FloatingPointState::xcr0() const { return xcr0_; }
void FloatingPointState::load() {
  hardware.xcr0 = xcr0_;
  loaded_ = true;
}
void FloatingPointState::put() {
  hardware.xcr0 = components_;
  loaded_ = false;
}
void FloatingPointState::set_xcr0(u64 value) {
  xcr0_ = value;
  if (loaded_) hardware.xcr0 = value;
}

}  // namespace hv
