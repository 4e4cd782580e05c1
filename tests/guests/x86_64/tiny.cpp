// The tiny guest for PCs: proves, without any library, that a guest sees the machine it was promised, then powers off.
// It prints one line per fact; the last one is "tiny: N checks passed" or "tiny: FAILED".
#include "tests/guests/x86_64/pc.hpp"

namespace {

constexpr u64 kIoApic = 0xfec0'0000;
constexpr u64 kNothing = 0xd000'0000;  ///< no RAM and no device
constexpr u32 kMultibootMagic = 0x2bad'b002;
constexpr u32 kPvhMagic = 0x336e'c578;
constexpr u32 kBiosMagic = 0x6269'6f73;

constexpr u8 kTimerVector = 0x40, kPitVector = 0x41, kSelfVector = 0x42;
constexpr u8 kInvalidOpcode = 6, kGeneralProtection = 13;

volatile u32 seen[256];
u32 skip_length;  ///< of the instruction that is expected to fault
int checks;
bool failed;

void write_io_apic(u32 index, u32 value) {
  write32(kIoApic, index);
  write32(kIoApic + 0x10, value);
}

void check(bool ok, const char* what) {
  print(ok ? "tiny: ok: " : "tiny: WRONG: ");
  print(what);
  print("\n");
  ++checks;
  failed |= !ok;
}

// ---- exceptions ------------------------------------------------------------------------------------------------------

Gate table[256];

/// Executes an instruction of `length` bytes that must raise `vector`.
template <class Instruction>
bool faults(u8 vector, u32 length, Instruction instruction) {
  const u32 before = seen[vector];
  skip_length = length;
  instruction();
  skip_length = 0;
  return seen[vector] == before + 1;
}

void check_what_is_hidden() {
  check((cpuid(1).ecx >> 31) == 1, "CPUID says that there is a hypervisor");
  check((cpuid(1).ecx >> 5 & 1) == 0 && (cpuid(0x8000'0001).ecx >> 2 & 1) == 0, "CPUID offers no VMX and no SVM");
  check(faults(kInvalidOpcode, 3, [] { asm volatile("vmrun" : : "a"(0)); }), "VMRUN is undefined");
  check(faults(kInvalidOpcode, 3, [] { asm volatile("clgi"); }), "CLGI is undefined");
  check(faults(kInvalidOpcode, 3, [] { asm volatile("vmlaunch"); }), "VMLAUNCH is undefined");
  check(faults(kGeneralProtection, 2, [] { asm volatile("rdmsr"
                                                        :
                                                        : "c"(0xc001'0117)
                                                        : "eax", "edx"); }),
        "the SVM host save MSR is not there");
  check(faults(kGeneralProtection, 2, [] { asm volatile("wrmsr"
                                                        :
                                                        : "c"(0x3a), "a"(5), "d"(0)); }),
        "the VMX feature MSR is not there");
  check(faults(kGeneralProtection, 2, [] { asm volatile("rdmsr"
                                                        :
                                                        : "c"(0x1234'5678)
                                                        : "eax", "edx"); }),
        "an unknown MSR faults");
}

// ---- devices ---------------------------------------------------------------------------------------------------------

void wait_for(u8 vector, u32 count) {
  while (seen[vector] < count) asm volatile("sti; hlt; cli" : : : "memory");
}

void check_interrupts() {
  check((read32(kLocalApic + 0x30) & 0xff) >= 0x10, "the local APIC has a version");
  write32(kLocalApic + 0xf0, 0x1ff);
  write32(kLocalApic + 0x3e0, 3);  // divide by 16
  write32(kLocalApic + 0x320, kTimerVector);
  for (u32 round = 1; round <= 3; ++round) {
    write32(kLocalApic + 0x380, 1000);
    wait_for(kTimerVector, round);
  }
  check(seen[kTimerVector] == 3, "three timer interrupts arrived, each once");

  write32(kLocalApic + 0x300, 0x4'0000 | kSelfVector);  // to self
  wait_for(kSelfVector, 1);
  check(seen[kSelfVector] == 1, "an interrupt to itself arrived");

  out8(0x21, 0xff);  // the 8259s are masked: the line goes through the I/O APIC
  out8(0xa1, 0xff);
  write_io_apic(0x10 + 2 * 2 + 1, read32(kLocalApic + 0x20) & 0xff00'0000);
  write_io_apic(0x10 + 2 * 2, kPitVector);
  out8(0x43, 0x34);  // channel 0, rate generator
  out8(0x40, 1193 & 0xff);
  out8(0x40, 1193 >> 8);
  wait_for(kPitVector, 5);
  write_io_apic(0x10 + 2 * 2, 1 << 16);
  check(true, "the interval timer ticks through the I/O APIC");
}

void check_prefixes() {
  asm volatile(".byte 0xf3, 0x0f, 0x09" : : : "memory");  // WBNOINVD, which is WBINVD where CPUID does not offer it
  check(true, "an instruction with a prefix is skipped as a whole");
}

void check_nothing() {
  check(in8(0x1234) == 0xff && in32(0x5678) == 0xffff'ffff, "a port without a device reads as ones");
  check(read32(kNothing) == 0xffff'ffff, "an address without a device reads as ones");
  write32(kNothing, 1);
  out8(0x1234, 1);
  check(true, "writes to both are swallowed");
}

struct MultibootInfo {
  u32 flags, lower, upper, boot_device, command_line, module_count, modules, symbols[4], map_length, map;
};

struct PvhInfo {
  u32 magic, version, flags, module_count;
  u64 modules, command_line, rsdp, map;
  u32 map_entries, reserved;
};

bool contains(const char* text, const char* what) {
  for (; *text != '\0'; ++text) {
    u32 i = 0;
    while (what[i] != '\0' && text[i] == what[i]) ++i;
    if (what[i] == '\0') return true;
  }
  return false;
}

void check_boot_information(u32 magic, u64 address) {
  if (magic == kBiosMagic) return check(true, "came through the 16-bit stub");
  if (magic != kMultibootMagic) {
    const auto& info = *reinterpret_cast<const PvhInfo*>(address);
    check(info.magic == kPvhMagic, "the boot loader is PVH");
    check(info.version >= 1 && info.map_entries >= 2, "it hands over a memory map");
    return check(contains(reinterpret_cast<const char*>(info.command_line), "tiny"), "it passes the command line");
  }
  check(magic == kMultibootMagic, "the boot loader is Multiboot 1");
  const auto& info = *reinterpret_cast<const MultibootInfo*>(address);
  check((info.flags & 1) != 0 && info.lower >= 512 && info.upper > 1024, "it says how much memory there is");
  check((info.flags & 1 << 6) != 0 && info.map_length >= 24, "it hands over a memory map");
  // Where it stands in for Linux it gets Linux's.
  const char* command_line = reinterpret_cast<const char*>(u64{info.command_line});
  const bool known =
      (info.flags & 1 << 2) != 0 && (contains(command_line, "tiny") || contains(command_line, "console="));
  check(known, "it passes the command line");
}

}  // namespace

extern "C" void guest_interrupt(u64 vector, u64* rip) {
  seen[vector] = seen[vector] + 1;
  if (vector >= 32) {
    write32(kLocalApic + 0xb0, 0);
  } else if (skip_length != 0) {
    *rip += skip_length;
  } else {
    print("tiny: FAILED: unexpected exception ");
    print_number(vector);
    print("\n");
    power_off();
  }
}

extern "C" void guest_main(u32 magic, u64 information) {
  install_handlers(table);
  print("tiny: hello from a guest\n");
  const u64 start = time_stamp();
  check_boot_information(magic, information);
  check_what_is_hidden();
  check_prefixes();
  check_nothing();
  check_interrupts();
  check(time_stamp() > start, "time passes");
  if (failed) {
    print("tiny: FAILED\n");
  } else {
    print("tiny: ");
    print_number(static_cast<u64>(checks));
    print(" checks passed\n");
  }
  power_off();
}
