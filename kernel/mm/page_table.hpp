// Page tables of any format: map, unmap, protect, translate, walk, destroy.
//
// A table is described by its *height*: 0 holds 4 KiB pages, 1 holds 2 MiB leaves, 2 holds 1 GiB leaves (Arm calls them
// levels 3, 2, 1; the x86 manuals PT, PD, PDPT). Everything that differs between architectures is in three policies:
// the Format encodes entries, the TlbPolicy orders stores and invalidates TLBs, the TableMemory reaches the tables.
#pragma once

#include <algorithm>
#include <concepts>
#include <optional>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"
#include "kernel/mm/page_attributes.hpp"
#include "kernel/mm/table_memory.hpp"

namespace ax::mm {

/// Encodes and decodes the entries of one kind of translation table. An entry of 0 is invalid and means "not mapped".
/// A page-aligned address, taken as an entry, must be invalid too.
template <class F>
concept PageTableFormat = requires(const F format, u64 entry, unsigned height, Hpa address, PageAttributes attributes) {
  typename F::Address;                                          // what is translated: Hva or Gpa
  { format.input_bits() } -> std::same_as<unsigned>;            // addresses below 2^input_bits can be mapped
  { format.output_bits() } -> std::same_as<unsigned>;           // and lead to addresses below 2^output_bits
  { format.root_height() } -> std::same_as<unsigned>;
  { format.largest_leaf_height() } -> std::same_as<unsigned>;
  { format.can_express(attributes) } -> std::same_as<bool>;
  { format.leaf(address, attributes, height) } -> std::same_as<u64>;
  { format.table(address) } -> std::same_as<u64>;
  { format.is_valid(entry) } -> std::same_as<bool>;
  { format.is_leaf(entry, height) } -> std::same_as<bool>;      // of a valid entry
  { format.output(entry) } -> std::same_as<Hpa>;                // of a leaf, a table entry, or a broken leaf
  { format.attributes(entry) } -> std::same_as<PageAttributes>; // of a leaf
  { format.broken(entry) } -> std::same_as<u64>;                // the leaf made invalid, its output kept
  { format.needs_break(entry, entry) } -> std::same_as<bool>;   // old leaf -> new leaf must go through an invalid entry
};

/// What a table asks of the CPU around its stores. An object of this type belongs to one translation context (the
/// hypervisor's own, or one VM's).
template <class T>
concept TlbPolicy = requires(T& tlb, typename T::Address address) {
  tlb.order_table_stores();   // stores to a new table are observed by every walker before the store that links it
  tlb.publish();              // entries that became valid are used by later accesses of this CPU, and by others
  tlb.begin_invalidation();   // stores that made entries invalid are observed by every walker
  tlb.invalidate(address);    // one leaf, and what is cached of the walk to it, on all CPUs
  tlb.invalidate_all();       // the whole context, on all CPUs
  tlb.end_invalidation();     // the invalidation has finished on all CPUs
};

/// Where one address leads.
struct Translation {
  Hpa address{};
  PageAttributes attributes{};
  u64 bytes_left = 0;  ///< from the address to the end of its leaf
};

/// One leaf as walk() shows it.
template <class Address>
struct MappedLeaf {
  Range<Address> range{};
  Hpa target{};
  PageAttributes attributes{};
};

/// A translation table under `root`, which the caller allocates (zeroed, aligned to its size, `root_size()` bytes) and
/// frees. Tables below the root come from the source that each operation is given, and go back to the one that unmap or
/// destroy is given.
///
/// Every operation either succeeds or fails without any effect: what it needs is checked and reserved first, and what
/// follows cannot fail. Ranges are page aligned. Operations on one table must not run at the same time: the owner holds
/// its lock, which ranks above that of the source. No operation allocates anything else; the stack depth is bounded.
///
/// Splitting a leaf makes the range of that leaf fault for a moment (break-before-make, Arm ARM D8.14): a table must not
/// be asked to split a leaf that holds the code, the stack or the tables of the CPU that splits it. Map what will be
/// changed later with `largest_leaf = kPageSize`. Leaves are never merged again.
template <PageTableFormat Format, TlbPolicy Tlb, TableMemory Memory = IdentityTableMemory>
class PageTable {
 public:
  using Address = typename Format::Address;
  using AddressRange = Range<Address>;
  static constexpr u64 kAnyLeaf = ~u64{0};

