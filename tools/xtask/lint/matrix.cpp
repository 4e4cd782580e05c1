#include "tools/xtask/lint/matrix.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "tools/config/features.hpp"
#include "tools/config/platform.hpp"
#include "tools/xtask/build/board.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 6> kPackages{"kernel", "platforms", "hypervisor", "tools", "tests", "scripts"};

/// Names that users of AxVisor know the same code by.
struct PackageAlias {
  std::string_view name;
  std::string_view folder;
};
constexpr std::array kAliases{
    PackageAlias{"axvisor", "kernel"},     PackageAlias{"axvisor", "platforms"}, PackageAlias{"axvisor", "hypervisor"},
    PackageAlias{"axruntime", "kernel"},   PackageAlias{"axhal", "kernel"},      PackageAlias{"axhal", "platforms"},
    PackageAlias{"axvm", "hypervisor"},    PackageAlias{"xtask", "tools"},       PackageAlias{"axconfig", "tools"},
};

/// The board that stands for its target: one for an emulator before others, as everybody can run it.
fs::path board_for(const fs::path& root, const std::string& target) {
  fs::path best;
  for (const std::string& name : board_names(root)) {
    const fs::path file = root / "configs/board" / (name + ".toml");
    if (!fs::is_regular_file(file)) {
      continue;  // of AXVISOR_CONFIG_PATH
    }
    const TomlTable table = load_toml(file);
    TomlReader reader(table, file.string());
    if (reader.string("target").value_or("") == target && (best.empty() || name.starts_with("qemu-"))) {
      best = file;
    }
  }
  return best;
}

const config::Target* find_target(const std::string& triple) {
  for (const config::Target& target : config::all_targets()) {
    if (target.triple == triple) {
      return &target;
    }
  }
  return nullptr;
}

LintBuild board_lint_build(const Context& context, const std::string& target, const fs::path& board, const std::string& label,
                           const std::set<std::string>& features) {
  LintBuild build{target, label, context.root / "build/lint" / (target + "-" + label), {}, {}, {}};
  build.board = build.folder / "boards" / board.filename();
  build.board_text = with_features(read_file(board), features);
  build.configure = {"cmake", "-S", context.root.string(), "-B", build.folder.string(), "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
                     "-DAXVISOR_BOARD=" + build.board.string()};
  return build;
}

}  // namespace

std::vector<std::string> lint_packages() {
  std::vector<std::string> names(kPackages.begin(), kPackages.end());
  for (const PackageAlias& alias : kAliases) {
    if (std::find(names.begin(), names.end(), alias.name) == names.end()) {
      names.emplace_back(alias.name);
    }
  }
  return names;
}

std::vector<std::string> resolve_packages(const std::vector<std::string>& names) {
  std::set<std::string> wanted;
  for (const std::string& name : names) {
    const size_t before = wanted.size();
    for (const PackageAlias& alias : kAliases) {
      if (alias.name == name) {
        wanted.emplace(alias.folder);
      }
    }
    const bool folder = std::find(kPackages.begin(), kPackages.end(), name) != kPackages.end();
    if (folder) {
      wanted.insert(name);
    } else if (wanted.size() == before && std::none_of(kAliases.begin(), kAliases.end(), [&](const auto& a) { return a.name == name; })) {
      throw Failure(ExitCode::Usage, fmt::format("--packages: unknown package '{}'{}", name, did_you_mean(name, lint_packages())),
                    fmt::format("packages: {}", fmt::join(lint_packages(), ", ")));
    }
  }
  std::vector<std::string> result;
  for (const std::string_view package : kPackages) {
    if (names.empty() || wanted.contains(std::string(package))) {
      result.emplace_back(package);
    }
  }
  return result;
}

std::vector<std::string> lint_targets(const fs::path& root) {
  std::vector<std::string> targets{kHostTarget};
  for (const config::Target& target : config::all_targets()) {
    if (target.built && !board_for(root, std::string(target.triple)).empty()) {
      targets.emplace_back(target.triple);
    }
  }
  return targets;
}

std::vector<std::string> resolve_targets(const fs::path& root, const std::vector<std::string>& names) {
  const std::vector<std::string> known = lint_targets(root);
  if (names.empty()) {
    return known;
  }
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const std::string& target) {
      return target == name || target.starts_with(name + "-");
    });
    if (found == known.end()) {
      std::vector<std::string> spellings = known;
      for (const std::string& target : known) {
        spellings.push_back(target.substr(0, target.find('-')));
      }
      throw Failure(ExitCode::Usage, fmt::format("--targets: unknown target '{}'{}", name, did_you_mean(name, spellings)),
                    fmt::format("targets: {}", fmt::join(known, ", ")));
    }
    if (std::find(wanted.begin(), wanted.end(), *found) == wanted.end()) {
      wanted.push_back(*found);
    }
  }
  return wanted;
}

std::string with_features(const std::string& text, const std::set<std::string>& features) {
  static const RE2 kList("(?ms)^features\\s*=\\s*\\[[^\\]]*\\]");
  std::string list;
  for (const std::string& feature : features) {
    list += (list.empty() ? "" : ", ") + toml_quote(feature);
  }
  const std::string line = "features = [" + list + "]";
  std::string result = text;
  if (!RE2::Replace(&result, kList, line)) {
    result = line + "\n" + result;
  }
  return result;
}

std::vector<LintBuild> lint_builds(const Context& context, const std::string& target) {
  if (target == kHostTarget) {
    const fs::path folder = context.root / "build/host";
    return {{target, "-", folder, {}, {}, {"cmake", "--preset", "host", "-B", folder.string()}}};
  }
  const fs::path board = board_for(context.root, target);
  const config::Platform platform = config::PlatformFolders::of(*find_target(target));
  std::set<std::string> always;
  std::set<std::string> choice;
  for (const config::Feature& feature : config::all_features()) {
    if (feature.built && config::available_on(feature, platform)) {
      (feature.always ? always : choice).emplace(feature.name);
    }
  }
  std::vector<LintBuild> builds;
  builds.push_back(board_lint_build(context, target, board, "none", always));
  for (const std::string& feature : choice) {
    std::set<std::string> alone = always;
    alone.insert(feature);
    builds.push_back(board_lint_build(context, target, board, feature, alone));
  }
  if (choice.size() > 1) {
    always.merge(std::set<std::string>(choice));
    builds.push_back(board_lint_build(context, target, board, "all", always));
  }
  return builds;
}

std::vector<std::string> compiled_sources(const fs::path& root, const LintBuild& build, const std::string& package) {
  std::set<std::string> files;
  const std::string prefix = (root / package).string() + "/";
  for (const nlohmann::json& entry : nlohmann::json::parse(read_file(build.folder / "compile_commands.json"))) {
    const std::string file = entry.at("file");
    if (file.starts_with(prefix) && file.ends_with(".cpp")) {
      files.insert(file.substr(root.string().size() + 1));
    }
  }
  return {files.begin(), files.end()};
}

}  // namespace ax::xtask
