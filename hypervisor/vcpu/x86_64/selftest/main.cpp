// Proves a backend on the machine it was booted on, without the rest of the hypervisor: tiny guests in real, protected
// and long mode, and what each of their exits says. Ends with `vcpu selftest: passed` and a power-off, or with a panic.
#include <arch/cpu.hpp>
#include <arch/msr.hpp>
#include <optional>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/start_state.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"
#include "platforms/x86-qemu-q35/root.hpp"

#define GUEST(name) extern "C" const unsigned char guest_##name[], guest_##name##_end[]
GUEST(real);
GUEST(protected);
GUEST(mmio);
GUEST(interrupts);
GUEST(spin);
GUEST(triple);
GUEST(handlers);
GUEST(cost_cpuid);

namespace hv {
namespace {

using namespace x86;

void expect(bool condition, const char* what) {
  if (!condition) platform::panic(what);
}

class Frames final : public VmFrames {
 public:
  Result<HpaRange> allocate(u64 bytes, u64 alignment) override {
    return platform::frames().with(
        [&](mm::FrameAllocator& frames) { return frames.allocate(bytes, mm::Owner::host(), alignment); });
  }
  void free(HpaRange range) override {
    platform::frames().with([&](mm::FrameAllocator& frames) { frames.free(range, mm::Owner::host()); });
  }
};

constinit u64 interrupts_taken = 0;
constinit u8 last_vector = 0;

void require(const auto& result, const char* what) {
  if (!result) {
    log::error("{}: {}", what, result.error());
    platform::panic(what);
  }
}

constexpr u64 kRam = 2_MiB;
constexpr u64 kCode = 0x1000, kGdt = 0x9000, kIdt = 0xa000, kPml4 = 0x10000, kHandlers = 0x20000, kStack = 0x40000;

/// A guest of one vCPU and 2 MiB of memory, which runs one of the programs in guests.S.
class Guest {
 public:
  Guest(Virtualization& machine, mm::ObjectAllocator& heap, Frames& frames)
      : intel_(machine.nested().kind == mm::NestedKind::Ept) {
    ram_ = *frames.allocate(kRam, kRam);
    __builtin_memset(at(0), 0, kRam);
    auto nested = NestedPaging::create(Gpa(0xffff'ffff), machine.nested(), frames);
    require(nested, "nested paging");
    nested_.emplace(std::move(*nested));
    require(nested_->map({Gpa(0), kRam}, ram_.base, mm::kReadWriteExecute), "guest memory");
    auto ports = PortPermissions::create(frames);
    require(ports, "port permissions");
    ports_.emplace(std::move(*ports));
    auto vcpu = machine.create_vcpu(heap, frames, {.translation = *nested_, .port_permissions = ports_->address()});
    require(vcpu, "vCPU");
    vcpu_ = std::move(*vcpu);
    vcpu_->load(0);
  }
  ~Guest() { vcpu_->put(); }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  void begin(const unsigned char* code, const unsigned char* end, StartState state) {
    __builtin_memcpy(at(kCode), code, static_cast<usize>(end - code));
    if (state.mode == StartState::Mode::Real16) {
      state.real_segment = kCode >> 4;
    } else {
      state.rip = kCode;
      state.gdt = {kGdt, 0x1f};
      write_tables();
    }
    if (state.mode == StartState::Mode::Long64) state.cr3 = kPml4;
    start(*vcpu_, r, state);
    if (state.mode != StartState::Mode::Real16) vcpu_->set_table(DescriptorTable::Idt, {kIdt, 256 * 16 - 1});
    r[Gpr::Rsp] = kStack;
  }

  const VmExit& enter() {
    for (;;) {
      const VmExit& exit = vcpu_->enter(r);
      if (exit.reason != ExitReason::Handled) return exit;
    }
  }
  const VmExit& until(ExitReason reason, const char* what) {
    const VmExit& exit = enter();
    if (exit.reason != reason) {
      log::error("{}: left for {} (code {:#x}) at {:#x}", what, describe(exit.reason), exit.code, r.rip);
      platform::panic(what);
    }
    return exit;
  }
  u8* at(u64 gpa) { return reinterpret_cast<u8*>(ram_.base.value()) + gpa; }
  VcpuBackend& cpu() { return *vcpu_; }
  bool shadows_task_priority() { return vcpu_->apic_page().has_value(); }
  u8 task_priority() {
    constexpr usize kTaskPriority = 0x80 / sizeof(u32);
    return static_cast<u8>((*vcpu_->apic_page())[kTaskPriority] >> 4);
  }
  bool is_intel() const { return intel_; }

  /// Runs to the next exit, which has to be an OUT of `value` to `port`.
  void until_out(u16 port, u64 value, const char* what) {
    const VmExit& exit = until(ExitReason::PortIo, what);
    const u64 mask = (u64{1} << exit.port.size * 8) - 1;
    if (exit.port.kind != 0 || exit.port.port != port || (r[Gpr::Rax] & mask) != value) {
      log::error("{}: port {:#x}, rax {:#x}, rip {:#x}", what, exit.port.port, r[Gpr::Rax], r.rip);
      platform::panic(what);
    }
    cpu().complete_instruction(r, exit.instruction_length);
  }
  void until_skipped(ExitReason reason, unsigned length, const char* what) {
    const VmExit& exit = until(reason, what);
    if (exit.instruction_length != length) log::error("{}: length {}", what, exit.instruction_length);
    expect(exit.instruction_length == length, what);
    cpu().complete_instruction(r, length);
  }

  GuestRegisters r;

 private:
  void write_tables() {
    u64* gdt = reinterpret_cast<u64*>(at(kGdt));
    gdt[2] = 0x00af'9b00'0000'ffff;  // 64-bit code
    gdt[3] = 0x00cf'9300'0000'ffff;
    constexpr u64 kPresentWritable = 3, kLarge = 0x80;
    reinterpret_cast<u64*>(at(kPml4))[0] = (kPml4 + 0x1000) | kPresentWritable;
    for (u64 i = 0; i < 4; ++i) {
      reinterpret_cast<u64*>(at(kPml4 + 0x1000))[i] = (kPml4 + 0x2000 + i * 0x1000) | kPresentWritable;
      for (u64 j = 0; j < 512; ++j)
        reinterpret_cast<u64*>(at(kPml4 + 0x2000 + i * 0x1000))[j] = (i << 30) | (j << 21) | kPresentWritable | kLarge;
    }
    __builtin_memcpy(at(kHandlers), guest_handlers, static_cast<usize>(guest_handlers_end - guest_handlers));
    for (u64 vector = 0; vector < 256; ++vector) {
      const u64 handler = kHandlers + vector * 16;
      u64* gate = reinterpret_cast<u64*>(at(kIdt + vector * 16));
      gate[0] = (handler & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 | (handler >> 16) << 48;
    }
  }

  const bool intel_;
  HpaRange ram_{};
  std::optional<NestedPaging> nested_;
  std::optional<PortPermissions> ports_;
  mm::Box<VcpuBackend> vcpu_;
};

#define PROGRAM(name) guest_##name, guest_##name##_end
constexpr StartState kReal{.mode = StartState::Mode::Real16};
constexpr StartState kProtected{.mode = StartState::Mode::Protected32};
constexpr StartState kLong{.mode = StartState::Mode::Long64};

// ---- the tests -------------------------------------------------------------------------------------------------------

void test_real_mode(Guest& g) {
  g.begin(PROGRAM(real), kReal);
  *reinterpret_cast<u32*>(g.at(0x500)) = 0xcafe'f00d;
  const VmExit& cpuid = g.until(ExitReason::Cpuid, "CPUID in real mode");
  expect(g.r[Gpr::Rax] == 0x4000'0000 && cpuid.instruction_length == 2, "CPUID's leaf and length");
  g.cpu().complete_instruction(g.r, 2);
  g.until_out(0x3f8, 'R', "OUT DX, AL");
  const VmExit& in = g.until(ExitReason::PortIo, "IN AX, DX");
  expect(in.port.kind == PortAccess::kIn && in.port.size == 2 && in.port.port == 0x3f8 && in.instruction_length == 1, "what IN says");
  g.r[Gpr::Rax] = 0xbeef;
  g.cpu().complete_instruction(g.r, 1);
  g.until_skipped(ExitReason::Hlt, 1, "HLT");
  expect(g.r[Gpr::Rbx] == 0xbeef, "the value that IN returned");
  g.until_out(0x80, kCode >> 4, "CS in real mode");
  g.until_skipped(ExitReason::CacheInvalidation, 2, "INVD");
  g.until_skipped(ExitReason::CacheInvalidation, 2, "WBINVD");
  g.until_out(0x80, 0xcafe'f00d, "memory in real mode");
  g.until(ExitReason::Hlt, "the end of the real-mode guest");
  expect(g.cpu().privilege() == 0 && g.cpu().segment(SegmentRegister::Cs).selector == kCode >> 4, "real-mode segments");
}

void test_protected_mode(Guest& g) {
  g.begin(PROGRAM(protected), kProtected);
  g.cpu().write(GuestRegister::Cr0, 0x6000'0031);
  if (g.is_intel()) __builtin_memcpy(g.at(kCode), "\x0f\x01\xc1", 3);
  g.until_skipped(ExitReason::Hypercall, 3, "a hypercall");
  g.until_out(0x80, 0x1234, "SYSENTER_CS without an exit");
  expect(g.cpu().read(GuestRegister::SysenterCs) == 0x1234, "SYSENTER_CS as the host sees it");
  g.until(ExitReason::MsrRead, "RDMSR");
  expect(g.r[Gpr::Rcx] == 0x1b, "the MSR's number");
  g.r[Gpr::Rax] = 0x1111'2222;
  g.cpu().complete_instruction(g.r, 2);
  g.until_out(0x80, 0x1111'2222, "what RDMSR returned");
  g.until_skipped(ExitReason::MsrWrite, 2, "WRMSR");
  expect((g.r[Gpr::Rax] & 0xffff'ffff) == 0x5566'7788 && (g.r[Gpr::Rdx] & 0xffff'ffff) == 0x1122'3344,
         "the MSR's value");
  g.until_out(0x80, 0x6000'0031, "CR0 as the guest was started with");
  g.until_out(0x80, 0x1'0031, "CR0 as the guest set it");
  expect(g.cpu().read(GuestRegister::Cr0) == 0x1'0031, "CR0 as the host sees it");
}

// Instructions of the machine's own extension, and others that guests were not promised. Where the CPU does not raise
// the exception itself the backend says what it is.
void test_undefined(Guest& g) {
  struct Case {
    const char* name;
    u8 bytes[3];
    u8 vector;
  };
  constexpr Case kCases[] = {{"VMRUN", {0x0f, 0x01, 0xd8}, Vector::kInvalidOpcode},
                             {"VMLOAD", {0x0f, 0x01, 0xda}, Vector::kInvalidOpcode},
                             {"VMSAVE", {0x0f, 0x01, 0xdb}, Vector::kInvalidOpcode},
                             {"STGI", {0x0f, 0x01, 0xdc}, Vector::kInvalidOpcode},
                             {"VMXOFF", {0x0f, 0x01, 0xc4}, Vector::kInvalidOpcode},
                             {"VMLAUNCH", {0x0f, 0x01, 0xc2}, Vector::kInvalidOpcode},
                             {"MONITOR", {0x0f, 0x01, 0xc8}, Vector::kInvalidOpcode},
                             {"MWAIT", {0x0f, 0x01, 0xc9}, Vector::kInvalidOpcode},
                             {"RSM", {0x0f, 0xaa, 0x90}, Vector::kInvalidOpcode},
                             {"RDPMC", {0x0f, 0x33, 0x90}, Vector::kGeneralProtection}};
  for (const Case& c : kCases) {
    g.begin(c.bytes, c.bytes + sizeof(c.bytes), kLong);
    const VmExit* exit = &g.enter();
    if (exit->reason == ExitReason::UndefinedInstruction || exit->reason == ExitReason::ProtectedInstruction) {
      const bool undefined = exit->reason == ExitReason::UndefinedInstruction;
      expect(g.cpu().inject_exception(undefined ? Vector::kInvalidOpcode : Vector::kGeneralProtection,
                                      undefined ? std::nullopt : std::optional(u32{0})),
             c.name);
      exit = &g.enter();
    }
    expect(exit->reason == ExitReason::PortIo && exit->port.port == 0x81 && (g.r[Gpr::Rax] & 0xff) == c.vector, c.name);
  }
}

// The second one waits for the end of the first, and for nothing else.
void test_two_nmis(Guest& g) {
  g.begin(PROGRAM(spin), kLong);
  g.cpu().inject_nmi();
  g.until_out(0x81, Vector::kNmi, "an NMI");
  g.cpu().request_nmi_window();
  g.until(ExitReason::NmiWindow, "the window behind an NMI");
  expect(g.cpu().can_take_nmi(g.r), "the end of an NMI's handler");
  expect(g.r.rip >= kCode && g.r.rip < kCode + 0x10, "where the NMI came");
  expect((g.r.rflags & Rflags::kTf) == 0 && g.cpu().read(GuestRegister::Dr6) == kDr6Reset,
         "a guest that is not stepped");
  g.cpu().inject_nmi();
  g.until_out(0x81, Vector::kNmi, "the NMI behind it");
}

void test_mmio(Guest& g) {
  g.begin(PROGRAM(mmio), kLong);
  const VmExit& read = g.until(ExitReason::NestedFault, "a read of the local APIC");
  expect(read.fault.address == Gpa(0xfee0'0020) && !read.fault.write, "the address that was read");
  g.r[Gpr::Rax] = 7;
  g.cpu().complete_instruction(g.r, 3);
  const VmExit& write = g.until(ExitReason::NestedFault, "a write to the local APIC");
  expect(write.fault.address == Gpa(0xfee0'00b0) && write.fault.write, "the address that was written");
  g.cpu().complete_instruction(g.r, 6);
  const auto moves_cr8 = [&](bool is_write, const char* what) {
    if (g.shadows_task_priority()) return;
    const VmExit& exit = g.until(ExitReason::TaskPriority, what);
    expect(exit.control_move.write == is_write, what);
    g.cpu().complete_instruction(g.r, 4);
  };
  moves_cr8(false, "a read of CR8");
  moves_cr8(true, "a write to CR8");
  g.until_out(0x80, 7, "what the read returned");
  expect(!g.shadows_task_priority() || g.task_priority() == 3, "the priority that the guest has set");
  moves_cr8(true, "another write to CR8");
  g.until_out(0x80, 8, "the end of the guest");
  expect(!g.shadows_task_priority() || g.task_priority() == 0, "the priority that the guest has set at last");
  log::print_line("vcpu selftest: CR8 is {}", g.shadows_task_priority() ? "shadowed" : "intercepted");
}

void test_injection(Guest& g) {
  constexpr u8 kVector = 0x40;
  g.begin(PROGRAM(interrupts), kLong);
  g.until_out(0x80, 1, "the guest before STI");
  expect(!g.cpu().can_take_interrupt(g.r), "interrupts are off");
  g.cpu().request_interrupt_window();
  g.until(ExitReason::InterruptWindow, "an interrupt window after STI");
  expect(g.cpu().can_take_interrupt(g.r), "interrupts are on");
  g.cpu().inject_interrupt(kVector);
  expect(!g.cpu().can_take_interrupt(g.r), "one event at a time");
  g.until_out(0x81, kVector, "the interrupt's handler");
  g.until_out(0x80, 2, "the guest after the interrupt");

  expect(g.cpu().can_take_nmi(g.r), "NMIs are open");
  g.cpu().inject_nmi();
  const VmExit& nmi = g.until(ExitReason::PortIo, "the NMI's handler");
  expect(!g.cpu().can_take_nmi(g.r), "NMIs are masked inside their handler");
  g.cpu().request_nmi_window();
  g.cpu().complete_instruction(g.r, nmi.instruction_length);
  g.until(ExitReason::NmiWindow, "a window after the NMI's end");
  expect(g.cpu().can_take_nmi(g.r), "NMIs are open again");

  expect(g.cpu().inject_exception(Vector::kDebug, {}), "an exception");
  g.until_out(0x81, Vector::kDebug, "the exception's handler");
}

void test_physical_interrupts(Guest& g) {
  constexpr u8 kKick = drivers::host_vector::kKick;
  platform::Root& root = platform::Root::instance();
  g.begin(PROGRAM(spin), kLong);
  const u64 before = interrupts_taken;
  root.apic.send(root.apic.id(), kKick);
  // An emulator may hold it back while the guest has its own interrupts off: VMX's preemption timer ends that.
  g.until(ExitReason::Interrupt, "a physical interrupt");
  arch::take_pending_interrupts();
  expect(interrupts_taken == before + 1 && last_vector == kKick, "the host took the interrupt");
}

void test_triple_fault(Guest& g) {
  g.begin(PROGRAM(triple), kLong);
  g.until(ExitReason::Shutdown, "a triple fault");
  expect(g.cpu().inject_exception(Vector::kGeneralProtection, 0), "a first fault");
}

// Ticks of one exit and entry by the backend alone: instructions, under an emulator that counts them.
void measure(Guest& g) {
  constexpr u64 kTurns = 1000;
  g.begin(PROGRAM(cost_cpuid), kLong);
  g.until_skipped(ExitReason::Cpuid, 2, "CPUID");
  const u64 begin = arch::read_tsc();
  for (u64 i = 0; i < kTurns; ++i) {
    const VmExit& exit = g.cpu().enter(g.r);
    g.cpu().complete_instruction(g.r, exit.instruction_length);
  }
  log::print_line("vcpu selftest: {} ticks for an exit and an entry", (arch::read_tsc() - begin) / kTurns);
}

void run(MachineInfo&) {
  platform::Root& root = platform::Root::instance();
  root.apic.attach(Hpa(0xfee0'0000));
  require(platform::map_device({Hpa(0xfee0'0000), kPageSize}), "the local APIC's registers");
  require(root.apic.init_cpu(), "the local APIC");

  static Frames frames;
  static mm::Heap heap(platform::frames().without_lock());
  auto machine = create_virtualization(heap, frames);
  require(machine, "virtualisation");
  require((*machine)->init_cpu(0), "virtualisation on this CPU");
  log::print_line("vcpu selftest: {}", (*machine)->name());

  struct Test {
    const char* name;
    void (*run)(Guest&);
  };
  constexpr Test kTests[] = {{"real mode", &test_real_mode},
                             {"protected mode", &test_protected_mode},
                             {"instructions that do not exist", &test_undefined},
                             {"two NMIs in a row", &test_two_nmis},
                             {"accesses outside memory", &test_mmio},
                             {"injection and windows", &test_injection},
                             {"physical interrupts", &test_physical_interrupts},
                             {"triple fault", &test_triple_fault},
                             {"measurement", &measure}};
  for (const Test& test : kTests) {
    Guest guest(**machine, heap, frames);
    test.run(guest);
    log::print_line("vcpu selftest: {}: ok", test.name);
  }
}

}  // namespace
}  // namespace hv

namespace ax::platform {

void main_on_boot_cpu(MachineInfo& machine) {
  hv::run(machine);
  log::print_line("vcpu selftest: passed");
  power_off();
}

void main_on_secondary_cpu(unsigned) { arch::halt(); }

void handle_interrupt() {
  ++hv::interrupts_taken;
  hv::last_vector = static_cast<u8>(percpu::this_cpu().vector);
  Root::instance().apic.end_of_interrupt();
}

}  // namespace ax::platform