  constexpr PageTable(Format format, Tlb tlb, Hpa root, Memory memory = {})
      : format_(format), tlb_(tlb), memory_(memory), root_(root) {}

  const Format& format() const { return format_; }
  Hpa root() const { return root_; }
  Tlb& tlb() { return tlb_; }
  /// Bytes of the root table: more than a page when root tables are concatenated.
  u64 root_size() const { return std::max(root_entries() * kTableEntrySize, kPageSize); }

  /// Maps `range` to [target, target + range.size), with leaves as large as alignment and `largest_leaf` (bytes) allow.
  /// Parts that are mapped to the same place with the same attributes already are left as they are.
  /// Errors: Unaligned, OutOfRange, InvalidArgument (attributes the format cannot express), AlreadyExists (something else
  /// is mapped there), OutOfMemory.
  template <TableSource Source>
  Result<void> map(Source& source, AddressRange range, Hpa target, PageAttributes attributes, u64 largest_leaf = kAnyLeaf) {
    TRY(check(range));
    TRY(check_output(target, range.size));
    if (!format_.can_express(attributes)) return fail(Error::InvalidArgument);
    const Mapping mapping{range.base.value(), target, attributes, largest_leaf};
    const Interval all = interval(range);
    const usize needed = TRY(tables_to_map(root_, format_.root_height(), all, mapping));
    TableChain reserve;
    TRY(reserve_tables(source, needed, reserve));
    map_in(root_, format_.root_height(), all, mapping, reserve);
    tlb_.publish();
    return {};
  }

  /// Unmaps what is mapped of `range`; frees tables that become empty. When it returns no CPU uses the old mapping.
  /// Errors: Unaligned, OutOfRange, OutOfMemory (a leaf had to be split).
  template <TableSource Source>
  Result<void> unmap(Source& source, AddressRange range) {
    TRY(check(range));
    return change(source, range, Change{.remove = true, .attributes = {}});
  }

  /// Takes back what map() did for the same range: leaves that it has only a part of stay. All tables stay, too, even empty ones, until destroy(): for a context whose tables may
  /// still be walked, and whose ranges all go this way. Errors: Unaligned, OutOfRange.
  Result<void> remove(AddressRange range) {
    TRY(check(range));
    remove_in(root_, format_.root_height(), interval(range));
    tlb_.begin_invalidation();
    tlb_.invalidate_all();
    tlb_.end_invalidation();
    return {};
  }

  /// Gives all of `range` new attributes. Permissions change in place; a new memory type goes through an invalid entry.
  /// Errors: Unaligned, OutOfRange, InvalidArgument, NotFound (part of the range is not mapped), OutOfMemory.
  template <TableSource Source>
  Result<void> protect(Source& source, AddressRange range, PageAttributes attributes) {
    TRY(check(range));
    if (!format_.can_express(attributes)) return fail(Error::InvalidArgument);
    return change(source, range, Change{.remove = false, .attributes = attributes});
  }

  /// Where `address` leads, or nothing when it is not mapped.
  std::optional<Translation> translate(Address address) const {
    const u64 at = address.value();
    if (at >> format_.input_bits() != 0) return std::nullopt;
    Hpa table = root_;
    for (unsigned height = format_.root_height();; --height) {
      const u64 entry = memory_.read(slot(table, height, at));
      if (!format_.is_valid(entry)) return std::nullopt;
      if (format_.is_leaf(entry, height)) {
        const u64 offset = at & (span(height) - 1);
        return Translation{format_.output(entry) + offset, format_.attributes(entry), span(height) - offset};
      }
      table = format_.output(entry);
    }
  }

  /// Calls `visit(MappedLeaf<Address>)` for every leaf, in ascending order of address.
  template <class Visitor>
  void walk(Visitor&& visit) const {
    walk_in(root_, format_.root_height(), Interval{0, u64{1} << format_.input_bits()}, visit);
  }

  /// Unmaps everything and frees every table but the root, which is left empty. No CPU may be using the context, so that
  /// nothing faults; the TLBs are cleaned of it before any table is freed.
  template <TableSource Source>
  void destroy(Source& source) {
    TableChain garbage;
    for (usize index = 0; index < root_entries(); ++index) {
      const Hpa at = root_ + index * kTableEntrySize;
      const u64 entry = memory_.read(at);
      if (entry == 0) continue;
      if (!format_.is_leaf(entry, format_.root_height())) collect_tables(format_.output(entry), format_.root_height() - 1, garbage);
      memory_.write(at, 0);
    }
    tlb_.begin_invalidation();
    tlb_.invalidate_all();
    tlb_.end_invalidation();
    free_tables(source, garbage);
  }

