#include "tools/app/application.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <set>

#include "tools/app/os_section.hpp"
#include "tools/app/project.hpp"
#include "tools/config/suggest.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

using config::Value;
using Kind = Value::Kind;

/// What `app` begins with where the program is on the machine's disk.
constexpr std::string_view kOnDisk = "disk:";

constexpr std::array<std::string_view, 2> kDescriptions{"config_linux.toml", "app.toml"};
constexpr std::array<std::pair<std::string_view, TargetType>, 4> kTypes{{{"exe", TargetType::Exe},
                                                                         {"static", TargetType::Static},
                                                                         {"dll", TargetType::Dll},
                                                                         {"object", TargetType::Object}}};
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+";
constexpr std::string_view kArchiverOperation = "rcs";

/// One [[targets]], while it is being read.
struct Draft {
  Section section;
  Target target;
};

class Loader {
 public:
  Loader(const config::SourceFile& file, const Value& root, const PkgConfig& pkg_config, Diagnostics& diagnostics)
      : file_(file), root_(root), pkg_config_(pkg_config), diagnostics_(diagnostics) {
    app_.file = file.path();
    app_.folder = file.path().parent_path();
  }

  Application load() {
    check_top();
    load_packages();
    load_os();
    load_targets();
    load_build();
    load_tests();
    check_dependencies();
    check_products();
    for (Draft& draft : drafts_) app_.targets.push_back(std::move(draft.target));
    return std::move(app_);
  }

 private:
  Position file_position() const { return {&file_}; }

  // ---- [[packages]]

  static bool is_sha256(const std::string& text) {
    constexpr usize kDigits = 64;
    return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  }

  /// Below the description's folder, and not that folder itself.
  bool is_inside(const fs::path& folder) const {
    const std::string relative = folder.lexically_relative(app_.folder).string();
    return !relative.empty() && relative != "." && !relative.starts_with("..");
  }

 public:
  std::vector<Package> load_packages() {
    std::vector<Package> packages;
    for (const Value* table : tables_of("packages")) {
      const Section s(table_named("packages"), table, table->where, diagnostics_);
      Package package{s.text("debian"), s.text("version"), s.text("sha256"), {}, (app_.folder / s.text("folder")).lexically_normal(),
                      s.header()};
      for (const Located& file : s.list("files")) package.files.push_back(file.text);
      const bool complete = s.usable("debian") && s.usable("version") && s.usable("files");
      if (s.usable("sha256") && !is_sha256(package.sha256)) {
        diagnostics_.error(s.where("sha256"), "'sha256' must have 64 lower-case hexadecimal digits")
            .fix("sha256sum FILE prints it");
      } else if (s.usable("folder") && !is_inside(package.folder)) {
        diagnostics_.error(s.where("folder"), "'folder' must be below the folder of this file").fix("name a folder of its own");
      } else if (complete && s.usable("sha256") && s.usable("folder")) {
        packages.push_back(std::move(package));
      }
    }
    return packages;
  }

 private:
  // ---- structure

  void check_top() {
    std::vector<std::string> known;
    for (const Table& table : all_tables()) {
      if (table.name.find('.') == std::string_view::npos) known.emplace_back(table.name);
    }
    for (const Value::Member& member : root_.members) {
      if (std::ranges::find(known, member.key) != known.end()) continue;
      std::string fix = config::did_you_mean(member.key, known);
      for (const Table& table : all_tables()) {
        if (fix.empty() && table.find(member.key) != nullptr) fix = fmt::format("move it to {}", title_of(table));
        if (fix.empty() && table.name.ends_with("." + member.key)) fix = fmt::format("write {}", title_of(table));
      }
      if (fix.empty()) fix = fmt::format("known here: {}", config::join(known));
      diagnostics_
          .error(member.key_where,
                 fmt::format("unknown {} '{}'",
                             member.value.kind == Kind::Table || member.value.kind == Kind::Array ? "table" : "key",
                             member.key))
          .fix(fix);
    }
    if (root_.find("build") == nullptr) {
      diagnostics_.error(file_position(), "the table [build] is missing").fix("add [build] with compiler = \"gcc\"");
    }
  }

