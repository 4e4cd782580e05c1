#include "tools/menuconfig/model.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>

#include "tools/config/board.hpp"
#include "tools/config/run_schema.hpp"
#include "tools/config/suggest.hpp"

namespace ax::menuconfig {
namespace fs = std::filesystem;
namespace {

using config::Choice;
using config::Key;
using config::Type;
using config::Value;

constexpr usize kMostUndo = 1000;

std::expected<std::string, std::string> read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::unexpected(fmt::format("cannot read {}", path.string()));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

bool is_list(const Key& key) { return key.type != Type::Integer && key.type != Type::Boolean && key.type != Type::String; }

std::string trimmed(std::string_view text) {
  const usize first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

/// What stands in a TOML text at `path`, parsed; nothing where it is absent or the text is no TOML.
std::optional<Value> parsed_value(const std::string& text, std::string_view path) {
  config::SourceStore sources;
  config::Diagnostics ignored;
  const std::optional<Value> root = config::parse_toml(sources.add("", text), ignored);
  const Value* at = root ? &*root : nullptr;
  while (at != nullptr) {
    const usize dot = path.find('.');
    const Value::Member* member = at->find(path.substr(0, dot));
    at = member == nullptr ? nullptr : &member->value;
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
  }
  return at == nullptr ? std::nullopt : std::optional(*at);
}

std::string element_source(const Key& key, const std::string& item) {
  return key.type == Type::StringList ? toml_string(item) : trimmed(item);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string stamp() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y%m%d_%H%M%S}", fmt::gmtime(now));
}

/// A name beside the file that nothing has yet.
fs::path backup_name(const fs::path& path) {
  const std::string first = path.string() + ".backup_" + stamp();
  fs::path name = first;
  for (int i = 2; fs::exists(name); ++i) name = fmt::format("{}_{}", first, i);
  return name;
}

std::string range_text(const Key& key) {
  const std::string low = config::format_number(key.min, key.unit);
  const bool open = key.max == static_cast<u64>(std::numeric_limits<i64>::max());
  return open ? fmt::format("{} or more", low) : fmt::format("{} to {}", low, config::format_number(key.max, key.unit));
}

}  // namespace

std::string describe_type(const Key& key) {
  std::string out;
  switch (key.type) {
    case Type::Integer: out = "a number, " + range_text(key); break;
    case Type::Boolean: out = "true or false"; break;
    case Type::String: out = "text"; break;
    case Type::StringList: out = "a list of texts"; break;
    case Type::IntegerList: out = "a list of numbers, each " + range_text(key); break;
    case Type::PathLists: out = "a list of lists of paths"; break;
    case Type::Rows: {
      for (const config::Column& column : key.columns) {
        out += (out.empty() ? "" : ", ") + (column.required ? std::string(column.name) : fmt::format("[{}]", column.name));
      }
      return "a list of [" + out + "]";
    }
  }
  if (key.choices.empty()) return out;
  std::vector<std::string> choices;
  for (const Choice& c : key.choices) {
    if (!c.not_built.empty()) continue;
    choices.push_back(key.type == Type::Integer ? fmt::format("{} ({})", c.number, c.text) : std::string(c.text));
  }
  return fmt::format("{}: {}", key.open_choices ? "known values" : "one of", config::join(choices));
}

// ---- files

const config::FileSchema& Model::schema(usize file) const {
  switch (files_[file].kind) {
    case FileKind::Board: return config::kBoardSchema;
    case FileKind::Vm: return config::kVmSchema;
    case FileKind::Qemu: return config::kQemuSchema;
    default: return config::kUbootSchema;
  }
}

std::string Model::shown_path(const fs::path& path) const {
  const std::string relative = path.lexically_relative(places_.root).string();
  return relative.empty() || relative.starts_with("..") ? path.string() : relative;
}

std::expected<usize, std::string> Model::open(FileKind kind, const fs::path& given, const std::string& initial) {
  const fs::path path = given.lexically_normal();
  for (usize i = 0; i < files_.size(); ++i) {
    if (files_[i].path == path) return i;
  }
  EditedFile file{kind, {}, path, shown_path(path), {}, false, {}};
  file.exists = fs::exists(path);
  if (file.exists) {
    auto text = read_text(path);
    if (!text) return std::unexpected(text.error());
    file.original = *std::move(text);
  }
  if (!file.exists) file.original = initial;
  file.text = file.original;
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  if (!config::parse_toml(sources.add(file.shown, file.text), diagnostics)) return std::unexpected(diagnostics.render(false));
  constexpr std::string_view titles[] = {"Board", "VM", "QEMU", "U-Boot"};
  file.title = titles[static_cast<usize>(kind)];
  if (kind == FileKind::Vm) {
    const auto name = parsed_value(file.text, "base.name");
    file.title = "VM " + (name && !name->text.empty() ? name->text : path.stem().string());
  }
  files_.push_back(std::move(file));
  const usize index = files_.size() - 1;
  if (kind == FileKind::Board) open_vms();
  return index;
}

/// The VM files that a board names. One that is not there stays unopened: the board's problems say so.
void Model::open_vms() {
  for (usize i = 0; i < files_.size(); ++i) {
    if (files_[i].kind != FileKind::Board) continue;
    for (const Row& row : rows(i)) {
      if (row.path != "vm_configs" && row.path != "default_vms") continue;
      for (const std::string& name : items(i, row)) {
        std::vector<fs::path> candidates{places_.root / name};
        for (const fs::path& folder : places_.config_folders) {
          candidates.push_back(folder / "vms" / name);
          candidates.push_back(folder / "vms" / (name + ".toml"));
        }
        const auto found = std::ranges::find_if(candidates, [](const fs::path& p) { return fs::is_regular_file(p); });
        if (found != candidates.end()) (void)open(FileKind::Vm, *found);
      }
    }
  }
}

std::vector<Row> Model::rows(usize file) const {
  std::vector<Row> out;
  for (const config::Section& section : schema(file).sections) {
    for (const Key& key : section.keys) {
      if (!key.not_built.empty()) continue;
      out.push_back({&section, &key, section.name.empty() ? std::string(key.name) : fmt::format("{}.{}", section.name, key.name)});
    }
  }
  return out;
}

// ---- reading

std::optional<std::string> Model::value(usize file, const Row& row) const {
  const TomlText text(files_[file].text);
  const std::optional<std::string> source = text.value(row.path);
  if (!source) return std::nullopt;
  if (row.key->type != Type::String) return source;
  const std::optional<Value> parsed = parsed_value(files_[file].text, row.path);
  return parsed && parsed->kind == Value::Kind::String ? parsed->text : source;
}

std::vector<std::string> Model::items(usize file, const Row& row) const {
  if (row.key->type == Type::StringList) {
    std::vector<std::string> out;
    if (const std::optional<Value> parsed = parsed_value(files_[file].text, row.path)) {
      for (const Value& item : parsed->items) out.push_back(item.text);
    }
    return out;
  }
  return TomlText(files_[file].text).elements(row.path);
}

std::string Model::shown_value(usize file, const Row& row) const {
  const std::optional<std::string> set = value(file, row);
  if (!set) {
    const Key& key = *row.key;
    const std::string_view absent = !key.default_value.empty() ? key.default_value : key.default_doc;
    return absent.empty() ? (key.required ? "[missing]" : "[not set]") : fmt::format("[{}]", absent);
  }
  return is_list(*row.key) ? config::join(items(file, row)) : *set;
}

std::vector<Option> Model::feature_options(usize file, const Row& row) const {
  const std::vector<std::string> chosen = items(file, row);
  const auto named = [&](const config::Feature& f) {
    return std::ranges::any_of(chosen, [&](const std::string& name) { return config::find_feature(name) == &f; });
  };
  config::SourceStore sources;
  config::Diagnostics ignored;
  const auto document = config::load_document(sources.add("", files_[file].text), config::kBoardSchema, ignored);
  if (!document) return {};
  std::vector<fs::path> homes = places_.config_folders;
  homes.push_back(places_.root);
  const config::Board board = config::decode_board(*document, config::PlatformFolders(homes), sources, ignored);
  std::vector<Option> out;
  for (const config::Feature& f : config::all_features()) {
    Option option{std::string(f.name), std::string(f.doc), named(f), {}, {}};
    const bool available = config::available_on(f, board.platform);
    std::vector<std::string> needs(f.needs.begin(), f.needs.end());
    if (!needs.empty()) option.doc += fmt::format(" Needs {}, which comes with it.", config::join(needs));
    if (!available && !option.selected) option.forbidden = fmt::format("not on {}", board.platform.name);
    if (f.always && available) option.note = "always on";
    if (!f.built) option.note = "not in this version: has no effect";
    for (const config::Feature& other : config::all_features()) {
      const bool needs_it = std::ranges::find(other.needs, f.name) != other.needs.end();
      if (needs_it && named(other) && !option.selected) option.note = fmt::format("comes with {}", other.name);
    }
    out.push_back(std::move(option));
  }
  return out;
}

std::vector<Option> Model::vm_options(usize file, const Row& row) const {
  const std::vector<std::string> chosen = items(file, row);
  std::vector<Option> out;
  for (const std::string& name : chosen) out.push_back({name, "named by the board", true, {}, {}});
  for (const fs::path& folder : places_.config_folders) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder / "vms", none)) {
      if (entry.path().extension() == ".toml") found.push_back(entry.path());
    }
    std::ranges::sort(found);
    for (const fs::path& path : found) {
      // `default_vms` names VMs, `vm_configs` files.
      const std::string name = row.path == "default_vms" ? path.stem().string() : shown_path(path);
      const auto same = [&](const Option& o) { return o.value == name; };
      if (std::ranges::none_of(out, same)) out.push_back({name, shown_path(path), false, {}, {}});
    }
  }
  return out;
}

