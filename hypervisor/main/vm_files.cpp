// VMs that are described in files: read, checked beside those that are known, and made known.
#include <algorithm>
#include <cstring>

#include "hypervisor/config/checks.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/main/vm_manager.hpp"
#include "kernel/log/log.hpp"

namespace hv {
namespace {

constexpr std::string_view kDefaultVms = "/guest/vm_default";
constexpr std::string_view kArch = AXVISOR_ARCH;
constexpr usize kLine = 400;  // of a message

/// Of the names that are for VMs, the first behind another one. A TOML file is one, to say what to do with it.
class NextName final : public fs::DirectoryVisitor {
 public:
  explicit NextName(const fs::Name& behind) : behind_(fs::text(behind)) {}
  bool visit(std::string_view name, const fs::Node& node) override {
    const bool is_ours = node.kind != fs::Kind::Directory && (name.ends_with(".vm") || name.ends_with(".toml"));
    if (is_ours && name > behind_ && (found.empty() || name < fs::text(found))) {
      found.clear();
      for (const char c : name) static_cast<void>(found.push_back(c));
    }
    return true;
  }
  fs::Name found;

 private:
  std::string_view behind_;
};

/// Nothing was used.
Result<mm::Scratch> read_file(Hypervisor& hypervisor, std::string_view path) {
  fs::Location file = TRY(hypervisor.disks().open(path));
  const u64 size = file.node.size;
  if (size == 0) return fail(Error::Truncated);
  if (size > kMaxDescriptionBytes) return fail(Error::OutOfRange);
  auto bytes = mm::Scratch::create(hypervisor.heap(), size);
  if (bytes && TRY(file.system->read(file.node, 0, bytes->bytes())) != size) return fail(Error::Truncated);
  return bytes;
}

}  // namespace

// ---- reading ----------------------------------------------------------------------------------------------------------

void VmManager::adopt_files() {
  const auto path = fs::Path::make(fs::Path(), kDefaultVms);
  for (fs::Name name;;) {
    NextName next(name);
    if (!path || !hypervisor_.disks().tree().list(*path, next) || next.found.empty()) break;
    name = next.found;
    const auto file = fs::Path::make(*path, fs::text(name));
    if (!file || !read_description(*file)) ++left_out_;
  }
  check_adopted();
  for (VmSlot& slot : slots()) slot.waits |= slot.description && slot.config->start == StartPolicy::Auto;
}

void VmManager::create(const fs::Path& directory, std::span<const std::string_view> files) {
  const unsigned left_out = left_out_;
  for (const std::string_view file : files) {
    const auto path = fs::Path::make(directory, file);
    path ? static_cast<void>(read_description(*path)) : log::error("{}: {}", file, path.error());
  }
  check_adopted();
  left_out_ = left_out;  // who has asked for them sees what is missing
}

/// False: the reason was logged.
bool VmManager::read_description(const fs::Path& path) {
  auto bytes = read_file(hypervisor_, path.text());
  if (!bytes) {
    log::error("{} cannot be read: {}", path.text(), bytes.error());
    return false;
  }
  auto description = VmDescription::decode(hypervisor_.heap(), std::move(*bytes), kArch);
  if (!description) {
    std::array<char, kLine> text;
    BufferSink sink(text.data(), text.size());
    describe(sink, description.error());
    log::error("{} is not used: {}", path.text(), sink.view());
    return false;
  }
  VmSlot* const slot = adopt((*description)->config());
  if (slot == nullptr) return true;  // was counted
  slot->description = std::move(*description);
  slot->checked = false;
  return true;
}

void VmManager::choose_id(VmSlot& slot) {
  VmConfig& config = configs_[static_cast<usize>(&slot - slots_.data())];
  const auto is_taken = [&] {
    for (const VmSlot& other : slots())
      if (&other != &slot && other.checked && other.config->id == config.id) return true;
    return false;
  };
  const bool has_one = slot.description->has_id();
  if (has_one && !is_taken()) return;
  const Violation taken{.rule = Rule::IdTaken, .a = config.id};
  for (config.id = 1; is_taken();) ++config.id;
  if (!has_one) return;
  std::array<char, kLine> text;
  BufferSink sink(text.data(), text.size());
  describe(sink, taken, {});
  log::warn("VM {}: {}: {}", config.name, sink.view(), config.id);
}

// ---- checking ---------------------------------------------------------------------------------------------------------

/// One that goes may be what another one names: then all are looked at again.
void VmManager::check_adopted() {
  for (bool again = true; again;) {
    again = false;
    for (VmSlot& slot : slots()) {
      if (slot.checked || keeps_rules(slot, false)) continue;
      log::error("VM {} is not created", slot.config->name);
      forget(slot);
      ++left_out_;
      again = true;
      break;
    }
  }
  for (VmSlot& slot : slots()) {
    if (slot.checked) continue;
    static_cast<void>(keeps_rules(slot, true));
    choose_id(slot);
    slot.checked = true;
    log::print_line("axvisor: VM {} (id {}) is created from {}", slot.config->name, slot.config->id, slot.config->source);
  }
}

/// Looks for rules that it breaks, alone or with those known before it, and logs the errors or the warnings.
bool VmManager::keeps_rules(const VmSlot& slot, bool warn) {
  auto storage = mm::Scratch::create(hypervisor_.heap(), kMaxVms * sizeof(VmConfig));
  if (!storage) return log::error("VM {}: {}", slot.config->name, storage.error()), false;
  auto* const vms = reinterpret_cast<VmConfig*>(storage->bytes().data());
  usize count = 0, mine = 0;
  for (const bool checked : {true, false}) {
    for (const VmSlot& other : slots()) {
      if (other.checked != checked) continue;
      if (&other == &slot) mine = count;
      new (&vms[count++]) VmConfig(*other.config);
    }
  }
  const std::span<const VmConfig> all(vms, count);
  bool right = true;
  check(all, TargetFacts{.cpus = hypervisor_.cpu_count(), .pc = kArch == "x86_64"}, [&](const Violation& violation) {
    const bool error = is_error(violation.rule);
    const usize later = violation.has_other ? std::max(violation.where.vm, violation.other.vm) : violation.where.vm;
    if (later != mine || error == warn || violation.rule == Rule::IdTaken) return;
    right = false;
    std::array<char, kLine> text;
    BufferSink sink(text.data(), text.size());
    const Place& where = violation.where;
    print(sink, "VM {} ({}): {}", all[where.vm].name, all[where.vm].source, toml_path(where.key));
    if (where.index != Place::kWholeValue) print(sink, " {}", where.index + 1);
    print(sink, ": ");
    describe(sink, violation, all);
    if (violation.has_other) {
      print(sink, " (");
      describe_other(sink, violation, all);
      print(sink, ")");
    }
    if (!fix_for(violation.rule).empty()) print(sink, "; {}", fix_for(violation.rule));
    error ? log::error("{}", sink.view()) : log::warn("{}", sink.view());
  });
  return right;
}

}  // namespace hv