  /// The table `name` of `parent`, or null when it is absent or no table, which is reported.
  const Value* table_of(const Value* parent, std::string_view key, std::string_view name, Position& header) {
    const Value::Member* member = parent == nullptr ? nullptr : parent->find(key);
    if (member == nullptr) return nullptr;
    header = member->key_where;
    if (member->value.kind == Kind::Table) return &member->value;
    diagnostics_
        .error(member->value.where,
               fmt::format("'{}' must be a table, not {}", name, config::describe(member->value.kind)))
        .fix(fmt::format("start it with a line [{}]", name));
    return nullptr;
  }

  std::vector<const Value*> tables_of(std::string_view name) {
    const Value::Member* member = root_.find(name);
    std::vector<const Value*> out;
    if (member == nullptr) return out;
    const bool good = member->value.kind == Kind::Array &&
                      std::ranges::all_of(member->value.items, [](const Value& v) { return v.kind == Kind::Table; });
    if (!good) {
      diagnostics_.error(member->key_where, fmt::format("'{}' must be a list of tables", name))
          .fix(fmt::format("start each with a line [[{}]]", name));
      return out;
    }
    for (const Value& item : member->value.items) out.push_back(&item);
    return out;
  }

  // ---- [build]

  void load_build() {
    Position header = file_position();
    const Value* table = table_of(&root_, "build", "build", header);
    if (table == nullptr) return;
    const Section build(table_named("build"), table, header, diagnostics_);
    const auto words = words_of(build, "compiler");
    if (words) app_.compiler = compiler_of(with_absolute_paths(*words, app_.folder.string()));
    const bool named = build.has("compiler");
    if (!drafts_.empty() && !named) {
      diagnostics_.error(header, "the key 'compiler' is missing in [build]").fix("add compiler = \"gcc\"");
    } else if (named && words && app_.compiler.c.empty()) {
      diagnostics_.error(build.where("compiler"), "'compiler' names no compiler").fix("use \"gcc\" or \"clang\"");
    }
    if (build.usable("app") && !build.text("app").empty()) load_app(build);
    if (!app_.app && has_no_targets()) {
      diagnostics_.error(file_position(), "there is nothing to build: no [[targets]], and no 'app' in [build]")
          .fix("add [[targets]] with name, src and type");
    }
  }

  /// None at all, and no table whose name looks as if it were meant.
  bool has_no_targets() const {
    const Value::Member* targets = root_.find("targets");
    if (targets != nullptr) return targets->value.kind == Kind::Array && targets->value.items.empty();
    const std::vector<std::string> wanted{"targets"};
    return std::ranges::none_of(root_.members,
                                [&](const Value::Member& member) { return config::nearest(member.key, wanted).has_value(); });
  }

  void load_app(const Section& build) {
    app_.app_where = build.where("app");
    const std::string text = build.text("app");
    const std::string_view named = text;
    app_.app_on_disk = app_.os && named.starts_with(kOnDisk);
    if (app_.app_on_disk) {
      load_app_on_disk(named.substr(kOnDisk.size()));
    } else {
      app_.app = (app_.folder / named).lexically_normal();
    }
    for (const Draft& draft : drafts_) {
      if (draft.target.type != TargetType::Exe) continue;
      diagnostics_.error(build.where("app"), "there are two programs: 'app', and a target of type exe")
          .note(draft.target.where, fmt::format("'{}' is here", draft.target.name))
          .fix("remove one of the two");
    }
  }

  void load_app_on_disk(std::string_view path) {
    app_.app = fs::path(path);
    if (!path.starts_with('/')) {
      diagnostics_.error(app_.app_where, "a program on the disk has a path from the disk's root")
          .fix(fmt::format("use \"{}/{}\"", kOnDisk, path));
    } else if (std::ranges::find(app_.os->services, "blkfs") == app_.os->services.end()) {
      diagnostics_.error(app_.app_where, "a program on the disk needs the services fs and blkfs")
          .fix("add both to 'services', and set blk = \"y\"");
    }
  }