 private:
  static constexpr unsigned kIndexBits = 9;
  /// Above this many leaves, invalidating the whole context is cheaper than one leaf after the other.
  static constexpr usize kMaxSingleInvalidations = 32;

  /// Half-open, never empty where a function takes one.
  struct Interval {
    u64 begin;
    u64 end;
  };

  struct Mapping {
    u64 begin;
    Hpa target;
    PageAttributes attributes;
    u64 largest_leaf;

    Hpa target_of(u64 at) const { return target + (at - begin); }
  };

  struct Change {
    bool remove;
    PageAttributes attributes;
  };

  /// Unlinked tables, strung together through their first entries.
  struct TableChain {
    Hpa head{};
    usize count = 0;
  };

  struct Invalidations {
    u64 addresses[kMaxSingleInvalidations];
    usize count = 0;  ///< may exceed what `addresses` holds

    void add(u64 address) {
      if (count < kMaxSingleInvalidations) addresses[count] = address;
      ++count;
    }
  };

  struct ChangeState {
    TableChain reserve{};
    TableChain garbage{};
    Invalidations invalidations{};
    bool has_broken_leaves = false;
  };

  static constexpr unsigned shift(unsigned height) { return kPageShift + kIndexBits * height; }
  static constexpr u64 span(unsigned height) { return u64{1} << shift(height); }
  static Interval interval(AddressRange range) { return {range.base.value(), range.end().value()}; }

  /// The part of `rest` that one entry of a table of `height` translates: up to the entry's end.
  static Interval first_entry(Interval rest, unsigned height) {
    return {rest.begin, std::min(rest.end, align_down(rest.begin, span(height)) + span(height))};
  }
  static bool is_whole_entry(Interval part, unsigned height) { return part.end - part.begin == span(height); }

  u64 root_entries() const { return u64{1} << (format_.input_bits() - shift(format_.root_height())); }

  Hpa slot(Hpa table, unsigned height, u64 at) const {
    const u64 index = at >> shift(height);
    return table + (height == format_.root_height() ? index : index & (kTableEntries - 1)) * kTableEntrySize;
  }

  Result<void> check(AddressRange range) const {
    if (!range.base.is_aligned(kPageSize) || !is_aligned(range.size, kPageSize)) return fail(Error::Unaligned);
    const u64 limit = u64{1} << format_.input_bits();
    if (range.empty() || range.base.value() >= limit || range.size > limit - range.base.value()) return fail(Error::OutOfRange);
    return {};
  }

  Result<void> check_output(Hpa target, u64 size) const {
    if (!target.is_aligned(kPageSize)) return fail(Error::Unaligned);
    const u64 limit = u64{1} << format_.output_bits();
    if (target.value() >= limit || size > limit - target.value()) return fail(Error::OutOfRange);
    return {};
  }

  // ---- tables in reserve, and tables to be freed ----

  void push(TableChain& chain, Hpa table) {
    // A page-aligned address is an invalid entry: harmless even for a walker that still reads this table.
    memory_.prepare(table, chain.head.value());
    chain.head = table;
    ++chain.count;
  }

  Hpa pop(TableChain& chain) {
    const Hpa table = chain.head;
    chain.head = Hpa(memory_.read(table));
    --chain.count;
    memory_.prepare(table, 0);
    return table;
  }

  template <TableSource Source>
  void free_tables(Source& source, TableChain& chain) {
    while (chain.count != 0) source.free_table(pop(chain));
  }

  template <TableSource Source>
  Result<void> reserve_tables(Source& source, usize count, TableChain& chain) {
    while (chain.count < count) {
      const Result<Hpa> table = source.allocate_table();
      if (!table) {
        free_tables(source, chain);
        return fail(table.error());
      }
      memory_.clear(*table);
      push(chain, *table);
    }
    return {};
  }

  // ---- map ----

  bool leaf_fits(Interval part, unsigned height, const Mapping& mapping) const {
    return height <= format_.largest_leaf_height() && span(height) <= std::max(mapping.largest_leaf, kPageSize) &&
           is_whole_entry(part, height) && mapping.target_of(part.begin).is_aligned(span(height));
  }

