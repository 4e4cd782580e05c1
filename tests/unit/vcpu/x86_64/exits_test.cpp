// What a vCPU does with each exit, and what it delivers before each entry: backend and VM are played by the test.
#include "hypervisor/vcpu/x86_64/exits.hpp"

#include <gmock/gmock.h>

#include <deque>

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/events.hpp"
#include "hypervisor/vcpu/x86_64/xstate.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "tests/unit/vcpu/x86_64/fake_vcpu_hardware.hpp"
#include "tests/unit/vcpu/x86_64/guest_tables.hpp"

namespace hv {
namespace {

using namespace x86;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A CPU without a guest: it is left for the reasons in `exits`, one after the other.
class FakeBackend final : public VcpuBackend {
 public:
  void load(unsigned) override {}
  void put() override {}
  const VmExit& enter(GuestRegisters&) override {
    ++entries;
    injected = event;
    event = {};
    exit_ = exits.front();
    exits.pop_front();
    if (exit_.reason == ExitReason::InterruptWindow) window = false;
    return exit_;
  }
  void complete_instruction(GuestRegisters& registers, unsigned length) override {
    registers.rip += length;
    ++traps;
  }

  u64 read(GuestRegister which) const override {
    const auto found = values.find(which);
    return found == values.end() ? 0 : found->second;
  }
  void write(GuestRegister which, u64 value) override { values[which] = value; }
  SegmentState segment(SegmentRegister which) const override {
    const auto found = segments.find(which);
    return found == segments.end() ? SegmentState{} : found->second;
  }
  void set_segment(SegmentRegister which, const SegmentState& state) override { segments[which] = state; }
  TableState table(DescriptorTable) const override { return {}; }
  void set_table(DescriptorTable, const TableState&) override {}
  unsigned privilege() const override { return level; }
  void set_privilege(unsigned value) override { level = value; }

  bool inject_exception(u8 vector, std::optional<u32> error_code) override {
    const auto combined = combine(event, Event::of(Event::Type::Exception, vector, error_code));
    if (combined) event = *combined;
    return combined.has_value();
  }
  void inject_interrupt(u8 vector) override { event = Event::of(Event::Type::Interrupt, vector); }
  void inject_nmi() override { event = Event::of(Event::Type::Nmi, Vector::kNmi); }
  bool can_take_interrupt(const GuestRegisters& registers) const override {
    return (registers.rflags & Rflags::kIf) != 0 && !event.valid();
  }
  bool can_take_nmi(const GuestRegisters&) const override { return !nmi_masked && !event.valid(); }
  void request_interrupt_window() override { window = true; }
  void request_nmi_window() override { nmi_window = true; }
  void reset_events() override { event = {}; }
  void set_tsc_offset(u64) override {}
  void leave_below_priority(u8 priority) override { left_below = priority; }
  void deliver_interrupts() { delivers_interrupts_ = true; }
  void show_interrupts(const InterruptState& state) override { shown = state; }
  void set_apic_mode(ApicMode value) override { mode = value; }

