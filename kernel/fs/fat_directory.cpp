// FAT: directories and names.
#include <algorithm>
#include <cstring>

#include "kernel/base/static_vector.hpp"
#include "kernel/fs/calendar.hpp"
#include "kernel/fs/fat.hpp"
#include "kernel/fs/fat_format.hpp"
#include "kernel/fs/unicode.hpp"

namespace ax::fs {

using namespace fat;

namespace {

using RawEntry = std::array<std::byte, kEntrySize>;
using Slots = StaticVector<u64, long_name::kMostEntries + 1>;

u64 sector_of(u64 at) { return at / block::kSectorSize; }

u8 checksum_of(std::span<const std::byte> short_name) {
  u8 sum = 0;
  for (usize i = 0; i < dirent::kShortLength; ++i) sum = static_cast<u8>((sum << 7 | sum >> 1) + static_cast<u8>(short_name[i]));
  return sum;
}

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

/// "NAME    EXT" as "NAME.EXT", in small letters where the entry says so. Bytes beyond ASCII are of an unknown alphabet.
void append_short_name(std::span<const std::byte> entry, Name& out) {
  const u8 cases = load_le<u8>(entry, dirent::kCase);
  const auto part = [&](usize first, usize last, bool small) {
    while (last > first && entry[last - 1] == std::byte{' '}) --last;
    for (usize i = first; i < last; ++i) {
      u8 c = static_cast<u8>(entry[i]);
      if (i == 0 && c == dirent::kEscapedE5) c = dirent::kDeleted;
      if (c < ' ' || c >= 0x7f) c = '_';
      if (small && c >= 'A' && c <= 'Z') c |= 0x20;
      static_cast<void>(out.push_back(static_cast<char>(c)));
    }
    return last > first;
  };
  part(0, dirent::kNameLength, (cases & dirent::kLowerName) != 0);
  static_cast<void>(out.push_back('.'));
  if (!part(dirent::kNameLength, dirent::kShortLength, (cases & dirent::kLowerExtension) != 0)) out.pop_back();
}

}  // namespace

/// The entries of a directory, 32 bytes each, one after the other.
class Fat::Walker {
 public:
  Walker(Fat& fat, const Node& directory) : fat_(fat), cluster_(static_cast<u32>(directory.id)) {
    if (cluster_ == 0) {
      at_ = fat_.geometry_.root_at;
      left_ = fat_.geometry_.root_bytes;
    } else if (fat_.is_cluster(cluster_)) {
      at_ = fat_.address_of(cluster_);
      left_ = fat_.geometry_.cluster;
    }
  }

  /// Where the next entry is, or 0 behind the last.
  Result<u64> next() {
    if (left_ == 0 && cluster_ != 0) {
      const u32 following = TRY(fat_.successor(cluster_));
      if (following == 0) return u64{0};
      cluster_ = following;
      at_ = fat_.address_of(cluster_);
      left_ = fat_.geometry_.cluster;
    }
    if (left_ == 0) return u64{0};
    if (++count_ > kMostDirectoryEntries) return fail(Error::Malformed);
    left_ -= kEntrySize;
    at_ += kEntrySize;
    return at_ - kEntrySize;
  }
  /// After next() has returned 0.
  u32 last_cluster() const { return cluster_; }

 private:
  Fat& fat_;
  u32 cluster_;
  u64 at_ = 0, left_ = 0;
  usize count_ = 0;
};

/// One file or directory with all of its slots.
struct Fat::Entry {
  Node node{};
  Name name{};
  Name short_name{};
  Slots slots{};  ///< the last is the short entry's
  RawEntry raw{};
};

/// Puts together what the entries before a short one hold, last part first.
struct Fat::LongName {
  std::array<char16_t, long_name::kMostEntries * long_name::kUnits> units{};
  u8 expected = 0;  ///< number of the next part; 0: complete, or there is none
  bool complete = false;
  u8 checksum = 0;

  void forget() { complete = false, expected = 0; }

