// The VMX backend against a CPU that the test plays: what an entry finds in the VMCS, and what an exit becomes.
#include "hypervisor/vcpu/x86_64/vmx.hpp"

#include <gmock/gmock.h>

#include <arch/vmx.hpp>
#include <functional>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/start_state.hpp"
#include "tests/unit/vcpu/x86_64/fake_vcpu_hardware.hpp"

namespace hv::vmx {
namespace {

using namespace x86;
using arch::Vmx;
using arch::fake::event;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// What the CPU does between the entry and the exit; false: it refuses.
std::function<bool()> guest_runs;
std::vector<bool> launched_before;

constexpr u64 kValid = 0x8000'0000;
constexpr u64 kExternal = kValid, kHardException = kValid | 3 << 8, kSoftInterrupt = kValid | 4 << 8, kErrorCode = 1 << 11;

struct VmxVcpuTest : ::testing::Test {
  static constexpr u32 kPrimary = 0x0400'6172, kEntry = 0x11ff;

  static constexpr u32 kSecondary = Secondary::kEpt | Secondary::kVpid;

  explicit VmxVcpuTest(u32 primary = kPrimary, u32 secondary = kSecondary) {
    arch::fake::vmcs.clear();
    arch::fake::current_vmcs = arch::fake::kNoVmcs;
    vcpu_test::hardware = {};
    launched_before.clear();
    machine.controls = {.pin = 1, .primary = primary, .secondary = secondary, .exit = 4, .entry = kEntry};
    machine.revision = 0x2b;
    machine.preemption_ticks = 5000;
    machine.tsc_aux = true;
    machine.cpus = cpus;
    cpus[0].vpids = AddressTags(3);
    region = *frames.allocate(VmxVcpu::kRegionSize, kPageSize);
    machine.msr_permissions = Hpa(0x5000);
    machine.x2apic_msr_permissions = Hpa(0x6000);
    vcpu.emplace(machine, region, frames,
                 VcpuSettings{.translation = translation, .port_permissions = Hpa(0x3000), .apic_access = Hpa(0x7000)});
    start(*vcpu, registers, {.mode = StartState::Mode::Long64, .rip = 0x1000, .cr3 = 0x2000});
    vcpu->load(0);
  }

  u64& field(u32 which) { return arch::fake::vmcs[region.base.value()][which]; }

  const VmExit& exit_with(u32 reason, std::initializer_list<std::pair<u32, u64>> fields = {}) {
    guest_runs = [=, this] {
      field(Field::kVectoring) = 0;
      field(Field::kExitInterruption) = 0;
      field(Field::kEntryInterruption) &= ~kValid;  // as an exit leaves it
      for (const auto& [which, value] : fields) field(which) = value;
      field(Field::kExitReason) = reason;
      return true;
    };
    return vcpu->enter(registers);
  }

