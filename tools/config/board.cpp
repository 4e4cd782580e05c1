#include "tools/config/board.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/config/suggest.hpp"

namespace ax::config {
namespace {

// Loaders and the image's own page tables map it with 2 MiB blocks.
constexpr u64 kLoadAlignment = 2_MiB;

const Target* target_of(const Document& doc) {
  const auto it = std::ranges::find(all_targets(), doc.choice("target").text, &Target::triple);
  return it == all_targets().end() ? nullptr : &*it;
}

/// The target that a board's platform and `target` agree on.
const Target* agree(const Document& doc, const Platform& platform, Diagnostics& diagnostics) {
  const Target* target = target_of(doc);
  if (target == nullptr && platform.targets.size() > 1 && !doc.has("target")) {
    std::vector<std::string> triples;
    for (const Target* t : platform.targets) triples.emplace_back(t->triple);
    diagnostics.error(doc.where("platform"), fmt::format("platform '{}' is for several targets", platform.name))
        .fix(fmt::format("add target = one of: {}", join(triples)));
  }
  if (target == nullptr) return platform.targets[0];
  if (std::ranges::find(platform.targets, target) == platform.targets.end()) {
    diagnostics.error(doc.where("platform"), fmt::format("platform '{}' is for another target", platform.name))
        .note(doc.where("target"), fmt::format("this target goes with platform '{}'", target->platform))
        .fix("remove one of the two keys: each follows from the other");
  }
  return target;
}

void choose_platform(Board& board, const PlatformFolders& platforms, SourceStore& sources, Diagnostics& diagnostics) {
  const Document& doc = *board.document;
  const Target* target = target_of(doc);
  std::optional<Platform> named;
  if (doc.has("platform") && doc.valid("platform")) {
    named = platforms.find(doc.text("platform"), doc.where("platform"), sources, diagnostics);
  } else if (!doc.has("target") && !doc.has("platform")) {
    diagnostics.error(doc.where("target"), "the board names neither a target nor a platform")
        .fix("add target = \"aarch64-unknown-none-softfloat\"");
  }
  board.platform = named ? *named : PlatformFolders::of(target != nullptr ? *target : all_targets().front());
  board.target = agree(doc, board.platform, diagnostics);
  // After a disagreement, which was reported, the rest is judged by the target.
  const bool disagree = std::ranges::find(board.platform.targets, board.target) == board.platform.targets.end();
  if (disagree) board.platform = PlatformFolders::of(*board.target);
}

/// Adds features with what they need, each once.
class FeatureSet {
 public:
  FeatureSet(const Platform& platform, Diagnostics& diagnostics) : platform_(platform), diagnostics_(diagnostics) {
    for (const Feature& feature : all_features()) {
      if (feature.always && available_on(feature, platform)) include(feature);
    }
  }

  void add(const std::string& name, Position where) {
    const Feature* feature = find_feature(name);
    if (feature == nullptr) {
      const std::vector<std::string> known = feature_names(platform_);
      diagnostics_.error(where, fmt::format("unknown feature '{}'", name))
          .fix(did_you_mean(name, known, fmt::format("known on this platform: {}", join(known))));
      return;
    }
    if (!available_on(*feature, platform_)) return impossible(*feature, name, where);
    const auto earlier = std::ranges::find(named_, feature, &Named::feature);
    if (earlier != named_.end()) {
      diagnostics_.warning(where, fmt::format("feature '{}' is named twice", feature->name))
          .note(earlier->where, "the first time is here")
          .fix("remove one of the two");
      return;
    }
    named_.push_back({feature, where});
    if (!feature->built) {
      diagnostics_.warning(
          where,
          fmt::format("feature '{}' is known, but not built yet in this version: it has no effect", feature->name));
    }
    include(*feature);
  }

  std::vector<const Feature*> result() {
    std::ranges::sort(selected_, {}, &Feature::name);
    return selected_;
  }

 private:
  struct Named {
    const Feature* feature;
    Position where;
  };

  void impossible(const Feature& feature, const std::string& name, Position where) {
    std::vector<std::string> platforms(feature.platforms.begin(), feature.platforms.end());
    std::vector<std::string> here;
    for (const std::string& candidate : feature_names(platform_)) {
      if (candidate != name) here.push_back(candidate);
    }
    diagnostics_
        .error(where, fmt::format("feature '{}' exists on {} only, this board's platform is {}", feature.name,
                                  join(platforms), platform_.name))
        .fix(did_you_mean(name, here, "remove it"));
  }

  void include(const Feature& feature) {
    if (std::ranges::find(selected_, &feature) != selected_.end()) return;
    selected_.push_back(&feature);
    for (const std::string_view need : feature.needs) include(*find_feature(need));
  }

