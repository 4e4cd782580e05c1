#include "hypervisor/vcpu/x86_64/hardware_state.hpp"

#include <arch/cpuid.hpp>
#include <arch/sysreg.hpp>
#include <utility>

#include "hypervisor/vcpu/x86_64/backend.hpp"

namespace hv {

using namespace ax::arch;

namespace {

// The FXSAVE image, which an XSAVE area begins with (SDM vol. 1 10.5.1, 13.4).
struct LegacyImage {
  u16 control_word;
  u16 status_word;
  u8 unused[20];
  u32 mxcsr;
};
constexpr u64 kLegacySize = 512;
constexpr u16 kControlWordReset = 0x37f;
constexpr u32 kMxcsrReset = 0x1f80;
constexpr u64 kXcr0Reset = 1;
constexpr u32 kXstateLeaf = 0xd;
constexpr u64 kAreaAlignment = 64;

u64 read_xcr0() {
  u32 low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return u64{high} << 32 | low;
}

void write_xcr0(u64 value) {
  asm volatile("xsetbv" : : "c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}
void xsave(u64 area) { asm volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory"); }
void xrstor(u64 area) { asm volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory"); }
void fxsave(u64 area) { asm volatile("fxsave64 (%0)" : : "r"(area) : "memory"); }
void fxrstor(u64 area) { asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory"); }

}  // namespace

void load_breakpoints(const BreakpointAddresses& a) {
  asm volatile("movq %0, %%dr0; movq %1, %%dr1; movq %2, %%dr2; movq %3, %%dr3"
               :
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]));
}
void save_breakpoints(BreakpointAddresses& a) {
  asm volatile("movq %%dr0, %0; movq %%dr1, %1; movq %%dr2, %2; movq %%dr3, %3"
               : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]));
}

u64 read_guest_msr(u32 index) { return read_msr(index); }
void write_guest_msr(u32 index, u64 value) { write_msr(index, value); }

u64 read_hardware(GuestRegister which) {
  u64 value;
  switch (which) {
    case GuestRegister::Cr2: return CR2::read();
    case GuestRegister::Dr6: asm volatile("movq %%dr6, %0" : "=r"(value)); return value;
    default: return read_msr(msr_of_register(which));
  }
}

void write_hardware(GuestRegister which, u64 value) {
  switch (which) {
    case GuestRegister::Cr2: return CR2::write(value);
    case GuestRegister::Dr6: asm volatile("movq %0, %%dr6" : : "r"(value)); return;
    default: return write_msr(msr_of_register(which), value);
  }
}

// ---- the host --------------------------------------------------------------------------------------------------------

namespace {

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u64 base;
};

// The base of a system segment is in four pieces (SDM vol. 3 figure 8-4).
u64 system_segment_base(u64 gdt, u16 selector) {
  const u64* descriptor = reinterpret_cast<const u64*>(gdt + (selector & ~u64{7}));
  return (descriptor[0] >> 16 & 0xff'ffff) | (descriptor[0] >> 56 & 0xff) << 24 | (descriptor[1] & 0xffff'ffff) << 32;
}

}  // namespace

HostState host_state() {
  HostState h{
      .cr0 = CR0::read(), .cr3 = CR3::read(), .cr4 = CR4::read(), .efer = IA32_EFER::read(), .pat = IA32_PAT::read()};
  asm("movw %%es, %0" : "=rm"(h.es));
  asm("movw %%cs, %0" : "=rm"(h.cs));
  asm("movw %%ss, %0" : "=rm"(h.ss));
  asm("movw %%ds, %0" : "=rm"(h.ds));
  asm("movw %%fs, %0" : "=rm"(h.fs));
  asm("movw %%gs, %0" : "=rm"(h.gs));
  asm("str %0" : "=rm"(h.tr));
  TableRegister table;
  asm("sgdt %0" : "=m"(table));
  h.gdtr_base = table.base;
  asm("sidt %0" : "=m"(table));
  h.idtr_base = table.base;
  h.fs_base = IA32_FS_BASE::read();
  h.gs_base = IA32_GS_BASE::read();
  h.tr_base = system_segment_base(h.gdtr_base, h.tr);
  return h;
}

extern "C" void ax_host_interrupt(u64 vector);  // the platform's, as its IDT calls it

void take_host_interrupt(u8 vector) { ax_host_interrupt(vector); }
void take_host_nmi() { asm volatile("int $2"); }

bool has_tsc_aux() {
  constexpr u32 kExtendedFeatures = 0x8000'0001;
  constexpr u32 kRdtscp = 1 << 27;
  return (cpuid(kExtendedFeatures).edx & kRdtscp) != 0;
}

// ---- floating point --------------------------------------------------------------------------------------------------

void init_floating_point(u64 components) {
  CR0::write((CR0::read() & ~(CR0::EM | CR0::TS)) | CR0::MP);
  CR4::write(CR4::read() | CR4::OSFXSR | (components != 0 ? CR4::OSXSAVE : 0));
}

Result<FloatingPointState> FloatingPointState::create(u64 components, VmFrames& frames) {
  u64 size = kLegacySize;
  if (components != 0) {
    // The size is that of the components enabled at the moment; they are the guest's business otherwise.
    write_xcr0(components);
    size = cpuid(kXstateLeaf, 0).ebx;
  }
  const u64 bytes = align_up(size, kPageSize);
  const HpaRange area = TRY(frames.allocate(bytes, kPageSize));
  static_assert(kPageSize % kAreaAlignment == 0);
  FloatingPointState state(components, area, frames);
  state.reset();
  return state;
}

FloatingPointState::FloatingPointState(FloatingPointState&& other) noexcept
    : components_(other.components_),
      area_(std::exchange(other.area_, {})),
      frames_(other.frames_),
      xcr0_(other.xcr0_),
      loaded_(other.loaded_) {}

FloatingPointState::~FloatingPointState() {
  if (!area_.empty()) frames_.free(area_);
}

void FloatingPointState::reset() {
  // With XSTATE_BV 0 an XRSTOR sets every component to its initial state, but MXCSR comes from memory.
  __builtin_memset(reinterpret_cast<void*>(area_.base.value()), 0, area_.size);
  auto& image = *reinterpret_cast<LegacyImage*>(area_.base.value());
  image.control_word = kControlWordReset;
  image.mxcsr = kMxcsrReset;
  xcr0_ = kXcr0Reset;
}

void FloatingPointState::load() {
  const u64 area = area_.base.value();
  if (components_ == 0) {
    fxrstor(area);
  } else {
    // Also what the guest has turned off at the moment is its own, and nobody else's to see.
    write_xcr0(components_);
    xrstor(area);
    if (xcr0_ != components_) write_xcr0(xcr0_);
  }
  loaded_ = true;
}

void FloatingPointState::put() {
  const u64 area = area_.base.value();
  if (components_ == 0) {
    fxsave(area);
  } else {
    xcr0_ = read_xcr0();
    if (xcr0_ != components_) write_xcr0(components_);
    xsave(area);
  }
  loaded_ = false;
}

// XSETBV is intercepted, and QEMU lets the guest execute it all the same: the register knows.
u64 FloatingPointState::xcr0() const { return loaded_ && components_ != 0 ? read_xcr0() : xcr0_; }

void FloatingPointState::set_xcr0(u64 value) {
  xcr0_ = value;
  if (loaded_) write_xcr0(value);
}

}  // namespace hv