  vcpu_test::HostFrames frames;
  NestedPaging translation =
      *NestedPaging::create(Gpa(0xffff'ffff), {.kind = mm::NestedKind::Ept, .physical_bits = 40, .accessed_dirty = true}, frames);
  std::array<VmxCpu, 2> cpus{};
  VmxMachineState machine;
  HpaRange region{};
  std::optional<VmxVcpu> vcpu;
  GuestRegisters registers;
};

// ---- the VMCS ----

TEST_F(VmxVcpuTest, CarriesTheCpusRevisionAndTheMachinesControls) {
  EXPECT_EQ(*reinterpret_cast<u32*>(region.base.value()), 0x2bu);
  EXPECT_EQ(field(Field::kProcessorControls), kPrimary);
  EXPECT_EQ(field(Field::kEptPointer), translation.root().value() | 0x5e);
  EXPECT_EQ(field(Field::kIoBitmapA), 0x3000u);
  EXPECT_EQ(field(Field::kIoBitmapB), 0x4000u);
  EXPECT_EQ(field(Field::kVmcsLink), ~u64{0});
  EXPECT_EQ(field(Field::kPreemptionTimer), 5000u);
  EXPECT_EQ(field(Field::kHostCr3), 0xc3000u);
  EXPECT_EQ(field(Field::kHostTrBase), 0x1234u);
}

TEST_F(VmxVcpuTest, IsLaunchedOnceAfterEachLoad) {
  exit_with(Reason::kHlt);
  exit_with(Reason::kHlt);
  vcpu->put();
  EXPECT_EQ(arch::fake::current_vmcs, arch::fake::kNoVmcs) << "another CPU may destroy it";
  vcpu->load(0);
  exit_with(Reason::kHlt);
  EXPECT_THAT(launched_before, ElementsAre(false, true, false));
}

TEST_F(VmxVcpuTest, HasTheStateAndTheTlbOfTheCpuThatItComesTo) {
  cpus[1].vpids = AddressTags(8);
  std::vector<u64> vpids;
  const auto run_on = [&](unsigned cpu) {
    vcpu->put();
    field(Field::kHostTrBase) = 0;
    vcpu->load(cpu);
    exit_with(Reason::kHlt);
    vpids.push_back(field(Field::kVpid));
    return field(Field::kHostTrBase);
  };
  run_on(0);
  EXPECT_EQ(run_on(0), 0u) << "nothing to write";
  EXPECT_EQ(run_on(1), 0x1234u);
  EXPECT_EQ(run_on(0), 0x1234u);
  EXPECT_EQ(vpids, (std::vector<u64>{1, 1, 1, 2}));
}

TEST_F(VmxVcpuTest, ChangesOfOneThatIsNotLoadedLeaveTheLoadedOneCurrent) {
  const HpaRange other_region = *frames.allocate(VmxVcpu::kRegionSize, kPageSize);
  VmxVcpu other(machine, other_region, frames, {.translation = translation, .port_permissions = Hpa(0x3000)});
  EXPECT_EQ(arch::fake::current_vmcs, region.base.value());
  other.write(GuestRegister::Cr3, 0x7000);
  EXPECT_EQ(arch::fake::current_vmcs, region.base.value());
  EXPECT_EQ(other.read(GuestRegister::Cr3), 0x7000u);
  EXPECT_EQ(vcpu->read(GuestRegister::Cr3), 0x2000u);
}

TEST_F(VmxVcpuTest, WritesOnlyTheRegistersThatHaveChanged) {
  registers[Gpr::Rsp] = 0x100;
  exit_with(Reason::kHlt, {{Field::kGuestRip, 0x1001}, {Field::kGuestRsp, 0x100}, {Field::kGuestRflags, 2}});
  EXPECT_EQ(registers.rip, 0x1001u);
  field(Field::kGuestRsp) = 0xdead;  // stands for what a write would overwrite
  registers.rip = 0x2000;
  guest_runs = [&] {
    EXPECT_EQ(field(Field::kGuestRip), 0x2000u);
    EXPECT_EQ(field(Field::kGuestRsp), 0xdeadu);
    field(Field::kExitReason) = Reason::kHlt;
    return true;
  };
  vcpu->enter(registers);
}

TEST_F(VmxVcpuTest, FlushesEachNewEpochAndTakesAVpid) {
  arch::fake::Recording recording;
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(), ElementsAre(event("invept", u64{1}, translation.ept_pointer())));
  EXPECT_EQ(field(Field::kVpid), 1u);
  recording.clear();
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(), IsEmpty());
  ASSERT_TRUE(translation.map({Gpa(0), 4_KiB}, Hpa(0x5000), mm::kReadWriteExecute));
  ASSERT_TRUE(translation.unmap({Gpa(0), 4_KiB}));
  recording.clear();
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(), ElementsAre(event("invept", u64{1}, translation.ept_pointer())));
  EXPECT_EQ(field(Field::kVpid), 1u);
}

TEST_F(VmxVcpuTest, FlushesAllVpidsWhenTheyAreUsedUp) {
  AddressTag others[2];
  EXPECT_FALSE(cpus[0].vpids.renew(others[0]));
  EXPECT_FALSE(cpus[0].vpids.renew(others[1]));  // 1 and 2; there is no 3
  arch::fake::Recording recording;
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(),
              ElementsAre(event("invept", u64{1}, translation.ept_pointer()), event("invvpid", u64{2}, u64{0})));
  EXPECT_EQ(field(Field::kVpid), 1u);
  EXPECT_FALSE(cpus[0].vpids.is_current(others[0]));
}

