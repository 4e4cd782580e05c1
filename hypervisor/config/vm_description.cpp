#include "hypervisor/config/vm_description.hpp"

#include <algorithm>
#include <new>

#include "hypervisor/config/vm_fields.hpp"
#include "kernel/base/memory.hpp"
#include "kernel/fdt/format.hpp"
#include "kernel/fdt/reader.hpp"

namespace hv {
namespace {

using Kind = DescriptionProblem::Kind;
using fdt::Node;
using fdt::Property;

constexpr usize kItemAlignment = alignof(u64);
constexpr std::string_view kOwnProperties = "axvisor,";

/// Goes through a tree twice: first without storage, to check all of it and to count what its lists need; then with that much, to
/// write. A VmConfig that is there is only written to the second time.
class Reader {
 public:
  explicit Reader(std::byte* storage) : storage_(storage) {}

  usize used() const { return used_; }
  std::string_view wrong() const { return wrong_; }

  /// False: wrong() says which field.
  bool record(Node node, RecordId id, std::byte* object) {
    for (const Property property : node.properties()) {
      if (property.name.starts_with(kOwnProperties)) continue;
      const Field* field = find(id, property.name);
      if (field == nullptr || !value(property, *field, object == nullptr ? nullptr : object + field->offset))
        return is_wrong(property.name);
    }
    for (const Node child : node.children()) {
      const Field* field = find(id, child.name());
      if (field == nullptr) return is_wrong(child.name());
      std::byte* at = object == nullptr ? nullptr : object + field->offset;
      if (field->kind == FieldKind::Record) {
        if (!record(child, field->record, at)) return false;
      } else if (field->kind != FieldKind::Records) {
        return is_wrong(child.name());
      } else if (!records(child, field->record, at)) {
        return false;
      }
    }
    return true;
  }

 private:
  static const Field* find(RecordId id, std::string_view name) {
    const auto fields = fields_of(id);
    const auto at = std::ranges::find(fields, name, &Field::name);
    return at == fields.end() ? nullptr : &*at;
  }

  bool is_wrong(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
    return false;
  }

  /// Room for so many bytes; nothing while they are only counted.
  std::byte* take(usize bytes) {
    std::byte* at = storage_ == nullptr ? nullptr : storage_ + used_;
    used_ += align_up(bytes, kItemAlignment);
    return at;
  }

  bool value(const Property& property, const Field& field, std::byte* at) {
    switch (field.kind) {
      case FieldKind::Text: return text(property, field.most, at);
      case FieldKind::Numbers: return numbers(property, at);
      case FieldKind::Texts: return texts(property, field.most, at);
      case FieldKind::Record:
      case FieldKind::Records: return false;
      default: return number(property, field, at);
    }
  }

  // The machine is little-endian: the low bytes come first.
  static bool number(const Property& property, const Field& field, std::byte* at) {
    const bool wide = field.kind == FieldKind::U64;
    const auto value = property.as_u64();
    if (!value || property.cell_count() != (wide ? 2 : 1) || (!wide && *value > field.most)) return false;
    if (at != nullptr) __builtin_memcpy(at, &*value, usize{1} << static_cast<u8>(field.kind));
    return true;
  }

  /// What is printed must not move a cursor or begin a line.
  static bool is_printable(std::string_view text, u32 most) {
    constexpr char kDelete = 0x7f;
    return text.size() <= most &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == kDelete; });
  }

  static bool text(const Property& property, u32 most, std::byte* at) {
    const auto found = property.as_string();
    if (!found || found->size() + 1 != property.data.size() || !is_printable(*found, most)) return false;
    if (at != nullptr) new (at) std::string_view(*found);
    return true;
  }

  bool texts(const Property& property, u32 most, std::byte* at) {
    usize count = 0;
    if (property.data.empty() || property.data.back() != std::byte{0}) return false;
    for (const std::string_view item : property.strings())
      if (++count > kMaxDescriptionItems || !is_printable(item, most)) return false;
    auto* items = reinterpret_cast<std::string_view*>(take(count * sizeof(std::string_view)));
    if (at == nullptr) return true;
    usize i = 0;
    for (const std::string_view item : property.strings()) new (&items[i++]) std::string_view(item);
    new (at) std::span<const std::string_view>(items, count);
    return true;
  }

  bool numbers(const Property& property, std::byte* at) {
    const usize count = property.data.size() / sizeof(u64);
    if (property.data.size() % sizeof(u64) != 0 || count > kMaxDescriptionItems) return false;
    auto* items = reinterpret_cast<u64*>(take(count * sizeof(u64)));
    if (at == nullptr) return true;
    for (usize i = 0; i < count; ++i) new (&items[i]) u64(property.number(2 * i, 2).value_or(0));
    new (at) std::span<const u64>(items, count);
    return true;
  }