  // ---- [os]

  void load_os() {
    Position header = file_position();
    const Value* os = table_of(&root_, "os", "os", header);
    if (os == nullptr) return;
    Position platform_header = header;
    const Value* platform = table_of(os, "platform", "os.platform", platform_header);
    Position qemu_header = platform_header;
    const Value* qemu = table_of(platform, "qemu", "os.platform.qemu", qemu_header);
    const OsSections sections{Section(table_named("os"), os, header, diagnostics_),
                              Section(table_named("os.platform"), platform, platform_header, diagnostics_),
                              Section(table_named("os.platform.qemu"), qemu, qemu_header, diagnostics_)};
    app_.os = decode_os(sections, diagnostics_);
  }

  // ---- [[targets]]

  void load_targets() {
    for (const Value* table : tables_of("targets")) {
      drafts_.push_back({Section(table_named("targets"), table, table->where, diagnostics_), {}});
      load_target(drafts_.back());
    }
    const Draft* program = nullptr;
    for (const Draft& draft : drafts_) {
      if (draft.target.type != TargetType::Exe || !draft.section.usable("type")) continue;
      if (program != nullptr) {
        diagnostics_.error(draft.section.where("type"), "there is more than one target of type exe")
            .note(program->section.where("type"), "the first is here")
            .fix("make one file for each program, or one of them a library");
      }
      program = &draft;
    }
  }

  void load_target(Draft& draft) {
    const Section& s = draft.section;
    Target& t = draft.target;
    t.name = s.text("name");
    t.where = s.where("name");
    check_name(draft);
    for (const auto& [name, type] : kTypes) {
      if (s.text("type") == name) t.type = type;
    }
    if (s.usable("src")) {
      const Position where = s.where("src");
      t.sources =
          find_sources({app_.folder, {s.text("src"), where}, s.list("src_only"), s.list("src_exclude")}, diagnostics_);
    }
    if (app_.os && t.type == TargetType::Dll && s.usable("type")) {
      diagnostics_.error(s.where("type"), "a system of [os] has no shared libraries").fix("use type = \"static\"");
    }
    load_include_folders(draft);
    load_compiler_options(draft);
    load_linker(draft);
  }

  void check_name(const Draft& draft) {
    const Section& s = draft.section;
    const std::string& name = draft.target.name;
    if (!s.usable("name")) return;
    if (name.empty() || name.find_first_not_of(kNameCharacters) != std::string::npos || name[0] == '-' ||
        name[0] == '.') {
      diagnostics_.error(s.where("name"), fmt::format("'{}' cannot be the name of a target", name))
          .fix("use letters, digits, '_', '-', '.' and '+'");
      return;
    }
    for (const Draft& other : drafts_) {
      if (&other == &draft || other.target.name != name) continue;
      diagnostics_.error(s.where("name"), fmt::format("there is a target '{}' already", name))
          .note(other.target.where, "the first is here")
          .fix("give one of them another name");
      return;
    }
  }

  void load_include_folders(Draft& draft) {
    for (const Located& folder : draft.section.list("include_dir")) {
      if (folder.text.empty()) {
        diagnostics_.error(folder.where, "'include_dir' is empty").fix("remove the key, or use \"./\"");
        continue;
      }
      const fs::path path = (app_.folder / folder.text).lexically_normal();
      std::error_code error;
      if (!fs::is_directory(path, error)) {
        diagnostics_.error(folder.where, fmt::format("there is no folder '{}'", folder.text))
            .fix("paths are relative to the folder of this file");
        continue;
      }
      draft.target.include_folders.push_back(path);
    }
  }

  void load_compiler_options(Draft& draft) {
    const auto words = words_of(draft.section, "cflags");
    if (!words) return;
    Words cflags = with_absolute_paths(without_build_options(*words), app_.folder.string());
    for (const std::string& folder : take_include_folders(cflags)) draft.target.own_folders.emplace_back(folder);
    draft.target.cflags = std::move(cflags);
  }

