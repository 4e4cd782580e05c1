#include "tests/unit/vcpu/x86_64/fake_vcpu_hardware.hpp"

#include <utility>

namespace hv {

using vcpu_test::hardware;

void load_breakpoints(const BreakpointAddresses& addresses) { hardware.breakpoints = addresses; }
void save_breakpoints(BreakpointAddresses& addresses) { addresses = hardware.breakpoints; }
u64 read_guest_msr(u32 index) { return hardware.msrs[index]; }
void write_guest_msr(u32 index, u64 value) { hardware.msrs[index] = value; }

Result<FloatingPointState> FloatingPointState::create(u64 components, VmFrames& frames) {
  return FloatingPointState(components, TRY(frames.allocate(kPageSize, kPageSize)), frames);
}
FloatingPointState::FloatingPointState(FloatingPointState&& other) noexcept
    : components_(other.components_), area_(std::exchange(other.area_, {})), frames_(other.frames_) {}
FloatingPointState::~FloatingPointState() {
  if (!area_.empty()) frames_.free(area_);
}
void FloatingPointState::reset() { xcr0_ = 1; }
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