TEST(VmxControls, AdjustToWhatTheCpuLetsBe) {
  const ControlCapability capability(0x0000'00f0'0000'0010);  // bits 4 to 7 may be 1, bit 4 must
  EXPECT_TRUE(capability.offers(0x60));
  EXPECT_FALSE(capability.offers(0x160));
  EXPECT_EQ(capability.adjust(0x160), 0x70u);
}

// ---- exits ----

struct KnownExit {
  u32 code;
  ExitReason reason;
  bool has_length;
};

TEST_F(VmxVcpuTest, KnowsWhatExitsMean) {
  // SDM vol. 3 appendix C, written out.
  constexpr KnownExit kExits[] = {{2, ExitReason::Shutdown, false},
                                  {7, ExitReason::InterruptWindow, false},
                                  {9, ExitReason::TaskSwitch, false},
                                  {10, ExitReason::Cpuid, true},
                                  {12, ExitReason::Hlt, true},
                                  {13, ExitReason::CacheInvalidation, true},
                                  {15, ExitReason::ProtectedInstruction, false},
                                  {18, ExitReason::Hypercall, true},
                                  {20, ExitReason::UndefinedInstruction, false},
                                  {27, ExitReason::UndefinedInstruction, false},
                                  {31, ExitReason::MsrRead, true},
                                  {32, ExitReason::MsrWrite, true},
                                  {36, ExitReason::UndefinedInstruction, false},
                                  {50, ExitReason::UndefinedInstruction, false},
                                  {52, ExitReason::Interrupt, false},
                                  {54, ExitReason::CacheInvalidation, true},
                                  {55, ExitReason::Xsetbv, true},
                                  {0x8000'0021, ExitReason::InvalidState, false},
                                  {49, ExitReason::Unexpected, false},
                                  {200, ExitReason::Unexpected, false}};
  for (const KnownExit& known : kExits) {
    const VmExit& exit = exit_with(known.code, {{Field::kExitInstructionLength, 6}});
    EXPECT_EQ(exit.reason, known.reason) << known.code;
    EXPECT_EQ(exit.instruction_length, known.has_length ? 6 : 0) << known.code;
    EXPECT_EQ(exit.code, known.code);
  }
}

TEST_F(VmxVcpuTest, AnEntryThatTheCpuRefusesIsAnInvalidState) {
  guest_runs = [&] {
    field(Field::kInstructionError) = 7;
    return false;
  };
  const VmExit& exit = vcpu->enter(registers);
  EXPECT_EQ(exit.reason, ExitReason::InvalidState);
  EXPECT_EQ(exit.code, 7u);
}

TEST_F(VmxVcpuTest, ReadsAPortAccess) {
  const VmExit& exit = exit_with(Reason::kPort, {{Field::kExitQualification, 0x01f0'0031}, {Field::kExitInstructionLength, 3}});
  EXPECT_EQ(exit.port.port, 0x1f0);
  EXPECT_EQ(exit.port.size, 2);
  EXPECT_EQ(exit.port.kind, PortAccess::kString | PortAccess::kRepeat);
  EXPECT_EQ(exit.instruction_length, 3);
  EXPECT_EQ(exit_with(Reason::kPort, {{Field::kExitQualification, 0x0060'0008}}).port.kind, PortAccess::kIn);
}

TEST_F(VmxVcpuTest, ReadsAnEptViolation) {
  const VmExit& exit =
      exit_with(Reason::kEptViolation, {{Field::kExitQualification, 0x182}, {Field::kGuestPhysicalAddress, 0xfee0'00b0}});
  EXPECT_EQ(exit.fault.address, Gpa(0xfee0'00b0));
  EXPECT_TRUE(exit.fault.write);
  EXPECT_FALSE(exit.fault.on_walk);
  EXPECT_TRUE(exit_with(Reason::kEptViolation, {{Field::kExitQualification, 0x81}}).fault.on_walk);
  EXPECT_TRUE(exit_with(Reason::kEptViolation, {{Field::kExitQualification, 0x184}}).fault.fetch);
}

TEST_F(VmxVcpuTest, HandsTheAcknowledgedInterruptAndTheNmiToTheHost) {
  EXPECT_EQ(exit_with(Reason::kInterrupt, {{Field::kExitInterruption, kExternal | 0xf1}}).reason, ExitReason::Interrupt);
  EXPECT_THAT(vcpu_test::hardware.interrupts, ElementsAre(0xf1));
  EXPECT_EQ(exit_with(Reason::kPreemptionTimer).reason, ExitReason::Interrupt);
  EXPECT_EQ(vcpu_test::hardware.interrupts.size(), 1u);
  EXPECT_EQ(exit_with(Reason::kException, {{Field::kExitInterruption, kValid | 2 << 8 | 2}}).reason, ExitReason::Nmi);
  EXPECT_EQ(vcpu_test::hardware.nmis, 1u);
}

TEST_F(VmxVcpuTest, NamesTheRegisterOfAnAccessToCr8) {
  const VmExit& exit =
      exit_with(Reason::kControlRegister, {{Field::kExitQualification, 0x918}, {Field::kExitInstructionLength, 4}});
  EXPECT_EQ(exit.reason, ExitReason::TaskPriority);
  EXPECT_FALSE(exit.control_move.write);
  EXPECT_EQ(exit.control_move.which, Gpr::R9);
  EXPECT_EQ(exit.instruction_length, 4);
}

// ---- local APIC ----

struct VmxWithTprShadow : VmxVcpuTest {
  explicit VmxWithTprShadow(u32 secondary = kSecondary) : VmxVcpuTest(kPrimary | Primary::kTprShadow, secondary) {}
};
struct VmxWithVirtualApic : VmxWithTprShadow {
  static constexpr u32 kAll = kSecondary | kVirtualApicControls | Secondary::kX2apic;
  VmxWithVirtualApic() : VmxWithTprShadow(kAll) {}
};

TEST_F(VmxVcpuTest, LeavesCr8ToExitsWithoutAShadow) {
  EXPECT_FALSE(vcpu->apic_page().has_value());
  EXPECT_FALSE(vcpu->delivers_interrupts());
  vcpu->leave_below_priority(3);
  EXPECT_EQ(field(Field::kTprThreshold), 0u);
}

TEST_F(VmxWithTprShadow, SharesTheRegistersThatHaveThePriority) {
  EXPECT_EQ(field(Field::kVirtualApic), region.base.value() + 0x1000);
  EXPECT_EQ(reinterpret_cast<u64>(vcpu->apic_page()->data()), region.base.value() + 0x1000);
  EXPECT_FALSE(vcpu->delivers_interrupts());
  vcpu->set_apic_mode(ApicMode::Msrs);
  EXPECT_EQ(field(Field::kSecondaryControls), kSecondary);
  EXPECT_EQ(field(Field::kMsrBitmap), 0x5000u) << "the other one would give the guest the host's local APIC";
}

TEST_F(VmxWithTprShadow, LeavesTheGuestWhenThePriorityFalls) {
  vcpu->leave_below_priority(5);
  EXPECT_EQ(field(Field::kTprThreshold), 5u);
  EXPECT_EQ(exit_with(Reason::kTprBelowThreshold).reason, ExitReason::PriorityWindow);
  vcpu->reset_events();
  EXPECT_EQ(field(Field::kTprThreshold), 0u);
}

TEST_F(VmxWithVirtualApic, VirtualizesTheApicWhereTheGuestHasIt) {
  EXPECT_TRUE(vcpu->delivers_interrupts());
  EXPECT_EQ(field(Field::kApicAccess), 0x7000u);
  EXPECT_EQ(field(Field::kSecondaryControls), kAll & ~(Secondary::kApicAccess | Secondary::kX2apic));
  vcpu->set_apic_mode(ApicMode::Memory);
  EXPECT_EQ(field(Field::kSecondaryControls), kAll & ~Secondary::kX2apic);
  EXPECT_EQ(field(Field::kMsrBitmap), 0x5000u);
  vcpu->set_apic_mode(ApicMode::Msrs);
  EXPECT_EQ(field(Field::kSecondaryControls), kAll & ~Secondary::kApicAccess) << "both at once are invalid";
  EXPECT_EQ(field(Field::kMsrBitmap), 0x6000u);
  vcpu->set_apic_mode(ApicMode::Elsewhere);
  EXPECT_EQ(field(Field::kMsrBitmap), 0x5000u);
}

TEST_F(VmxWithVirtualApic, ForgetsTranslationsOfThePageWithItsMode) {
  exit_with(Reason::kHlt);
  arch::fake::Recording recording;
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(), IsEmpty());
  vcpu->set_apic_mode(ApicMode::Memory);
  exit_with(Reason::kHlt);
  EXPECT_THAT(recording.events(), ElementsAre(event("invept", u64{1}, translation.ept_pointer())));
}

TEST_F(VmxWithVirtualApic, ShowsInterruptsToTheCpu) {
  vcpu->show_interrupts({.requested = 0x51, .in_service = 0x31, .told = {1, 2, 3, 4}});
  EXPECT_EQ(field(Field::kGuestInterruptStatus), 0x3151u);
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(field(Field::kEoiExits + 2 * i), i + 1);
  vcpu->leave_below_priority(5);
  EXPECT_EQ(field(Field::kTprThreshold), 0u) << "it looks itself";
}

TEST_F(VmxWithVirtualApic, TellsWhatTheGuestDidToItsApic) {
  const VmExit& written = exit_with(Reason::kApicWrite, {{Field::kExitQualification, 0x380}});
  EXPECT_EQ(written.reason, ExitReason::ApicWrite);
  EXPECT_EQ(written.fault.address, Gpa(0x380));
  EXPECT_EQ(written.instruction_length, 0);
  const VmExit& ended = exit_with(Reason::kVirtualizedEoi, {{Field::kExitQualification, 0x61}});
  EXPECT_EQ(ended.reason, ExitReason::EndOfInterrupt);
  EXPECT_EQ(ended.ended_vector, 0x61);
}

TEST_F(VmxWithVirtualApic, AccessesThatItCannotAnswerAreThoseOfADevice) {
  const VmExit& read = exit_with(Reason::kApicAccess, {{Field::kExitQualification, 0x0390}});
  EXPECT_EQ(read.reason, ExitReason::NestedFault);
  EXPECT_EQ(read.fault.address, Gpa(0xfee0'0390));
  EXPECT_FALSE(read.fault.write || read.fault.fetch || read.fault.on_walk);
  EXPECT_TRUE(exit_with(Reason::kApicAccess, {{Field::kExitQualification, 0x1390}}).fault.write);
  EXPECT_TRUE(exit_with(Reason::kApicAccess, {{Field::kExitQualification, 0x2000}}).fault.fetch);
  EXPECT_TRUE(exit_with(Reason::kApicAccess, {{Field::kExitQualification, 0xf000}}).fault.on_walk);
}

// ---- registers ----

TEST_F(VmxVcpuTest, TheHostsBitsOfCr0AndCr4StayTheHosts) {
  vcpu->write(GuestRegister::Cr0, 0x6000'0010);
  EXPECT_EQ(field(Field::kGuestCr0), 0x30u) << "caches on, NE set";
  EXPECT_EQ(vcpu->read(GuestRegister::Cr0), 0x6000'0010u);
  vcpu->write(GuestRegister::Cr4, 0x20);
  EXPECT_EQ(field(Field::kGuestCr4), 0x2020u);
  EXPECT_EQ(vcpu->read(GuestRegister::Cr4), 0x20u);
}

TEST_F(VmxVcpuTest, AGuestThatWantsAnotherViewOfCr0RunsItsInstructionAgain) {
  registers[Gpr::Rcx] = 0x8000'0033;
  registers.rip = 0x1000;
  guest_runs = nullptr;
  const VmExit& exit = exit_with(Reason::kControlRegister, {{Field::kExitQualification, 0x100}, {Field::kGuestRip, 0x1000}});
  EXPECT_EQ(exit.reason, ExitReason::Handled);
  EXPECT_EQ(field(Field::kCr0Shadow), 0x8000'0033u);
  EXPECT_EQ(registers.rip, 0x1000u);
}

TEST_F(VmxVcpuTest, BitsThatAGuestWasNotPromisedFault) {
  registers[Gpr::Rcx] = Cr0::kNw | Cr0::kPe;  // NW without CD
  EXPECT_EQ(exit_with(Reason::kControlRegister, {{Field::kExitQualification, 0x100}}).reason, ExitReason::Handled);
  exit_with(Reason::kHlt);
  EXPECT_EQ(field(Field::kEntryInterruption) | kValid, kHardException | kErrorCode | Vector::kGeneralProtection);
  registers[Gpr::Rcx] = Cr4::kVmxe;
  exit_with(Reason::kControlRegister, {{Field::kExitQualification, 0x104}});
  guest_runs = [&] {
    EXPECT_EQ(field(Field::kEntryInterruption), kHardException | kErrorCode | Vector::kGeneralProtection);
    EXPECT_EQ(field(Field::kEntryErrorCode), 0u);
    return true;
  };
  vcpu->enter(registers);
}

TEST_F(VmxVcpuTest, LongModeGoesIntoTheEntryControls) {
  EXPECT_NE(field(Field::kEntryControls) & Entry::kLongMode, 0u);
  vcpu->write(GuestRegister::Efer, 0);
  EXPECT_EQ(field(Field::kEntryControls) & Entry::kLongMode, 0u);
}

TEST_F(VmxVcpuTest, SwitchesWhatNoFieldHolds) {
  vcpu->write(GuestRegister::Lstar, 0x1234);
  EXPECT_EQ(vcpu_test::hardware.registers[GuestRegister::Lstar], 0x1234u);
  vcpu_test::hardware.registers[GuestRegister::Cr2] = 0x5000;  // the guest's own page fault
  vcpu->put();
  vcpu_test::hardware.registers = {};
  EXPECT_EQ(vcpu->read(GuestRegister::Cr2), 0x5000u);
  vcpu->load(0);
  EXPECT_EQ(vcpu_test::hardware.registers[GuestRegister::Cr2], 0x5000u);
  EXPECT_EQ(vcpu_test::hardware.registers[GuestRegister::Lstar], 0x1234u);
}

TEST_F(VmxVcpuTest, TranslatesSegmentAttributes) {
  const SegmentState code{.selector = 0x10, .attributes = 0xa9b, .limit = 0xffff'ffff, .base = 0x1000};
  vcpu->set_segment(SegmentRegister::Cs, code);
  EXPECT_EQ(field(0x4816), 0xa09bu);  // CS access rights
  EXPECT_EQ(vcpu->segment(SegmentRegister::Cs), code);
  vcpu->set_segment(SegmentRegister::Ds, {});
  EXPECT_EQ(field(0x481a), 0x1'0000u) << "a segment that is not present cannot be used";
  vcpu->set_segment(SegmentRegister::Ss, {.attributes = 0xcf3, .limit = 0xffff'ffff});
  EXPECT_EQ(vcpu->privilege(), 3u);
}

// ---- events ----

TEST_F(VmxVcpuTest, RepeatsAnEventWhoseDeliveryWasCutShort) {
  exit_with(Reason::kEptViolation,
            {{Field::kVectoring, kHardException | kErrorCode | Vector::kPageFault}, {Field::kVectoringErrorCode, 6}});
  EXPECT_TRUE(vcpu->last_exit().during_delivery);
  guest_runs = [&] {
    EXPECT_EQ(field(Field::kEntryInterruption), kHardException | kErrorCode | Vector::kPageFault);
    EXPECT_EQ(field(Field::kEntryErrorCode), 6u);
    field(Field::kExitReason) = Reason::kHlt;
    field(Field::kVectoring) = 0;
    field(Field::kEntryInterruption) = 0;
    return true;
  };
  EXPECT_FALSE(vcpu->enter(registers).during_delivery);
  exit_with(Reason::kHlt, {{Field::kVectoring, kSoftInterrupt | 0x80}});
  exit_with(Reason::kHlt);
  EXPECT_EQ(field(Field::kEntryInterruption), 0u) << "INT n runs again by itself";
}

TEST_F(VmxVcpuTest, AnNmiThatIsRepeatedIsNotBlockedByItself) {
  exit_with(Reason::kEptViolation,
            {{Field::kVectoring, kValid | 2 << 8 | 2}, {Field::kGuestInterruptibility, Interruptibility::kNmi}});
  EXPECT_EQ(field(Field::kGuestInterruptibility), 0u);
}

TEST_F(VmxVcpuTest, AnIretThatFaultsStillBlocksNmis) {
  exit_with(Reason::kEptViolation, {{Field::kExitQualification, 0x1182}, {Field::kGuestInterruptibility, 0}});
  EXPECT_EQ(field(Field::kGuestInterruptibility), Interruptibility::kNmi);
  EXPECT_FALSE(vcpu->can_take_nmi(registers));
}

TEST_F(VmxVcpuTest, ReflectsDebugExceptionsWithTheirCause) {
  vcpu->write(GuestRegister::Dr6, 0xffff'0ff0);
  EXPECT_EQ(
      exit_with(Reason::kException, {{Field::kExitInterruption, kHardException | 1}, {Field::kExitQualification, 0x4001}}).reason,
      ExitReason::Handled);
  EXPECT_EQ(vcpu->read(GuestRegister::Dr6), 0xffff'4ff1u);
  EXPECT_FALSE(vcpu->can_take_nmi(registers)) << "it is taken first";
}

TEST_F(VmxVcpuTest, Int1IsBehindItsInstruction) {
  exit_with(Reason::kException,
            {{Field::kExitInterruption, kValid | 5 << 8 | 1}, {Field::kExitInstructionLength, 1}, {Field::kGuestRip, 0x1000}});
  EXPECT_EQ(registers.rip, 0x1001u);
}

TEST_F(VmxVcpuTest, InterruptsWaitForTheFlagAndTheShadow) {
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
  registers.rflags |= Rflags::kIf;
  EXPECT_TRUE(vcpu->can_take_interrupt(registers));
  field(Field::kGuestInterruptibility) = Interruptibility::kSti;
  EXPECT_FALSE(vcpu->can_take_interrupt(registers));
  vcpu->complete_instruction(registers, 1);
  EXPECT_TRUE(vcpu->can_take_interrupt(registers)) << "the shadow ends with the instruction";
}

TEST_F(VmxVcpuTest, WindowsAreControlsThatEndWithTheirExit) {
  vcpu->request_interrupt_window();
  vcpu->request_nmi_window();
  EXPECT_EQ(field(Field::kProcessorControls), kPrimary | 1 << 2 | 1 << 22);
  EXPECT_EQ(exit_with(Reason::kInterruptWindow).reason, ExitReason::InterruptWindow);
  EXPECT_EQ(field(Field::kProcessorControls), kPrimary | 1 << 22);
  EXPECT_EQ(exit_with(Reason::kNmiWindow).reason, ExitReason::NmiWindow);
  EXPECT_EQ(field(Field::kProcessorControls), kPrimary);
}

TEST_F(VmxVcpuTest, RealModeKnowsNoErrorCodes) {
  start(*vcpu, registers, {.mode = StartState::Mode::Real16});
  EXPECT_TRUE(vcpu->inject_exception(Vector::kGeneralProtection, 0));
  exit_with(Reason::kHlt);
  EXPECT_EQ(field(Field::kEntryInterruption) | kValid, kHardException | Vector::kGeneralProtection);
}

}  // namespace

extern "C" bool ax_vmx_enter(GuestRegisters*, bool launched) {
  launched_before.push_back(launched);
  return guest_runs();
}
extern "C" void ax_vmx_exit() {}

}  // namespace hv::vmx
