#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"

#include <optional>

namespace hv {
namespace {

constexpr u64 kCr0WriteProtect = 1 << 16, kCr0Paging = u64{1} << 31;
constexpr u64 kCr4PageSizeExtension = 1 << 4, kCr4Pae = 1 << 5, kCr4FiveLevels = 1 << 12, kCr4Smep = 1 << 20,
              kCr4Smap = 1 << 21;
constexpr u64 kEferLongModeActive = 1 << 10, kEferNoExecute = 1 << 11;
constexpr u64 kRflagsAc = 1 << 18;

constexpr u64 kEntryPresent = 1 << 0, kEntryWrite = 1 << 1, kEntryUser = 1 << 2, kEntryAccessed = 1 << 5,
              kEntryDirty = 1 << 6, kEntryLarge = 1 << 7, kEntryNoExecute = u64{1} << 63;

constexpr u64 mask(unsigned bits) { return (u64{1} << bits) - 1; }
/// Bits [low, high).
constexpr u64 field(unsigned low, unsigned high) { return mask(high) & ~mask(low); }

/// One of the three formats.
struct Format {
  u8 levels;
  u8 index_bits;
  u8 entry_size;
};
constexpr Format kTwoLevels{2, 10, 4};
constexpr Format kPae{3, 9, 8};
constexpr Format kFourLevels{4, 9, 8};
constexpr unsigned kPaeTop = 3;       ///< the level of the four page-directory pointers
constexpr unsigned kAddressEnd = 52;  ///< above are bits for software, protection keys and XD
constexpr u64 kTableAddress = field(kPageShift, kAddressEnd);

class Walk {
 public:
  Walk(GuestMemory& memory, const PagingState& state, u64 linear, PageAccess access)
      : memory_(memory), state_(state), linear_(linear), access_(access), format_(format_of(state)) {}

  /// The walk of four levels in which nothing is out of the ordinary: no fault, and nothing to be marked. Empty: run()
  /// decides.
  std::optional<Gpa> run_fast(PageWalk* record) const {
    if (format_.levels != kFourLevels.levels) return std::nullopt;
    u64 table = state_.cr3, entry, all = ~u64{0}, any = 0;
    unsigned shift = kPageShift + kFourLevels.levels * kFourLevels.index_bits;
    u8 count = 0;
    do {
      shift -= kFourLevels.index_bits;
      const Gpa at((table & kTableAddress) + (linear_ >> shift & mask(kFourLevels.index_bits)) * sizeof(u64));
      const auto read = memory_.load(at, sizeof(u64));
      if (!read) return std::nullopt;
      if (record != nullptr) {
        record->at[count] = at;
        record->entry[count++] = *read;
      }
      entry = table = *read;
      all &= entry;
      any |= entry;
    } while (shift > kPageShift && (entry & (kEntryPresent | kEntryLarge)) == kEntryPresent);
    const u64 marks = kEntryPresent | kEntryAccessed;
    const bool unmarked = (all & marks) != marks || (access_ == PageAccess::Write && (entry & kEntryDirty) == 0);
    const unsigned level = 1 + (shift - kPageShift) / kFourLevels.index_bits;
    if (unmarked || (any & reserved(kFourLevels.levels - 1, false)) != 0 || (entry & reserved(level, true)) != 0)
      return std::nullopt;
    if (!permits(all, (any & kEntryNoExecute) != 0)) return std::nullopt;
    const Gpa address((entry & kTableAddress & ~mask(shift)) | (linear_ & mask(shift)));
    if (record != nullptr) {
      record->count = count;
      record->address = address;
    }
    return address;
  }

  /// Empty: an entry changed under our eyes, so that the walk begins again.
  std::optional<std::expected<Gpa, u32>> run() {
    u64 table = state_.cr3 & (format_.entry_size == 4 ? field(12, 32)
                              : is_pae()              ? field(5, 32)
                                                      : field(12, kAddressEnd));
    u64 allowed = kEntryWrite | kEntryUser;
    bool no_execute = false;
    for (unsigned level = format_.levels;; --level) {
      const unsigned shift = kPageShift + (level - 1) * format_.index_bits;
      const Gpa at(table + (linear_ >> shift & mask(format_.index_bits)) % entries(level) * format_.entry_size);
      const u64 entry = read(at);
      if ((entry & kEntryPresent) == 0) return fail(0);
      const bool leaf = level == 1 || is_large(level, entry);
      if ((entry & reserved(level, leaf)) != 0) return fail(page_fault::kPresent | page_fault::kReserved);
      if (!is_pae_top(level)) {
        allowed &= entry;
        no_execute |= (entry & kEntryNoExecute) != 0;
      }
      if (leaf && !permits(allowed, no_execute)) return fail(page_fault::kPresent);
      if (!is_pae_top(level) && !mark(at, entry, leaf)) return std::nullopt;
      if (leaf) return Gpa(leaf_base(level, entry) | (linear_ & mask(shift)));
      table = entry & (format_.entry_size == 4 ? field(12, 32) : field(12, kAddressEnd));
    }
  }

