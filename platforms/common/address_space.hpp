// The live tables of the host and what is handed out of them.
#pragma once

#include "kernel/base/check.hpp"
#include "kernel/mm/page_table.hpp"
#include "kernel/mm/user_pages.hpp"
#include "platforms/common/ranges.hpp"
#include "platforms/platform.hpp"

namespace ax::platform {

/// The address space that all CPUs share. `Table` is a mm::PageTable, `Stacks` a StackPlaces.
template <class Table, class Stacks>
class AddressSpace {
 public:
  /// Before other CPUs run.
  void adopt(const Table& table) { content_.without_lock().table = table; }
  Table& early_table() { return content_.without_lock().table; }

  /// See map_device() and map_memory() in platforms/platform.hpp.
  Result<void> map_identity(LockedFrames& frames, HpaRange range, mm::PageAttributes attributes) {
    if (!range.fits()) return fail(Error::OutOfRange);
    const auto content = content_.lock();
    const HpaRange pages = whole_pages_around(range);
    return change(frames, *content, [&](Table& table, mm::OwnedTables& source) {
      return table.map(source, identity(pages), pages.base, attributes);
    });
  }

  /// See map_pages(), unmap_pages() and protect_pages() in platforms/platform.hpp.
  Result<void> map(LockedFrames& frames, Range<Hva> where, Hpa target, mm::PageAttributes attributes) {
    const auto content = content_.lock();
    return change(frames, *content,
                  [&](Table& table, mm::OwnedTables& source) { return table.map(source, where, target, attributes); });
  }
  Result<void> unmap(LockedFrames& frames, Range<Hva> where) {
    const auto content = content_.lock();
    return change(frames, *content, [&](Table& table, mm::OwnedTables& source) { return table.unmap(source, where); });
  }
  Result<void> protect(LockedFrames& frames, Range<Hva> where, mm::PageAttributes attributes) {
    const auto content = content_.lock();
    return change(frames, *content,
                  [&](Table& table, mm::OwnedTables& source) { return table.protect(source, where, attributes); });
  }

  /// Opens pages to user mode: kernel/mm/user_pages.hpp. Not every format can.
  Result<void> open_to_user(LockedFrames& frames, Range<Hva> where, mm::PageAttributes attributes) {
    const auto content = content_.lock();
    return change(frames, *content, [&](Table& table, mm::OwnedTables& source) {
      return mm::open_to_user(table.format(), table.tlb(), table.root(), source, where, attributes);
    });
  }

  Result<Hva> allocate_stack(LockedFrames& frames, u64 size) {
    if (size == 0 || size > Stacks::kLargestStack) return fail(Error::InvalidArgument);
    const u64 bytes = align_up(size, kPageSize);
    const HpaRange memory = TRY(frames.lock()->allocate(bytes, mm::Owner::host()));
    const auto content = content_.lock();
    const Result<Hva> top = content->stacks.take();
    Result<void> mapped = top ? Result<void>{} : fail(top.error());
    if (top) {
      mapped = change(frames, *content, [&](Table& table, mm::OwnedTables& source) {
        return table.map(source, {*top - bytes, bytes}, memory.base, mm::kReadWrite);
      });
    }
    if (mapped) return *top;
    if (top) content->stacks.give_back(*top);
    frames.lock()->free(memory, mm::Owner::host());
    return fail(mapped.error());
  }

  void free_stack(LockedFrames& frames, Hva top, u64 size) {
    const u64 bytes = align_up(size, kPageSize);
    const auto content = content_.lock();
    const auto stack = content->table.translate(top - bytes);
    AX_CHECK(stack.has_value());
    const Result<void> unmapped = change(frames, *content, [&](Table& table, mm::OwnedTables& source) {
      return table.unmap(source, {top - bytes, bytes});
    });
    AX_CHECK(unmapped.has_value());  // stacks are mapped page by page or whole: nothing is split
    content->stacks.give_back(top);
    frames.lock()->free({stack->address, bytes}, mm::Owner::host());
  }

  /// Calls visit(mm::MappedLeaf<Hva>) for every leaf, by rising address.
  template <class Visit>
  void walk(Visit visit) {
    content_.lock()->table.walk(visit);
  }

  /// Where the live tables lead; nothing where nothing is mapped.
  std::optional<mm::Translation> translate(Hva address) { return content_.lock()->table.translate(address); }

 private:
  struct Content {
    Table table{{}, {}, Hpa()};
    Stacks stacks{};
  };

  /// Runs `action(table, source)`; new tables come out of free frames.
  template <class Action>
  static Result<void> change(LockedFrames& frames, Content& content, Action action) {
    const auto guard = frames.lock();
    mm::OwnedTables source(*guard, mm::Owner::host());
    return action(content.table, source);
  }

  Locked<Content, LockRank::HostPageTable> content_{};
};

}  // namespace ax::platform