  std::deque<VmExit> exits;
  std::map<GuestRegister, u64> values;
  std::map<SegmentRegister, SegmentState> segments;
  unsigned level = 0;
  Event event{};     ///< to be injected
  Event injected{};  ///< at the last entry
  bool window = false, nmi_window = false, nmi_masked = false;
  unsigned entries = 0;
  unsigned traps = 0;  ///< instructions that were completed by the backend, which single-steps
  u8 left_below = 0;
  InterruptState shown{};
  ApicMode mode = ApicMode::Elsewhere;
};

class FakeMachine final : public Virtualization {
 public:
  std::string_view name() const override { return "fake"; }
  mm::NestedCapabilities nested() const override { return {.physical_bits = 40}; }
  Result<void> init_cpu(unsigned) override { return {}; }
  Result<mm::Box<VcpuBackend>> create_vcpu(mm::ObjectAllocator& heap, VmFrames&, const VcpuSettings&) override {
    mm::Box<FakeBackend> made = TRY(mm::make_box<FakeBackend>(heap));
    backend = made.get();
    return mm::Box<VcpuBackend>(std::move(made));
  }
  FakeBackend* backend = nullptr;
};

class HostHeap final : public mm::ObjectAllocator {
 public:
  Result<std::byte*> allocate(usize bytes, usize alignment) override {
    return static_cast<std::byte*>(std::aligned_alloc(alignment, align_up(bytes, alignment)));
  }
  void free(std::byte* storage) override { std::free(storage); }
};

/// Remembers what it is asked.
class FakeVm final : public ArchVm {
 public:
  CpuidResult cpuid(Vcpu&, u32 leaf, u32 subleaf) override {
    ++cpuids;
    return {leaf + 1, leaf + 2, subleaf + 3, 0xffff'ffff};
  }
  std::optional<u64> msr_read(Vcpu&, u32 index) override {
    if (index != kMsr) return std::nullopt;
    return 0x1122'3344'5566'7788;
  }
  bool msr_write(Vcpu&, u32 index, u64 value) override {
    msr = value;
    return index == kMsr;
  }
  u32 port_in(u16 port, u32 size) override {
    calls.push_back("in " + std::to_string(port) + "/" + std::to_string(size));
    return 0xa1b2'c3d4;
  }
  u32 board_port_in(u16 port) override { return port_in(port, 1); }
  void port_out(u16 port, u32 size, u32 value) override {
    calls.push_back("out " + std::to_string(port) + "/" + std::to_string(size) + " " + std::to_string(value));
  }
  std::optional<u64> mmio_read(Vcpu&, Gpa address, u32) override {
    calls.push_back("read " + std::to_string(address.value()));
    return mmio;
  }
  bool mmio_write(Vcpu&, Gpa address, u32, u64 value) override {
    calls.push_back("write " + std::to_string(address.value()) + " " + std::to_string(value));
    return mmio.has_value();
  }
  u8 task_priority(Vcpu&) override { return priority; }
  void set_task_priority(Vcpu&, u8 value) override { priority = value; }
  bool interrupt_pending(Vcpu&) override { return !pending.empty(); }
  bool must_inject(Vcpu&) override { return !pending.empty(); }
  u8 priority_in_wait(Vcpu&) override { return in_wait; }
  InterruptState interrupt_state(Vcpu&) override { return state; }
  void apic_written(Vcpu&, u32 offset) override { calls.push_back("written " + std::to_string(offset)); }
  void interrupt_ended(Vcpu&, u8 vector) override { calls.push_back("ended " + std::to_string(vector)); }
  std::optional<u8> take_interrupt(Vcpu&) override {
    if (pending.empty()) return std::nullopt;
    const u8 vector = pending.front();
    pending.pop_front();
    return vector;
  }

  static constexpr u32 kMsr = 0x1b;
  std::vector<std::string> calls;
  std::optional<u64> mmio = 0x7777'7777;
  std::deque<u8> pending;
  u64 msr = 0;
  unsigned cpuids = 0;
  u8 priority = 0, in_wait = 0;
  InterruptState state{};
};

struct ExitsTest : test::GuestTables {
  static constexpr u64 kCode = 0x8000;
  static constexpr u64 kCr4 = 0x3'06f0;  ///< what guests may set: PSE, PAE, MCE, PGE, OSFXSR, OSXMMEXCPT, FSGSBASE, PCIDE

  ExitsTest() {
    Cpu::the_cpu = &host_cpu;
    EXPECT_TRUE(
        vcpu.create(machine, heap, frames, {.translation = translation, .port_permissions = Hpa(0)}, xcr0::kSwitched, kCr4));
    vcpu.reset({.mode = StartState::Mode::Long64, .rip = kCode, .cr3 = 0x1000});
    map(kCode, kCode);
    vcpu.load(0);
  }

  FakeBackend& cpu() { return *machine.backend; }
  GuestRegisters& r() { return vcpu.registers; }