std::vector<Option> Model::options(usize file, const Row& row) const {
  const Key& key = *row.key;
  if (files_[file].kind == FileKind::Board && row.path == "features") return feature_options(file, row);
  if (files_[file].kind == FileKind::Board && (row.path == "vm_configs" || row.path == "default_vms")) return vm_options(file, row);
  const std::optional<std::string> now = value(file, row);
  const std::string current = now.value_or(std::string(key.default_value));
  std::vector<Option> out;
  if (key.type == Type::Boolean) {
    for (const char* text : {"true", "false"}) out.push_back({text, "", current == text, {}, {}});
    return out;
  }
  for (const Choice& c : key.choices) {
    const bool number = key.type == Type::Integer;
    const std::string text = number ? fmt::format("{}", c.number) : std::string(c.text);
    const bool alias = std::ranges::find(c.aliases, current) != c.aliases.end();
    Option option{text, std::string(c.doc), current == text || alias, number ? std::string(c.text) : "", std::string(c.not_built)};
    out.push_back(std::move(option));
  }
  return out;
}

std::string Model::help(const Row& row) const {
  const Key& key = *row.key;
  std::string out = fmt::format("{}\n\n{}\n\nValue: {}.\n", row.path, key.doc, describe_type(key));
  const std::string_view absent = !key.default_doc.empty() ? key.default_doc : key.default_value;
  out += key.required ? "The file must have it.\n" : absent.empty() ? "" : fmt::format("Without it: {}.\n", absent);
  for (const Choice& c : key.choices) {
    out += fmt::format("  {}  {}{}\n", c.text, c.doc, c.not_built.empty() ? "" : fmt::format(" ({})", c.not_built));
  }
  for (const config::Column& c : key.columns) out += fmt::format("  {}: {}\n", c.name, c.doc);
  if (key.origin == config::Origin::Ours) out += "An addition to AxVisor's own files.\n";
  return out;
}

