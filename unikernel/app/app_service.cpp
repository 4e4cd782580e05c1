// The service `app`: loads a ready-made program and lets it begin as Linux does (System V ABI, "Process Initialization").
#include <algorithm>
#include <arch/cpu.hpp>
#include <array>
#include <cstring>

#include "kernel/log/log.hpp"
#include "platforms/common/image.hpp"
#include "platforms/platform.hpp"
#include "unikernel/app/app.hpp"
#include "unikernel/app/elf_program.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/random_bytes.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/stack.hpp"
#include "unikernel/memory/program_memory.hpp"

extern "C" void ax_with_vectors_saved(void (*function)());

namespace ax::uni {
namespace {

#if defined(__x86_64__)
constexpr ElfMachine kMachine = ElfMachine::X86_64;
#elif defined(__aarch64__)
constexpr ElfMachine kMachine = ElfMachine::Aarch64;
#else
constexpr ElfMachine kMachine = ElfMachine::Riscv64;
#endif

constinit ElfProgram program;
constinit u64 bias = 0;   ///< what the program's addresses are moved by
constinit i64 file = -1;  ///< on the disk

[[noreturn]] void refuse(std::string_view what) {
  log::print_line("unikernel: {} {}", std::string_view(ax_app.path), what);
  end_program(kSystemFailureStatus);
}

bool embedded() { return ax_app.begin != nullptr; }

/// Part of the program's file; `to` is written to.
void read_file(u64 offset, std::span<u8> to) {
  if (embedded()) {
    std::memcpy(to.data(), ax_app.begin + offset, to.size());
    return;
  }
  for (u64 done = 0; done < to.size();) {
    const i64 size = ax_system_call(static_cast<u64>(file), reinterpret_cast<u64>(to.data() + done), to.size() - done,
                                    offset + done, 0, 0, AX_NR_pread64);
    if (size <= 0) refuse("cannot be read from the disk");
    done += static_cast<u64>(size);
  }
}

u64 open_file() {
  if (embedded()) return static_cast<u64>(ax_app.end - ax_app.begin);
  constexpr u64 kHere = ~u64{99}, kToEnd = 2;  // AT_FDCWD, SEEK_END
  file = ax_system_call(kHere, reinterpret_cast<u64>(ax_app.path), 0, 0, 0, 0, AX_NR_openat);
  if (file < 0) refuse("is not on the disk");
  return static_cast<u64>(ax_system_call(static_cast<u64>(file), 0, kToEnd, 0, 0, 0, AX_NR_lseek));
}

Range<Hva> pages_of(const ElfSegment& segment) {
  const Hva begin = Hva(bias + segment.address).align_down(kPageSize);
  return {begin, Hva(bias + segment.address + segment.memory_size).align_up(kPageSize) - begin};
}

/// A program that is linked to one address gets it, before anybody else takes memory: frames of its own, or, where the map of all
/// memory is in the way, those that are there.
void claim_addresses() {
  const Range<Hva> range{Hva(program.low), program.high - program.low};
  bool taken = false;
  for (u64 at = 0; at < range.size; at += kPageSize) taken |= platform::physical_address(range.base + at).has_value();
  Result<void> claimed;
  if (taken) {
    claimed = platform::frames().lock()->allocate_at({Hpa(program.low), range.size}, mm::Owner::host());
  } else {
    const auto frames = platform::frames().lock()->allocate(range.size, mm::Owner::host());
    if (!frames) refuse("does not fit into the memory");
    claimed = platform::map_pages(range, frames->base, mm::kReadWrite);
  }
  if (claimed) return;
  log::print_line(
      "unikernel: {} is linked to {:#x}..{:#x}, where the system has memory or devices of its own (its image is at "
      "{:#x}..{:#x}): "
      "link it with -static-pie, or elsewhere",
      std::string_view(ax_app.path), program.low, program.high, reinterpret_cast<u64>(__image_start),
      reinterpret_cast<u64>(__image_end));
  end_program(kSystemFailureStatus);
}

}  // namespace

/// Before the memory is given to the service that hands it out.
void start_app() {
  install_app_calls();
  alignas(16) static std::array<u8, kPageSize> head;
  const u64 size = open_file();
  const std::span<u8> begin(head.data(), std::min<u64>(size, head.size()));
  read_file(0, begin);
  const ElfProblem problem = read_elf_program(begin, size, kMachine, program);
  if (problem == ElfProblem::WrongMachine) {
    log::print_line("unikernel: {} is a program for {}, and this is {}", std::string_view(ax_app.path),
                    machine_name(program.machine), machine_name(static_cast<u16>(kMachine)));
    end_program(kSystemFailureStatus);
  }
  if (problem != ElfProblem::None) refuse(describe(problem));
  if (!program.movable) claim_addresses();
}

namespace {

void load() {
  const u64 size = program.high - program.low;
  if (program.movable) {
    const auto where = program_memory().lock()->map(size, Hva(0), kRead | kWrite);
    if (!where) refuse("does not fit into the memory");
    bias = where->value() - program.low;
  }
  std::memset(reinterpret_cast<void*>(bias + program.low), 0, size);
  for (const ElfSegment& segment : program.segments) {
    read_file(segment.offset, {reinterpret_cast<u8*>(bias + segment.address), segment.file_size});
    if ((segment.protection & kExecute) != 0) synchronise_code(pages_of(segment));
    const Result<void> opened = program.movable ? program_memory().lock()->protect(pages_of(segment), segment.protection)
                                                : add_fixed_part(pages_of(segment), segment.protection);
    if (!opened) refuse("does not fit into the memory");
  }
}

/// The stack that the unikernel began on becomes the program's: what is mapped around `inside`.
Range<Hva> whole_stack(u64 inside) {
  Hva begin = Hva(inside).align_down(kPageSize), end = begin + kPageSize;
  while (platform::physical_address(begin - kPageSize)) begin = begin - kPageSize;
  while (platform::physical_address(end)) end = end + kPageSize;
  return {begin, end - begin};
}

/// Puts what a program finds on its stack there, from the end down.
class StackWriter {
 public:
  explicit StackWriter(u64 end) : at_(end) {}