  void run(VmExit exit) {
    cpu().exits.push_back(exit);
    vcpu.run_guest(host_cpu);
  }
  void run(ExitReason reason, u8 length = 0) { run({.reason = reason, .instruction_length = length}); }
  void code(std::initializer_list<u8> bytes) {
    u64 at = kCode;
    for (const u8 byte : bytes) put(at++, byte);
  }
  VmExit fault(u64 address, bool write) {
    return {.reason = ExitReason::NestedFault, .fault = {.address = Gpa(address), .write = write}};
  }
  void expect_exception(u8 vector, std::optional<u32> error_code = {}) {
    EXPECT_EQ(cpu().event.encoded(), Event::of(Event::Type::Exception, vector, error_code).encoded());
    EXPECT_EQ(r().rip, kCode) << "the instruction has not been executed";
  }

  Vm whole{memory};
  Vcpu owner{whole};
  Cpu host_cpu;
  vcpu_test::HostFrames frames;
  HostHeap heap;
  FakeMachine machine;
  NestedPaging translation = *NestedPaging::create(Gpa(0xffff'ffff), {.physical_bits = 40}, frames);
  FakeVm vm;
  ArchVcpu vcpu{owner, vm};
};

// ---- instructions ----

TEST_F(ExitsTest, AnswersCpuidWithThirtyTwoBitValues) {
  r()[Gpr::Rax] = 0xdead'0000'0000'0007;
  r()[Gpr::Rcx] = 0xdead'0000'0000'0001;
  run(ExitReason::Cpuid, 2);
  EXPECT_EQ(r()[Gpr::Rax], 8u);
  EXPECT_EQ(r()[Gpr::Rbx], 9u);
  EXPECT_EQ(r()[Gpr::Rcx], 4u);
  EXPECT_EQ(r()[Gpr::Rdx], 0xffff'ffffu);
  EXPECT_EQ(r().rip, kCode + 2);
}

TEST_F(ExitsTest, RemembersAnswersOfCpuidUntilTheyMayHaveChanged) {
  const auto ask = [&](u32 leaf, u32 subleaf) {
    r()[Gpr::Rax] = leaf, r()[Gpr::Rcx] = subleaf;
    run(ExitReason::Cpuid, 2);
    return r()[Gpr::Rax];
  };
  EXPECT_EQ(ask(7, 0), 8u);
  EXPECT_EQ(ask(7, 0), 8u);
  EXPECT_EQ(ask(7, 1), 8u);
  EXPECT_EQ(vm.cpuids, 2u) << "one for each subleaf";
  vcpu.forget_cpuid();
  ask(7, 0);
  EXPECT_EQ(vm.cpuids, 3u);
  ask(kXstateLeaf, 0), ask(kXstateLeaf, 0), ask(kHypervisorExitsLeaf, 0), ask(kHypervisorExitsLeaf, 0);
  EXPECT_EQ(vm.cpuids, 7u) << "these follow XCR0 and the number of exits";
}

TEST_F(ExitsTest, CpuidRepeatsOsxsaveFromCr4) {
  const auto has_osxsave = [&] {
    r()[Gpr::Rax] = 1, r()[Gpr::Rcx] = 0;
    run(ExitReason::Cpuid, 2);
    return (r()[Gpr::Rcx] >> 27 & 1) != 0;
  };
  cpu().write(GuestRegister::Cr4, 0);
  EXPECT_FALSE(has_osxsave());
  cpu().write(GuestRegister::Cr4, Cr4::kOsxsave);
  EXPECT_TRUE(has_osxsave());
  cpu().write(GuestRegister::Cr4, 0);
  EXPECT_FALSE(has_osxsave());
}

TEST_F(ExitsTest, ReadsAndWritesMsrsInTwoHalves) {
  r()[Gpr::Rcx] = 0xffff'ffff'0000'001b;
  run(ExitReason::MsrRead, 2);
  EXPECT_EQ(r()[Gpr::Rax], 0x5566'7788u);
  EXPECT_EQ(r()[Gpr::Rdx], 0x1122'3344u);
  r()[Gpr::Rax] = 0xffff'ffff'0000'0001;
  r()[Gpr::Rdx] = 0xffff'ffff'0000'0002;
  run(ExitReason::MsrWrite, 2);
  EXPECT_EQ(vm.msr, 0x2'0000'0001u);
  EXPECT_EQ(r().rip, kCode + 4);
}

TEST_F(ExitsTest, MsrsThatDoNotExistFault) {
  r()[Gpr::Rcx] = 0x1234;
  run(ExitReason::MsrRead, 2);
  expect_exception(Vector::kGeneralProtection, 0);
  cpu().event = {};
  run(ExitReason::MsrWrite, 2);
  expect_exception(Vector::kGeneralProtection, 0);
}

TEST_F(ExitsTest, AcceptsOnlyValidXcr0FromTheMostPrivileged) {
  struct Case {
    u64 rcx, value;
    unsigned level;
    bool good;
  };
  constexpr Case kCases[] = {{0, 7, 0, true},  {0, 1, 0, true},  {1, 7, 0, false},    {0, 7, 3, false},
                             {0, 0, 0, false}, {0, 5, 0, false}, {0, 0x207, 0, false}};
  for (const Case& c : kCases) {
    r().rip = kCode;
    r()[Gpr::Rcx] = c.rcx, r()[Gpr::Rax] = c.value, r()[Gpr::Rdx] = 0;
    cpu().level = c.level;
    cpu().event = {};
    const u64 before = vcpu.xcr0();
    run(ExitReason::Xsetbv, 3);
    EXPECT_EQ(vcpu.xcr0(), c.good ? c.value : before);
    EXPECT_EQ(cpu().event.valid(), !c.good) << c.value;
  }
}

TEST_F(ExitsTest, WhatAGuestWasNotPromisedFaults) {
  run(ExitReason::UndefinedInstruction);
  expect_exception(Vector::kInvalidOpcode);
  cpu().event = {};
  run(ExitReason::ProtectedInstruction);
  expect_exception(Vector::kGeneralProtection, 0);
}

TEST_F(ExitsTest, HypercallsAreUnknown) {
  run(ExitReason::Hypercall, 3);
  EXPECT_EQ(r()[Gpr::Rax], static_cast<u64>(-1000));
  EXPECT_EQ(r().rip, kCode + 3);
}

TEST_F(ExitsTest, CachesAreNeverInvalidated) {
  code({0xf3, 0x0f, 0x09});  // wbnoinvd: processors without a next RIP do not tell its prefix
  run(ExitReason::CacheInvalidation, 2);
  EXPECT_EQ(r().rip, kCode + 3);
  run(ExitReason::Pause, 2);
  EXPECT_TRUE(host_cpu.reschedule);
}

// ---- devices ----

TEST_F(ExitsTest, PortsChangeOnlyWhatTheirSizeCovers) {
  const auto in = [&](u8 size) {
    r()[Gpr::Rax] = 0x1111'1111'1111'1111;
    run({.reason = ExitReason::PortIo, .instruction_length = 1, .port = {.port = 0x60, .size = size, .kind = PortAccess::kIn}});
    return r()[Gpr::Rax];
  };
  EXPECT_EQ(in(1), 0x1111'1111'1111'11d4u);
  EXPECT_EQ(in(2), 0x1111'1111'1111'c3d4u);
  EXPECT_EQ(in(4), 0xa1b2'c3d4u);
  r()[Gpr::Rax] = 0x1234'5678;
  run({.reason = ExitReason::PortIo, .instruction_length = 1, .port = {.port = 0x80, .size = 1}});
  EXPECT_EQ(vm.calls.back(), "out 128/1 120");
}

TEST_F(ExitsTest, EmulatesDeviceAccesses) {
  map(0x10'0000, 0xfee0'0000);
  code({0x8b, 0x43, 0x20});  // mov 0x20(%rbx), %eax
  r()[Gpr::Rbx] = 0x10'0000;
  run(fault(0xfee0'0020, false));
  EXPECT_EQ(r()[Gpr::Rax], 0x7777'7777u);
  EXPECT_EQ(r().rip, kCode + 3);
  EXPECT_THAT(vm.calls, ElementsAre("read " + std::to_string(0xfee0'0020)));
}

TEST_F(ExitsTest, NobodyAnswersWithAllOnes) {
  vm.mmio.reset();
  code({0x8b, 0x03});  // mov (%rbx), %eax
  map(0x10'0000, 0xd000'0000);
  r()[Gpr::Rbx] = 0x10'0000;
  run(fault(0xd000'0000, false));
  EXPECT_EQ(r()[Gpr::Rax], 0xffff'ffffu);
  EXPECT_EQ(whole.crashes, 0u);
}

TEST_F(ExitsTest, StringPortAccessesMoveMemory) {
  code({0x6e});  // outsb
  map(0x9000, 0x9000);
  put<u8>(0x9000, 0x41);
  r()[Gpr::Rsi] = 0x9000;
  r()[Gpr::Rdx] = 0x3f8;
  run({.reason = ExitReason::PortIo, .instruction_length = 1, .port = {.port = 0x3f8, .size = 1, .kind = PortAccess::kString}});
  EXPECT_THAT(vm.calls, ElementsAre("out 1016/1 65"));
  EXPECT_EQ(r()[Gpr::Rsi], 0x9001u);
  EXPECT_EQ(r().rip, kCode + 1);
}

TEST_F(ExitsTest, AnOperandThatIsNotMappedIsTheGuestsPageFault) {
  code({0x6e});  // outsb, from a page that the guest has just unmapped
  r()[Gpr::Rsi] = 0x9000;
  run({.reason = ExitReason::PortIo, .instruction_length = 1, .port = {.port = 0x3f8, .size = 1, .kind = PortAccess::kString}});
  expect_exception(Vector::kPageFault, 0);
  EXPECT_EQ(cpu().read(GuestRegister::Cr2), 0x9000u);
  EXPECT_THAT(vm.calls, IsEmpty());
}

TEST_F(ExitsTest, DecodesMovesToCr8WhenTheCpuDoesNotSayWhichRegister) {
  code({0x44, 0x0f, 0x22, 0xc2});  // mov %rdx, %cr8
  r()[Gpr::Rdx] = 9;
  run({.reason = ExitReason::TaskPriority, .control_move = {.write = true}});
  EXPECT_EQ(vm.priority, 9);
  EXPECT_EQ(r().rip, kCode + 4);
}

TEST_F(ExitsTest, Cr8HasFourBits) {
  r()[Gpr::R9] = 16;
  run({.reason = ExitReason::TaskPriority, .instruction_length = 4, .control_move = {.write = true, .which = Gpr::R9}});
  expect_exception(Vector::kGeneralProtection, 0);
  cpu().event = {};
  vm.priority = 5;
  run({.reason = ExitReason::TaskPriority, .instruction_length = 4, .control_move = {.which = Gpr::R9}});
  EXPECT_EQ(r()[Gpr::R9], 5u);
}

TEST_F(ExitsTest, Cr4TakesWhatTheGuestSeesAndNothingElse) {
  code({0x0f, 0x22, 0xe2});  // mov %rdx, %cr4
  const auto set = [&](u64 value) {
    cpu().event = {};
    r().rip = kCode;
    r()[Gpr::Rdx] = value;
    run({.reason = ExitReason::Cr4Write, .control_move = {.write = true}});
    return !cpu().event.valid() && r().rip == kCode + 3 && cpu().read(GuestRegister::Cr4) == value;
  };
  EXPECT_TRUE(set(0x6f0));
  EXPECT_FALSE(set(0x6f0 | 1 << 12)) << "LA57 is hidden";
  expect_exception(Vector::kGeneralProtection, 0);
  EXPECT_EQ(cpu().read(GuestRegister::Cr4), 0x6f0u);
  EXPECT_FALSE(set(0x6f0 | u64{1} << 40)) << "reserved";
  EXPECT_FALSE(set(0x6d0)) << "long mode needs PAE";
}

TEST_F(ExitsTest, AddressSpaceTagsBeginInLongModeWithTagZero) {
  constexpr u64 kWithTags = 0x2'06f0;
  code({0x0f, 0x22, 0xe2});
  r()[Gpr::Rdx] = kWithTags;
  cpu().write(GuestRegister::Cr3, cpu().read(GuestRegister::Cr3) | 1);
  run({.reason = ExitReason::Cr4Write, .instruction_length = 3, .control_move = {.write = true, .which = Gpr::Rdx}});
  expect_exception(Vector::kGeneralProtection, 0);
  cpu().event = {};
  cpu().write(GuestRegister::Cr3, cpu().read(GuestRegister::Cr3) & ~u64{1});
  run({.reason = ExitReason::Cr4Write, .instruction_length = 3, .control_move = {.write = true, .which = Gpr::Rdx}});
  EXPECT_EQ(cpu().read(GuestRegister::Cr4), kWithTags);
  cpu().write(GuestRegister::Cr3, cpu().read(GuestRegister::Cr3) | 1);
  run({.reason = ExitReason::Cr4Write, .instruction_length = 3, .control_move = {.write = true, .which = Gpr::Rdx}});
  EXPECT_FALSE(cpu().event.valid()) << "they are on already";
}

// ---- APIC virtualisation ----

TEST_F(ExitsTest, AnInterruptThatThePriorityHoldsBackIsWaitedFor) {
  r().rflags |= Rflags::kIf;
  vm.in_wait = 4;
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().left_below, 4);
  vm.pending = {0x31};
  run(ExitReason::PriorityWindow);
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.vector(), 0x31) << "the model is asked again";
}

TEST_F(ExitsTest, ACpuThatDeliversInterruptsIsShownThem) {
  cpu().deliver_interrupts();
  vm.state = {.requested = 0x51, .in_service = 0x31, .told = {1, 2, 3, 4}};
  vcpu.interrupts_changed();
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().shown, vm.state);
  EXPECT_FALSE(cpu().injected.valid());
  EXPECT_FALSE(cpu().window) << "although it cannot take one now";
}

TEST_F(ExitsTest, WhatTheGuestDoesToItsApicWithoutAnAccessReachesTheModel) {
  run({.reason = ExitReason::ApicWrite, .fault = {.address = Gpa(0x380)}});
  run({.reason = ExitReason::EndOfInterrupt, .ended_vector = 0x61});
  EXPECT_THAT(vm.calls, ElementsAre("written 896", "ended 97"));
  EXPECT_EQ(r().rip, kCode) << "the instruction is done";
}

// ---- the end of a guest ----

TEST_F(ExitsTest, WhatCannotGoOnStopsItsVmWithAReport) {
  for (const ExitReason reason :
       {ExitReason::Shutdown, ExitReason::TaskSwitch, ExitReason::InvalidState, ExitReason::Unexpected}) {
    const unsigned before = whole.crashes;
    run(reason);
    EXPECT_EQ(whole.crashes, before + 1);
  }
  std::array<char, log::kRingSize> buffer;
  EXPECT_THAT(std::string(log::recent(buffer)), HasSubstr("VM test, vCPU 0: a triple fault (exit 0x0"));
  EXPECT_THAT(std::string(log::recent(buffer)), HasSubstr("  rip 0x8000  rflags 0x2  cr0 0x80000031"));
}

TEST_F(ExitsTest, EventsThatCannotBeDeliveredStopTheVm) {
  run({.reason = ExitReason::NestedFault, .during_delivery = true, .fault = {.address = Gpa(0xd000'0000)}});
  EXPECT_EQ(whole.crashes, 1u);
  run({.reason = ExitReason::NestedFault, .fault = {.address = Gpa(0xd000'0000), .on_walk = true}});
  EXPECT_EQ(whole.crashes, 2u);
}

TEST_F(ExitsTest, CodeOutsideMemoryStopsTheVm) {
  map(kCode, 0xd000'0000);
  run(fault(0xd000'0000, false));
  EXPECT_EQ(whole.crashes, 1u);
  EXPECT_EQ(cpu().entries, 1u);
}

TEST_F(ExitsTest, AFaultInTheDeliveryOfADoubleFaultStopsTheVm) {
  cpu().exits.push_back({.reason = ExitReason::ProtectedInstruction});
  cpu().event = {};
  cpu().enter(r());
  cpu().event = Event::of(Event::Type::Exception, Vector::kDoubleFault, 0);
  vcpu.inject(Vector::kGeneralProtection, 0);
  EXPECT_EQ(whole.crashes, 1u);
}

// ---- before the entry ----

TEST_F(ExitsTest, DeliversOneInterruptAtATime) {
  r().rflags |= Rflags::kIf;
  vm.pending = {0x31, 0x30};
  vcpu.interrupts_changed();
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.vector(), 0x31);
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.vector(), 0x30);
  run(ExitReason::Handled);
  EXPECT_FALSE(cpu().injected.valid());
}

TEST_F(ExitsTest, WaitsForTheWindowWhenInterruptsAreOff) {
  vm.pending = {0x31};
  vcpu.interrupts_changed();
  run(ExitReason::Handled);
  EXPECT_TRUE(cpu().window);
  EXPECT_FALSE(cpu().injected.valid());
  r().rflags |= Rflags::kIf;
  run(ExitReason::InterruptWindow);
  EXPECT_EQ(cpu().injected.vector(), 0x31) << "another exit was as good as the window's own";
  run(ExitReason::Handled);
  EXPECT_FALSE(cpu().injected.valid());
}

TEST_F(ExitsTest, AnEventThatIsRepeatedGoesFirst) {
  r().rflags |= Rflags::kIf;
  vm.pending = {0x31};
  vcpu.interrupts_changed();
  cpu().event = Event::of(Event::Type::Interrupt, 0x50);
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.vector(), 0x50);
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.vector(), 0x31);
}

TEST_F(ExitsTest, NmisComeFirstAndWaitForTheirWindow) {
  vcpu.post_nmi();
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.type(), Event::Type::Nmi);
  cpu().nmi_masked = true;
  vcpu.post_nmi();
  run(ExitReason::Handled);
  EXPECT_TRUE(cpu().nmi_window);
  cpu().nmi_masked = false;
  run(ExitReason::NmiWindow);
  EXPECT_EQ(cpu().injected.type(), Event::Type::Nmi);
}

TEST_F(ExitsTest, SingleStepsTrapBehindEachRepeatAndBehindAHalt) {
  r().rflags |= Rflags::kTf;
  code({0xf3, 0x6e});  // rep outsb
  r()[Gpr::Rsi] = kCode;
  r()[Gpr::Rcx] = 2;
  const VmExit exit{
      .reason = ExitReason::PortIo, .instruction_length = 2, .port = {.port = 0x80, .size = 1, .kind = PortAccess::kString}};
  run(exit);
  EXPECT_EQ(r().rip, kCode);
  EXPECT_EQ(cpu().traps, 1u);
  run(exit);
  EXPECT_EQ(r().rip, kCode + 2);
  EXPECT_EQ(cpu().traps, 2u);
  run(ExitReason::Hlt, 1);
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().traps, 3u);
  EXPECT_EQ(owner.waits, 0u);
}

TEST_F(ExitsTest, AHaltedVcpuWaitsUntilItHasAReasonToGoOn) {
  run(ExitReason::Hlt, 1);
  EXPECT_EQ(r().rip, kCode + 1);
  vcpu.run_guest(host_cpu);
  EXPECT_EQ(owner.waits, 1u);
  vm.pending = {0x31};
  vcpu.run_guest(host_cpu);
  EXPECT_EQ(owner.waits, 2u) << "its interrupts are off";
  EXPECT_EQ(cpu().entries, 1u);
  vcpu.post_nmi();
  run(ExitReason::Handled);
  EXPECT_EQ(cpu().injected.type(), Event::Type::Nmi);
}

TEST_F(ExitsTest, PhysicalInterruptsAreTheHosts) {
  run(ExitReason::Interrupt);
  EXPECT_EQ(host_cpu.interrupts, 1u);
}

TEST_F(ExitsTest, AStartForgetsTheLifeBefore) {
  run(ExitReason::Hlt, 1);
  vcpu.post_nmi();
  vcpu.put();
  vcpu.reset({.mode = StartState::Mode::Real16, .real_segment = 0x9f00});
  vcpu.load(0);
  run(ExitReason::Handled);
  EXPECT_FALSE(cpu().injected.valid());
  EXPECT_EQ(owner.waits, 0u);
  EXPECT_EQ(cpu().segment(SegmentRegister::Cs).base, 0x9'f000u);
}

}  // namespace
}  // namespace hv
