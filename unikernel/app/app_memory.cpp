// The memory of a ready-made program. What mmap() gives is mapped for the kernel first and opened to user mode at the first access:
// so nothing but this file knows of two modes.
#include <algorithm>
#include <root.hpp>
#include <utility>

#include "platforms/platform.hpp"
#include "unikernel/app/app.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/calls.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/waiting.hpp"
#include "unikernel/memory/program_memory.hpp"

namespace ax::uni {
namespace {

constexpr Range<Hva> kWindow = ProgramMemory::kWindow;
/// The last part of mmap()'s window: kernel stacks, one after the other.
constexpr Range<Hva> kStacks{kWindow.end() - 4_GiB, 4_GiB};
/// The heap begins in the middle, far from where mmap() searches first.
constexpr Range<Hva> kHeap{kWindow.base + kWindow.size / 2, kWindow.size / 2 - kStacks.size};

constinit u64 next_stack = 0;
constinit Mutex stacks_lock;

struct FixedPart {
  Range<Hva> range{};
  u8 protection = 0;
};
constinit StaticVector<FixedPart, 64> fixed_parts;
constinit u64 heap_end = kHeap.base.value();
constinit Mutex heap_lock;

mm::PageAttributes attributes_of(u8 protection) {
  return {.read = true, .write = (protection & kWrite) != 0, .execute = (protection & kExecute) != 0};
}

bool is_kernels(u64 address, u64 size) { return address + size > kStacks.base.value() || address + size < address; }

/// What the service `memory` answers a call with.
SystemCall original(u16 number) {
  for (const NumberedCall& call : ax_service_memory.calls) {
    if (call.number == number) return call.call;
  }
  return nullptr;
}
template <u16 Number>
i64 pass_on(u64 a, u64 b, u64 c, u64 d = 0, u64 e = 0, u64 f = 0) {
  return original(Number)(a, b, c, d, e, f);
}

bool meets_fixed(Range<Hva> range) {
  return std::ranges::any_of(fixed_parts, [&](const FixedPart& part) { return part.range.overlaps(range); });
}

i64 map(u64 address, u64 size, u64 protection, u64 flags, u64 file, u64 offset) {
  constexpr u64 kFixed = 0x10, kFixedNoReplace = 0x10'0000;
  if ((flags & (kFixed | kFixedNoReplace)) == 0 && is_kernels(address, size)) address = 0;
  if (is_kernels(address, size)) return kNoMemory;
  return pass_on<AX_NR_mmap>(address, size, protection, flags, file, offset);
}

i64 unmap(u64 address, u64 size) {
  const Range<Hva> range{Hva(address), align_up(size, kPageSize)};
  if (is_kernels(address, size)) return kInvalid;
  if (meets_fixed(range)) return 0;  // its memory stays
  return pass_on<AX_NR_munmap>(address, size, 0);
}

i64 protect(u64 address, u64 size, u64 protection) {
  const Range<Hva> range{Hva(address), align_up(size, kPageSize)};
  if (is_kernels(address, size)) return kNoMemory;
  if (!meets_fixed(range)) return pass_on<AX_NR_mprotect>(address, size, protection);
  if (!is_aligned(address, kPageSize)) return kInvalid;
  const u8 access = static_cast<u8>(protection & (kRead | kWrite | kExecute));
  const Result<void> result = access == kNoAccess ? platform::protect_pages(range, mm::kReadWrite) : open_pages(range, access);
  return result ? 0 : to_errno(result.error());
}

i64 remap(u64 address, u64 old_size, u64 size, u64 flags) {
  if (is_kernels(address, old_size) || is_kernels(0, size)) return kNoMemory;
  return pass_on<AX_NR_mremap>(address, old_size, size, flags);
}

i64 advise(u64 address, u64 size, u64 advice) {
  if (is_kernels(address, size)) return kNoMemory;
  return meets_fixed({Hva(address), size}) ? 0 : pass_on<AX_NR_madvise>(address, size, advice);
}

/// The heap grows by whole pages; what it gives back is unmapped.
i64 set_break(u64 wanted) {
  const MutexGuard guard(heap_lock);
  if (wanted < kHeap.base.value() || wanted > kHeap.end().value()) return static_cast<i64>(heap_end);
  const u64 now = align_up(heap_end, kPageSize), then = align_up(wanted, kPageSize);
  const auto memory = program_memory().lock();
  const Result<void> changed = then > now   ? memory->map_fixed({Hva(now), then - now}, kRead | kWrite)
                               : then < now ? memory->unmap({Hva(then), now - then})
                                            : Result<void>{};
  if (changed) heap_end = wanted;
  return static_cast<i64>(heap_end);
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_mmap, system_call<map>},     {AX_NR_munmap, system_call<unmap>},   {AX_NR_mprotect, system_call<protect>},
    {AX_NR_mremap, system_call<remap>}, {AX_NR_madvise, system_call<advise>}, {AX_NR_brk, system_call<set_break>},
};
constinit const ax_service guarded_memory{"guarded memory", kCalls, nullptr};

}  // namespace

Range<Hva> kernel_stack_range(Hva top) { return {top - kKernelStackSize, kKernelStackSize}; }

Result<Hva> make_kernel_stack() {
  constexpr u64 kPlaces = kStacks.size / kKernelStackSize;
  const MutexGuard guard(stacks_lock);
  for (u64 tries = 0; tries < kPlaces; ++tries) {
    const Range<Hva> place{kStacks.base + next_stack++ % kPlaces * kKernelStackSize, kKernelStackSize};
    const auto memory = program_memory().lock();
    if (!memory->is_unused(place)) continue;
    TRY(memory->map_fixed({place.base, kPageSize}, kNoAccess));
    const Result<void> mapped = memory->map_fixed({place.base + kPageSize, place.size - kPageSize}, kRead | kWrite);
    if (mapped) return place.end();
    static_cast<void>(memory->unmap(place));
    return fail(mapped.error());
  }
  return fail(Error::OutOfMemory);
}

Result<void> open_pages(Range<Hva> where, u8 protection) {
  platform::Root& root = platform::Root::instance();
  return root.space.open_to_user(root.frames, where, attributes_of(protection));
}

Result<void> add_fixed_part(Range<Hva> where, u8 protection) {
  TRY(fixed_parts.push_back({where, protection}));
  return open_pages(where, protection);
}

void take_memory_calls_over() {
  const ax_service* const services[] = {&guarded_memory};
  install_calls(services);
}

bool resolve_fault(const UserTrap& trap) {
  const Hva page = Hva(trap.address).align_down(kPageSize);
  if (!kWindow.contains(page) || kStacks.contains(page)) return false;
  const auto memory = program_memory().lock();
  const std::optional<ProgramMemory::Use> use = memory->use_of(page);
  const u8 needed = trap.execute ? kExecute : trap.write ? kWrite : kRead;
  // Who may write or execute may read.
  if (!use || use->protection == kNoAccess || (needed != kRead && (use->protection & needed) == 0)) return false;
  // To the end of its large page: what is far away may never be used.
  const Hva end = std::min(use->range.end(), page.align_down(2_MiB) + 2_MiB);
  const Hva base = std::max(use->range.base, page.align_down(2_MiB));
  return open_pages({base, end - base}, use->protection).has_value();
}

}  // namespace ax::uni
