// The SVM backend against a CPU that the test plays: what VMRUN finds in the control block, and what an exit becomes.
#include "hypervisor/vcpu/x86_64/svm.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/start_state.hpp"
#include "tests/unit/vcpu/x86_64/fake_vcpu_hardware.hpp"

namespace hv::svm {
namespace {

using namespace x86;

/// What the CPU does between VMRUN and the exit.
std::function<void(Vmcb&)> guest_runs;

Vmcb& vmcb_at(u64 address) { return *reinterpret_cast<Vmcb*>(address); }

struct SvmVcpuTest : ::testing::Test {
  explicit SvmVcpuTest(Features features = {}) {
    machine.features = features;
    machine.cpus = cpus;
    cpus[0] = {.host_state = Hpa(0x7000), .asids = AddressTags(3)};
    block = *frames.allocate(sizeof(Vmcb), kPageSize);
    vcpu.emplace(machine, block, frames, VcpuSettings{.translation = translation, .port_permissions = Hpa(0x3000)});
    start(*vcpu, registers, {.mode = StartState::Mode::Long64, .rip = 0x1000, .cr3 = 0x2000});
    vcpu->load(0);
  }

  Vmcb& vmcb() { return vmcb_at(block.base.value()); }
  ControlArea& control() { return vmcb().control; }

  const VmExit& exit_with(u64 code, u64 info_1 = 0, u64 info_2 = 0, u64 delivering = 0) {
    guest_runs = [=](Vmcb& v) {
      v.control.exit_code = code;
      v.control.exit_info_1 = info_1;
      v.control.exit_info_2 = info_2;
      v.control.exit_interrupt_info = delivering;
    };
    return vcpu->enter(registers);
  }