  void load_linker(Draft& draft) {
    const Section& s = draft.section;
    const auto ldflags = words_of(s, "ldflags");
    const auto linker = words_of(s, "linker");
    const auto archive = words_of(s, "archive");
    if (!ldflags || !linker || !archive) return;
    const bool is_static = draft.target.type == TargetType::Static;
    const auto useless = [&](std::string_view key, std::string_view reason) {
      diagnostics_.warning(s.where(key), fmt::format("'{}' has no effect: {}", key, reason)).fix("remove it");
    };
    if (s.has("archive") && s.usable("type") && !is_static && !archive->empty())
      useless("archive", "only static libraries have an archiver");
    if (is_static && !linker->empty()) useless("linker", "a static library is not linked");
    if (is_static) {
      load_archiver(draft, *archive, *ldflags);
      return;
    }
    if (is_rust_lld(*linker) && !app_.os) {
      diagnostics_
          .error(s.where("linker"), "rust-lld links for a system of [os]; a program for this machine needs a compiler")
          .fix("remove the key, or add [os]");
    }
    draft.target.linker = with_absolute_paths(*linker, app_.folder.string());
    draft.target.ldflags = with_absolute_paths(*ldflags, app_.folder.string());
  }

  void load_archiver(Draft& draft, const Words& archive, const Words& operation) {
    const Section& s = draft.section;
    draft.target.archiver = archive.empty() ? Words{"ar"} : with_absolute_paths(archive, app_.folder.string());
    const std::string letters = operation.empty() ? std::string(kArchiverOperation) : operation.front();
    const bool adds = letters.find_first_of("rq") != std::string::npos;
    const bool option =
        letters.size() > 1 && letters[0] == '-' && (letters[1] == 'l' || letters[1] == 'L' || letters[1] == 'W');
    if (!adds || option) {
      diagnostics_
          .error(s.where("ldflags"),
                 fmt::format("'{}' is no operation of an archiver: a static library is not linked", letters))
          .fix("use \"rcs\" here, and give options of the linker to the program that uses the library");
      return;
    }
    draft.target.archiver.push_back(letters);
    if (!operation.empty())
      draft.target.archiver.insert(draft.target.archiver.end(), operation.begin() + 1, operation.end());
  }

  /// The words of a string; nothing after an error, which was reported.
  std::optional<Words> words_of(const Section& section, std::string_view key) {
    if (section.has(key) && !section.usable(key)) return std::nullopt;
    auto words = split_words(section.text(key), pkg_config_);
    if (!words) {
      diagnostics_.error(section.where(key), fmt::format("'{}': {}", key, words.error().text)).fix(words.error().fix);
      return std::nullopt;
    }
    for (const std::string& word : *words) {
      if (word.find_first_of(";\n") == std::string::npos && word.find("$<") == std::string::npos) continue;
      diagnostics_.error(section.where(key), fmt::format("'{}': the word '{}' cannot be passed on", key, word))
          .fix("';', '$<' and line breaks cannot be part of an option");
      return std::nullopt;
    }
    return *std::move(words);
  }

  // ---- deps

  void check_dependencies() {
    for (Draft& draft : drafts_) {
      for (const Located& dep : draft.section.list("deps")) add_dependency(draft, dep);
    }
    std::vector<usize> path;
    std::set<usize> done;
    for (usize i = 0; i < drafts_.size(); ++i) visit(i, path, done);
    for (const Draft& draft : drafts_) check_library_name(draft);
  }

  /// A program 'libl.so' and a dll 'libl' are one file.
  void check_products() {
    for (usize i = 0; i < drafts_.size(); ++i) {
      for (usize j = 0; j < i; ++j) {
        const Target& one = drafts_[j].target;
        const Target& other = drafts_[i].target;
        if (one.name == other.name || product_name(one) != product_name(other)) continue;
        diagnostics_
            .error(other.where, fmt::format("'{}' and '{}' are the same file: {}", one.name, other.name, product_name(one)))
            .note(one.where, "the other one is here")
            .fix("give one of them another name");
      }
    }
  }