std::vector<std::string> Model::errors(const EditedFile& file, const std::string& text) const {
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  const usize index = static_cast<usize>(&file - files_.data());
  const auto document = config::load_document(sources.add(file.shown, text), schema(index), diagnostics);
  std::vector<std::string> out;
  for (const config::Diagnostic& d : diagnostics.all()) {
    if (d.severity != config::Severity::Error) continue;
    out.push_back(d.remedy.empty() ? d.text : fmt::format("{}: {}", d.text, d.remedy));
  }
  return out;
}

std::vector<std::string> Model::problems(usize index) const {
  const EditedFile& file = files_[index];
  std::vector<std::string> out = errors(file, file.text);
  if (file.kind != FileKind::Board || !out.empty()) return out;
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  const auto document = config::load_document(sources.add(file.shown, file.text), config::kBoardSchema, diagnostics);
  if (!document) return out;
  std::vector<fs::path> homes = places_.config_folders;
  homes.push_back(places_.root);
  config::decode_board(*document, config::PlatformFolders(homes), sources, diagnostics);
  for (const config::Diagnostic& d : diagnostics.all()) {
    if (d.severity == config::Severity::Error) out.push_back(d.remedy.empty() ? d.text : fmt::format("{}: {}", d.text, d.remedy));
  }
  return out;
}

