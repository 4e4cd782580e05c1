#include "tools/xtask/image/image_origin.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <vector>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/image/archive.hpp"
#include "tools/xtask/image/image_settings.hpp"
#include "tools/xtask/image/local_storage.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void not_offered(const ImageRecipe& recipe) {
  throw Failure(ExitCode::Environment,
                fmt::format("the configured mirror does not offer {} for {}", recipe.package, recipe.architecture),
                "look at the Architectures and Suites in /etc/apt/sources.list.d");
}

/// Looks through a metapackage to the versioned one that it depends on.
PackageRecord resolve(const ImageRecipe& recipe, const AptRoot& apt) {
  static const RE2 kFirstDependency("([a-z0-9][a-z0-9+.-]*) \\(= ([^)]+)\\)");
  std::optional<PackageRecord> record = apt.find(recipe.package);
  std::string name;
  std::string version;
  if (record && recipe.versioned_by_dependency() &&
      RE2::PartialMatch(record->depends, kFirstDependency, &name, &version)) {
    record = apt.find(name, version);
  }
  if (!record) {
    not_offered(recipe);
  }
  return *record;
}

std::string extract(const ImageRecipe& recipe, const std::string& deb, const std::string& name) {
  const bool kernel = recipe.kind == ImageRecipe::Kind::DebianKernel;
  if (recipe.kind == ImageRecipe::Kind::KernelModules) {
    std::vector<std::string> files;
    for (const std::string& module : recipe.modules) {
      files.push_back(module + ".ko");
    }
    return build_module_archive(recipe.modules, extract_all_from_deb(deb, name, recipe.file, files));
  }
  if (recipe.kind == ImageRecipe::Kind::DeviceTrees) {
    std::string trees;
    for (const std::string& tree : extract_all_from_deb(deb, name, recipe.file, recipe.files)) {
      trees += tree;
    }
    return trees;
  }
  return extract_from_deb(deb, name, recipe.file, kernel ? PathMatch::Prefix : PathMatch::Exact).content;
}

class DebianMirror : public ImageOrigin {
 public:
  DebianMirror(const Console& console, const ImageRecipe& recipe, const fs::path& cache)
      : recipe_(recipe), apt_(console, cache / "apt" / recipe.architecture, recipe.architecture) {}

  std::string name() const override { return "the mirror"; }
  bool update() override { return apt_.update(); }
  std::optional<PackageRecord> find(const std::string& package, const std::string& version) override { return apt_.find(package, version); }
  PackageRecord current() override { return resolve(recipe_, apt_); }
  std::string file(const PackageRecord& record) override { return extract(recipe_, apt_.download(record), record.name); }

 private:
  const ImageRecipe& recipe_;
  AptRoot apt_;
};

/// The tree that a recipe of configs/images belongs to.
fs::path root_of(const ImageRecipe& recipe) { return recipe.file_path.parent_path().parent_path().parent_path(); }

class ImageRegistry : public ImageOrigin {
 public:
  ImageRegistry(const Console& console, const ImageRecipe& recipe)
      : console_(console), recipe_(recipe), storage_(console, load_image_settings(image_settings_path(root_of(recipe))), false) {}

  std::string name() const override { return "the registry"; }

  bool update() override {
    try {
      storage_.sync();
    } catch (const Unreachable& reason) {
      console_.detail(reason.what());
      return false;
    }
    return true;
  }

  std::optional<PackageRecord> find(const std::string& package, const std::string& version) override {
    for (const StoredImage& stored : storage_.images(false)) {
      if (stored.image.name == package && stored.image.version == version) {
        return record(stored.image);
      }
    }
    return std::nullopt;
  }

  PackageRecord current() override {
    std::vector<RegistryImage> images;
    for (const StoredImage& stored : storage_.images()) {
      images.push_back(stored.image);
    }
    return record(find_image(images, {recipe_.package, ""}));
  }

  std::string file(const PackageRecord& record) override {
    const TemporaryFolder scratch;  // what is in the storage belongs to the user, who may have changed it
    const fs::path folder = storage_.download({{record.name, record.version}}, {scratch.path(), true}).front();
    const fs::path path = folder / recipe_.file;
    if (!fs::is_regular_file(path)) {
      const std::vector<std::string> names = names_in(folder);
      throw Failure(ExitCode::Usage,
                    fmt::format("{}: file = \"{}\": image {} has no such file{}", recipe_.file_path.string(), recipe_.file, record.name,
                                did_you_mean(recipe_.file, names)),
                    fmt::format("it has: {}", fmt::join(names, ", ")));
    }
    return read_file(path);
  }

 private:
  static PackageRecord record(const RegistryImage& image) { return {image.name, image.version, image.sha256, "", 0}; }

  static std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) {
        names.push_back(entry.path().lexically_relative(folder).string());
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  const Console& console_;
  const ImageRecipe& recipe_;
  LocalStorage storage_;
};

}  // namespace

std::unique_ptr<ImageOrigin> open_origin(const Console& console, const ImageRecipe& recipe, const fs::path& cache) {
  if (recipe.kind == ImageRecipe::Kind::Registry) {
    return std::make_unique<ImageRegistry>(console, recipe);
  }
  return std::make_unique<DebianMirror>(console, recipe, cache);
}

}  // namespace ax::xtask
