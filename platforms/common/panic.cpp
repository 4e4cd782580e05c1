// The end of a run that cannot go on.
#include <arch/cpu.hpp>
#include <atomic>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/common/image.hpp"
#include "platforms/common/panic.hpp"
#include "platforms/platform.hpp"

namespace ax::platform {
namespace {

constinit std::atomic<bool> panicking{false};
constinit std::atomic<StopHook> stop_hook{nullptr};
using CrashEnd = void (*)();
using GuardTest = bool (*)(u64);
constinit CrashEnd crash_end = nullptr;
constinit GuardTest guard_test = nullptr;

/// Time for the other CPUs to reach their halt, so that they do not print into the report: a millisecond or more on
/// anything that runs this.
constexpr unsigned kStopSpins = 1'000'000;

constexpr usize kMaxFrames = 32;

void print_build_id() {
  // An ELF note: name size, descriptor size, type, name padded to four bytes, descriptor.
  const u32* note = reinterpret_cast<const u32*>(__build_id_start);
  if (__build_id_end - __build_id_start < 16) return;
  const u32 name_size = note[0], size = note[1];
  const u8* id = reinterpret_cast<const u8*>(note + 3) + align_up(name_size, 4);
  Sink& console = log::console();
  console.write("build id ");
  for (u32 i = 0; i < size; ++i) print(console, "{:02x}", id[i]);
  print(console, ", image at {:#x}\n", address_of(__image_start));
}

}  // namespace

void set_stop_hook(StopHook hook) { stop_hook = hook; }
void set_crash_end(void (*end)()) { crash_end = end; }
void set_guard_test(bool (*is_guard)(u64)) { guard_test = is_guard; }
bool is_program_guard(u64 address) { return guard_test != nullptr && guard_test(address); }

void stop_if_panicking() {
  if (panicking.load(std::memory_order_relaxed) && percpu::this_cpu().panics == 0) arch::halt();
}

void begin_panic() {
  arch::irq_disable();
  // A panic inside the report, or on another CPU meanwhile: one report is enough, and two would be unreadable.
  if (percpu::this_cpu().panics.fetch_add(1) != 0 || panicking.exchange(true)) arch::halt();
  log::enter_panic();
  if (const StopHook hook = stop_hook) {
    hook();
    for (unsigned i = 0; i < kStopSpins; ++i) arch::cpu_relax();
  }
}

void end_panic(const char* message) {
  print_build_id();
  log::print_line(AX_IMAGE_NAME ": PANIC: {}", std::string_view(message));
  if (crash_end != nullptr) crash_end();
  power_off();
}

void print_back_trace(u64 pc, u64 frame, u64 link) {
  log::print_line("back-trace (llvm-symbolizer --obj=" AX_IMAGE_NAME " ADDRESS...):");
  if (link != 0) log::print_line("  called from {:#x}, if #0 calls nothing itself", link - kCallSize - load_offset());
  for (usize depth = 0; depth < kMaxFrames; ++depth) {
    log::print_line("  #{} {:#x}", depth, pc - load_offset());
    const u64 at = frame - arch::kRecordBelowFrame;
    if (frame == 0 || !is_readable(at) || !is_readable(at + sizeof(u64))) return;
    const u64* record = reinterpret_cast<const u64*>(at);
    const u64 caller = record[0];
    if (record[1] == 0 || caller == frame) return;
    pc = record[1] - kCallSize;  // the call: what it returns to may be another function when the call does not return
    frame = caller;
  }
}

// The stack is intact here, so the caller's frame record is the start of the chain.
[[gnu::noinline]] void panic(const char* message) {
  begin_panic();
  log::print_line(AX_IMAGE_NAME ": panic on CPU {}: {}", percpu::this_cpu().index, std::string_view(message));
  print_control_registers();
  print_back_trace(reinterpret_cast<u64>(__builtin_return_address(0)) - kCallSize,
                   *reinterpret_cast<u64*>(reinterpret_cast<u64>(__builtin_frame_address(0)) - arch::kRecordBelowFrame));
  end_panic(message);
}

}  // namespace ax::platform