 private:
  static Format format_of(const PagingState& state) {
    if ((state.efer & kEferLongModeActive) != 0) return kFourLevels;
    return (state.cr4 & kCr4Pae) != 0 ? kPae : kTwoLevels;
  }

  bool is_pae() const { return format_.levels == kPae.levels; }
  bool is_pae_top(unsigned level) const { return is_pae() && level == kPaeTop; }
  u64 entries(unsigned level) const { return is_pae_top(level) ? 4 : u64{1} << format_.index_bits; }
  bool no_execute_enabled() const { return format_.entry_size == 8 && (state_.efer & kEferNoExecute) != 0; }

  u64 read(Gpa at) const { return memory_.load(at, format_.entry_size).value_or(0); }

  bool is_large(unsigned level, u64 entry) const {
    if ((entry & kEntryLarge) == 0) return false;
    if (format_.entry_size == 4) return level == 2 && (state_.cr4 & kCr4PageSizeExtension) != 0;
    return level == 2 || (level == 3 && !is_pae());
  }

  /// Bits of a present entry that must be zero. SDM vol. 3 4.3 to 4.5.
  u64 reserved(unsigned level, bool leaf) const {
    if (format_.entry_size == 4) return leaf && level == 2 ? field(21, 22) : 0;
    u64 bits = field(state_.physical_address_bits, kAddressEnd);
    if (is_pae()) bits |= field(kAddressEnd, 63);
    // Bit 5 is reserved there, too, but processors look at it only when CR3 is loaded, and QEMU's mark the entry as accessed.
    if (is_pae_top(level)) return bits | kEntryNoExecute | field(1, 3) | field(6, 9);
    if (!no_execute_enabled()) bits |= kEntryNoExecute;
    if (level == kFourLevels.levels) bits |= kEntryLarge;
    if (leaf && level > 1) bits |= field(13, kPageShift + (level - 1) * format_.index_bits);
    return bits;
  }

  u64 leaf_base(unsigned level, u64 entry) const {
    if (format_.entry_size == 8) return entry & field(kPageShift + (level - 1) * format_.index_bits, kAddressEnd);
    if (level == 1) return entry & field(12, 32);
    return (entry & field(22, 32)) | (entry & field(13, 21)) << (32 - 13);  // PSE-36
  }

  bool permits(u64 allowed, bool no_execute) const {
    const bool user_page = (allowed & kEntryUser) != 0, writable = (allowed & kEntryWrite) != 0;
    const bool user = state_.privilege == 3;
    if (user && !user_page) return false;
    if (access_ == PageAccess::Fetch) return !no_execute && (user || !user_page || (state_.cr4 & kCr4Smep) == 0);
    if (!user && user_page && (state_.cr4 & kCr4Smap) != 0 && (state_.rflags & kRflagsAc) == 0) return false;
    return access_ == PageAccess::Read || writable || (!user && (state_.cr0 & kCr0WriteProtect) == 0);
  }

  bool mark(Gpa at, u64 entry, bool leaf) {
    const u64 wanted = entry | kEntryAccessed | (leaf && access_ == PageAccess::Write ? kEntryDirty : 0);
    if (wanted == entry) return true;
    return memory_.compare_exchange(at, format_.entry_size, entry, wanted).value_or(false);
  }

  std::expected<Gpa, u32> fail(u32 why) const {
    const bool reports_fetch = no_execute_enabled() || (state_.cr4 & kCr4Smep) != 0;
    if (access_ == PageAccess::Write) why |= page_fault::kWrite;
    if (state_.privilege == 3) why |= page_fault::kUser;
    if (access_ == PageAccess::Fetch && reports_fetch) why |= page_fault::kFetch;
    return std::unexpected(why);
  }

  GuestMemory& memory_;
  const PagingState& state_;
  u64 linear_;
  PageAccess access_;
  Format format_;
};

}  // namespace

std::expected<Gpa, u32> walk_guest_pages(GuestMemory& memory, const PagingState& state, u64 linear, PageAccess access,
                                         PageWalk* record) {
  if (record != nullptr) record->count = 0;
  if ((state.cr0 & kCr0Paging) == 0) return Gpa(linear & mask(32));
  const bool five_levels = (state.efer & kEferLongModeActive) != 0 && (state.cr4 & kCr4FiveLevels) != 0;
  // Another CPU of the guest can win the race for an entry only as often as it changes that entry.
  constexpr unsigned kAttempts = 16;
  for (unsigned i = 0; i < kAttempts && !five_levels; ++i) {
    Walk walk(memory, state, linear, access);
    if (const auto address = walk.run_fast(record)) return *address;
    if (const auto result = walk.run()) return *result;
  }
  return std::unexpected(state.privilege == 3 ? page_fault::kUser : 0);
}

}  // namespace hv