  void add_dependency(Draft& draft, const Located& dep) {
    std::vector<std::string> names;
    for (const Draft& other : drafts_) {
      if (&other != &draft && other.target.type != TargetType::Exe) names.push_back(other.target.name);
    }
    const auto it = std::ranges::find(drafts_, dep.text, [](const Draft& d) { return d.target.name; });
    if (it == drafts_.end()) {
      diagnostics_.error(dep.where, fmt::format("there is no target '{}'", dep.text))
          .fix(config::did_you_mean(
              dep.text, names,
              names.empty() ? "there is no library here" : fmt::format("known: {}", config::join(names))));
      return;
    }
    const auto index = static_cast<usize>(it - drafts_.begin());
    if (it->target.type == TargetType::Exe && it->section.usable("type") && &*it != &draft) {
      diagnostics_
          .error(dep.where,
                 fmt::format("'{}' is a program: only dll, static and object targets can be used by others", dep.text))
          .fix("remove it");
      return;
    }
    if (std::ranges::find(draft.target.deps, index) != draft.target.deps.end()) {
      diagnostics_.warning(dep.where, fmt::format("'{}' is named twice", dep.text)).fix("remove one of the two");
      return;
    }
    if (it->target.type == TargetType::Dll && !it->target.name.starts_with("lib")) {
      diagnostics_
          .error(it->target.where,
                 fmt::format("the name of a dll that others use begins with 'lib': '{}' does not", it->target.name))
          .note(dep.where, fmt::format("'{}' uses it", draft.target.name))
          .fix(fmt::format("call it 'lib{}'", it->target.name));
    }
    draft.target.deps.push_back(index);
  }

  void check_library_name(const Draft& draft) {
    const bool used = std::ranges::any_of(drafts_, [&](const Draft& d) {
      return std::ranges::find(d.target.deps, static_cast<usize>(&draft - drafts_.data())) != d.target.deps.end();
    });
    if (used || draft.target.type != TargetType::Dll || draft.target.name.starts_with("lib") ||
        !draft.section.usable("name"))
      return;
    diagnostics_
        .warning(draft.target.where,
                 fmt::format("the name of a dll begins with 'lib': '{}' does not", draft.target.name))
        .fix(fmt::format("call it 'lib{}'", draft.target.name));
  }

  /// Depth first: finds cycles, and leaves the targets in an order in which they can be made.
  void visit(usize index, std::vector<usize>& path, std::set<usize>& done) {
    const auto again = std::ranges::find(path, index);
    if (again != path.end()) {
      std::string chain;
      for (auto it = again; it != path.end(); ++it) chain += drafts_[*it].target.name + " -> ";
      diagnostics_
          .error(drafts_[*again].section.where("deps"),
                 fmt::format("targets use each other: {}{}", chain, drafts_[index].target.name))
          .fix("take one of them out of 'deps'");
      return;
    }
    if (done.contains(index)) return;
    path.push_back(index);
    // Backwards, so that of independent libraries the one that is named first comes first when the order is read
    // backwards.
    const std::vector<usize>& deps = drafts_[index].target.deps;
    for (auto dep = deps.rbegin(); dep != deps.rend(); ++dep) visit(*dep, path, done);
    path.pop_back();
    done.insert(index);
    app_.order.push_back(index);
  }

  // ---- [[tests]]

  void load_tests() {
    for (const Value* table : tables_of("tests")) {
      const Section s(table_named("tests"), table, table->where, diagnostics_);
      Test test;
      test.name = s.text("name");
      if (s.usable("name") && test.name.empty()) diagnostics_.error(s.where("name"), "'name' is empty").fix("name the test");
      for (const Located& word : s.list("args")) test.args.push_back(word.text);
      test.input = file_of(s, "input");
      test.output = file_of(s, "output");
      test.success_regex = expressions_of(s, "success_regex");
      test.fail_regex = expressions_of(s, "fail_regex");
      test.status = static_cast<int>(s.number("status"));
      test.timeout_seconds = static_cast<unsigned>(s.number("timeout"));
      if (std::ranges::find(app_.tests, test.name, &Test::name) != app_.tests.end()) {
        diagnostics_.error(s.where("name"), fmt::format("there is a test '{}' already", test.name))
            .fix("give it another name");
      }
      app_.tests.push_back(std::move(test));
    }
  }