  vcpu_test::HostFrames frames;
  NestedPaging translation = *NestedPaging::create(Gpa(0xffff'ffff), {.physical_bits = 40}, frames);
  std::array<SvmCpu, 2> cpus{};
  SvmMachineState machine;
  HpaRange block{};
  std::optional<SvmVcpu> vcpu;
  GuestRegisters registers;
};

constexpr u64 kValid = 0x8000'0000;
constexpr u64 kExternal = kValid, kHardException = kValid | 3 << 8, kSoftInterrupt = kValid | 4 << 8, kErrorCode = 1 << 11;

// ---- exits ----

TEST_F(SvmVcpuTest, CopiesTheFourRegistersThatTheControlBlockHolds) {
  registers[Gpr::Rax] = 1;
  registers[Gpr::Rsp] = 2;
  registers.rip = 3;
  registers.rflags = Rflags::kAlwaysOne | Rflags::kIf;
  guest_runs = [](Vmcb& v) {
    EXPECT_EQ(v.save.rax, 1u);
    EXPECT_EQ(v.save.rsp, 2u);
    EXPECT_EQ(v.save.rip, 3u);
    EXPECT_EQ(v.save.rflags, 0x202u);
    v.save.rax = 11, v.save.rsp = 12, v.save.rip = 13, v.save.rflags = 2;
    v.control.exit_code = ExitCode::kHlt;
  };
  EXPECT_EQ(vcpu->enter(registers).reason, ExitReason::Hlt);
  EXPECT_EQ(registers[Gpr::Rax], 11u);
  EXPECT_EQ(registers[Gpr::Rsp], 12u);
  EXPECT_EQ(registers.rip, 13u);
  EXPECT_EQ(registers.rflags, 2u);
}

struct KnownExit {
  u64 code;
  ExitReason reason;
  unsigned length;
};

TEST_F(SvmVcpuTest, KnowsWhatExitsMeanAndHowLongTheirInstructionsAre) {
  // APM vol. 2 appendix C, written out.
  constexpr KnownExit kExits[] = {{0x60, ExitReason::Interrupt, 0},
                                  {0x61, ExitReason::Nmi, 0},
                                  {0x72, ExitReason::Cpuid, 2},
                                  {0x76, ExitReason::CacheInvalidation, 2},
                                  {0x78, ExitReason::Hlt, 1},
                                  {0x7c, ExitReason::MsrRead, 2},
                                  {0x7f, ExitReason::Shutdown, 0},
                                  {0x80, ExitReason::UndefinedInstruction, 0},
                                  {0x81, ExitReason::Hypercall, 3},
                                  {0x8a, ExitReason::UndefinedInstruction, 0},
                                  {0x8d, ExitReason::Xsetbv, 3},
                                  {0x6f, ExitReason::ProtectedInstruction, 0},
                                  {0x40, ExitReason::Unexpected, 0},
                                  {0x52, ExitReason::MachineCheck, 0},
                                  {0x500, ExitReason::Unexpected, 0},
                                  {0xffff'ffff, ExitReason::InvalidState, 0},
                                  {~u64{0}, ExitReason::InvalidState, 0}};
  for (const KnownExit& known : kExits) {
    const VmExit& exit = exit_with(known.code);
    EXPECT_EQ(exit.reason, known.reason) << std::hex << known.code;
    if (known.length != 0) {
      EXPECT_EQ(exit.instruction_length, known.length) << std::hex << known.code;
    }
  }
  EXPECT_EQ(exit_with(0x7c, 1).reason, ExitReason::MsrWrite);
}

TEST_F(SvmVcpuTest, ReadsAPortAccess) {
  registers.rip = 0x1000;
  // OUTSW with REP at port 0x1f0: EXITINFO1 of APM vol. 2 15.10.2.
  const VmExit& exit = exit_with(0x7b, 0x01f0'002c, 0x1003);
  EXPECT_EQ(exit.reason, ExitReason::PortIo);
  EXPECT_EQ(exit.port.port, 0x1f0);
  EXPECT_EQ(exit.port.size, 2);
  EXPECT_EQ(exit.port.kind, PortAccess::kString | PortAccess::kRepeat);
  EXPECT_EQ(exit.instruction_length, 3);
  EXPECT_EQ(exit_with(0x7b, 0x0060'0011, 0x1001).port.kind, PortAccess::kIn);
}

TEST_F(SvmVcpuTest, ReadsANestedFault) {
  const VmExit& exit = exit_with(0x400, 0x1'0000'0006, 0xfee0'00b0);
  EXPECT_EQ(exit.reason, ExitReason::NestedFault);
  EXPECT_EQ(exit.fault.address, Gpa(0xfee0'00b0));
  EXPECT_TRUE(exit.fault.write);
  EXPECT_FALSE(exit.fault.fetch);
  EXPECT_FALSE(exit.fault.on_walk);
  EXPECT_TRUE(exit_with(0x400, 0x2'0000'0006).fault.on_walk);
  EXPECT_TRUE(exit_with(0x400, 0x1'0000'0014).fault.fetch);
}

struct SvmWithAssists : SvmVcpuTest {
  SvmWithAssists()
      : SvmVcpuTest({.next_rip = true, .decode_assists = true, .flush_by_asid = true, .pause_filter = true, .tsc_aux = true}) {}
};

TEST_F(SvmWithAssists, TakesTheLengthFromTheNextRip) {
  registers.rip = 0x1000;
  guest_runs = [](Vmcb& v) {
    v.control.exit_code = ExitCode::kCpuid;
    v.control.next_rip = 0x1005;  // with prefixes
  };
  EXPECT_EQ(vcpu->enter(registers).instruction_length, 5);
}

TEST_F(SvmWithAssists, NamesTheRegisterOfAnAccessToCr8AndTheInstructionBytes) {
  guest_runs = [](Vmcb& v) {
    v.control.exit_code = ExitCode::kCr8Write;
    v.control.exit_info_1 = u64{1} << 63 | 9;
    v.control.fetched_bytes = 4;
    v.control.instruction_bytes[3] = 0xaa;
  };
  const VmExit& exit = vcpu->enter(registers);
  EXPECT_EQ(exit.reason, ExitReason::TaskPriority);
  EXPECT_TRUE(exit.control_move.write);
  EXPECT_EQ(exit.control_move.which, Gpr::R9);
  ASSERT_EQ(vcpu->instruction_bytes().size(), 4u);
  EXPECT_EQ(vcpu->instruction_bytes()[3], 0xaa);
}

TEST_F(SvmWithAssists, SwitchesTscAuxWithTheVcpu) {
  vcpu->write(GuestRegister::TscAux, 5);
  EXPECT_EQ(vcpu_test::hardware.msrs[Msr::kTscAux], 5u);
  vcpu_test::hardware.msrs[Msr::kTscAux] = 6;  // the guest writes it without an exit
  EXPECT_EQ(vcpu->read(GuestRegister::TscAux), 6u);
  vcpu->put();
  vcpu_test::hardware.msrs[Msr::kTscAux] = 7;  // somebody else's
  EXPECT_EQ(vcpu->read(GuestRegister::TscAux), 6u);
  vcpu->load(0);
  EXPECT_EQ(vcpu_test::hardware.msrs[Msr::kTscAux], 6u);
}

// ---- registers ----

TEST_F(SvmVcpuTest, HidesTheBitThatRunsIt) {
  vcpu->write(GuestRegister::Efer, Efer::kSce);
  EXPECT_EQ(vmcb().save.efer, Efer::kSce | Efer::kSvme);
  EXPECT_EQ(vcpu->read(GuestRegister::Efer), Efer::kSce);
}

TEST_F(SvmVcpuTest, EverythingIsCleanAfterAnExitAndWhatChangesIsNot) {
  exit_with(ExitCode::kHlt);
  EXPECT_EQ(control().clean, 0x3ffu);
  vcpu->write(GuestRegister::Cr0, 1);
  EXPECT_EQ(control().clean, 0x3ffu & ~0x20u);
  vcpu->set_segment(SegmentRegister::Cs, {});
  EXPECT_EQ(control().clean, 0x3ffu & ~0x120u);
  vcpu->set_table(DescriptorTable::Idt, {});
  EXPECT_EQ(control().clean, 0x3ffu & ~0x1a0u);
  vcpu->request_interrupt_window();
  EXPECT_EQ(control().clean, 0x3ffu & ~0x1a9u);
  vcpu->put();
  vcpu->load(0);
  EXPECT_EQ(control().clean, 0u) << "another CPU or another block may have been cached under the same address";
}

TEST_F(SvmVcpuTest, AGuestThatSingleStepsTrapsBehindAnEmulatedInstruction) {
  registers.rip = 0x1000;
  registers.rflags = Rflags::kAlwaysOne | Rflags::kTf;
  control().interrupt_shadow = 1;
  vcpu->complete_instruction(registers, 2);
  EXPECT_EQ(registers.rip, 0x1002u);
  EXPECT_EQ(control().interrupt_shadow, 0u);
  EXPECT_EQ(control().event_injection, kHardException | Vector::kDebug);
  EXPECT_EQ(vcpu->read(GuestRegister::Dr6) & kDr6SingleStep, kDr6SingleStep);
}

// ---- address space identifiers ----

TEST_F(SvmVcpuTest, TakesANewAsidForEveryEpoch) {
  std::vector<u32> asids;
  const auto run = [&] {
    guest_runs = [&](Vmcb& v) {
      asids.push_back(v.control.asid);
      EXPECT_EQ(v.control.tlb_control, 0u);
      EXPECT_EQ(v.control.clean & Clean::kAsid, asids.size() > 1 && asids.back() == asids[asids.size() - 2] ? Clean::kAsid : 0u);
      v.control.exit_code = ExitCode::kHlt;
    };
    vcpu->enter(registers);
  };
  run();
  run();
  ASSERT_TRUE(translation.map({Gpa(0), 4_KiB}, Hpa(0x5000), mm::kReadWriteExecute));
  run();
  ASSERT_TRUE(translation.unmap({Gpa(0), 4_KiB}));
  run();
  EXPECT_EQ(asids, (std::vector<u32>{1, 1, 1, 2}));
}

TEST_F(SvmVcpuTest, FlushesAllWhenAsidsAreUsedUpAndEverybodyTakesANewOne) {
  SvmVcpu second(machine, *frames.allocate(sizeof(Vmcb), kPageSize), frames,
                 {.translation = translation, .port_permissions = Hpa(0x3000)});
  second.load(0);
  GuestRegisters other;
  std::vector<std::pair<u32, u8>> seen;
  guest_runs = [&](Vmcb& v) {
    seen.emplace_back(v.control.asid, v.control.tlb_control);
    v.control.exit_code = ExitCode::kHlt;
  };
  vcpu->enter(registers);
  second.enter(other);
  // ASIDs 0 to 2 exist.
  ASSERT_TRUE(translation.map({Gpa(0), 4_KiB}, Hpa(0x5000), mm::kReadWriteExecute));
  ASSERT_TRUE(translation.unmap({Gpa(0), 4_KiB}));
  vcpu->enter(registers);
  second.enter(other);
  const std::vector<std::pair<u32, u8>> expected{{1, 0}, {2, 0}, {1, TlbControl::kFlushAll}, {2, 0}};
  EXPECT_EQ(seen, expected);
}

// The guest may have invalidated pages on the other CPU: what the first one's TLB holds under the old number must not be found.
TEST_F(SvmVcpuTest, TakesANewAsidOnEveryCpuThatItComesTo) {
  cpus[1] = {.host_state = Hpa(0x7000), .asids = AddressTags(8)};
  std::vector<u32> asids;
  guest_runs = [&](Vmcb& v) {
    asids.push_back(v.control.asid);
    v.control.exit_code = ExitCode::kHlt;
  };
  for (const unsigned cpu : {0u, 0u, 1u, 1u, 0u}) {
    vcpu->put();
    vcpu->load(cpu);
    vcpu->enter(registers);
  }
  EXPECT_EQ(asids, (std::vector<u32>{1, 1, 1, 1, 2}));
}

TEST_F(SvmWithAssists, FlushesItsOwnAsidWhenTheCpuCan) {
  exit_with(ExitCode::kHlt);
  ASSERT_TRUE(translation.map({Gpa(0), 4_KiB}, Hpa(0x5000), mm::kReadWriteExecute));
  ASSERT_TRUE(translation.unmap({Gpa(0), 4_KiB}));
  guest_runs = [](Vmcb& v) {
    EXPECT_EQ(v.control.asid, 1u);
    EXPECT_EQ(v.control.tlb_control, TlbControl::kFlushThisAsid);
    v.control.exit_code = ExitCode::kHlt;
  };
  vcpu->enter(registers);
  EXPECT_EQ(control().tlb_control, TlbControl::kNothing) << "once";
}

// ---- events ----

TEST_F(SvmVcpuTest, RepeatsAnInterruptWhoseDeliveryWasCutShort) {
  EXPECT_TRUE(exit_with(0x400, 0, 0xfee0'0000, kExternal | 0x41).during_delivery);
  EXPECT_EQ(control().event_injection, kExternal | 0x41);
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
  EXPECT_FALSE(exit_with(ExitCode::kHlt).during_delivery);
  EXPECT_EQ(control().event_injection, 0u) << "delivered";
}

TEST_F(SvmVcpuTest, LetsTheGuestRepeatWhatItsOwnInstructionCauses) {
  exit_with(0x400, 0, 0, kSoftInterrupt | 0x80);
  EXPECT_EQ(control().event_injection, 0u);
  exit_with(0x400, 0, 0, kHardException | Vector::kBreakpoint);
  EXPECT_EQ(control().event_injection, 0u);
  exit_with(0x400, 0, 0, u64{0x10} << 32 | kHardException | kErrorCode | Vector::kGeneralProtection);
  EXPECT_EQ(control().event_injection, u64{0x10} << 32 | kHardException | kErrorCode | Vector::kGeneralProtection);
}

TEST_F(SvmVcpuTest, TwoFaultsInARowBecomeADoubleFaultAndThenAShutdown) {
  EXPECT_TRUE(vcpu->inject_exception(Vector::kGeneralProtection, 8));
  EXPECT_EQ(control().event_injection, u64{8} << 32 | kHardException | kErrorCode | Vector::kGeneralProtection);
  EXPECT_TRUE(vcpu->inject_exception(Vector::kPageFault, 2)) << "a contributory fault, then a page fault: serially";
  EXPECT_TRUE(vcpu->inject_exception(Vector::kGeneralProtection, 0));
  EXPECT_EQ(control().event_injection, kHardException | kErrorCode | Vector::kDoubleFault);
  EXPECT_FALSE(vcpu->inject_exception(Vector::kGeneralProtection, 0));
}

TEST_F(SvmVcpuTest, ReflectsExceptionsThatItOnlyWatches) {
  EXPECT_EQ(exit_with(0x40 + Vector::kDebug).reason, ExitReason::Handled);
  EXPECT_EQ(control().event_injection, kHardException | Vector::kDebug);
  control().event_injection = 0;
  EXPECT_EQ(exit_with(0x40 + Vector::kAlignmentCheck).reason, ExitReason::Handled);
  EXPECT_EQ(control().event_injection, kHardException | kErrorCode | Vector::kAlignmentCheck);
}

TEST_F(SvmVcpuTest, InterruptsWaitForTheFlagTheShadowAndTheEventBeforeThem) {
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
  registers.rflags |= Rflags::kIf;
  EXPECT_TRUE(vcpu->can_take_interrupt(registers));
  control().interrupt_shadow = 1;
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
  control().interrupt_shadow = 0;
  vcpu->inject_interrupt(0x30);
  EXPECT_EQ(control().event_injection, kExternal | 0x30);
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
}

TEST_F(SvmVcpuTest, AWindowIsAVirtualInterruptThatIsIntercepted) {
  constexpr u32 kWindowIntercept = 1 << 4;
  vcpu->request_interrupt_window();
  EXPECT_NE(control().intercept_misc[0] & kWindowIntercept, 0u);
  EXPECT_NE(control().virtual_interrupt & VirtualInterrupt::kPending, 0u);
  EXPECT_EQ(exit_with(ExitCode::kInterruptWindow).reason, ExitReason::InterruptWindow);
  EXPECT_EQ(control().intercept_misc[0] & kWindowIntercept, 0u);
  EXPECT_EQ(control().virtual_interrupt, VirtualInterrupt::kMasking);
  vcpu->request_interrupt_window();
  vcpu->inject_interrupt(0x30);
  EXPECT_EQ(control().virtual_interrupt, VirtualInterrupt::kMasking) << "nobody waits any more";
}

TEST_F(SvmVcpuTest, RemembersAShadowThatTheCpuForgets) {
  registers.rflags |= Rflags::kIf;
  control().interrupt_shadow = 1;
  exit_with(ExitCode::kInterrupt);
  control().interrupt_shadow = 0;
  EXPECT_FALSE(vcpu->can_take_interrupt(registers)) << "the instruction has not run yet";
  vcpu->request_interrupt_window();
  EXPECT_EQ(exit_with(ExitCode::kInterruptWindow).reason, ExitReason::LostShadow);
  EXPECT_TRUE(vcpu->can_take_interrupt(registers)) << "asked once, it does not wait for ever";
  vcpu->request_interrupt_window();
  EXPECT_EQ(exit_with(ExitCode::kInterruptWindow).reason, ExitReason::InterruptWindow);
}

TEST_F(SvmVcpuTest, NmisAreMaskedUntilTheirHandlerReturns) {
  constexpr u32 kIretIntercept = 1 << 20;
  EXPECT_TRUE(vcpu->can_take_nmi(registers));
  vcpu->inject_nmi();
  EXPECT_EQ(control().event_injection, kValid | 2 << 8 | 2);
  EXPECT_NE(control().intercept_misc[0] & kIretIntercept, 0u);
  exit_with(ExitCode::kHlt);
  EXPECT_FALSE(vcpu->can_take_nmi(registers));
  EXPECT_EQ(exit_with(ExitCode::kIret).reason, ExitReason::Handled);
  EXPECT_EQ(control().intercept_misc[0] & kIretIntercept, 0u);
  EXPECT_FALSE(vcpu->can_take_nmi(registers)) << "the IRET has not run yet";
  registers.rip += 0x100;
  EXPECT_TRUE(vcpu->can_take_nmi(registers));
}

TEST_F(SvmVcpuTest, ASecondNmiComesRightBehindTheIretOfTheFirst) {
  vcpu->inject_nmi();
  exit_with(ExitCode::kHlt);
  ASSERT_FALSE(vcpu->can_take_nmi(registers));
  vcpu->request_nmi_window();
  exit_with(ExitCode::kCpuid);
  EXPECT_EQ(vmcb().save.rflags & Rflags::kTf, 0u) << "the handler itself is not stepped";
  registers.rip = 0x5000;
  EXPECT_EQ(exit_with(ExitCode::kIret).reason, ExitReason::Handled);
  ASSERT_FALSE(vcpu->can_take_nmi(registers));
  vcpu->request_nmi_window();
  guest_runs = [](Vmcb& v) {
    EXPECT_NE(v.save.rflags & Rflags::kTf, 0u);
    v.save.rip = 0x1234;
    v.save.rflags = 0x202;  // from the stack
    v.save.dr6 |= kDr6SingleStep;
    v.control.exit_code = ExitCode::kFirstException + Vector::kDebug;
  };
  EXPECT_EQ(vcpu->enter(registers).reason, ExitReason::NmiWindow);
  EXPECT_EQ(control().event_injection, 0u) << "the step is not the guest's";
  EXPECT_EQ(vcpu->read(GuestRegister::Dr6), kDr6Reset);
  EXPECT_EQ(registers.rflags, 0x202u);
  EXPECT_TRUE(vcpu->can_take_nmi(registers));
}

TEST_F(SvmVcpuTest, AStepThatEndsInFrontOfTheIretGoesOn) {
  vcpu->inject_nmi();
  registers.rip = 0x5000;
  exit_with(ExitCode::kIret);
  vcpu->request_nmi_window();
  EXPECT_EQ(exit_with(ExitCode::kFirstException + Vector::kDebug).reason, ExitReason::Handled);
  EXPECT_FALSE(vcpu->can_take_nmi(registers));
  EXPECT_NE(registers.rflags & Rflags::kTf, 0u);
}

TEST_F(SvmVcpuTest, AGuestThatStepsItselfKeepsItsTrapBehindTheIret) {
  vcpu->inject_nmi();
  registers.rip = 0x5000;
  registers.rflags |= Rflags::kTf;
  exit_with(ExitCode::kIret);
  vcpu->request_nmi_window();
  registers.rip = 0x5000;
  exit_with(ExitCode::kFirstException + Vector::kDebug);
  EXPECT_EQ(control().event_injection, kHardException | Vector::kDebug);
}

TEST_F(SvmVcpuTest, WritesOfCr4LeaveTheGuest) {
  constexpr u32 kReadOfCr4 = 1 << 4, kWriteOfCr4 = 1 << 20;
  EXPECT_EQ(control().intercept_cr & (kReadOfCr4 | kWriteOfCr4), kWriteOfCr4);
  const VmExit& exit = exit_with(ExitCode::kCr4Write);
  EXPECT_EQ(exit.reason, ExitReason::Cr4Write);
  EXPECT_TRUE(exit.control_move.write);
}

TEST_F(SvmVcpuTest, ANewCr4EmptiesTheTlb) {
  exit_with(ExitCode::kHlt);
  const u32 asid = control().asid;
  vcpu->write(GuestRegister::Cr4, Cr4::kPae | 0x80);
  exit_with(ExitCode::kHlt);
  EXPECT_NE(control().asid, asid);
}

TEST_F(SvmVcpuTest, ANewLifeForgetsWhatTheOldOneWaitedFor) {
  vcpu->inject_nmi();
  vcpu->request_interrupt_window();
  control().interrupt_shadow = 1;
  start(*vcpu, registers, {.mode = StartState::Mode::Real16, .real_segment = 0x9f00});
  EXPECT_EQ(control().event_injection, 0u);
  EXPECT_EQ(control().interrupt_shadow, 0u);
  EXPECT_EQ(control().virtual_interrupt, VirtualInterrupt::kMasking);
  EXPECT_TRUE(vcpu->can_take_nmi(registers));
}

// ---- start ----

TEST_F(SvmVcpuTest, StartsInRealModeAsAfterAStartupIpi) {
  start(*vcpu, registers, {.mode = StartState::Mode::Real16, .real_segment = 0x9f00, .rdx = 0x600});
  const SaveArea& s = vmcb().save;
  EXPECT_EQ(s.cs, (SegmentState{0x9f00, 0x9b, 0xffff, 0x9'f000}));
  EXPECT_EQ(s.ds, (SegmentState{0, 0x93, 0xffff, 0}));
  EXPECT_EQ(s.tr.attributes, 0x8b);
  EXPECT_EQ(s.cr0, 0x6000'0010u);
  EXPECT_EQ(s.pat, 0x0007'0406'0007'0406u);
  EXPECT_EQ(registers.rip, 0u);
  EXPECT_EQ(registers.rflags, 2u);
  EXPECT_EQ(registers[Gpr::Rdx], 0x600u);
}

TEST_F(SvmVcpuTest, StartsInProtectedModeAsMultibootAsks) {
  start(*vcpu, registers, {.mode = StartState::Mode::Protected32, .rip = 0x10'0000, .rax = 0x2bad'b002, .rbx = 0x9000});
  const SaveArea& s = vmcb().save;
  EXPECT_EQ(s.cs, (SegmentState{0x10, 0xc9b, 0xffff'ffff, 0}));
  EXPECT_EQ(s.ss, (SegmentState{0x18, 0xc93, 0xffff'ffff, 0}));
  EXPECT_EQ(s.cr0, 0x31u);
  EXPECT_EQ(registers[Gpr::Rax], 0x2bad'b002u);
  EXPECT_EQ(registers[Gpr::Rbx], 0x9000u);
}

TEST_F(SvmVcpuTest, StartsInLongModeAsLinuxAsks) {
  start(*vcpu, registers,
        {.mode = StartState::Mode::Long64, .rip = 0x20'0200, .cr3 = 0x7000, .gdt = {0x8000, 0x1f}, .rsi = 0x9000});
  const SaveArea& s = vmcb().save;
  EXPECT_EQ(s.cs, (SegmentState{0x10, 0xa9b, 0xffff'ffff, 0}));
  EXPECT_EQ(s.cr0, 0x8000'0031u);
  EXPECT_EQ(s.cr3, 0x7000u);
  EXPECT_EQ(s.cr4, 0x20u);
  EXPECT_EQ(s.efer, Efer::kSvme | Efer::kLme | Efer::kLma);
  EXPECT_EQ(s.gdtr.base, 0x8000u);
  EXPECT_EQ(registers[Gpr::Rsi], 0x9000u);
}

// ---- permissions ----

TEST(PortPermissionsTest, LetsOnlyWhatIsAllowedThrough) {
  vcpu_test::HostFrames frames;
  {
    auto ports = PortPermissions::create(frames);
    ASSERT_TRUE(ports);
    ASSERT_TRUE(ports->allow(0x3f8, 8));
    EXPECT_EQ(ports->allow(0xffff, 2).error(), Error::OutOfRange);
    EXPECT_TRUE(ports->allow(0xffff, 1));
    const u8* map = reinterpret_cast<const u8*>(ports->address().value());
    EXPECT_EQ(map[0x3f8 / 8], 0);
    EXPECT_EQ(map[0x3f0 / 8], 0xff);
    EXPECT_EQ(map[0x2000 - 1], 0x7f);
    EXPECT_EQ(map[0x2000], 0xff) << "an access that reaches beyond the last port exits";
    const PortPermissions moved = std::move(*ports);
  }
  EXPECT_EQ(frames.live, 0u);
}

}  // namespace

extern "C" void ax_svm_enter(GuestRegisters*, u64 vmcb, u64 host_state) {
  EXPECT_EQ(host_state, 0x7000u);
  guest_runs(vmcb_at(vmcb));
}

}  // namespace hv::svm
