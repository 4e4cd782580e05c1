// System calls of a ready-made program: those that need its registers, and those that only ready-made programs make.
#include <algorithm>
#include <cstring>
#include <utility>

#include "platforms/platform.hpp"
#include "unikernel/app/app.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/random_bytes.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/linux_stat.hpp"

extern "C" {
ax::i64 ax_clone(int (*function)(void*), void* stack, int flags, void* argument, ax::i32* parent, void* tls, ax::i32* child);
[[noreturn]] void ax_unmap_and_exit(void* base, ax::u64 size);
}

namespace ax::uni {
namespace {

constexpr u64 kMainThread = 1;
constinit std::string_view program_path;

// ---- threads

enum CloneFlag : u64 { kSetChildId = 0x100'0000, kClearChildId = 0x20'0000 };

/// What lies at the end of a new thread's kernel stack.
struct NewThread {
  i32* id_address = nullptr;
  u64 padding = 0;
  UserThread thread{};
};

int run_thread(void* argument) {
  NewThread& created = *static_cast<NewThread*>(argument);
  if (created.id_address != nullptr) *created.id_address = static_cast<i32>(ax_system_call(0, 0, 0, 0, 0, 0, AX_NR_gettid));
  created.thread.frame.set_thread_pointer(thread_pointer());
  ax_enter_user(&created.thread.frame);
}

i64 clone(UserFrame& frame) {
#if defined(__x86_64__)
  constexpr unsigned kChild = 3, kPointer = 4;
#else
  constexpr unsigned kChild = 4, kPointer = 3;
#endif
  const u64 flags = frame.argument(0), stack = frame.argument(1);
  constexpr u64 kShareMemory = 0x100, kThread = 0x1'0000;
  if ((flags & (kShareMemory | kThread)) != (kShareMemory | kThread)) {
    // Another process: said once, by name, and not there.
    return ax_clone(nullptr, nullptr, static_cast<int>(flags), nullptr, nullptr, nullptr, nullptr);
  }
  const Result<Hva> top = make_kernel_stack();
  if (!top) return kAgain;
  NewThread& created = reinterpret_cast<NewThread*>(top->value())[-1];
  i32* const child = reinterpret_cast<i32*>(frame.argument(kChild));
  created.thread.frame = frame;
  created.thread.frame.set_result(0);
  if (stack != 0) created.thread.frame.sp = stack;
  created.id_address = (flags & kSetChildId) != 0 ? child : nullptr;
  return ax_clone(run_thread, &created, static_cast<int>(flags), &created, reinterpret_cast<i32*>(frame.argument(2)),
                  reinterpret_cast<void*>(frame.argument(kPointer)), child);
}

/// The kernel stack goes with its thread; the first one's stays.
i64 exit_thread(UserFrame& frame) {
  if (ax_system_call(0, 0, 0, 0, 0, 0, AX_NR_gettid) == kMainThread)
    return ax_system_call(frame.argument(0), 0, 0, 0, 0, 0, AX_NR_exit);
  const Range<Hva> stack = kernel_stack_range(Hva(reinterpret_cast<u64>(&thread_of(frame) + 1)));
  ax_unmap_and_exit(reinterpret_cast<void*>(stack.base.value()), stack.size);
}

// ---- what C libraries ask at their start, and find other ways where it is not there

i64 refuse() { return kNoSystemCall; }

/// A name for a thread, which nobody will look at.
i64 control_process(u64 operation) {
  constexpr u64 kSetName = 15;
  return operation == kSetName ? 0 : i64{kInvalid};
}

/// /proc/self/exe is the program; every other link is a matter of the service that has paths.
i64 read_link(u64 number, const UserFrame& frame, const char* path, u64 buffer, u64 size) {
  if (std::strcmp(path, "/proc/self/exe") != 0) {
    return ax_system_call(frame.argument(0), frame.argument(1), frame.argument(2), frame.argument(3), 0, 0, number);
  }
  const u64 length = std::min<u64>(size, program_path.size());
  std::memcpy(reinterpret_cast<void*>(buffer), program_path.data(), length);
  return static_cast<i64>(length);
}
i64 read_link_at(UserFrame& frame) {
  return read_link(AX_NR_readlinkat, frame, reinterpret_cast<const char*>(frame.argument(1)), frame.argument(2),
                   frame.argument(3));
}
#ifdef AX_NR_readlink
i64 read_link_here(UserFrame& frame) {
  return read_link(AX_NR_readlink, frame, reinterpret_cast<const char*>(frame.argument(0)), frame.argument(1), frame.argument(2));
}
#endif
i64 no_links() { return kInvalid; }

i64 random(char* buffer, u64 size, u64) {
  for (u64 at = 0, word = 0; at < size; ++at, word >>= 8) {
    if (at % sizeof word == 0 && !hardware_random(word)) return at != 0 ? static_cast<i64>(at) : i64{kNoSystemCall};
    buffer[at] = static_cast<char>(word);
  }
  return static_cast<i64>(size);
}

/// The console, for programs without files.
i64 status_of_console(u64 file, LinuxStat* out) {
  constexpr u64 kErrors = 2;
  constexpr u32 kCharacterDevice = 0020620;
  if (file > kErrors) return kBadFile;
  fill(*out, {});
  out->mode = kCharacterDevice;
  return 0;
}
i64 status_of_path(u64 file, const char* path, LinuxStat* out, u64) {
  return *path == 0 ? status_of_console(file, out) : i64{kNoEntry};
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_rseq, system_call<refuse>},
    {AX_NR_clone3, system_call<refuse>},
#ifdef AX_NR_riscv_hwprobe
    {AX_NR_riscv_hwprobe, system_call<refuse>},
#endif
    {AX_NR_prctl, system_call<control_process>},
    {AX_NR_getrandom, system_call<random>},
    {AX_NR_fstat, system_call<status_of_console>},
    {AX_NR_newfstatat, system_call<status_of_path>},
    {AX_NR_readlinkat, system_call<no_links>},
#ifdef AX_NR_readlink
    {AX_NR_readlink, system_call<no_links>},
#endif
};

constexpr FrameCall kFrameCalls[] = {
    {AX_NR_clone, clone},
    {AX_NR_exit, exit_thread},
    {AX_NR_readlinkat, read_link_at},
#ifdef AX_NR_readlink
    {AX_NR_readlink, read_link_here},
#endif
};

}  // namespace

void install_app_calls() { install_missing_calls(kCalls); }

void set_program_path(std::string_view path) { program_path = path; }

void make_call(UserFrame& frame) {
  const u64 number = frame.call_number();
  for (const std::span<const FrameCall> calls : {std::span<const FrameCall>(kFrameCalls), signal_calls()}) {
    for (const FrameCall& entry : calls) {
      if (entry.number == number) return frame.set_result(entry.call(frame));
    }
  }
  const std::optional<i64> own = machine_call(number, frame.argument(0), frame.argument(1));
  frame.set_result(own ? *own
                       : ax_system_call(frame.argument(0), frame.argument(1), frame.argument(2), frame.argument(3),
                                        frame.argument(4), frame.argument(5), number));
}

}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_app{"app", {}, ax::uni::start_app};
