// What the self-tests of all platforms check in the same way. Each platform's main.cpp includes it and brings what differs.
#pragma once

#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <atomic>
#include <board_config.hpp>

#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/common/image.hpp"
#include "platforms/common/services.hpp"
#include "platforms/platform.hpp"

namespace ax::selftest {

namespace timer = drivers::host_timer;

inline constexpr u64 kPatience = 5;  // seconds

inline constinit std::atomic<u32> started{0};  ///< secondary CPUs that run
inline constinit std::atomic<u32> ipis{0};     ///< kicks that have arrived
inline constinit std::atomic<u32> timer_interrupts{0};
inline constinit std::atomic<void (*)()> errand{nullptr};  ///< what a CPU runs when a kick comes

/// Sends CPU `index` the inter-processor interrupt whose handler counts it in `ipis` and then runs the errand. The platform's.
void kick(unsigned index);
/// The instruction for it. The platform's.
void breakpoint();

inline void expect(bool condition, const char* what) {
  if (!condition) platform::panic(what);
}

template <class T>
void expect(const Result<T>& result, const char* what) {
  if (result) return;
  log::print_line("selftest: {}: {}", std::string_view(what), result.error());
  platform::panic(what);
}

/// Takes interrupts meanwhile.
template <class Condition>
void wait_for(Condition condition, const char* what) {
  const u64 deadline = timer::now() + kPatience * timer::frequency();
  while (!condition()) {
    expect(timer::now() < deadline, what);
    arch::take_pending_interrupts();
  }
}

inline bool is_mapped(u64 address) { return platform::translate(Hva(address)).has_value(); }
inline bool is_mapped(const char* symbol) { return is_mapped(platform::address_of(symbol).value()); }

inline void print_ranges(const MachineInfo& machine) {
  for (const HpaRange& ram : machine.ram) log::print_line("RAM {:#x}..{:#x}", ram.base, ram.end());
  for (const HpaRange& range : machine.reserved) log::print_line("reserved {:#x}..{:#x}", range.base, range.end());
}

/// No leaf may be writable and executable, text is the only executable range, and the pages below the boot CPU's stacks and the
/// first one are holes.
inline void check_memory_map(const MachineInfo& machine, std::span<const char* const> guards) {
  u64 executable = 0, writable = 0, device = 0, leaves = 0;
  const HpaRange tree{platform::address_of(machine.fdt.data()), machine.fdt.size()};
  platform::walk_memory_map([&](const mm::MappedLeaf<Hva>& leaf) {
    expect(!(leaf.attributes.write && leaf.attributes.execute), "a leaf is writable and executable");
    expect(leaf.range.base.value() == leaf.target.value() || leaf.range.base.value() >= platform::StackWindow::kBase,
           "a leaf outside the stack window is not an identity map");
    expect(!HpaRange{leaf.target, leaf.range.size}.overlaps(tree) || !leaf.attributes.write, "the device tree is writable");
    ++leaves;
    executable += leaf.attributes.execute ? leaf.range.size : 0;
    writable += leaf.attributes.write ? leaf.range.size : 0;
    device += leaf.attributes.type == mm::MemoryType::Device ? leaf.range.size : 0;
  });
  log::print_line("memory map: {} leaves, executable {:#x}, writable {:#x}, device {:#x} bytes", leaves, executable, writable,
                  device);
  expect(executable == static_cast<u64>(__text_end - __image_start), "something besides the text is executable");
  for (const char* guard : guards) expect(!is_mapped(guard), "the guard page of a stack of the boot CPU is mapped");
  expect(!is_mapped(u64{0}), "page 0 is mapped");
}

/// The last page of each range of RAM holds what is written to it.
inline void check_memory(const MachineInfo& machine) {
  for (const HpaRange& ram : machine.ram) {
    const Hpa page = ram.end() - kPageSize;
    if (!platform::frames().lock()->allocate_at({page, kPageSize}, mm::Owner::host())) continue;  // somebody's, or reserved
    volatile u64* const word = reinterpret_cast<volatile u64*>(page.value());
    *word = page.value();
    expect(*word == page.value(), "memory does not keep its contents");
    platform::frames().lock()->free({page, kPageSize}, mm::Owner::host());
  }
}

/// A stack has a hole below it, works, and leaves nothing behind.
inline void check_stacks() {
  const u64 free_before = platform::frames().lock()->free_bytes();
  constexpr u64 kSize = 3 * kPageSize;
  const Result<Hva> first = platform::allocate_stack(kSize);
  expect(first, "no stack");
  platform::free_stack(*first, kSize);
  // Tables of the window stay as long as it is used at all, so the count is compared from the second time on.
  const u64 free_between = platform::frames().lock()->free_bytes();
  const Result<Hva> top = platform::allocate_stack(kSize);
  expect(top, "no second stack");
  *reinterpret_cast<volatile u64*>((*top - kSize).value()) = 1;
  expect(!is_mapped((*top - kSize - 1).value()), "a stack has no guard page");
  platform::free_stack(*top, kSize);
  expect(!is_mapped((*top - 1).value()), "a freed stack is still mapped");
  expect(platform::frames().lock()->free_bytes() == free_between, "stacks leak frames");
  expect(platform::allocate_stack(platform::StackWindow::kLargestStack + 1).error() == Error::InvalidArgument,
         "a stack that does not fit was accepted");
  log::print_line("stacks: free memory {:#x} before, {:#x} after", free_before, free_between);
}

/// Interrupts of the timer have to be on.
inline void check_timer() {
  const u64 start = timer::now();
  timer::set_deadline(start + timer::frequency() / 1000);
  wait_for([] { return timer_interrupts == 1; }, "no timer interrupt");
  expect(timer::now() - start >= timer::frequency() / 1000, "the timer interrupt came early");
  timer::set_deadline(0);
  wait_for([] { return timer_interrupts == 2; }, "a deadline that has passed raised no interrupt");
  // Far enough away that it is cancelled in time, however busy the machine is that emulates this one.
  const u64 cancelled = timer::now() + timer::frequency() / 2;
  timer::set_deadline(cancelled);
  timer::cancel_deadline();
  const u64 patience = cancelled + timer::frequency() / 100;
  wait_for([&] { return timer::now() > patience; }, "time stands still");
  expect(timer_interrupts == 2, "a cancelled deadline raised an interrupt");
}

inline void start_secondaries(const MachineInfo& machine, Result<void> (*start)(unsigned) = platform::start_cpu) {
  u32 expected = 0;
  for (unsigned i = 1; i < machine.cpus.size() && i < board::kMaxCpus; ++i) {
    expect(start(i), "start_cpu");
    ++expected;
    wait_for([&] { return started == expected; }, "a secondary CPU did not start");
  }
  expect(platform::start_cpu(0).error() == Error::InvalidArgument, "the boot CPU was started again");
  if (expected != 0) expect(platform::start_cpu(1).error() == Error::AlreadyExists, "a running CPU was started again");
  for (unsigned i = 1; i <= expected; ++i) {
    kick(i);
    wait_for([&] { return ipis == i; }, "an inter-processor interrupt was lost");
  }
  log::print_line("CPUs: {} started, {} inter-processor interrupts", expected + 1, ipis.load());
}

inline constinit std::atomic<u64> shared_address{0};
inline constinit std::atomic<u64> seen_value{0};

/// What another CPU reads at `address`.
inline u64 read_elsewhere(unsigned index, Hva address) {
  seen_value = 0;
  shared_address = address.value();
  errand = [] { seen_value = *reinterpret_cast<const volatile u64*>(shared_address.load()); };
  kick(index);
  wait_for([] { return seen_value != 0; }, "another CPU did not answer");
  errand = nullptr;
  return seen_value;
}

/// A CPU that knows an address must not go on using the frame behind it when it leads to another one.
inline void check_invalidation() {
  if (started == 0) return;
  const auto make = [](u64 value) {
    const Result<Hva> top = platform::allocate_stack(kPageSize);
    expect(top, "no stack");
    *reinterpret_cast<volatile u64*>((*top - sizeof(u64)).value()) = value;
    return *top;
  };
  const Hva first = make(1);
  const Hpa first_frame = platform::translate(first - kPageSize)->address;
  expect(read_elsewhere(1, first - sizeof(u64)) == 1, "another CPU reads something else");
  platform::free_stack(first, kPageSize);
  expect(platform::frames().lock()->allocate_at({first_frame, kPageSize}, mm::Owner::host()), "a freed frame is not free");
  const Hva second = make(2);
  expect(first == second, "the place of a freed stack is not used again");
  expect(read_elsewhere(1, second - sizeof(u64)) == 2, "another CPU kept a translation that is gone");
  platform::free_stack(second, kPageSize);
  platform::frames().lock()->free({first_frame, kPageSize}, mm::Owner::host());
}

/// For handlers of the kick. The interrupt has been acknowledged.
inline void take_kick() {
  ipis.fetch_add(1);
  if (void (*const run)() = errand.load()) run();
}

/// Says hello and takes interrupts for ever.
[[noreturn]] inline void run_secondary(unsigned index) {
  const percpu::PerCpu& cpu = percpu::this_cpu();
  expect(is_mapped(cpu.stack_top - 1) && !is_mapped(cpu.stack_top - cpu.stack_size - 1), "a secondary CPU's stack has no guard");
  log::print_line("CPU {} runs, hardware id {:#x}", index, cpu.hardware_id);
  started.fetch_add(1);
  for (;;) {
    arch::wait_for_interrupt();
    arch::take_pending_interrupts();
  }
}

// ---- deliberate deaths ----

struct Death {
  std::string_view option;
  void (*die)();
};

[[gnu::noinline]] inline u64 recurse(u64 depth) {
  volatile u64 local[32] = {depth};
  return depth == 0 ? 0 : recurse(depth + 1) + local[depth % 32];
}

inline constexpr Death kDeaths[] = {
    {"selftest=overflow", [] { static_cast<void>(recurse(1)); }},
    {"selftest=abort", [] { *reinterpret_cast<volatile u64*>(platform::StackWindow::kBase - kPageSize) = 1; }},
    {"selftest=panic", [] { platform::panic("asked for on the command line"); }},
    {"selftest=brk", breakpoint},
    {"selftest=text", [] { *const_cast<volatile char*>(__image_start) = 0; }},
    {"selftest=execute", [] { reinterpret_cast<void (*)()>(reinterpret_cast<u64>(&started))(); }},
    {"selftest=check", [] { AX_CHECK(ipis == ~u32{0}); }},
    {"selftest=reset",
     [] {
       log::print_line("selftest: resetting");
       platform::reset();
     }},
};

/// Dies on the last CPU, so that with several of them the report has to stop others.
inline void die_if_asked(std::string_view command_line) {
  for (const Death& death : kDeaths) {
    if (command_line.find(death.option) == std::string_view::npos) continue;
    if (started == 0) {
      death.die();
    } else {
      errand = death.die;
      kick(started);
      wait_for([] { return false; }, "the other CPU survived");
    }
    log::print_line("selftest: survived {}", death.option);
    platform::power_off();
  }
}

}  // namespace ax::selftest