  const Platform& platform_;
  Diagnostics& diagnostics_;
  std::vector<Named> named_;
  std::vector<const Feature*> selected_;
};

/// Words of a list that a build tool takes as its command line.
class Words {
 public:
  Words(const Document& doc, std::string_view key) : doc_(doc), key_(key), words_(doc.strings(key)) {}

  bool more() const { return next_ < words_.size(); }
  std::string next() { return words_[at_ = next_++]; }
  /// Of the word that next() gave last.
  Position where() const { return doc_.where(key_, at_); }

  /// The value of an option that is written "--name=value", "-nvalue" or as two words.
  std::optional<std::string> value_of(const std::string& word, std::string_view shorthand, std::string_view name) {
    if (word == name || word == shorthand) return more() ? words_[next_++] : std::string();
    if (word.starts_with(fmt::format("{}=", name))) return word.substr(name.size() + 1);
    if (!shorthand.empty() && word.starts_with(shorthand) && !word.starts_with("--")) return word.substr(shorthand.size());
    return std::nullopt;
  }

 private:
  const Document& doc_;
  std::string_view key_;
  std::vector<std::string> words_;
  usize next_ = 0;
  usize at_ = 0;
};

/// Turns arguments for build tools into Ninja's.
class BuildArguments {
 public:
  BuildArguments(Board& board, FeatureSet& features, Diagnostics& diagnostics)
      : board_(board), features_(features), diagnostics_(diagnostics) {}

  /// `build_args`: those of `cmake --build` that say how to build, and after "--" Ninja's own.
  void translate_ours(Words words) {
    while (words.more()) {
      const std::string word = words.next();
      if (word == "--") {
        while (words.more()) add(words.next());
      } else if (!common(word, words, "--parallel")) {
        diagnostics_.error(words.where(), fmt::format("build argument '{}' cannot be a board's", word))
            .fix("a board may say -jN, --verbose, and after \"--\" arguments for Ninja; the rest is for the command line");
      }
    }
  }

  /// Arguments of AxVisor's build tool. What has no counterpart is reported.
  void translate_cargo(Words words) {
    while (words.more()) {
      const std::string word = words.next();
      if (word == "--release") {
        diagnostics_
            .warning(words.where(), "'--release' changes nothing: images are optimised unless a -debug preset is chosen")
            .fix("remove it");
      } else if (word == "--keep-going") {
        add("-k");
        add("0");
      } else if (const auto features = words.value_of(word, "-F", "--features")) {
        add_features(*features, words.where());
      } else if (word == "-vv") {
        add("-v");
      } else if (!common(word, words, "--jobs")) {
        diagnostics_
            .warning(words.where(), fmt::format("cargo argument '{}' has no counterpart here and is not used", word))
            .fix("put arguments for `cmake --build` into build_args");
      }
    }
  }

 private:
  void add(std::string word) { board_.build_args.push_back(std::move(word)); }

  bool common(const std::string& word, Words& words, std::string_view jobs_option) {
    if (word == "-v" || word == "--verbose") {
      add("-v");
    } else if (const auto jobs = words.value_of(word, "-j", jobs_option)) {
      add_jobs(*jobs, words.where());
    } else {
      return false;
    }
    return true;
  }

  void add_jobs(const std::string& jobs, Position where) {
    const bool number = !jobs.empty() && std::ranges::all_of(jobs, [](unsigned char c) { return std::isdigit(c); });
    if (number) return add("-j" + jobs);
    diagnostics_.error(where, fmt::format("'{}' is no number of jobs", jobs)).fix("write \"-j4\"");
  }

  void add_features(const std::string& list, Position where) {
    usize start = 0;
    while (start < list.size()) {
      const usize end = std::min(list.find_first_of(", ", start), list.size());
      if (end > start) features_.add(list.substr(start, end - start), where);
      start = end + 1;
    }
  }