  void add(const RawEntry& raw) {
    const u8 order = load_le<u8>(raw, 0), number = order & ~long_name::kLast, sum = load_le<u8>(raw, long_name::kChecksum);
    if ((order & long_name::kLast) != 0) {
      units.fill(0);
      expected = number;
      checksum = sum;
    }
    complete = false;
    if (number == 0 || number > long_name::kMostEntries || number != expected || sum != checksum) return forget();
    for (usize i = 0; i < long_name::kUnits; ++i)
      units[(number - 1) * long_name::kUnits + i] = static_cast<char16_t>(load_le<u16>(raw, long_name::kUnitAt[i]));
    complete = --expected == 0;
  }
  bool append_to(Name& name, const RawEntry& raw) const {
    const auto end = std::ranges::find(units, char16_t{0});
    return complete && checksum == checksum_of(raw) && utf16_to_utf8({units.begin(), end}, name);
  }
};

void Fat::stamp(std::span<std::byte> entry) const {
  const FatTime now = to_fat_time(time_ == nullptr ? 0 : time_());
  store_le(entry, dirent::kTime, now.time);
  store_le(entry, dirent::kDate, now.date);
}

/// Calls `found(context, entry)` for every file and directory until it returns false.
Result<void> Fat::walk(const Node& directory, bool (*found)(void*, const Entry&), void* context) {
  Walker walker(*this, directory);
  LongName long_name;
  Entry entry;
  for (;;) {
    const u64 at = TRY(walker.next());
    if (at == 0) return {};
    TRY(cache_.read(at, entry.raw));
    const u8 first = load_le<u8>(entry.raw, 0), attributes = load_le<u8>(entry.raw, dirent::kAttributes) & dirent::kAttributeMask;
    if (first == dirent::kEnd) return {};
    if (first == dirent::kDeleted || (attributes != dirent::kLongName && (attributes & dirent::kVolume) != 0)) {
      long_name.forget();
      entry.slots.clear();
      continue;
    }
    if (attributes == dirent::kLongName) {
      if ((first & long_name::kLast) != 0) entry.slots.clear();
      long_name.add(entry.raw);
      if (!entry.slots.push_back(at)) entry.slots.clear();
      continue;
    }
    entry.name.clear();
    entry.short_name.clear();
    append_short_name(entry.raw, entry.short_name);
    const bool has_long = long_name.append_to(entry.name, entry.raw);
    if (!has_long) {
      entry.name = entry.short_name;
      entry.slots.clear();
    }
    if (!entry.slots.push_back(at)) return fail(Error::Malformed);
    const bool is_directory = (attributes & dirent::kDirectory) != 0;
    entry.node = {.kind = is_directory ? Kind::Directory : Kind::File,
                  .size = is_directory ? 0 : load_le<u32>(entry.raw, dirent::kSize),
                  .id = first_cluster(entry.raw, geometry_.wide),
                  .place = at,
                  .changed = from_fat_time({load_le<u16>(entry.raw, dirent::kDate), load_le<u16>(entry.raw, dirent::kTime)})};
    const bool go_on = first == '.' || found(context, entry);
    if (!go_on) return {};
    long_name.forget();
    entry.slots.clear();
  }
}

/// The same with a lambda: one walk() for all of them.
template <class Found>
Result<void> Fat::for_each(const Node& directory, Found found) {
  return walk(directory, [](void* context, const Entry& entry) { return (*static_cast<Found*>(context))(entry); }, &found);
}

Result<bool> Fat::lookup(const Node& directory, std::string_view name, Entry& entry) {
  if (directory.kind != Kind::Directory) return fail(Error::NotDirectory);
  bool there = false;
  TRY(for_each(directory, [&](const Entry& one) {
    there = same_name(text(one.name), name) || same_name(text(one.short_name), name);
    if (there) entry = one;
    return !there;
  }));
  return there;
}

Result<Node> Fat::find(const Node& directory, std::string_view name) {
  Entry entry;
  if (!TRY(lookup(directory, name, entry))) return fail(Error::NotFound);
  // The FAT16 root has no cluster, and no other directory may do without.
  if (entry.node.kind == Kind::Directory && !is_cluster(entry.node.id)) return fail(Error::Malformed);
  return entry.node;
}

Result<void> Fat::list(const Node& directory, DirectoryVisitor& visitor) {
  if (directory.kind != Kind::Directory) return fail(Error::NotDirectory);
  return for_each(directory, [&](const Entry& entry) { return visitor.visit(text(entry.name), entry.node); });
}

Result<bool> Fat::is_empty(const Node& directory) {
  bool empty = true;
  TRY(for_each(directory, [&](const Entry&) { return empty = false; }));
  return empty;
}

// ---- new entries ------------------------------------------------------------------------------------------------------

/// A name that is to be given: its UTF-16 form, and its short form with a number that no other has.
struct Fat::NewName {
  StaticVector<char16_t, kMaxName> units{};
  std::array<char, dirent::kShortLength> alias{};
  bool has_long = false;
  unsigned tail_at = 0;   ///< where "~1" goes in the alias
  u32 taken = 0;          ///< bit n: "~n" is somebody else's
  std::string_view utf8;

