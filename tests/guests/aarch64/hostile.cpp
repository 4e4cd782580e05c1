// A guest that tries everything: every system register and instruction there is an encoding for, addresses that are not its own in
// every way to get at them, calls that nobody promised it, and random values in every register of its devices. Then its interrupt
// controller must still do what the architecture says. Prints "hostile: WRONG" where it does not.
#include <initializer_list>

#include "tests/guests/aarch64/board.hpp"

namespace {

constexpr u64 kGicCpuInterface = 0x0801'0000;  ///< GICv2
constexpr u64 kRamBegin = 0x8000'0000, kRamEnd = 0x8100'0000;

u32 faults;
u64 random_state = 0x9e37'79b9'7f4a'7c15;
volatile u64 resume_address;  ///< where a fetch from nowhere continues
bool gic_v3;
alignas(4096) u8 scratch[4096];

u64 random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

void expect(bool ok, const char* what) {
  if (ok) return;
  print("hostile: WRONG: ");
  print(what);
  print("\n");
}

// ---- instructions by their encoding ----------------------------------------------------------------------------------

/// Executes one instruction with x0 = `value`, and returns x0. A faulting one is skipped.
u64 execute(u32 instruction, u64 value) {
  alignas(64) static u32 code[16];
  constexpr u32 kReturn = 0xd65f'03c0;
  code[0] = instruction;
  code[1] = kReturn;
  asm volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb" : : "r"(code) : "memory");
  register u64 x0 asm("x0") = value;
  asm volatile("blr %1" : "+r"(x0) : "r"(code) : "x1", "x16", "x17", "x30", "memory", "cc");
  return x0;
}

constexpr u32 kWriteRegister = 0xd500'0000, kReadRegister = 0xd520'0000;
constexpr u32 encoding(u32 op0, u32 op1, u32 crn, u32 crm, u32 op2) {
  return op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5;
}

// Turning on its MMU without tables, moving its vectors and masking would be this program's own undoing.
bool is_vital(u32 which) {
  return which == encoding(3, 0, 1, 0, 0) || which == encoding(3, 0, 12, 0, 0) || which == encoding(3, 0, 4, 2, 0) ||
         which == encoding(3, 3, 4, 2, 1);
}

template <class Action>
void for_each_encoding(u32 op0, Action action) {
  for (u32 op1 = 0; op1 < 8; ++op1)
    for (u32 crn = 0; crn < 16; ++crn)
      for (u32 crm = 0; crm < 16; ++crm)
        for (u32 op2 = 0; op2 < 8; ++op2) action(encoding(op0, op1, crn, crm, op2));
}

void try_system_registers() {
  for (u32 op0 = 2; op0 < 4; ++op0) {
    for_each_encoding(op0, [](u32 which) {
      const u64 value = execute(kReadRegister | which, 0);
      if (is_vital(which)) return;
      execute(kWriteRegister | which, random());
      execute(kWriteRegister | which, ~u64{0});
      execute(kWriteRegister | which, value);
    });
  }
  asm volatile("msr cntv_ctl_el0, xzr\n msr cntp_ctl_el0, xzr\n isb");
}

// Cache and TLB maintenance, address translation and what else there is, on memory of its own and on nobody's.
void try_system_instructions() {
  constexpr u32 kWithResult = kReadRegister;
  for (const u64 address : {reinterpret_cast<u64>(scratch), u64{0x5000'0000}, u64{0x0a00'0000}, ~u64{0}}) {
    for_each_encoding(1, [&](u32 which) {
      execute(kWriteRegister | which, address);
      execute(kWithResult | which, address);
    });
  }
}

// Hypervisor calls of every kind with immediates, debug states, exclusive and SIMD instructions, undefined words.
void try_instructions() {
  constexpr u32 kHvc = 0xd400'0002, kSmc = 0xd400'0003, kHlt = 0xd440'0000, kDebugState = 0xd4a0'0001;
  for (u32 i = 0; i < 64; ++i) {
    const u32 immediate = static_cast<u32>(random() & 0xffff) << 5;
    execute(kHvc | immediate, 0x8600'0000 + i);
    execute(kSmc | immediate, 0x8600'0000 + i);
    execute(kHlt | immediate, 0);
    execute(kDebugState | (i % 3), 0);
  }
  execute(0x0000'0000, 0);
  execute(0xd503'205f, 0);  // WFE
}

// ---- addresses -------------------------------------------------------------------------------------------------------

bool is_its_own(u64 address) {
  const auto within = [&](u64 begin, u64 size) { return address + 16 > begin && address < begin + size; };
  return within(kRamBegin, kRamEnd - kRamBegin) || within(kUart, 0x1000) || within(kGicDistributor, 0x10'0000);
}

#define TRY_ACCESS(text) asm volatile(text : : "r"(address), "r"(random()) : "x9", "x10", "x11", "memory", "cc")

void try_address(u64 address) {
  TRY_ACCESS("ldrb w9, [%0]");
  TRY_ACCESS("ldrsh x9, [%0]");
  TRY_ACCESS("ldr w9, [%0]");
  TRY_ACCESS("ldr x9, [%0]");
  TRY_ACCESS("str %1, [%0]");
  TRY_ACCESS("strb %w1, [%0]");
  TRY_ACCESS("strh wzr, [%0]");
  // The syndrome of these says nothing of the register.
  TRY_ACCESS("ldp x9, x10, [%0]");
  TRY_ACCESS("stp %1, %1, [%0]");
  TRY_ACCESS("mov x11, %0\n ldr x9, [x11], #8");
  TRY_ACCESS("mov x11, %0\n str %1, [x11, #8]!");
  TRY_ACCESS("ldxr x9, [%0]");
  TRY_ACCESS("ldar w9, [%0]");
  TRY_ACCESS("stlr %w1, [%0]");
  TRY_ACCESS("dc zva, %0");
  TRY_ACCESS("dc civac, %0");
  TRY_ACCESS("prfm pldl1keep, [%0]");
}

void try_fetch(u64 address) {
  u64 resume;
  asm volatile("adr %0, 1f\n str %0, %1\n blr %2\n1:" : "=&r"(resume), "=m"(resume_address) : "r"(address) : "x30", "memory");
}

void try_addresses() {
  for (const u64 address :
       {u64{0}, u64{0x4020'0000}, u64{0x5000'0000}, kRamBegin - 16, kRamEnd, u64{0x0801'0000}, u64{0x0900'1000}, u64{0x0a00'0000},
        u64{0x1000'0000}, u64{0x3eff'0000}, u64{1} << 38, (u64{1} << 40) - 16, u64{1} << 47}) {
    if (!is_its_own(address)) {
      try_address(address);
      try_fetch(address);
    }
  }
  for (u32 i = 0; i < 2000; ++i) {
    const u64 address = random() & ((u64{1} << (28 + i % 14)) - 1) & ~u64{15};
    if (!is_its_own(address)) try_address(address);
  }
  const u32 before = faults;
  try_address(0x5000'0000);
  expect(faults >= before + 14, "memory of others answers");
}

// ---- firmware --------------------------------------------------------------------------------------------------------

u64 call_with(u64 function, u64 a, u64 b, u64 c) {
  register u64 x0 asm("x0") = function;
  register u64 x1 asm("x1") = a;
  register u64 x2 asm("x2") = b;
  register u64 x3 asm("x3") = c;
  asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  return x0;
}

void try_firmware() {
  constexpr u64 kCpuOn = 0xc400'0003, kAffinityInfo = 0xc400'0004, kSuspend = 0xc400'0001, kFeatures = 0x8400'000a;
  constexpr u64 kInvalid = ~u64{1}, kAlreadyOn = ~u64{3}, kInvalidAddress = ~u64{8}, kNotSupported = ~u64{0};
  u64 own;
  asm volatile("mrs %0, mpidr_el1" : "=r"(own));
  own &= 0xff'00ff'ffff;
  expect(call_with(kCpuOn, own, kRamBegin, 0) == kAlreadyOn, "it can be started again while it runs");
  expect(call_with(kCpuOn, own | u64{1} << 31, kRamBegin, 0) == kInvalid, "an MPIDR with reserved bits");
  expect(call_with(kCpuOn, own | u64{1} << 24, kRamBegin, 0) == kInvalid, "an MPIDR with its MT bit");
  expect(call_with(kCpuOn, own ^ 0x7f, kRamBegin, 0) == kInvalid, "an absent CPU");
  expect(call_with(kCpuOn, own, 0x5000'0000, 0) == kInvalidAddress || call_with(kCpuOn, own, 0x5000'0000, 0) == kAlreadyOn,
         "an entry in memory of others");
  expect(call_with(kAffinityInfo, own, 0, 0) == 0, "it is on");
  expect(call_with(kAffinityInfo, own, 4, 0) == kInvalid, "an affinity level above 3");
  expect(call_with(kAffinityInfo, own ^ 0x7f, 0, 0) == kInvalid, "an absent CPU's state");
  expect(call_with(kFeatures, kCpuOn, 0, 0) == 0 && call_with(kFeatures, 0x8400'0bad, 0, 0) == kNotSupported, "PSCI_FEATURES");
  for (u32 i = 0; i < 4000; ++i) {
    // The owners of services and their first functions; then anything.
    const u32 function = i % 2 == 0 ? static_cast<u32>((random() & 0xff00'0000) | (random() & 0x3f)) : static_cast<u32>(random());
    const u32 number = function & 0xbfff'ffff;  // in 32 or in 64 bits
    const bool ends_it = number == 0x8400'0002 || number == 0x8400'0008 || number == 0x8400'0009 || number == 0x8400'0012 ||
                         number == (kSuspend & 0xbfff'ffff) || number == 0x8400'000c || number == 0x8400'000e;
    if (!ends_it) call_with(function, random(), random(), random());
  }
}

// ---- devices ---------------------------------------------------------------------------------------------------------

void fill_with_noise(u64 base, u64 size, u64 except_from = 0, u64 except_size = 0) {
  for (u64 offset = 0; offset < size; offset += 4) {
    if (offset >= except_from && offset < except_from + except_size) continue;
    const u64 address = base + offset;
    TRY_ACCESS("ldr w9, [%0]\n str %w1, [%0]\n ldrb w9, [%0]\n strb %w1, [%0, #1]\n ldrh w9, [%0, #2]");
    write32(address, ~0u);
    if (offset % 8 == 0) TRY_ACCESS("ldr x9, [%0]\n str %1, [%0]\n ldp w9, w10, [%0]\n stp wzr, wzr, [%0]");
  }
}

void try_devices() {
  fill_with_noise(kUart, 0x1000, 0, 4);
  write32(kUart + 0x30, 0x301);  // UARTCR: enabled
  write32(kUart + 0x38, 0);      // UARTIMSC
  write32(kUart + 0x2c, 0x70);   // UARTLCR_H: 8 bits, FIFO
  fill_with_noise(kGicDistributor, gic_v3 ? 0x1'0000 : 0x1000);
  if (gic_v3) {
    fill_with_noise(kGicRedistributor, 0x2'0000);
    const u64 address = kGicRedistributor + 0x2'0000;  // the next CPU's, which is not there
    const u32 before = faults;
    TRY_ACCESS("ldr w9, [%0]");
    expect(faults == before + 1, "a redistributor without a CPU answers");
  } else {
    fill_with_noise(kGicCpuInterface, 0x2000);
  }
}

// ---- the interrupt controller, by the book -----------------------------------------------------------------------------

constexpr u32 kFirstSpi = 32, kSpuriousLimit = 1020;

u32 acknowledge() {
  u64 id;
  asm volatile("mrs %0, s3_0_c12_c12_0\n dsb sy" : "=r"(id) : : "memory");  // ICC_IAR1_EL1
  return static_cast<u32>(id);
}
void end(u32 id) { asm volatile("msr s3_0_c12_c12_1, %0\n isb" : : "r"(u64{id}) : "memory"); }  // ICC_EOIR1_EL1
void set_bit(u64 bank, u32 id) { write32(kGicDistributor + bank + id / 32 * 4, 1u << id % 32); }

bool is_set(u64 bank, u32 id) { return (read32(kGicDistributor + bank + id / 32 * 4) >> id % 32 & 1) != 0; }

constexpr u64 kGroup = 0x80, kEnable = 0x100, kDisable = 0x180, kPend = 0x200, kUnpend = 0x280, kActivate = 0x300,
              kDeactivate = 0x380;

void reset_controller(u32 limit, u64 own) {
  write32(kGicDistributor, 0);
  for (u32 id = kFirstSpi; id < limit; id += 32) {
    for (const u64 bank : {kDisable, kUnpend, kDeactivate, kGroup}) write32(kGicDistributor + bank + id / 8, ~0u);
    write32(kGicDistributor + 0xc00 + id / 4, 0xaaaa'aaaa);  // GICD_ICFGR: edges
    write32(kGicDistributor + 0xc04 + id / 4, 0xaaaa'aaaa);
  }
  for (u32 id = kFirstSpi; id < limit; ++id) write32(kGicDistributor + 0x6000 + 8 * id, static_cast<u32>(own));
  for (u32 id = kFirstSpi; id < limit; ++id) write32(kGicDistributor + 0x6004 + 8 * id, 0);
  for (const u64 bank : {kDisable, kUnpend, kDeactivate, kGroup}) write32(kGicRedistributor + 0x1'0000 + bank, ~0u);
  for (u32 offset = 0; offset < 32; offset += 4) write32(kGicRedistributor + 0x1'0400 + offset, 0x8080'8080);  // GICR_IPRIORITYR
  enable_private_interrupt(1);
  asm volatile("msr s3_0_c12_c12_3, xzr\n msr s3_0_c12_c12_4, xzr\n isb");  // ICC_BPR1_EL1, ICC_CTLR_EL1
  while (acknowledge() < kSpuriousLimit) {}
}

/// Far more than there are list registers: each comes once, the most urgent first.
void try_overflow(u32 limit) {
  for (u32 id = kFirstSpi; id < limit; ++id) {
    const u32 priority = (id * 40 & 0xf8) % 0xf0;
    const u64 address = kGicDistributor + 0x400 + id;
    asm volatile("strb %w1, [%0]" : : "r"(address), "r"(priority) : "memory");
    set_bit(kEnable, id);
    set_bit(kPend, id);
  }
  u32 count = 0, last = 0;
  bool ordered = true, once = true;
  static u32 seen[32];
  for (u32& word : seen) word = 0;
  for (u32 id; (id = acknowledge()) < kSpuriousLimit; ++count) {
    const u32 priority = (id * 40 & 0xf8) % 0xf0;
    ordered &= priority >= last;
    last = priority;
    once &= (seen[id / 32] >> id % 32 & 1) == 0;
    seen[id / 32] |= 1u << id % 32;
    end(id);
  }
  expect(count == limit - kFirstSpi && once, "of many pending interrupts each comes once");
  expect(ordered, "of many pending interrupts the most urgent comes first");
}

void try_states() {
  constexpr u32 kId = 77, kOther = 78;
  set_bit(kEnable, kId);
  set_bit(kPend, kId);
  expect(is_set(kPend, kId) && acknowledge() == kId, "a pending interrupt is acknowledged");
  expect(is_set(kActivate, kId) && !is_set(kPend, kId), "then it is active");
  set_bit(kPend, kId);
  expect(is_set(kActivate, kId) && is_set(kPend, kId) && acknowledge() >= kSpuriousLimit,
         "active and pending, it waits for its end");
  set_bit(kDisable, kId);
  end(kId);
  expect(!is_set(kActivate, kId) && is_set(kPend, kId) && acknowledge() >= kSpuriousLimit,
         "disabled while it was active, it stays pending");
  set_bit(kEnable, kId);
  expect(acknowledge() == kId, "until it is enabled");
  set_bit(kDeactivate, kId);
  expect(!is_set(kActivate, kId), "it is deactivated through the distributor");
  end(kId);
  set_bit(kActivate, kOther);
  set_bit(kEnable, kOther);
  set_bit(kPend, kOther);
  expect(is_set(kActivate, kOther) && acknowledge() >= kSpuriousLimit, "what software has made active does not come");
  set_bit(kDeactivate, kOther);
  expect(acknowledge() == kOther, "before it is deactivated");
  end(kOther);
  set_bit(kUnpend, kOther);
  expect(acknowledge() >= kSpuriousLimit, "nothing is left");
}

void try_priorities() {
  constexpr u32 kLow = 90, kHigh = 91;
  const auto set_priority = [](u32 id, u32 priority) {
    asm volatile("strb %w1, [%0]" : : "r"(kGicDistributor + 0x400 + id), "r"(priority) : "memory");
  };
  set_priority(kLow, 0xa0);
  set_priority(kHigh, 0x40);
  set_bit(kEnable, kLow);
  set_bit(kEnable, kHigh);
  set_bit(kPend, kLow);
  expect(acknowledge() == kLow, "the less urgent one is alone");
  set_bit(kPend, kHigh);
  expect(acknowledge() == kHigh, "the more urgent one goes before it");
  set_bit(kPend, kLow);
  end(kHigh);
  expect(acknowledge() >= kSpuriousLimit, "its own kind waits");
  end(kLow);
  asm volatile("msr s3_0_c4_c6_0, %0\n isb" : : "r"(u64{0x80}));  // ICC_PMR_EL1
  expect(acknowledge() >= kSpuriousLimit, "the mask holds it back");
  asm volatile("msr s3_0_c4_c6_0, %0\n isb" : : "r"(u64{0xf0}));
  expect(acknowledge() == kLow, "and lets it through");
  end(kLow);
  // Group 0 is acknowledged by its own register.
  write32(kGicDistributor + kGroup + kHigh / 32 * 4, ~(1u << kHigh % 32));
  write32(kGicDistributor, 0x13);
  asm volatile("msr s3_0_c12_c12_6, %0\n isb" : : "r"(u64{1}));  // ICC_IGRPEN0_EL1
  set_bit(kPend, kHigh);
  u64 id;
  expect(acknowledge() >= kSpuriousLimit, "an interrupt of group 0 is none of group 1");
  asm volatile("mrs %0, s3_0_c12_c8_0\n msr s3_0_c12_c8_1, %0\n isb" : "=r"(id) : : "memory");  // ICC_IAR0, ICC_EOIR0
  expect(id == kHigh, "it comes by its own register");
}

/// Every SGI to every CPU there could be: only its own arrive.
void try_sgis(u64 own) {
  for (u32 i = 0; i < 2000; ++i) {
    const u64 value = random() & 0xffff'ffff'ffff'ffff;
    asm volatile("msr s3_0_c12_c11_5, %0\n msr s3_0_c12_c11_6, %0\n msr s3_0_c12_c11_7, %0\n isb" : : "r"(value) : "memory");
  }
  for (u32 id; (id = acknowledge()) < kSpuriousLimit; end(id)) expect(id < 16, "an SGI has another number");
  const u64 to_all_but_itself = u64{1} << 40 | u64{1} << 24;
  asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(to_all_but_itself) : "memory");
  expect(acknowledge() >= kSpuriousLimit, "an SGI to the others came back");
  const u64 to_itself = (own & 0xff00) << 8 | (own & 0xff'0000) << 16 | u64{1} << 24 | 1u << (own & 0xf);
  asm volatile("msr s3_0_c12_c11_5, %0\n isb" : : "r"(to_itself) : "memory");
  expect(acknowledge() == 1, "an SGI to itself did not come");
  end(1);
}

void try_controller() {
  u64 own;
  asm volatile("mrs %0, mpidr_el1" : "=r"(own));
  own &= 0xff'ffff;
  const u32 lines = ((read32(kGicDistributor + 4) & 0x1f) + 1) * 32;
  const u32 limit = lines < kSpuriousLimit ? lines : kSpuriousLimit;
  reset_controller(limit, own);
  // Of the machine's own controller only the lines that it was given are its own, and this guest was given none.
  constexpr u32 kAnyLine = 77;
  set_bit(kEnable, kAnyLine);
  if (is_set(kEnable, kAnyLine)) {
    try_overflow(limit);
    reset_controller(limit, own);
    try_states();
    reset_controller(limit, own);
    try_priorities();
    reset_controller(limit, own);
  }
  try_sgis(own);
}

}  // namespace

extern "C" void tiny_unexpected() {
  print("hostile: WRONG: unexpected exception\n");
  power_off();
}
extern "C" void tiny_interrupt() { tiny_unexpected(); }
extern "C" void tiny_synchronous(u64 syndrome, u64) {
  constexpr u64 kInstructionAbort = 0x21;
  ++faults;
  if (syndrome >> 26 != kInstructionAbort) return;
  asm volatile("msr elr_el1, %0" : : "r"(resume_address - 4));  // the entry code skips one instruction
}

extern "C" void tiny_main(u64) {
  u64 features;
  asm volatile("mrs %0, id_aa64pfr0_el1" : "=r"(features));
  gic_v3 = (features >> 24 & 0xf) != 0;
  print("hostile: hello\n");
  try_instructions();
  try_system_instructions();
  try_system_registers();
  try_addresses();
  try_firmware();
  try_devices();
  if (gic_v3) try_controller();
  print("hostile: ");
  print_number(faults);
  print(" faults taken, still here\n");
  power_off();
}
