#include "kernel/drivers/local_apic.hpp"

#include <arch/cpu.hpp>
#include <arch/cpuid.hpp>
#include <arch/mmio.hpp>
#include <arch/msr.hpp>

namespace ax::drivers {

/// MMIO offsets divided by 16, which are also the numbers of the MSRs (SDM vol. 3 table 11-6).
enum class LocalApic::Register : u32 {
  Id = 0x02,
  TaskPriority = 0x08,
  EndOfInterrupt = 0x0b,
  LogicalDestination = 0x0d,
  DestinationFormat = 0x0e,
  SpuriousVector = 0x0f,
  ErrorStatus = 0x28,
  LvtMachineCheck = 0x2f,
  Command = 0x30,
  CommandHigh = 0x31,
  LvtTimer = 0x32,
  LvtThermal = 0x33,
  LvtPerformance = 0x34,
  LvtLint0 = 0x35,
  LvtLint1 = 0x36,
  LvtError = 0x37,
  TimerInitialCount = 0x38,
  TimerCurrentCount = 0x39,
  TimerDivide = 0x3e,
};

namespace {

constexpr u32 kFeatures = 1, kEcxX2apic = 1 << 21;
constexpr u32 kApicBase = 0x1b;
constexpr u64 kApicBaseExtended = 1 << 10, kApicBaseEnable = 1 << 11;
constexpr u32 kFirstMsr = 0x800;
constexpr unsigned kRegisterShift = 4;

constexpr u32 kSoftwareEnable = 1 << 8;
constexpr u32 kMasked = 1 << 16;
constexpr unsigned kTimerModeShift = 17;
constexpr u32 kDivideByOne = 0xb;
constexpr unsigned kIdShift = 24;  // xAPIC

constexpr u32 kDeliverNmi = 4 << 8, kDeliverInit = 5 << 8, kDeliverStartup = 6 << 8;
constexpr u32 kAssert = 1 << 14;
constexpr u32 kSendPending = 1 << 12;
/// Polls of a busy command register: far more than any APIC takes.
constexpr unsigned kMaxPolls = 100'000;

}  // namespace

u32 LocalApic::read(Register r) const {
  const u32 number = static_cast<u32>(r);
  return x2apic_ ? static_cast<u32>(arch::read_msr(kFirstMsr + number))
                 : arch::mmio_read32(base_ + (number << kRegisterShift));
}

void LocalApic::write(Register r, u32 value) const {
  const u32 number = static_cast<u32>(r);
  x2apic_ ? arch::write_msr(kFirstMsr + number, value) : arch::mmio_write32(base_ + (number << kRegisterShift), value);
}

void LocalApic::attach(Hpa registers) {
  base_ = registers.value();
  x2apic_ = (arch::cpuid(kFeatures).ecx & kEcxX2apic) != 0;
}

Result<void> LocalApic::init_cpu() const {
  const u64 base = arch::read_msr(kApicBase);
  // An APIC that is off may need a reset to come back (SDM vol. 3 11.4.3): firmware never leaves it so.
  if ((base & kApicBaseEnable) == 0) return fail(Error::BadState);
  if (x2apic_ && (base & kApicBaseExtended) == 0) arch::write_msr(kApicBase, base | kApicBaseExtended);
  for (Register lvt : {Register::LvtTimer, Register::LvtLint0, Register::LvtLint1, Register::LvtError})
    write(lvt, kMasked);
  write(Register::TaskPriority, 0);
  write(Register::SpuriousVector, kSoftwareEnable | host_vector::kSpurious);
  return {};
}

u32 LocalApic::id() const { return x2apic_ ? read(Register::Id) : read(Register::Id) >> kIdShift; }

void LocalApic::end_of_interrupt() const { write(Register::EndOfInterrupt, 0); }

void LocalApic::command(u32 destination, u32 low) const {
  if (x2apic_) {
    // This write does not wait for earlier stores (SDM vol. 3 11.12.3), which the receiver is to see.
    asm volatile("" : : : "memory");
    arch::write_msr(kFirstMsr + static_cast<u32>(Register::Command), u64{destination} << 32 | low);
    return;
  }
  const u64 interrupts = arch::irq_save();  // two registers, one command
  write(Register::CommandHigh, destination << kIdShift);
  write(Register::Command, low);
  for (unsigned polls = 0; (read(Register::Command) & kSendPending) != 0 && polls < kMaxPolls; ++polls)
    arch::cpu_relax();
  arch::irq_restore(interrupts);
}

void LocalApic::send(u32 destination, u8 vector) const { command(destination, kAssert | vector); }
void LocalApic::send_nmi(u32 destination) const { command(destination, kAssert | kDeliverNmi); }
void LocalApic::send_init(u32 destination) const { command(destination, kAssert | kDeliverInit); }
void LocalApic::send_startup(u32 destination, Hpa page) const {
  command(destination, kAssert | kDeliverStartup | static_cast<u32>(page.value() >> kPageShift));
}

void LocalApic::set_timer_mode(TimerMode mode) const {
  write(Register::TimerDivide, kDivideByOne);
  write(Register::TimerInitialCount, 0);
  write(Register::LvtTimer, static_cast<u32>(mode) << kTimerModeShift | host_vector::kTimer);
}

void LocalApic::mask_timer() const { write(Register::LvtTimer, kMasked); }
void LocalApic::set_timer_count(u32 count) const { write(Register::TimerInitialCount, count); }
u32 LocalApic::timer_count() const { return read(Register::TimerCurrentCount); }

}  // namespace ax::drivers
