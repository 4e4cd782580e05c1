// Compiled descriptions: hypervisor/config/vm_description.hpp says what is in them.
#include <cstring>

#include "hypervisor/config/vm_description.hpp"
#include "hypervisor/config/vm_fields.hpp"
#include "kernel/fdt/writer.hpp"
#include "tools/config/emit.hpp"

namespace ax::config {
namespace {

using hv::FieldKind;

template <class T>
const T& at(const std::byte* place) {
  return *reinterpret_cast<const T*>(place);
}

class DescriptionWriter {
 public:
  explicit DescriptionWriter(fdt::Writer& writer) : writer_(writer) {}

  /// Properties come before nodes. What is empty is left out, and so is the id if the VM has none of its own.
  void record(hv::RecordId id, const std::byte* object, bool with_id) {
    for (const hv::Field& field : hv::fields_of(id)) {
      if (field.name() != "id" || with_id) property(field, object + field.offset);
    }
    for (const hv::Field& field : hv::fields_of(id)) {
      if (field.kind == FieldKind::Record) node(field, object + field.offset);
      if (field.kind == FieldKind::Records) list(field, object + field.offset);
    }
  }

 private:
  void property(const hv::Field& field, const std::byte* place) {
    switch (field.kind) {
      case FieldKind::U8: return writer_.property(field.name(), u32{at<u8>(place)});
      case FieldKind::U16: return writer_.property(field.name(), u32{at<u16>(place)});
      case FieldKind::U32: return writer_.property(field.name(), at<u32>(place));
      case FieldKind::U64: return writer_.property(field.name(), at<u64>(place));
      case FieldKind::Text:
        if (const auto text = at<std::string_view>(place); !text.empty()) writer_.string(field.name(), text);
        return;
      case FieldKind::Numbers: return numbers(field, at<std::span<const u64>>(place));
      case FieldKind::Texts: return texts(field, at<std::span<const std::string_view>>(place));
      case FieldKind::Record:
      case FieldKind::Records: return;
    }
  }

  void numbers(const hv::Field& field, std::span<const u64> values) {
    if (values.empty()) return;
    fdt::Cells cells;
    for (const u64 value : values) cells.number(value, 2);
    writer_.cells(field.name(), cells);
  }

  void texts(const hv::Field& field, std::span<const std::string_view> values) {
    if (values.empty()) return;
    std::string all;
    for (const std::string_view value : values) all.append(value).push_back('\0');
    writer_.bytes(field.name(), std::as_bytes(std::span(all)));
  }

  void node(const hv::Field& field, const std::byte* object) {
    writer_.begin_node(field.name());
    record(field.record, object, true);
    writer_.end_node();
  }

  void list(const hv::Field& field, const std::byte* place) {
    hv::with_item_type(field.record, [&]<class T>() {
      const auto& items = at<std::span<const T>>(place);
      if (items.empty()) return;
      writer_.begin_node(field.name());
      for (usize i = 0; i < items.size(); ++i) {
        writer_.begin_node(std::to_string(i));
        record(field.record, reinterpret_cast<const std::byte*>(&items[i]), true);
        writer_.end_node();
      }
      writer_.end_node();
    });
  }

  fdt::Writer& writer_;
};

}  // namespace

std::expected<std::vector<std::byte>, Error> vm_description(const hv::VmConfig& config, bool with_id, std::string_view arch) {
  std::vector<std::byte> out(hv::kMaxDescriptionBytes);
  fdt::Writer writer(out);
  writer.begin_node("");
  writer.property(hv::kDescriptionVersionProperty, hv::kDescriptionVersion);
  writer.string(hv::kDescriptionArchProperty, arch);
  DescriptionWriter(writer).record(hv::RecordId::VmConfig, reinterpret_cast<const std::byte*>(&config), with_id);
  writer.end_node();
  const auto size = writer.finish();
  if (!size) return std::unexpected(size.error());
  out.resize(*size);
  return out;
}

}  // namespace ax::config