  Board& board_;
  FeatureSet& features_;
  Diagnostics& diagnostics_;
};

/// Variables that a board cannot set, because the build has its own values or has read them by then.
struct ReservedVariable {
  std::string_view name;
  std::string_view remedy;
};
constexpr std::string_view kFlagsRemedy = "target flags belong into the toolchain file, or -DCMAKE_CXX_FLAGS=...";
constexpr std::string_view kCompilerRemedy = "the toolchain of `target` says it; -DAXVISOR_COMPILER=gnu chooses the other family";
constexpr ReservedVariable kReservedVariables[] = {
    {"CC", kCompilerRemedy},
    {"CXX", kCompilerRemedy},
    {"ASM", kCompilerRemedy},
    {"CFLAGS", kFlagsRemedy},
    {"CXXFLAGS", kFlagsRemedy},
    {"CPPFLAGS", kFlagsRemedy},
    {"ASMFLAGS", kFlagsRemedy},
    {"LDFLAGS", kFlagsRemedy},
    {"CMAKE_TOOLCHAIN_FILE", kCompilerRemedy},
    {"CMAKE_GENERATOR", "the presets use Ninja"},
    {"CMAKE_BUILD_TYPE", "choose a preset"},
    {"AXVISOR_VM_CONFIGS", "use the board's key vm_configs"},
    {"AXVISOR_SMP", "use the board's key smp"},
    {"AXVISOR_CONFIG_PATH", "set it where the build is started: it says where boards are"},
};

bool is_variable_name(std::string_view name) {
  const auto ok = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) && std::ranges::all_of(name, ok);
}

void decode_environment(const Document& doc, Board& board, Diagnostics& diagnostics) {
  for (const auto& [name, value, where] : doc.free_form("env")) {
    const auto reserved = std::ranges::find(kReservedVariables, name, &ReservedVariable::name);
    if (reserved != std::end(kReservedVariables)) {
      diagnostics.error(where, fmt::format("a board cannot set '{}'", name)).fix(std::string(reserved->remedy));
    } else if (!is_variable_name(name)) {
      diagnostics.error(where, fmt::format("'{}' is no name of an environment variable", name));
    } else {
      board.env.push_back(fmt::format("{}={}", name, value));
    }
  }
}

std::vector<VmName> names_of(const Document& doc, std::string_view path) {
  std::vector<VmName> out;
  for (const std::string& text : doc.strings(path)) out.push_back({text, doc.where(path, out.size())});
  return out;
}

/// A user's copy of a board file says in its first line whose copy it is; any other file is called after itself.
std::string name_of(const SourceFile& file) {
  constexpr std::string_view kBoardLine = "# board: ";
  const std::string_view first = file.line(1);
  if (first.starts_with(kBoardLine)) return std::string(first.substr(kBoardLine.size()));
  const std::string stem = file.path().stem().string();
  return stem.starts_with('.') ? "custom" : stem;
}

BuildCommands build_commands(const Document& doc, std::string_view commands, std::string_view outputs, Diagnostics& diagnostics) {
  BuildCommands out{doc.strings(commands), doc.strings(outputs)};
  if (out.commands.empty() && !out.outputs.empty()) {
    diagnostics.error(doc.where(outputs), fmt::format("nothing makes these files: there is no {}", commands))
        .fix(fmt::format("add {} = [\"...\"]", commands));
  }
  return out;
}

}  // namespace

bool Board::has_feature(std::string_view feature) const {
  return std::ranges::find(features, feature, &Feature::name) != features.end();
}

Defconfig decode_defconfig(const Document& doc) {
  Defconfig out{doc.integer("task-stack-size"), doc.integer("ticks-per-sec")};
  if (doc.has("smp") && doc.valid("smp")) out.smp = static_cast<u32>(doc.integer("smp"));
  return out;
}

Board decode_board(const Document& doc, const PlatformFolders& platforms, SourceStore& sources, Diagnostics& diagnostics) {
  Board board;
  board.name = name_of(doc.file());
  board.document = &doc;
  choose_platform(board, platforms, sources, diagnostics);
  FeatureSet features(board.platform, diagnostics);
  const std::vector<std::string> names = doc.strings("features");
  for (usize i = 0; i < names.size(); ++i) {
    if (doc.valid("features", i)) features.add(names[i], doc.where("features", i));
  }
  BuildArguments arguments(board, features, diagnostics);
  arguments.translate_ours(Words(doc, "build_args"));
  arguments.translate_cargo(Words(doc, "cargo_args"));
  board.features = features.result();

  board.log = doc.choice("log").text;
  board.log_level = doc.choice("log").number;
  if (doc.has("smp") && doc.valid("smp")) board.smp = static_cast<u32>(doc.integer("smp"));
  board.to_bin = doc.boolean("to_bin");
  board.power_off_when_idle = doc.boolean("power_off_when_idle");
  board.load_address = doc.has("load_address") ? doc.integer("load_address") : board.platform.load_address;
  if (!is_aligned(board.load_address, kLoadAlignment)) {
    diagnostics
        .error(doc.where("load_address"),
               fmt::format("the load address {:#x} is no multiple of 2 MiB", board.load_address))
        .fix(fmt::format("use {:#x}", align_down(board.load_address, kLoadAlignment)));
  }
  board.vm_configs = names_of(doc, "vm_configs");
  board.default_vms = names_of(doc, "default_vms");
  board.pre_build = build_commands(doc, "pre_build_cmds", "pre_build_outputs", diagnostics);
  board.post_build = build_commands(doc, "post_build_cmds", "post_build_outputs", diagnostics);
  decode_environment(doc, board, diagnostics);
  return board;
}

}  // namespace ax::config