  u64 put_text(const char* text) {
    const u64 size = std::strlen(text) + 1;
    at_ -= size;
    std::memcpy(reinterpret_cast<void*>(at_), text, size);
    return at_;
  }
  void align() { at_ = align_down(at_, 16); }
  void push(u64 value) {
    at_ -= sizeof value;
    *reinterpret_cast<u64*>(at_) = value;
  }
  u64 at() const { return at_; }

 private:
  u64 at_;
};

enum AuxiliaryType : u64 {
  kHeaders = 3,
  kHeaderSize = 4,
  kHeaderCount = 5,
  kPageBytes = 6,
  kBase = 7,
  kFlags = 8,
  kEntry = 9,
  kUser = 11,
  kEffectiveUser = 12,
  kGroup = 13,
  kEffectiveGroup = 14,
  kPlatform = 15,
  kFeatures = 16,
  kTicks = 17,
  kSecure = 23,
  kRandom = 25,
  kMoreFeatures = 26,
  kFileName = 31,
};

u64 write_stack(u64 end, char** arguments) {
  StackWriter stack(end - sizeof(u64));
  const u64 name = stack.put_text(ax_app.path), platform = stack.put_text(AX_MACHINE_NAME);
  stack.align();
  stack.push(random_word());
  stack.push(random_word());
  const u64 random = stack.at();
  // The texts, then their addresses in place of them.
  u64 count = 0, words = 0;
  for (char** word = arguments; *word != nullptr; ++word, ++count) *word = reinterpret_cast<char*>(stack.put_text(*word));
  for (char** word = arguments + count + 1; *word != nullptr; ++word, ++words)
    *word = reinterpret_cast<char*>(stack.put_text(*word));
  stack.align();
  const CpuFeatures features = cpu_features();
  const u64 vector[][2] = {{kHeaders, program.headers == 0 ? 0 : bias + program.headers},
                           {kHeaderSize, kElfHeaderSize},
                           {kHeaderCount, program.header_count},
                           {kPageBytes, kPageSize},
                           {kBase, 0},
                           {kFlags, 0},
                           {kEntry, bias + program.entry},
                           {kUser, 0},
                           {kEffectiveUser, 0},
                           {kGroup, 0},
                           {kEffectiveGroup, 0},
                           {kSecure, 0},
                           {kTicks, 100},
                           {kPlatform, platform},
                           {kFeatures, features.first},
                           {kMoreFeatures, features.second},
                           {kRandom, random},
                           {kFileName, name},
                           {0, 0}};
  if ((count + words + 1) % 2 != 0) stack.push(0);  // argc comes to lie at a multiple of 16
  for (usize i = std::size(vector); i > 0; --i) {
    stack.push(vector[i - 1][1]);
    stack.push(vector[i - 1][0]);
  }
  stack.push(0);
  for (u64 i = words; i > 0; --i) stack.push(reinterpret_cast<u64>(arguments[count + i]));
  stack.push(0);
  for (u64 i = count; i > 0; --i) stack.push(reinterpret_cast<u64>(arguments[i - 1]));
  stack.push(count);
  return stack.at();
}

constinit Range<Hva> user_stack{};
constinit char** start_block = nullptr;

/// On the first thread's kernel stack.
void enter_program(void* thread) {
  const Result<void> opened = open_pages(user_stack, kRead | kWrite);
  if (!opened) stop_program("there is not enough memory for the program's stack");
  // The vectors of the start are at the stack's end; the program's come below them.
  const u64 sp = write_stack(reinterpret_cast<u64>(start_block), start_block);
  UserThread& first = *static_cast<UserThread*>(thread);
  first = {.frame = new_user_frame(bias + program.entry, sp)};
  ax_enter_user(&first.frame);
}

}  // namespace

u64 program_bias() { return bias; }
bool is_stack_guard(u64 address) {
  return user_stack.base.value() - address <= kPageSize || program_memory().lock()->is_guard(Hva(address));
}

}  // namespace ax::uni