  bool records(Node list, RecordId id, std::byte* at) {
    usize count = 0;
    for ([[maybe_unused]] const Node item : list.children())
      if (++count > kMaxDescriptionItems) return is_wrong(list.name());
    usize size = 0;
    std::byte* items = with_item_type(id, [&]<class T>() {
      size = sizeof(T);
      std::byte* room = take(count * size);
      if (at == nullptr) return room;  // there is none yet
      for (usize i = 0; i < count; ++i) new (room + i * size) T{};
      new (at) std::span<const T>(reinterpret_cast<const T*>(room), count);
      return room;
    });
    for (const Node item : list.children()) {
      if (!record(item, id, items)) return false;
      if (items != nullptr) items += size;
    }
    return true;
  }

  std::byte* const storage_;
  usize used_ = 0;
  std::string_view wrong_;
};

}  // namespace

DescriptionProblem::DescriptionProblem(Kind k, std::string_view about) : kind(k) {
  for (const char c : about) static_cast<void>(where.push_back(c));
}

void describe(Sink& sink, const DescriptionProblem& problem) {
  const std::string_view where(problem.where.begin(), problem.where.size());
  switch (problem.kind) {
    case Kind::NotCompiled:
      return print(sink,
                   "it is no compiled description: make one of a TOML file with './xtask vmconfig compile VM.toml -o VM.vm'");
    case Kind::TooLarge: return print(sink, "it is larger than {} bytes", kMaxDescriptionBytes);
    case Kind::Damaged: return print(sink, "it is damaged or cut off: copy it again");
    case Kind::Version:
      return print(
          sink,
          "its format has version {}, and this hypervisor reads version {}: compile it again with the xtask of this version",
          problem.version, kDescriptionVersion);
    case Kind::Arch:
      return print(sink, "it was compiled for a board of another architecture ({}): compile it again with --board", where);
    case Kind::Field:
      return print(sink,
                   "'{}' is unknown here, or has a value that it cannot have: compile it again with the xtask of this version",
                   where);
    case Kind::BuiltInImage:
      return print(sink, "image '{}' is not on a disk of this machine: set image_location = \"fs\" and its path there", where);
    case Kind::OutOfMemory: return print(sink, "there is no memory for it");
  }
}

std::expected<mm::Box<VmDescription>, DescriptionProblem> VmDescription::decode(mm::ObjectAllocator& heap, mm::Scratch file,
                                                                                std::string_view arch) {
  const auto refuse = [](Kind kind, std::string_view about = {}) { return std::unexpected(DescriptionProblem(kind, about)); };
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < sizeof(u32) || fdt::load_be32(bytes, fdt::kHeaderMagic) != fdt::kMagic) return refuse(Kind::NotCompiled);
  if (bytes.size() > kMaxDescriptionBytes) return refuse(Kind::TooLarge);
  const auto tree = fdt::Fdt::parse(bytes);
  if (!tree) return refuse(Kind::Damaged);
  const Node root = tree->root();
  const auto version = root.property(kDescriptionVersionProperty);
  if (!version) return refuse(Kind::NotCompiled);
  if (const u32 number = version->as_u32().value_or(0); number != kDescriptionVersion) {
    DescriptionProblem problem(Kind::Version);
    problem.version = number;
    return std::unexpected(problem);
  }
  if (root.string(kDescriptionArchProperty) != arch) return refuse(Kind::Arch, root.string(kDescriptionArchProperty));

  Reader counting(nullptr);
  if (!counting.record(root, RecordId::VmConfig, nullptr)) return refuse(Kind::Field, counting.wrong());
  const bool has_id = root.has("id");
  auto lists = mm::Scratch::create(heap, counting.used() + kItemAlignment);  // never of no size
  if (!lists) return refuse(Kind::OutOfMemory);
  Reader writing(lists->bytes().data());
  VmConfig config;
  static_cast<void>(writing.record(root, RecordId::VmConfig, reinterpret_cast<std::byte*>(&config)));
  for (const Image* image : {&config.kernel, &config.dtb, &config.bios, &config.ramdisk})
    if (image->present() && image->location == ImageLocation::Memory) return refuse(Kind::BuiltInImage, image->path);

  auto made = mm::make_box<VmDescription>(heap, std::move(file), std::move(*lists), config, has_id);
  if (!made) return refuse(Kind::OutOfMemory);
  return std::move(*made);
}

}  // namespace hv
