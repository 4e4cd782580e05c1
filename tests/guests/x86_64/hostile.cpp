// A guest that tries everything: reads every model-specific register, port and CPUID leaf, touches addresses that are
// not its own, executes what it was not promised, and writes random values wherever a write does not end the VM by
// design.
#include <initializer_list>

#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u64 kFirstGiB = u64{1} << 30;

u32 faults;
volatile u32 steps;  ///< single-step traps while `is_stepping`
bool is_stepping;
u64 random_state = 0x9e37'79b9'7f4a'7c15;
volatile u64 resume_address;  ///< where a fault continues

u64 random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

Gate table[256];

// Where an instruction faults, the handler goes on at the label behind it.
#define TRY_INSTRUCTION(text, ...) \
  asm volatile("leaq 1f(%%rip), %%r15\n movq %%r15, %0\n" text "\n1:" : "=m"(resume_address)__VA_ARGS__)

void try_read_msr(u32 index) { TRY_INSTRUCTION("rdmsr", : "c"(index) : "rax", "rdx", "r15", "memory"); }
void try_write_msr(u32 index, u64 value) {
  TRY_INSTRUCTION("wrmsr", : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "r15", "memory");
}

// EFER and the segment bases would be this program's own undoing; so would turning its interrupt controller off.
bool is_vital_msr(u32 index) { return index == 0x1b || index == 0xc000'0080 || (index >= 0xc000'0100 && index <= 0xc000'0102); }

void try_msrs() {
  constexpr u32 kRanges[][2] = {{0, 0x2000},
                                {0x4000'0000, 0x4000'0200},
                                {0x4b56'4d00, 0x4b56'4d10},
                                {0xc000'0000, 0xc000'0400},
                                {0xc001'0000, 0xc001'1100}};
  for (const auto& range : kRanges) {
    for (u32 index = range[0]; index < range[1]; ++index) {
      try_read_msr(index);
      if (!is_vital_msr(index)) try_write_msr(index, random());
    }
  }
  for (u32 i = 0; i < 2000; ++i) {
    const u32 index = static_cast<u32>(random());
    if (!is_vital_msr(index)) try_write_msr(index, random());
  }
}

// Reset, power-off, A20 and the exit device end the VM, as they should.
bool ends_the_vm(u16 port) {
  return port == 0x64 || port == 0x92 || (port >= 0xf1 && port <= 0xf7) || (port >= 0x601 && port <= 0x607) ||
         (port >= 0xcf6 && port <= 0xcf9) || (port >= 0x61 && port <= 0x63) || (port >= 0x8f && port <= 0x91);
}

void try_ports() {
  for (u32 port = 0; port < 0x1'0000; port += port < 0x1000 ? 1 : 37) {
    in8(static_cast<u16>(port));
    in32(static_cast<u16>(port));
  }
  for (u32 i = 0; i < 4000; ++i) {
    const u16 port = static_cast<u16>(random() & (i % 2 == 0 ? 0xfff : 0xffff));
    if (ends_the_vm(port) || (port >= kSerial - 3 && port < kSerial + 8)) continue;
    i % 3 == 0 ? out32(port, static_cast<u32>(random())) : out8(port, static_cast<u8>(random()));
  }
}

void try_cpuid() {
  for (const u32 base : {0u, 0x4000'0000u, 0x4000'0100u, 0x8000'0000u, 0xffff'ff00u}) {
    for (u32 leaf = base; leaf != base + 64 && leaf >= base; ++leaf) {
      for (u32 subleaf = 0; subleaf < 4; ++subleaf) {
        u32 a = leaf, b, c = subleaf, d;
        asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
      }
    }
  }
}

// Everything between its memory and 4 GiB that is not its own local APIC or I/O APIC's configuration.
void try_addresses() {
  for (u32 i = 0; i < 3000; ++i) {
    const u64 address = kFirstGiB + random() % (3 * kFirstGiB - 16);
    if (i % 2 == 0) {
      read32(address & ~u64{3});
    } else {
      *reinterpret_cast<volatile u8*>(address) = static_cast<u8>(random());
    }
  }
  for (u64 page : {0xfec0'0000ull, 0xfee0'0000ull, 0xfed0'0000ull}) {
    for (u32 offset = 0; offset < 4096; offset += 4) read32(page + offset);
  }
  for (u32 i = 0; i < 500; ++i) {
    const u32 offset = static_cast<u32>(random() & 0xff0);
    // Commands would reset this very CPU; the timer, the vectors and the rest may be anything.
    if (offset != 0x300 && offset != 0x310) write32(kLocalApic + offset, static_cast<u32>(random()));
    write32(0xfec0'0000, static_cast<u32>(random() & 0x3f));
    write32(0xfec0'0010, static_cast<u32>(random()) | 1 << 16);
  }
}

void try_instructions() {
  TRY_INSTRUCTION("vmrun", : "a"(0x1000) : "r15", "memory");
  TRY_INSTRUCTION("vmload", : "a"(0x1000) : "r15", "memory");
  TRY_INSTRUCTION("vmsave", : "a"(0x1000) : "r15", "memory");
  TRY_INSTRUCTION("stgi", : : "r15", "memory");
  TRY_INSTRUCTION("clgi", : : "r15", "memory");
  TRY_INSTRUCTION("skinit", : "a"(0) : "r15", "memory");
  TRY_INSTRUCTION("invlpga", : "a"(0), "c"(0) : "r15", "memory");
  TRY_INSTRUCTION("vmmcall", : "a"(random()) : "r15", "memory");
  TRY_INSTRUCTION("vmcall", : "a"(random()) : "r15", "memory");
  TRY_INSTRUCTION("vmlaunch", : : "r15", "memory");
  TRY_INSTRUCTION("vmxoff", : : "r15", "memory");
  TRY_INSTRUCTION("vmresume", : : "r15", "memory");
  TRY_INSTRUCTION("vmfunc", : "a"(0), "c"(0) : "r15", "memory");
  u64 region = 0x1000;
  TRY_INSTRUCTION("vmxon %1", : "m"(region) : "r15", "memory");
  TRY_INSTRUCTION("vmclear %1", : "m"(region) : "r15", "memory");
  TRY_INSTRUCTION("vmptrld %1", : "m"(region) : "r15", "memory");
  TRY_INSTRUCTION("vmptrst %1", : "m"(region) : "r15", "memory");
  TRY_INSTRUCTION("vmread %%rax, %%rcx", : : "rcx", "r15", "memory");
  TRY_INSTRUCTION("vmwrite %%rax, %%rcx", : : "r15", "memory");
  TRY_INSTRUCTION("invept %1, %%rax", : "m"(*reinterpret_cast<const u8(*)[16]>(0x1000)) : "r15", "memory");
  TRY_INSTRUCTION("invvpid %1, %%rax", : "m"(*reinterpret_cast<const u8(*)[16]>(0x1000)) : "r15", "memory");
  TRY_INSTRUCTION("monitor", : "a"(0x1000), "c"(0), "d"(0) : "r15", "memory");
  TRY_INSTRUCTION("mwait", : "a"(0), "c"(0) : "r15", "memory");
  TRY_INSTRUCTION("rdpmc", : "c"(0) : "rax", "rdx", "r15", "memory");
  TRY_INSTRUCTION("rsm", : : "r15", "memory");
  TRY_INSTRUCTION("invd", : : "r15", "memory");
  TRY_INSTRUCTION("wbinvd", : : "r15", "memory");
  TRY_INSTRUCTION("xsetbv", : "c"(0), "a"(~0u), "d"(~0u) : "r15", "memory");
  TRY_INSTRUCTION("xsetbv", : "c"(7), "a"(1), "d"(0) : "r15", "memory");
  TRY_INSTRUCTION("movq %1, %%cr4", : "r"(u64{1} << 13 | 0x20) : "r15", "memory");
  TRY_INSTRUCTION("movq %1, %%cr8", : "r"(u64{15}) : "r15", "memory");
}

/// Bits of CR4 behind features that CPUID hides: none may be set. All others, as long as long mode can live with them.
void try_cr4() {
  constexpr u64 kHidden[] = {1 << 12 /*LA57*/, 1 << 13 /*VMXE*/, 1 << 14 /*SMXE*/, 1 << 22 /*PKE*/,
                             1 << 23 /*CET*/,  1 << 24 /*PKS*/,  u64{1} << 40};
  u64 old;
  asm volatile("movq %%cr4, %0" : "=r"(old));
  for (const u64 bit : kHidden) {
    const u32 before = faults;
    TRY_INSTRUCTION("movq %1, %%cr4", : "r"(old | bit) : "r15", "memory");
    if (faults == before) print("hostile: WRONG: CR4 took a hidden bit\n");
  }
  const u32 before = faults;
  TRY_INSTRUCTION("movq %1, %%cr4", : "r"(old & ~u64{0x20}) : "r15", "memory");
  if (faults == before) print("hostile: WRONG: long mode without PAE\n");
  for (u32 i = 0; i < 200; ++i)
    TRY_INSTRUCTION("movq %1, %%cr4", : "r"(old | (random() & 0xff'ffff & ~u64{1 << 20 | 1 << 21})) : "r15", "memory");
  TRY_INSTRUCTION("movq %1, %%cr4", : "r"(old) : "r15", "memory");
  u64 now;
  asm volatile("movq %%cr4, %0" : "=r"(now));
  if (now != old) print("hostile: WRONG: CR4 is not what was written last\n");
}

/// Traps while a repeated string instruction is single-stepped: one for each of its steps.
#define COUNT_STEPS(text, ...) \
  asm volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n" text "\n pushfq\n andq $~0x100, (%%rsp)\n popfq" __VA_ARGS__)

void try_single_steps() {
  constexpr u16 kNoDevice = 0x1234;
  u8 bytes[4];
  u8* to = bytes;
  u64 count = sizeof bytes;
  const u32 before = steps;
  is_stepping = true;
  COUNT_STEPS("rep stosb", : "+D"(to), "+c"(count) : "a"(0) : "memory", "cc");
  const u32 in_memory = steps - before;
  to = bytes;
  count = sizeof bytes;
  COUNT_STEPS("rep insb", : "+D"(to), "+c"(count) : "d"(kNoDevice) : "memory", "cc");
  is_stepping = false;
  if (in_memory <= sizeof bytes || steps - before != 2 * in_memory)
    print("hostile: WRONG: a string from a port is not stepped like one in memory\n");
}

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64* rip) {
  constexpr u64 kDebug = 1;
  if (vector >= 32) {
    write32(kLocalApic + 0xb0, 0);
    return;
  }
  if (vector == kDebug && is_stepping) {
    steps = steps + 1;
    return;
  }
  ++faults;
  *rip = resume_address;
}

extern "C" void guest_main(u32, u64) {
  install_handlers(table);
  print("hostile: hello\n");
  try_cpuid();
  try_single_steps();
  try_instructions();
  try_cr4();
  try_msrs();
  try_ports();
  try_addresses();
  print("hostile: ");
  print_number(faults);
  print(" faults taken, still here\n");
  power_off();
}
