#include "tools/xtask/image/recipe.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLockName = "lock";
constexpr std::string_view kLockHeader =
    "# Versions and SHA-256 of what the image recipes take from Debian's mirror. Written by `xtask image lock --update`.\n";

constexpr std::array<std::pair<std::string_view, ImageRecipe::Kind>, 5> kKinds{
    {{"debian-kernel", ImageRecipe::Kind::DebianKernel},
     {"initramfs", ImageRecipe::Kind::Initramfs},
     {"kernel-modules", ImageRecipe::Kind::KernelModules},
     {"device-trees", ImageRecipe::Kind::DeviceTrees},
     {"registry", ImageRecipe::Kind::Registry}}};

fs::path recipe_folder(const fs::path& root) { return root / "configs/images"; }

ImageRecipe::Kind read_kind(TomlReader& reader) {
  const std::string text = reader.required_string("kind");
  for (const auto& [name, kind] : kKinds) {
    if (name == text) {
      return kind;
    }
  }
  reader.fail("kind", "must be \"debian-kernel\", \"initramfs\", \"kernel-modules\", \"device-trees\" or \"registry\"");
}

std::string required_hash(TomlReader& reader, std::string_view key) {
  static const RE2 kHash("[0-9a-f]{64}");
  std::string value = reader.required_string(key);
  if (!RE2::FullMatch(value, kHash)) {
    reader.fail(key, "must be a SHA-256 in 64 lower-case hexadecimal digits");
  }
  return value;
}

}  // namespace

std::vector<std::string> recipe_names(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(recipe_folder(root), none)) {
    if (entry.path().extension() == ".toml" && entry.path().stem() != kLockName) {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

ImageRecipe load_recipe(const fs::path& root, const std::string& name) {
  ImageRecipe recipe;
  recipe.name = name;
  recipe.file_path = recipe_folder(root) / (name + ".toml");
  if (name == kLockName || name.find('/') != std::string::npos || !fs::is_regular_file(recipe.file_path)) {
    const std::vector<std::string> names = recipe_names(root);
    throw Failure(ExitCode::Usage, fmt::format("unknown image '{}'{}", name, did_you_mean(name, names)),
                  "./xtask image ls shows the images");
  }
  const TomlTable table = load_toml(recipe.file_path);
  TomlReader reader(table, recipe.file_path.string());
  recipe.kind = read_kind(reader);
  recipe.summary = reader.required_string("summary");
  recipe.architecture = reader.required_string("architecture");
  recipe.package = reader.required_string(recipe.kind == ImageRecipe::Kind::Registry ? "image" : "package");
  recipe.file = reader.required_string("file");
  if (recipe.kind == ImageRecipe::Kind::Initramfs) {
    recipe.init = recipe_folder(root) / reader.required_string("init");
    recipe.applets = reader.strings("applets");
    recipe.gzip = reader.boolean("gzip").value_or(false);
    recipe.drivers = reader.string("drivers").value_or("");
    if (!fs::is_regular_file(recipe.init)) {
      reader.fail("init", "no such file: " + recipe.init.string());
    }
  }
  if (recipe.kind == ImageRecipe::Kind::KernelModules) {
    recipe.modules = reader.strings("modules");
  }
  if (recipe.kind == ImageRecipe::Kind::DeviceTrees) {
    recipe.files = reader.strings("files");
  }
  reader.finish();
  return recipe;
}

fs::path lock_path(const fs::path& root) { return recipe_folder(root) / fmt::format("{}.toml", kLockName); }

Lock load_lock(const fs::path& path) {
  Lock lock;
  if (!fs::exists(path)) {
    return lock;
  }
  for (const auto& [name, value] : load_toml(path)) {
    const auto* table = std::get_if<TomlTable>(&value.data);
    if (table == nullptr) {
      throw Failure(ExitCode::Usage, fmt::format("{}:{}: '{}' must be a table", path.string(), value.line, name));
    }
    TomlReader reader(*table, path.string());
    lock[name] = {reader.required_string("package"), reader.required_string("version"),
                  required_hash(reader, "package_sha256"), required_hash(reader, "file_sha256")};
    reader.finish();
  }
  return lock;
}

std::string format_lock(const Lock& lock) {
  std::string text(kLockHeader);
  for (const auto& [name, entry] : lock) {
    text += fmt::format("\n[{}]\npackage = {}\nversion = {}\npackage_sha256 = {}\nfile_sha256 = {}\n", name,
                        toml_quote(entry.package), toml_quote(entry.version), toml_quote(entry.package_sha256),
                        toml_quote(entry.file_sha256));
  }
  return text;
}

}  // namespace ax::xtask