  static constexpr unsigned kTails = 10;

  usize slots() const { return 1 + (has_long ? (units.size() + long_name::kUnits - 1) / long_name::kUnits : 0); }

  static Result<NewName> make(std::string_view name) {
    NewName out;
    out.utf8 = name;
    constexpr std::string_view kForbidden = "\"*/:<>?\\|";
    const bool legal = !name.empty() && name.back() != '.' && name.back() != ' ' && name.front() != ' ' &&
                       std::ranges::none_of(name, [&](char c) { return (static_cast<u8>(c) < ' ') || kForbidden.contains(c); });
    if (!legal || !utf8_to_utf16(name, out.units) || out.slots_if_long() > block::kSectorSize / kEntrySize)
      return fail(Error::InvalidArgument);
    out.make_alias();
    return out;
  }

  usize slots_if_long() const { return 1 + (units.size() + long_name::kUnits - 1) / long_name::kUnits; }

  void make_alias() {
    alias.fill(' ');
    const usize dot = utf8.rfind('.');
    const bool dotted = dot != std::string_view::npos && dot != 0;
    const std::string_view stem = utf8.substr(0, dotted ? dot : utf8.size()), extension = dotted ? utf8.substr(dot + 1) : std::string_view();
    const auto put = [&](std::string_view from, usize first, usize room) {
      usize used = 0;
      for (char c : from) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        const bool small = c >= 'a' && c <= 'z';
        if (!plain) has_long = true;
        if (!plain && !small) continue;
        if (used == room) {
          has_long = true;
          break;
        }
        alias[first + used++] = small ? static_cast<char>(c & ~0x20) : c;
      }
      return used;
    };
    usize used = put(stem, 0, dirent::kNameLength);
    put(extension, dirent::kNameLength, dirent::kShortLength - dirent::kNameLength);
    if (!has_long) return;
    // Four digits of a hash keep names apart that begin alike, so one digit behind "~" is enough nearly always.
    constexpr usize kKept = 2;
    u32 hash = 5381;
    for (const char c : utf8) hash = hash * 33 + static_cast<u8>(c);
    used = std::min(used, kKept);
    for (unsigned i = 0; i < 4; ++i, hash >>= 4) alias[used++] = "0123456789ABCDEF"[hash & 15];
    for (usize i = used; i < dirent::kNameLength; ++i) alias[i] = ' ';
    tail_at = static_cast<unsigned>(used);
    alias[tail_at] = '~';
  }

  /// Notes a short name that exists.
  void avoid(const RawEntry& raw) {
    if (!has_long || std::memcmp(raw.data(), alias.data(), tail_at + 1) != 0) return;
    const unsigned digit = static_cast<unsigned>(raw[tail_at + 1]) - '0';
    if (digit < kTails) taken |= 1u << digit;
  }
  Result<void> choose() {
    for (unsigned digit = 1; has_long; ++digit) {
      if (digit == kTails) return fail(Error::AlreadyExists);
      if ((taken >> digit & 1) != 0) continue;
      alias[tail_at + 1] = static_cast<char>('0' + digit);
      break;
    }
    return {};
  }
};

/// Free slots within one sector.
struct Fat::Place {
  u64 first = 0;      ///< byte on the disk; 0: there is no room
  u64 fill_from = 0;  ///< the directory ends here, in another sector: the rest of that one becomes deleted slots; 0: it does not
};

/// Looks for room, in one sector of the directory if that is given, and for short names that the new one must avoid.
Result<Fat::Place> Fat::find_place(const Node& directory, NewName& name, std::optional<u64> sector) {
  TRY(for_each(directory, [&](const Entry& one) {
    name.avoid(one.raw);
    return true;
  }));
  Walker walker(*this, directory);
  Place place;
  u64 previous = 0, end = 0;
  usize run = 0;
  for (;;) {
    const u64 at = TRY(walker.next());
    if (at == 0) return Place{.fill_from = end};
    const u8 first = TRY(cache_.load<u8>(at));
    if (first == dirent::kEnd && end == 0) end = at;
    const bool is_free = end != 0 || first == dirent::kDeleted;
    const bool goes_on = run != 0 && at == previous + kEntrySize && sector_of(at) == sector_of(previous);
    previous = at;
    if (!is_free || (sector && sector_of(at) != *sector)) {
      run = 0;
      continue;
    }
    run = goes_on ? run + 1 : 1;
    if (run == 1) place.first = at;
    if (run != name.slots()) continue;
    // An end mark in front of the place would hide it. In the same sector it is part of the place.
    if (end != 0 && sector_of(end) != sector_of(place.first)) place.fill_from = end;
    return place;
  }
}

