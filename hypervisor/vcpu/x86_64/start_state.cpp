#include "hypervisor/vcpu/x86_64/start_state.hpp"

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {
namespace {

using namespace x86;

// Descriptor types (SDM vol. 3 3.4.5.1, 3.5), as accessed.
constexpr u16 kCodeSegment = SegmentState::kPresent | SegmentState::kUser | SegmentState::kCode | 3;
constexpr u16 kDataSegment = SegmentState::kPresent | SegmentState::kUser | 3;
constexpr u16 kLocalTable = SegmentState::kPresent | 2;
constexpr u16 kBusyTask = SegmentState::kPresent | 11;  // SVM and VMX want a busy TSS, even in real mode
constexpr u16 kFlat32 = SegmentState::kBig | SegmentState::kGranular;
constexpr u16 kFlat64 = SegmentState::kLong | SegmentState::kGranular;
constexpr u32 kRealLimit = 0xffff;
constexpr u32 kFlatLimit = 0xffff'ffff;

constexpr SegmentRegister kDataSegments[] = {SegmentRegister::Es, SegmentRegister::Ss, SegmentRegister::Ds,
                                             SegmentRegister::Fs, SegmentRegister::Gs};

struct Registers {
  GuestRegister which;
  u64 value;
};
// What INIT leaves in them (SDM vol. 3 table 10-1).
constexpr Registers kReset[] = {
    {GuestRegister::Cr0, Cr0::kReset}, {GuestRegister::Cr2, 0},         {GuestRegister::Cr3, 0},
    {GuestRegister::Cr4, 0},           {GuestRegister::Efer, 0},        {GuestRegister::Dr6, kDr6Reset},
    {GuestRegister::Dr7, kDr7Reset},   {GuestRegister::Pat, kPatReset}, {GuestRegister::KernelGsBase, 0},
    {GuestRegister::Star, 0},          {GuestRegister::Lstar, 0},       {GuestRegister::Cstar, 0},
    {GuestRegister::Sfmask, 0},        {GuestRegister::SysenterCs, 0},  {GuestRegister::SysenterEsp, 0},
    {GuestRegister::SysenterEip, 0},   {GuestRegister::TscAux, 0},
};

void set_segments(VcpuBackend& cpu, const SegmentState& code, const SegmentState& data) {
  cpu.set_segment(SegmentRegister::Cs, code);
  for (const SegmentRegister which : kDataSegments) cpu.set_segment(which, data);
  cpu.set_segment(SegmentRegister::Ldtr, {.attributes = kLocalTable, .limit = kRealLimit});
  cpu.set_segment(SegmentRegister::Tr, {.attributes = kBusyTask, .limit = kRealLimit});
  cpu.set_privilege(0);
}

}  // namespace

void start(VcpuBackend& cpu, GuestRegisters& registers, const StartState& state) {
  cpu.reset_events();
  for (const Registers& reset : kReset) cpu.write(reset.which, reset.value);
  const TableState real_table{.limit = static_cast<u16>(kRealLimit)};
  cpu.set_table(DescriptorTable::Idt, real_table);
  cpu.set_table(DescriptorTable::Gdt, state.mode == StartState::Mode::Real16 ? real_table : state.gdt);

  switch (state.mode) {
    case StartState::Mode::Real16:
      set_segments(cpu, {state.real_segment, kCodeSegment, kRealLimit, u64{state.real_segment} << 4},
                   {0, kDataSegment, kRealLimit, 0});
      break;
    case StartState::Mode::Protected32:
      set_segments(cpu, {state.code_selector, kCodeSegment | kFlat32, kFlatLimit, 0},
                   {state.data_selector, kDataSegment | kFlat32, kFlatLimit, 0});
      cpu.write(GuestRegister::Cr0, Cr0::kPe | Cr0::kEt | Cr0::kNe);
      break;
    case StartState::Mode::Long64:
      set_segments(cpu, {state.code_selector, kCodeSegment | kFlat64, kFlatLimit, 0},
                   {state.data_selector, kDataSegment | kFlat32, kFlatLimit, 0});
      cpu.write(GuestRegister::Cr3, state.cr3);
      cpu.write(GuestRegister::Cr4, Cr4::kPae);
      cpu.write(GuestRegister::Efer, Efer::kLme | Efer::kLma);
      cpu.write(GuestRegister::Cr0, Cr0::kPe | Cr0::kEt | Cr0::kNe | Cr0::kPg);
      break;
  }

  registers = {};
  registers.rip = state.rip;
  registers.rflags = Rflags::kAlwaysOne;
  registers[Gpr::Rax] = state.rax;
  registers[Gpr::Rbx] = state.rbx;
  registers[Gpr::Rdx] = state.rdx;
  registers[Gpr::Rsi] = state.rsi;
}

}  // namespace hv