  std::vector<std::string> expressions_of(const Section& section, std::string_view key) {
    std::vector<std::string> expressions;
    for (const Located& text : section.list(key)) {
      const RE2 compiled(text.text, RE2::Quiet);
      if (text.text.empty()) {
        diagnostics_.error(text.where, fmt::format("'{}' is empty: everything has it", key)).fix("remove it");
      } else if (!compiled.ok()) {
        diagnostics_.error(text.where, fmt::format("'{}' is no regular expression: {}", text.text, compiled.error()))
            .fix("correct it; \\ before a character takes its meaning away");
      }
      expressions.push_back(text.text);
    }
    return expressions;
  }

  fs::path file_of(const Section& section, std::string_view key) {
    if (!section.usable(key)) return {};
    const fs::path path = (app_.folder / section.text(key)).lexically_normal();
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
      diagnostics_.error(section.where(key), fmt::format("there is no file '{}'", section.text(key)))
          .fix("paths are relative to the folder of this file");
    }
    return path;
  }

  const config::SourceFile& file_;
  const Value& root_;
  const PkgConfig& pkg_config_;
  Diagnostics& diagnostics_;
  Application app_;
  std::vector<Draft> drafts_;
};

}  // namespace

const Target* Application::program() const {
  const auto it = std::ranges::find(targets, TargetType::Exe, &Target::type);
  return it == targets.end() ? nullptr : &*it;
}

namespace {

void reach(const Application& app, const Target& target, bool through_dll, std::set<usize>& used, bool link) {
  for (const usize dep : target.deps) {
    const Target& next = app.targets[dep];
    const bool inside = link && (through_dll || next.type == TargetType::Dll);
    if (!(link && through_dll) || next.type == TargetType::Dll) used.insert(dep);
    reach(app, next, inside, used, link);
  }
}

/// `order` has what is used first, so that going through it backwards meets every user before what it uses.
std::vector<const Target*> users_first(const Application& app, const std::set<usize>& used) {
  std::vector<const Target*> out;
  for (auto it = app.order.rbegin(); it != app.order.rend(); ++it) {
    if (used.contains(*it)) out.push_back(&app.targets[*it]);
  }
  return out;
}

bool has_cxx(const Target& target) {
  return std::ranges::find(target.sources, Language::Cxx, &Source::language) != target.sources.end();
}

}  // namespace

std::vector<const Target*> Application::closure(const Target& target) const {
  std::set<usize> used;
  reach(*this, target, false, used, false);
  return users_first(*this, used);
}

std::vector<const Target*> Application::linked(const Target& target) const {
  std::set<usize> used;
  reach(*this, target, false, used, true);
  return users_first(*this, used);
}

bool Application::uses_cxx() const { return std::ranges::any_of(targets, has_cxx); }

bool Application::uses_cxx(const Target& target) const {
  return has_cxx(target) || std::ranges::any_of(closure(target), [&](const Target* t) { return has_cxx(*t); });
}

std::expected<fs::path, std::string> find_description(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const std::string_view name : kDescriptions) {
    if (fs::is_regular_file(folder / name)) found.push_back(folder / name);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) return std::unexpected(fmt::format("no config_linux.toml or app.toml in {}", folder.string()));
  return std::unexpected(
      fmt::format("both config_linux.toml and app.toml are in {}: say which with --file", folder.string()));
}

std::vector<Package> load_packages(const config::SourceFile& file) {
  Diagnostics ignored;
  const PkgConfig none;
  const std::optional<Value> root = config::parse_toml(file, ignored);
  return root ? Loader(file, *root, none, ignored).load_packages() : std::vector<Package>();
}

Application load_application(const config::SourceFile& file, const PkgConfig& pkg_config, Diagnostics& diagnostics) {
  const std::optional<Value> root = config::parse_toml(file, diagnostics);
  if (!root) return {};
  return Loader(file, *root, pkg_config, diagnostics).load();
}

}  // namespace ax::app
