#include "tools/config/platform.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/config/features.hpp"
#include "tools/config/suggest.hpp"

namespace ax::config {
namespace fs = std::filesystem;
namespace {

constexpr Target kTargets[] = {
    {"aarch64-unknown-none-softfloat", "aarch64", "aarch64-dyn", 0x4020'0000, true},
    {"x86_64-unknown-none", "x86_64", "x86-qemu-q35", 0x100'0000, true},
    {"riscv64gc-unknown-none-elf", "riscv64", "riscv64-qemu-virt", 0x8020'0000, false},
};

constexpr std::string_view kDescription = "platform.toml";

const Target* find_target(std::string_view triple) {
  const auto it = std::ranges::find(kTargets, triple, &Target::triple);
  return it == std::end(kTargets) ? nullptr : &*it;
}

/// The built-in platform of that name or alias, by the choices of the schema.
const Target* find_built_in(std::string_view name) {
  for (const Choice& choice : kBoardSchema.find_key("platform")->choices) {
    if (choice.text != name && std::ranges::find(choice.aliases, name) == choice.aliases.end()) continue;
    return std::ranges::find(kTargets, choice.text, &Target::platform);
  }
  return nullptr;
}

void decode_targets(const Document& doc, Platform& platform, Diagnostics& diagnostics) {
  const std::vector<std::string> names = doc.strings("targets");
  for (usize i = 0; i < names.size(); ++i) {
    const Target* target = find_target(names[i]);
    if (target != nullptr) {
      platform.targets.push_back(target);
      continue;
    }
    std::vector<std::string> known;
    for (const Target& t : kTargets) known.emplace_back(t.triple);
    diagnostics.error(doc.where("targets", i), fmt::format("unknown target '{}'", names[i]))
        .fix(did_you_mean(names[i], known, fmt::format("known targets: {}", join(known))));
  }
  if (doc.has("targets") && names.empty()) diagnostics.error(doc.where("targets"), "the platform is for no target");
}

void decode_features(const Document& doc, Platform& platform, Diagnostics& diagnostics) {
  const std::vector<std::string> names = doc.strings("features");
  for (usize i = 0; i < names.size(); ++i) {
    const Feature* feature = find_feature(names[i]);
    if (feature != nullptr) {
      platform.features.emplace_back(feature->name);
      continue;
    }
    std::vector<std::string> known;
    for (const Feature& f : all_features()) known.emplace_back(f.name);
    diagnostics.error(doc.where("features", i), fmt::format("unknown feature '{}'", names[i]))
        .fix(did_you_mean(names[i], known, fmt::format("known features: {}", join(known))));
  }
}

std::optional<Platform> read_platform(const SourceFile& file, const fs::path& folder, Diagnostics& diagnostics) {
  const std::optional<Document> doc = load_document(file, kPlatformSchema, diagnostics);
  if (!doc) return std::nullopt;
  Platform platform{.name = folder.filename().string(), .folder = fs::absolute(folder).lexically_normal()};
  doc->text("description");
  decode_targets(*doc, platform, diagnostics);
  decode_features(*doc, platform, diagnostics);
  if (platform.targets.empty()) return std::nullopt;
  platform.load_address = doc->has("load_address") ? doc->integer("load_address") : platform.targets[0]->load_address;
  if (!fs::is_regular_file(folder / "CMakeLists.txt")) {
    diagnostics.error(doc->where("description"), "the platform has no CMakeLists.txt beside its description")
        .fix("write one that declares the platform's library, as platforms/aarch64-dyn/CMakeLists.txt does");
  }
  return platform;
}

}  // namespace

std::span<const Target> all_targets() { return kTargets; }

std::string_view instead_of_hypervisor(std::string_view name) {
  for (const Target& target : kTargets) {
    if (!target.built && name.find(target.arch) != std::string_view::npos) {
      return "the hypervisor needs a board of an aarch64 or x86_64 machine; on riscv64 there are the platform and the unikernel "
             "(cmake --preset qemu-riscv64), which ./xtask app runs applications on";
    }
  }
  return "";
}

Platform PlatformFolders::of(const Target& target) {
  Platform platform{.name = std::string(target.platform), .targets = {&target}, .load_address = target.load_address};
  for (const Feature& feature : all_features()) {
    if (std::ranges::find(feature.platforms, target.platform) != feature.platforms.end()) {
      platform.features.emplace_back(feature.name);
    }
  }
  return platform;
}

std::optional<Platform> PlatformFolders::find(const std::string& name, Position where, SourceStore& sources,
                                              Diagnostics& diagnostics) const {
  if (const Target* built_in = find_built_in(name)) return of(*built_in);
  const bool plain = name.find('/') == std::string::npos && !name.starts_with('.');
  for (const fs::path& base : folders_) {
    if (!plain) break;
    const fs::path folder = base / "platforms" / name;
    if (!fs::is_regular_file(folder / kDescription)) continue;
    const auto file = sources.open(folder / kDescription, (folder / kDescription).string());
    if (file) return read_platform(**file, folder, diagnostics);
    diagnostics.error(where, fmt::format("platform {}: {}", name, file.error()));
    return std::nullopt;
  }
  const std::vector<std::string> known = names();
  diagnostics.error(where, fmt::format("there is no platform '{}'", name))
      .fix(did_you_mean(name, known, fmt::format("known platforms: {}", join(known))));
  return std::nullopt;
}

std::vector<std::string> PlatformFolders::names() const {
  std::vector<std::string> names;
  for (const Target& target : kTargets) names.emplace_back(target.platform);
  for (const fs::path& base : folders_) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(base / "platforms", error)) {
      if (fs::is_regular_file(entry.path() / kDescription)) names.push_back(entry.path().filename().string());
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace ax::config
