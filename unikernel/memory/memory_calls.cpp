// The service `memory`: mmap() and what belongs to it, brk().
#include <utility>

#include "platforms/platform.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/memory/file_pages.hpp"
#include "unikernel/memory/program_memory.hpp"

namespace ax::uni {
namespace {

constinit FilePages file_pages = nullptr;

enum MapFlag : u64 { kShared = 1, kFixed = 0x10, kAnonymous = 0x20, kFixedNoReplace = 0x10'0000 };

constexpr bool aligned(u64 value) { return is_aligned(value, kPageSize); }

i64 address_or_error(const Result<Hva>& result) { return result ? static_cast<i64>(result->value()) : to_errno(result.error()); }
i64 zero_or_error(const Result<void>& result) { return result ? 0 : to_errno(result.error()); }

/// A copy of a part of a file: the mapping is private, or nothing is ever written to it.
i64 map_file(u64 size, Hva hint, bool fixed, u8 protection, i64 file, u64 offset) {
  if (file_pages == nullptr) return kBadFile;
  auto where = Result<Hva>(hint);
  {
    const auto memory = program_memory().lock();
    if (fixed) {
      const Result<void> mapped = memory->map_fixed({hint, size}, kRead | kWrite);
      if (!mapped) return to_errno(mapped.error());
    } else {
      where = memory->map(size, hint, kRead | kWrite);
    }
  }
  if (!where) return to_errno(where.error());
  const i64 read = file_pages(file, offset, {reinterpret_cast<char*>(where->value()), size});
  const auto memory = program_memory().lock();
  const Result<void> finished = read < 0 ? memory->unmap({*where, size}) : memory->protect({*where, size}, protection);
  if (read < 0) return read;
  return finished ? static_cast<i64>(where->value()) : to_errno(finished.error());
}

i64 map(u64 address, u64 size, u64 protection, u64 flags, i64 file, u64 offset) {
  if (size == 0 || !aligned(offset)) return kInvalid;
  if (size > ProgramMemory::kWindow.size) return kNoMemory;
  const bool fixed = (flags & (kFixed | kFixedNoReplace)) != 0;
  if (fixed && !aligned(address)) return kInvalid;
  const u64 bytes = align_up(size, kPageSize);
  const u8 access = static_cast<u8>(protection & (kRead | kWrite | kExecute));
  if ((flags & kAnonymous) == 0) {
    if ((flags & kShared) != 0 && (access & kWrite) != 0) return kNotSupported;
    return map_file(bytes, Hva(address), fixed, access, file, offset);
  }
  const auto memory = program_memory().lock();
  if (!fixed) return address_or_error(memory->map(bytes, Hva(align_down(address, kPageSize)), access));
  const Result<void> mapped = memory->map_fixed({Hva(address), bytes}, access);
  return mapped ? static_cast<i64>(address) : to_errno(mapped.error());
}

i64 unmap(u64 address, u64 size) {
  if (!aligned(address) || size == 0) return kInvalid;
  return zero_or_error(program_memory().lock()->unmap({Hva(address), align_up(size, kPageSize)}));
}

i64 protect(u64 address, u64 size, u64 protection) {
  if (!aligned(address)) return kInvalid;
  if (size == 0) return 0;
  const u8 access = static_cast<u8>(protection & (kRead | kWrite | kExecute));
  const Result<void> result = program_memory().lock()->protect({Hva(address), align_up(size, kPageSize)}, access);
  return !result && result.error() == Error::NotFound ? kNoMemory : zero_or_error(result);
}

i64 remap(u64 address, u64 old_size, u64 size, u64 flags) {
  constexpr u64 kMayMove = 1;
  if (!aligned(address) || old_size == 0 || size == 0 || (flags & ~kMayMove) != 0) return kInvalid;
  const Range<Hva> old{Hva(address), align_up(old_size, kPageSize)};
  // C libraries find the end of the first stack like this.
  if (!ProgramMemory::kWindow.contains(old)) return platform::physical_address(old.base) ? kNoMemory : kFault;
  return address_or_error(program_memory().lock()->resize(old, align_up(size, kPageSize), (flags & kMayMove) != 0));
}

i64 advise(u64 address, u64 size, u64 advice) {
  constexpr u64 kDontNeed = 4;
  if (!aligned(address)) return kInvalid;
  return advice == kDontNeed ? zero_or_error(program_memory().lock()->forget({Hva(address), align_up(size, kPageSize)})) : 0;
}

/// The heap's end stays where it is: C libraries then take mmap(), which serves the same purpose.
i64 set_break() { return 0; }

struct MemoryState {
  i64 uptime;
  u64 loads[3];
  u64 total, free, shared, buffers, total_swap, free_swap;
  u16 processes;
  u64 total_high, free_high;
  u32 unit;
};

i64 describe_system(MemoryState* state) {
  const auto memory = program_memory().lock();
  *state = {};
  state->total = memory->total_bytes();
  state->free = memory->free_bytes();
  state->processes = 1;
  state->unit = 1;
  return 0;
}

i64 nothing() { return 0; }

void start() {
  const Result<void> result = program_memory().lock()->take_memory_over();
  if (!result) stop_program("there is not enough memory for the program");
  platform::set_guard_test([](u64 address) { return program_memory().without_lock().is_guard(Hva(address)); });
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_mmap, system_call<map>},       {AX_NR_munmap, system_call<unmap>},   {AX_NR_mprotect, system_call<protect>},
    {AX_NR_mremap, system_call<remap>},   {AX_NR_madvise, system_call<advise>}, {AX_NR_brk, system_call<set_break>},
    {AX_NR_mlock, system_call<nothing>},  {AX_NR_munlock, system_call<nothing>},
    {AX_NR_sysinfo, system_call<describe_system>},
};

}  // namespace

void set_file_pages(FilePages read) { file_pages = read; }

}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_memory{"memory", ax::uni::kCalls, ax::uni::start};