/// Another cluster of empty entries. Returns where it is.
Result<u64> Fat::grow(const Node& directory) {
  if (directory.id == 0) return fail(Error::NoSpace);
  Walker walker(*this, directory);
  while (TRY(walker.next()) != 0) {
  }
  const u32 added = TRY(append(0, 1));
  TRY(cache_.zero(address_of(added), geometry_.cluster));
  TRY(set_run(walker.last_cluster(), 1, added));
  return address_of(added);
}

/// Deleted slots from `at` to the end of its sector.
Result<void> Fat::fill_sector(u64 at) {
  std::array<std::byte, block::kSectorSize> slots{};
  const usize size = align_up(at + 1, block::kSectorSize) - at;
  for (usize i = 0; i < size; i += kEntrySize) slots[i] = std::byte{dirent::kDeleted};
  return cache_.write(at, std::span(slots).first(size));
}

/// One write of one sector: the slots of the new entry, and what an old one in the same sector leaves.
Result<void> Fat::write_entry(const Place& place, const NewName& name, std::span<const std::byte> short_entry, const Entry* old) {
  std::array<std::byte, block::kSectorSize> sector;
  const u64 base = sector_of(place.first) * block::kSectorSize;
  TRY(cache_.read(base, sector));
  if (old != nullptr)
    for (const u64 slot : old->slots) sector[slot - base] = std::byte{dirent::kDeleted};
  const usize parts = name.slots() - 1;
  std::byte* slot = sector.data() + (place.first - base);
  std::array<std::byte, kEntrySize> last;
  std::memcpy(last.data(), short_entry.data(), kEntrySize);
  std::memcpy(last.data(), name.alias.data(), dirent::kShortLength);
  last[dirent::kCase] = std::byte{};
  for (usize part = parts; part != 0; --part, slot += kEntrySize) {
    std::memset(slot, 0, kEntrySize);
    const std::span<std::byte> bytes(slot, kEntrySize);
    store_le(bytes, 0, static_cast<u8>(part | (part == parts ? long_name::kLast : 0)));
    store_le(bytes, dirent::kAttributes, dirent::kLongName);
    store_le(bytes, long_name::kChecksum, checksum_of(last));
    for (usize i = 0; i < long_name::kUnits; ++i) {
      const usize unit = (part - 1) * long_name::kUnits + i;
      // The name ends with a zero, and the rest of the entry is full of ones.
      const u16 value = unit < name.units.size() ? static_cast<u16>(name.units[unit]) : unit == name.units.size() ? 0 : 0xffff;
      store_le(bytes, long_name::kUnitAt[i], value);
    }
  }
  std::memcpy(slot, last.data(), kEntrySize);
  return cache_.write(base, sector);
}

/// Room for a new entry, wherever it is; `name` gets its short form.
Result<Fat::Place> Fat::make_place(const Node& directory, NewName& name) {
  Place place = TRY(find_place(directory, name, std::nullopt));
  TRY(name.choose());
  if (place.first == 0) place.first = TRY(grow(directory));
  if (place.fill_from != 0) TRY(fill_sector(place.fill_from));
  return place;
}

Result<Node> Fat::create(const Node& directory, std::string_view name, Kind kind) {
  if (!writable_) return fail(Error::ReadOnly);
  Entry there;
  if (TRY(lookup(directory, name, there))) return fail(Error::AlreadyExists);
  NewName new_name = TRY(NewName::make(name));
  const Place place = TRY(make_place(directory, new_name));

  RawEntry raw{};
  store_le(raw, dirent::kAttributes, kind == Kind::Directory ? dirent::kDirectory : dirent::kArchive);
  stamp(raw);
  std::memcpy(raw.data() + dirent::kCreatedTime, raw.data() + dirent::kTime, 4);
  std::memcpy(raw.data() + dirent::kAccessedDate, raw.data() + dirent::kDate, 2);
  u32 cluster = 0;
  if (kind == Kind::Directory) {
    cluster = TRY(append(0, 1));
    set_first_cluster(raw, cluster);
    TRY(cache_.zero(address_of(cluster), geometry_.cluster));
    RawEntry dots = raw;
    std::memcpy(dots.data(), ".          ", dirent::kShortLength);
    TRY(cache_.write(address_of(cluster), dots));
    dots[1] = std::byte{'.'};
    set_first_cluster(dots, directory.id == geometry_.root_cluster ? 0 : static_cast<u32>(directory.id));
    TRY(cache_.write(address_of(cluster) + kEntrySize, dots));
  }
  TRY(write_entry(place, new_name, raw, nullptr));
  return Node{.kind = kind, .id = cluster, .place = place.first + (new_name.slots() - 1) * kEntrySize};
}