  bool is_same_mapping(u64 entry, unsigned height, u64 at, const Mapping& mapping) const {
    return format_.output(entry) + (at & (span(height) - 1)) == mapping.target_of(at) &&
           format_.attributes(entry) == mapping.attributes;
  }

  /// Tables that map_in() will take for the same arguments; `table` is nothing where there is no table yet.
  Result<usize> tables_to_map(std::optional<Hpa> table, unsigned height, Interval rest, const Mapping& mapping) const {
    usize count = 0;
    if (!table && height == 0) return count;
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const u64 entry = table ? memory_.read(slot(*table, height, part.begin)) : 0;
      if (entry == 0 && leaf_fits(part, height, mapping)) continue;
      if (entry != 0 && format_.is_leaf(entry, height)) {
        if (!is_same_mapping(entry, height, part.begin, mapping)) return fail(Error::AlreadyExists);
        continue;
      }
      count += entry == 0 ? 1 : 0;
      const std::optional<Hpa> next = entry == 0 ? std::nullopt : std::optional(format_.output(entry));
      count += TRY(tables_to_map(next, height - 1, part, mapping));
    }
    return count;
  }

  void map_in(Hpa table, unsigned height, Interval rest, const Mapping& mapping, TableChain& reserve) {
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const Hpa at = slot(table, height, part.begin);
      u64 entry = memory_.read(at);
      if (entry == 0 && leaf_fits(part, height, mapping)) {
        memory_.write(at, format_.leaf(mapping.target_of(part.begin), mapping.attributes, height));
        continue;
      }
      if (entry != 0 && format_.is_leaf(entry, height)) continue;
      if (entry == 0) {
        entry = format_.table(pop(reserve));
        tlb_.order_table_stores();
        memory_.write(at, entry);
      }
      map_in(format_.output(entry), height - 1, part, mapping, reserve);
    }
  }

  void remove_in(Hpa table, unsigned height, Interval rest) {
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const Hpa at = slot(table, height, part.begin);
      const u64 entry = memory_.read(at);
      if (entry == 0) continue;
      if (!format_.is_leaf(entry, height)) remove_in(format_.output(entry), height - 1, part);
      else if (is_whole_entry(part, height)) memory_.write(at, 0);
    }
  }

  // ---- unmap and protect ----

  template <TableSource Source>
  Result<void> change(Source& source, AddressRange range, const Change& what) {
    const unsigned height = format_.root_height();
    const usize needed = TRY(tables_to_change(root_, height, interval(range), what));
    ChangeState state;
    TRY(reserve_tables(source, needed, state.reserve));
    change_in(root_, height, interval(range), what, state);
    if (state.invalidations.count == 0) return {};
    invalidate(state.invalidations);
    if (state.has_broken_leaves) make_broken_leaves(root_, height, interval(range), what.attributes);
    if (!what.remove) tlb_.publish();
    free_tables(source, state.garbage);
    return {};
  }

  /// Tables needed to cut a leaf of `height` so that `part` of it consists of whole leaves.
  static usize tables_to_cut(unsigned height, Interval part) {
    if (is_whole_entry(part, height)) return 0;
    const Interval first = first_entry(part, height - 1);
    usize count = 1 + tables_to_cut(height - 1, first);
    const u64 last_begin = align_down(part.end - 1, span(height - 1));
    if (last_begin >= first.end) count += tables_to_cut(height - 1, {last_begin, part.end});
    return count;
  }

  bool is_affected(u64 leaf, const Change& what) const { return what.remove || format_.attributes(leaf) != what.attributes; }

  /// Tables that change_in() will take for the same arguments.
  Result<usize> tables_to_change(Hpa table, unsigned height, Interval rest, const Change& what) const {
    usize count = 0;
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const u64 entry = memory_.read(slot(table, height, part.begin));
      if (entry == 0) {
        if (!what.remove) return fail(Error::NotFound);
      } else if (!format_.is_leaf(entry, height)) {
        count += TRY(tables_to_change(format_.output(entry), height - 1, part, what));
      } else if (is_affected(entry, what)) {
        count += tables_to_cut(height, part);
      }
    }
    return count;
  }

  void change_in(Hpa table, unsigned height, Interval rest, const Change& what, ChangeState& state) {
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const Hpa at = slot(table, height, part.begin);
      u64 entry = memory_.read(at);
      if (entry == 0) continue;
      if (format_.is_leaf(entry, height)) {
        if (!is_affected(entry, what)) continue;
        if (is_whole_entry(part, height)) {
          change_leaf(at, entry, height, part.begin, what, state);
          continue;
        }
        entry = split(at, entry, height, part.begin, state.reserve);
      }
      const Hpa child = format_.output(entry);
      change_in(child, height - 1, part, what, state);
      if (what.remove && (is_whole_entry(part, height) || is_empty(child))) {
        memory_.write(at, 0);
        // A table is only empty between operations where remove() is used: a leaf of it went just now, and the invalidation of that
        // leaf covers the cached walk to it.
        push(state.garbage, child);
      }
    }
  }

  void change_leaf(Hpa at, u64 old_leaf, unsigned height, u64 begin, const Change& what, ChangeState& state) {
    u64 new_leaf = 0;
    if (!what.remove) {
      new_leaf = format_.leaf(format_.output(old_leaf), what.attributes, height);
      if (format_.needs_break(old_leaf, new_leaf)) {
        new_leaf = format_.broken(old_leaf);
        state.has_broken_leaves = true;
      }
    }
    memory_.write(at, new_leaf);
    state.invalidations.add(begin);
  }

  /// The "make" of break-before-make, for all leaves that change_in() has broken.
  void make_broken_leaves(Hpa table, unsigned height, Interval rest, PageAttributes attributes) {
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const Hpa at = slot(table, height, part.begin);
      const u64 entry = memory_.read(at);
      if (!format_.is_valid(entry)) {
        memory_.write(at, format_.leaf(format_.output(entry), attributes, height));
      } else if (!format_.is_leaf(entry, height)) {
        make_broken_leaves(format_.output(entry), height - 1, part, attributes);
      }
    }
  }

  /// Replaces a leaf by a table that maps the same; returns the new entry.
  u64 split(Hpa at, u64 leaf, unsigned height, u64 begin, TableChain& reserve) {
    const Hpa table = pop(reserve);
    const PageAttributes attributes = format_.attributes(leaf);
    for (usize i = 0; i < kTableEntries; ++i) {
      memory_.prepare(table + i * kTableEntrySize,
                      format_.leaf(format_.output(leaf) + i * span(height - 1), attributes, height - 1));
    }
    memory_.write(at, 0);
    Invalidations one;
    one.add(align_down(begin, span(height)));
    invalidate(one);  // its barriers also order the stores above before the link
    const u64 entry = format_.table(table);
    memory_.write(at, entry);
    return entry;
  }

  bool is_empty(Hpa table) const {
    for (usize i = 0; i < kTableEntries; ++i) {
      if (memory_.read(table + i * kTableEntrySize) != 0) return false;
    }
    return true;
  }

  void invalidate(const Invalidations& what) {
    tlb_.begin_invalidation();
    if (what.count > kMaxSingleInvalidations) {
      tlb_.invalidate_all();
    } else {
      for (usize i = 0; i < what.count; ++i) tlb_.invalidate(Address(what.addresses[i]));
    }
    tlb_.end_invalidation();
  }

  // ---- walk and destroy ----

  template <class Visitor>
  void walk_in(Hpa table, unsigned height, Interval rest, Visitor& visit) const {
    while (rest.begin < rest.end) {
      const Interval part = first_entry(rest, height);
      rest.begin = part.end;
      const u64 entry = memory_.read(slot(table, height, part.begin));
      if (!format_.is_valid(entry)) continue;
      if (format_.is_leaf(entry, height)) {
        visit(MappedLeaf<Address>{{Address(part.begin), span(height)}, format_.output(entry), format_.attributes(entry)});
      } else {
        walk_in(format_.output(entry), height - 1, part, visit);
      }
    }
  }

  void collect_tables(Hpa table, unsigned height, TableChain& garbage) {
    for (usize i = 0; height != 0 && i < kTableEntries; ++i) {
      const u64 entry = memory_.read(table + i * kTableEntrySize);
      if (entry != 0 && !format_.is_leaf(entry, height)) collect_tables(format_.output(entry), height - 1, garbage);
    }
    push(garbage, table);
  }

  Format format_;
  Tlb tlb_;
  [[no_unique_address]] Memory memory_;
  Hpa root_;
};

}  // namespace ax::mm