extern "C" {

AX_EXPORT void ax_run_app(char** arguments) {
  using namespace ax;
  using namespace ax::uni;
  take_memory_calls_over();
  start_signals();
  load();
  set_program_path(ax_app.path);
  user_stack = whole_stack(reinterpret_cast<u64>(__builtin_frame_address(0)));
  start_block = arguments;
  const Result<Hva> stack = make_kernel_stack();
  if (!stack) stop_program("there is not enough memory for a stack");
  const u64 thread = stack->value() - sizeof(UserThread);
  ax_run_on_stack(thread, enter_program, reinterpret_cast<void*>(thread));
}

/// The last step before user mode, interrupts masked.
[[gnu::used]] void ax_leave_kernel(ax::uni::UserFrame* frame) { ax::uni::prepare_user_mode(*frame); }

[[gnu::used]] void ax_user_trap(ax::uni::UserFrame* frame, ax::u64 cause) {
  using namespace ax;
  using namespace ax::uni;
  const UserTrap trap = user_trap(*frame, cause);
  const u64 call = frame->call_number(), first = frame->argument(0);
  bool after_call = false;
  switch (trap.kind) {
    case UserTrap::Kind::Interrupt: break;
    case UserTrap::Kind::Call:
      after_call = true;
      // Whoever waits gives vector registers up, and a program keeps its own across a call.
      ax_with_vectors_saved([] {
        UserFrame& caller = current_user_frame();
        arch::irq_enable();
        make_call(caller);
      });
      break;
    default:
      arch::irq_enable();
      if (trap.kind == UserTrap::Kind::MemoryFault && resolve_fault(trap)) break;
      if (!handle_mistake(*frame, trap)) report_mistake(*frame, trap);
  }
  arch::irq_enable();
  deliver_signals(*frame, after_call, call, first);
  arch::irq_disable();
  prepare_user_mode(*frame);
}
}