std::vector<Change> Model::changes(usize index) const {
  std::vector<Change> out;
  const TomlText before(files_[index].original);
  const TomlText after(files_[index].text);
  for (const Row& row : rows(index)) {
    const std::string old = before.value(row.path).value_or("");
    const std::string now = after.value(row.path).value_or("");
    if (old != now) out.push_back({row.path, old, now});
  }
  return out;
}

bool Model::changed() const { return std::ranges::any_of(files_, &EditedFile::changed); }

std::vector<SearchHit> Model::search(std::string_view query) const {
  std::vector<std::string> words;
  const std::string all = lower(query);
  for (usize at = 0; at < all.size();) {
    const usize end = std::min(all.find(' ', at), all.size());
    if (end > at) words.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  std::vector<SearchHit> hits;
  if (words.empty()) return hits;
  for (usize file = 0; file < files_.size(); ++file) {
    const std::vector<Row> all_rows = rows(file);
    for (usize i = 0; i < all_rows.size(); ++i) {
      const std::string text = lower(fmt::format("{} {} {}", help(all_rows[i]), shown_value(file, all_rows[i]), files_[file].title));
      if (std::ranges::all_of(words, [&](const std::string& w) { return text.find(w) != std::string::npos; })) hits.push_back({file, i});
    }
  }
  return hits;
}

// ---- changing

std::expected<void, std::string> Model::apply(usize index, TomlText changed) {
  EditedFile& file = files_[index];
  if (changed.text() == file.text) return {};
  // Mistakes that were there before do not stand in the way of mending them one by one.
  std::map<std::string, int> known;
  for (const std::string& error : errors(file, file.text)) ++known[error];
  for (const std::string& error : errors(file, changed.text())) {
    if (--known[error] < 0) return std::unexpected(error);
  }
  done_.push_back({index, file.text, changed.text()});
  if (done_.size() > kMostUndo) done_.erase(done_.begin());
  undone_.clear();
  file.text = changed.text();
  if (file.kind == FileKind::Board) open_vms();
  return {};
}

std::expected<void, std::string> Model::set(usize file, const Row& row, std::string_view input) {
  const Key& key = *row.key;
  TomlText text(files_[file].text);
  const std::string word = trimmed(input);
  if (is_list(key)) return std::unexpected("this is a list: change its elements");
  if (word.empty() && key.type != Type::String) return std::unexpected(fmt::format("write {}", describe_type(key)));
  if (word.find('\n') != std::string::npos) return std::unexpected("a value is one line");
  const bool number = key.type == Type::Integer;
  if (number && word.find_first_not_of("0123456789abcdefABCDEFxXoO_+-") != std::string::npos) {
    return std::unexpected(fmt::format("'{}' is no number: write {}", word, describe_type(key)));
  }
  if (key.type == Type::Boolean && word != "true" && word != "false") return std::unexpected("write true or false");
  const auto set = text.set(row.section->name, row.path, key.type == Type::String ? toml_string(input) : word);
  return set ? apply(file, std::move(text)) : set;
}

std::expected<void, std::string> Model::set_items(usize file, const Row& row, const std::vector<std::string>& items) {
  if (!is_list(*row.key)) return std::unexpected("this is no list");
  std::vector<std::string> sources;
  for (const std::string& item : items) {
    const std::string source = element_source(*row.key, item);
    // One element, and nothing that would change what follows it.
    const auto parsed = parsed_value("x = [" + source + "]", "x");
    if (source.find('\n') != std::string::npos || !parsed || parsed->items.size() != 1) {
      return std::unexpected(fmt::format("'{}' is no element: write {}", item, describe_type(*row.key)));
    }
    sources.push_back(source);
  }
  // An element that is there keeps its spelling: 'a' is "a".
  TomlText text(files_[file].text);
  const std::vector<std::string> present = text.elements(row.path);
  const std::vector<std::string> meant = this->items(file, row);
  for (std::string& source : sources) {
    for (usize i = 0; i < present.size() && i < meant.size(); ++i) {
      if (element_source(*row.key, meant[i]) == source) source = present[i];
    }
  }
  const auto set = text.set_elements(row.section->name, row.path, sources);
  return set ? apply(file, std::move(text)) : set;
}

std::expected<void, std::string> Model::toggle(usize file, const Row& row, std::string_view wanted) {
  if (row.key->type == Type::Boolean) {
    const std::string now = value(file, row).value_or(std::string(row.key->default_value));
    return set(file, row, now == "true" ? "false" : "true");
  }
  std::vector<std::string> all = items(file, row);
  const bool features = files_[file].kind == FileKind::Board && row.path == "features";
  const auto same = [&](const std::string& item) {
    return item == wanted || (features && config::find_feature(item) != nullptr && config::find_feature(item) == config::find_feature(wanted));
  };
  if (std::ranges::any_of(all, same)) {
    std::erase_if(all, same);
    return set_items(file, row, all);
  }
  for (const Option& option : options(file, row)) {
    if (option.value == wanted && !option.forbidden.empty()) return std::unexpected(fmt::format("{}: {}", wanted, option.forbidden));
  }
  all.emplace_back(wanted);
  return set_items(file, row, all);
}

std::expected<void, std::string> Model::unset(usize file, const Row& row) {
  TomlText text(files_[file].text);
  text.remove(row.path);
  return apply(file, std::move(text));
}

bool Model::undo() {
  if (done_.empty()) return false;
  files_[done_.back().file].text = done_.back().before;
  undone_.push_back(std::move(done_.back()));
  done_.pop_back();
  return true;
}

bool Model::redo() {
  if (undone_.empty()) return false;
  files_[undone_.back().file].text = undone_.back().after;
  done_.push_back(std::move(undone_.back()));
  undone_.pop_back();
  return true;
}

std::expected<std::vector<std::string>, std::string> Model::save(bool backup) {
  for (const EditedFile& file : files_) {
    if (!file.changed()) continue;
    const bool same = fs::exists(file.path) ? file.exists && read_text(file.path).value_or("") == file.original : !file.exists;
    if (!same) return std::unexpected(fmt::format("{} was changed by somebody else since it was read: nothing is saved", file.shown));
  }
  std::vector<std::string> written;
  for (EditedFile& file : files_) {
    if (!file.changed()) continue;
    std::error_code error;
    if (backup && file.exists) fs::copy_file(file.path, backup_name(file.path), error);
    const fs::path fresh = fmt::format("{}.new{}", file.path.string(), ::getpid());
    {
      std::ofstream out(fresh, std::ios::binary);
      out << file.text;
      out.close();
      if (error || !out) return std::unexpected(fmt::format("cannot write {}", file.shown));
    }
    if (file.exists) fs::permissions(fresh, fs::status(file.path).permissions(), error);
    fs::rename(fresh, file.path, error);
    if (error) return std::unexpected(fmt::format("cannot write {}: {}", file.shown, error.message()));
    file.original = file.text;
    file.exists = true;
    written.push_back(file.shown);
  }
  return written;
}

}  // namespace ax::menuconfig
