// From the platform to the program's main(): arguments, environment and auxiliary vector as Linux lays them out (System V ABI,
// "Process Initialization"), then the C library's start.
#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <array>
#include <board_config.hpp>

#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"
#include "unikernel/core/basic_calls.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/interrupts.hpp"
#include "unikernel/core/machine.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/program_headers.hpp"
#include "unikernel/core/random_bytes.hpp"
#include "unikernel/core/stack.hpp"
#include "unikernel/core/time.hpp"

extern "C" {
[[gnu::visibility("default")]] int main(int, char**, char**);
[[gnu::visibility("default")]] int __libc_start_main(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(), void (*)());
}

namespace ax::uni {
namespace {

constinit CpuHooks hooks;
constinit bool interrupts_started = false;

/// The block that a program's start finds on its stack: argc, argv, 0, envp, 0, auxv, and the texts.
class StartBlock {
 public:
  /// The texts of `words`, separated by commas, become one vector.
  void add_words(std::string_view words) {
    while (!words.empty()) {
      const usize end = std::min(words.find(','), words.size());
      add_word(words.substr(0, end));
      words.remove_prefix(std::min(end + 1, words.size()));
    }
  }
  void add_word(std::string_view word) {
    if (text_size_ + word.size() + 1 > text_.size()) stop_program("the machine's command line is too long");
    add(reinterpret_cast<u64>(&text_[text_size_]));
    for (const char c : word) text_[text_size_++] = c;
    text_[text_size_++] = 0;
  }
  void add(u64 value) {
    if (count_ == values_.size()) stop_program("the machine's command line has too many words");
    values_[count_++] = value;
  }
  usize count() const { return count_; }
  /// Puts the vectors where a program expects them: at the end of its stack.
  u64 copy_to(u64 top) const {
    const u64 place = align_down(top - count_ * sizeof(u64), 16);
    __builtin_memcpy(reinterpret_cast<void*>(place), values_.data(), count_ * sizeof(u64));
    return place;
  }

 private:
  std::array<u64, 256> values_{};
  std::array<char, 4096> text_{};
  usize count_ = 0;
  usize text_size_ = 0;
};

constinit StartBlock block;
constinit int argument_count = 0;

enum AuxiliaryType : u64 { kEnd = 0, kHeaders = 3, kHeaderSize = 4, kHeaderCount = 5, kPageBytes = 6, kTicks = 17, kRandom = 25 };

/// ";ARGUMENTS;ENVIRONMENT", as [os.platform.qemu] args and envs pass them. What stands before the first semicolon is the boot
/// loader's.
void read_command_line(std::string_view line) {
  const auto part = [&] {
    const usize start = line.find(';');
    line.remove_prefix(start == std::string_view::npos ? line.size() : start + 1);
    return line.substr(0, line.find(';'));
  };
  block.add_words(part());
  if (block.count() == 0) block.add_word(ax_system.name);
  argument_count = static_cast<int>(block.count());
  block.add(0);
  block.add_words(part());
  block.add(0);
}

void add_auxiliary_vector() {
  static std::array<u64, 2> random;
  for (u64& word : random) word = random_word();
  const ProgramHeaders headers = program_headers();
  const u64 vector[][2] = {{kHeaders, headers.address}, {kHeaderSize, headers.entry_size}, {kHeaderCount, headers.count},
                           {kPageBytes, kPageSize},     {kTicks, 100},                     {kRandom, reinterpret_cast<u64>(random.data())},
                           {kEnd, 0}};
  for (const auto& [type, value] : vector) {
    block.add(type);
    block.add(value);
  }
}

void run_program(void* vectors) {
  arch::irq_enable();
  char** arguments = static_cast<char**>(vectors);
  __libc_start_main(main, argument_count, arguments, nullptr, nullptr, nullptr);
  end_program(0);  // not reached: the C library exits
}

/// As large as Linux gives it, or a quarter of what there is.
Hva first_stack() {
  const u64 room = align_down(platform::frames().lock()->free_bytes() / 4, kPageSize);
  const Result<Hva> stack = platform::allocate_stack(std::min(u64{board::kThreadStackSize}, room));
  if (!stack) stop_program("there is not enough memory for the program's stack");
  return *stack;
}

}  // namespace

void set_cpu_hooks(const CpuHooks& wanted) { hooks = wanted; }

Result<void> start_interrupts() {
  if (interrupts_started) return {};
  TRY(init_interrupts(platform::machine()));
  TRY(init_cpu_interrupts(0));
  interrupts_started = true;
  return {};
}
bool has_interrupts() { return interrupts_started; }

ThreadSignals* thread_signals(u32 thread) { return hooks.signals == nullptr ? nullptr : hooks.signals(thread); }
void interrupt_thread(u32 thread, u64 signal) {
  if (hooks.interrupt_thread != nullptr) hooks.interrupt_thread(thread, signal);
}

void signal_times_changed() {
  if (hooks.signal_times_changed != nullptr) hooks.signal_times_changed();
}

}  // namespace ax::uni

namespace ax::platform {

void main_on_boot_cpu(MachineInfo& machine) {
  using namespace uni;
  log::set_level(static_cast<log::Level>(ax_system.log_level));
  set_crash_end([] { end_program(kCrashStatus); });
  prepare_machine(machine);
  const std::span services(ax_system.services, ax_system.service_count);
  const ax_service* const basic[] = {&basic_service};
  install_calls(basic);
  install_calls(services);
  for (const ax_service* service : services) {
    log::debug("service {}", std::string_view(service->name));
    if (service->start != nullptr) service->start();
  }
  read_command_line(machine.command_line);
  add_auxiliary_vector();
  const u64 vectors = block.copy_to(first_stack().value());
  ax_run_on_stack(vectors, run_program, reinterpret_cast<void*>(vectors));
}

void main_on_secondary_cpu(unsigned index) {
  uni::hooks.secondary(index);
  arch::halt();
}

void handle_interrupt() {
  if (uni::hooks.interrupt != nullptr) return uni::hooks.interrupt();
  uni::take_interrupts(&uni::timer_has_come);
}

}  // namespace ax::platform

extern "C" {

/// As the C library calls clone(): see unikernel/musl.
AX_EXPORT ax::i64 ax_clone(int (*function)(void*), void* stack, int flags, void* argument, ax::i32* parent, void* tls, ax::i32* child) {
  using namespace ax::uni;
  if (hooks.clone != nullptr) return hooks.clone(function, stack, static_cast<unsigned>(flags), argument, parent, tls, child);
  return ax_system_call(0, 0, 0, 0, 0, 0, AX_NR_clone);  // reported, and not there
}

AX_EXPORT [[noreturn]] void ax_unmap_and_exit(void* base, ax::u64 size) {
  using namespace ax::uni;
  if (hooks.unmap_and_exit != nullptr) hooks.unmap_and_exit(base, size);
  end_program(0);
}
}