Result<void> Fat::erase(const Entry& entry) {
  std::array<std::byte, block::kSectorSize> sector;
  // From the end: what is left of a name without its entry is ignored.
  for (usize i = entry.slots.size(); i != 0;) {
    const u64 base = sector_of(entry.slots[i - 1]) * block::kSectorSize;
    TRY(cache_.read(base, sector));
    for (; i != 0 && sector_of(entry.slots[i - 1]) * block::kSectorSize == base; --i)
      sector[entry.slots[i - 1] - base] = std::byte{dirent::kDeleted};
    TRY(cache_.write(base, sector));
  }
  return {};
}

Result<void> Fat::remove(const Node& directory, std::string_view name) {
  if (!writable_) return fail(Error::ReadOnly);
  Entry entry;
  if (!TRY(lookup(directory, name, entry))) return fail(Error::NotFound);
  if (entry.node.kind == Kind::Directory && !TRY(is_empty(entry.node))) return fail(Error::NotEmpty);
  TRY(begin_change());
  TRY(erase(entry));
  return is_cluster(entry.node.id) ? free_chain(static_cast<u32>(entry.node.id)) : Result<void>();
}

Result<void> Fat::rename(const Node& directory, std::string_view from, std::string_view to) {
  if (!writable_) return fail(Error::ReadOnly);
  Entry entry, other;
  if (!TRY(lookup(directory, from, entry))) return fail(Error::NotFound);
  if (TRY(lookup(directory, to, other)) && other.node.place != entry.node.place) return fail(Error::AlreadyExists);
  NewName name = TRY(NewName::make(to));
  const u64 sector = sector_of(entry.node.place);
  for (const u64 slot : entry.slots)
    if (sector_of(slot) != sector) return fail(Error::NotSupported);
  Place place = TRY(find_place(directory, name, sector));
  TRY(name.choose());
  if (place.first == 0 && entry.slots.size() < name.slots()) return fail(Error::NotSupported);
  // In its own slots; the last ones, so that nothing of the old name is behind it.
  if (place.first == 0) place.first = entry.slots[entry.slots.size() - name.slots()];
  return write_entry(place, name, entry.raw, &entry);
}

Result<void> Fat::detach(const Node& directory, std::string_view name) {
  if (!writable_) return fail(Error::ReadOnly);
  Entry entry;
  if (!TRY(lookup(directory, name, entry))) return fail(Error::NotFound);
  if (entry.node.kind == Kind::Directory) return fail(Error::IsDirectory);
  TRY(begin_change());
  return erase(entry);
}

Result<void> Fat::move(const Node& from, std::string_view name, const Node& to, std::string_view new_name) {
  if (from.id == to.id) {
    const auto renamed = rename(from, name, new_name);
    if (renamed || renamed.error() != Error::NotSupported) return renamed;
  }
  if (!writable_) return fail(Error::ReadOnly);
  Entry entry, other;
  if (!TRY(lookup(from, name, entry))) return fail(Error::NotFound);
  if (TRY(lookup(to, new_name, other)) && other.node.place != entry.node.place) return fail(Error::AlreadyExists);
  NewName made = TRY(NewName::make(new_name));
  const Place place = TRY(make_place(to, made));
  TRY(write_entry(place, made, entry.raw, nullptr));
  TRY(erase(entry));
  if (entry.node.kind != Kind::Directory || from.id == to.id) return {};
  const u64 parent_entry = address_of(static_cast<u32>(entry.node.id)) + kEntrySize;
  RawEntry dots;
  TRY(cache_.read(parent_entry, dots));
  set_first_cluster(dots, to.id == geometry_.root_cluster ? 0 : static_cast<u32>(to.id));
  return cache_.write(parent_entry, dots);
}

}  // namespace ax::fs
