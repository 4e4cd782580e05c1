#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/app/sources.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/core/toml_file.hpp"
#include "tools/xtask/image/disk_image.hpp"
#include "tools/xtask/image/image_store.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kImagePrefix = "image:";

struct BuildOptions {
  std::string recipe;
  fs::path config;
  fs::path output;
  fs::path cache;
  bool offline = false;
  bool json = false;
  std::string file_system;  ///< empty: ext4
  std::array<std::string, 4> sources;  ///< in the order of kRoles: for a VM whose images are on a disk
};

/// What a VM file names.
struct Role {
  const char* name;
  const char* key;
};
constexpr std::array kRoles{Role{"kernel", "kernel_path"}, Role{"ramdisk", "ramdisk_path"}, Role{"dtb", "dtb_path"}, Role{"bios", "bios_path"}};

struct VmImages {
  std::string vm;
  bool on_disk = false;
  std::array<std::string, kRoles.size()> paths;  ///< as in the file; empty: none
};

std::string text_of(const TomlTable& table, const char* key) {
  const auto found = table.find(key);
  const auto* text = found == table.end() ? nullptr : std::get_if<std::string>(&found->second.data);
  return text == nullptr ? "" : *text;
}

const TomlTable* table_of(const TomlTable& table, const char* key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : std::get_if<TomlTable>(&found->second.data);
}

/// Only what concerns images: the other keys are for the build of the hypervisor, which checks them all.
VmImages read_vm(const TomlTable& table, const fs::path& path) {
  const TomlTable* base = table_of(table, "base");
  const TomlTable* kernel = table_of(table, "kernel");
  if (base == nullptr || kernel == nullptr || text_of(*kernel, "kernel_path").empty()) {
    throw Failure(ExitCode::Usage, fmt::format("{} is neither a VM file ([base], [kernel] with kernel_path) nor a recipe (kind = \"disk\")",
                                               path.string()),
                  "docs/images.md describes recipes, docs/configuration.md VM files");
  }
  VmImages images;
  images.vm = text_of(*base, "name").empty() ? path.stem().string() : text_of(*base, "name");
  images.on_disk = text_of(*kernel, "image_location") == "fs";
  for (size_t i = 0; i < kRoles.size(); ++i) {
    images.paths[i] = text_of(*kernel, kRoles[i].key);
  }
  return images;
}

class Builder {
 public:
  Builder(const Context& context, const BuildOptions& options)
      : context_(context),
        options_(options),
        store_(context.console, options.cache.empty() ? default_cache() : context.resolve(options.cache),
               options.offline || offline_by_environment()),
        lock_(load_lock(lock_path(context.root))) {}

  ExitCode disk(const DiskRecipe& recipe) {
    const fs::path output = options_.output.empty() ? context_.root / "build/images" / (recipe.name + ".img") : context_.resolve(options_.output);
    if (context_.dry_run) {
      print_out(fmt::format("# recipe {} -> {}\n", recipe.name, output.string()));
      return ExitCode::Success;
    }
    build_disk(context_.console, recipe, [this](const std::string& name) { return image(name); }, output);
    report({{"disk", output}});
    return ExitCode::Success;
  }

  ExitCode vm(const VmImages& images, const fs::path& file) {
    if (!images.on_disk) {
      refuse_disk_options(fmt::format("{} takes its images into memory, not from a disk", file.string()));
    }
    return images.on_disk ? vm_disk(images) : vm_files(images, file);
  }

  /// Options that only say how a disk for a VM is made.
  void refuse_disk_options(const std::string& reason) const {
    std::string option = options_.file_system.empty() ? "" : "filesystem";
    for (size_t i = 0; i < kRoles.size(); ++i) {
      option = options_.sources[i].empty() ? option : kRoles[i].name;
    }
    if (!option.empty()) {
      throw Failure(ExitCode::Usage, fmt::format("--{} is of no use: {}", option, reason),
                    "it is for a VM file with image_location = \"fs\"");
    }
  }

 private:
  std::string image(const std::string& name) { return complete_image(context_.root, store_, lock_, name); }

  void report(const std::vector<std::pair<std::string, fs::path>>& products) const {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [name, path] : products) {
      object[name] = path.string();
      if (!options_.json) {
        print_out(path.string() + "\n");
      }
    }
    if (options_.json) {
      print_out(object.dump(2) + "\n");
    }
  }

  /// A path into the build folder of an application: that is built first, so that a VM's kernel may be a program with [os]. Whether
  /// it is one.
  bool build_application(const fs::path& product) const {
    fs::path folder = product;
    while (folder.has_relative_path() && folder.filename() != app::kBuildFolder) {
      folder = folder.parent_path();
    }
    const fs::path application = folder.parent_path();
    const bool described = fs::exists(application / "app.toml") || fs::exists(application / "config_linux.toml");
    if (!folder.has_relative_path() || !described) {
      return false;
    }
    const Argv command{fs::read_symlink("/proc/self/exe").string(), "app", "build", "-q", application.string()};
    if (context_.dry_run) {
      print_out(format_command(command) + "\n");
    } else if (run_command({.argv = command, .folder = context_.root}) != 0) {
      throw Failure(ExitCode::Failure, fmt::format("{} is a program of {}, which cannot be built: see above", product.string(), application.string()));
    }
    return true;
  }

  ExitCode vm_files(const VmImages& images, const fs::path& file) {
    const fs::path folder = options_.output.empty() ? context_.root / "build/images" / images.vm : context_.resolve(options_.output);
    std::vector<std::pair<std::string, fs::path>> products;
    for (size_t i = 0; i < kRoles.size(); ++i) {
      const std::string& path = images.paths[i];
      if (path.empty()) {
        continue;
      }
      const bool made = path.starts_with(kImagePrefix);
      const fs::path place = made ? folder / kRoles[i].name : (file.parent_path() / path).lexically_normal();
      products.emplace_back(kRoles[i].name, place);
      const bool shown = !made && build_application(place) && context_.dry_run;
      if (!made && !shown && !fs::exists(place)) {
        throw Failure(ExitCode::Usage, fmt::format("{}: {} = \"{}\": {}", file.string(), kRoles[i].key, path, missing_path(place)),
                      fmt::format("put it there (./xtask image download fetches images of the registry), or make {} name a recipe: "
                                  "\"image:NAME\" of ./xtask image ls",
                                  kRoles[i].key));
      }
      if (context_.dry_run) {
        print_out(fmt::format("# {} -> {}\n", path, place.string()));
      } else if (made) {
        write_file_if_changed(place, image(path.substr(kImagePrefix.size())));
      }
    }
    if (!context_.dry_run) {
      report(products);
    }
    return ExitCode::Success;
  }

  /// One partition, with everything where the VM file looks for it.
  ExitCode vm_disk(const VmImages& images) {
    DiskRecipe recipe;
    recipe.name = images.vm;
    DiskPartition& partition = recipe.partitions.emplace_back();
    const bool fat = options_.file_system == "fat32";
    partition.name = "guest";
    partition.file_system = fat ? DiskPartition::FileSystem::Fat32 : DiskPartition::FileSystem::Ext4;
    partition.type = parse_guid(fat ? "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7" : "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
    for (size_t i = 0; i < kRoles.size(); ++i) {
      const std::string& source = options_.sources[i];
      if (images.paths[i].empty() != source.empty()) {
        const std::string key = kRoles[i].key;
        throw Failure(ExitCode::Usage,
                      source.empty() ? fmt::format("the VM file takes {} = \"{}\" from a disk: --{} says what to put there", key, images.paths[i], kRoles[i].name)
                                     : fmt::format("--{} is of no use: the VM file has no {}", kRoles[i].name, key),
                      "a file, or image:NAME of ./xtask image ls");
      }
      if (source.empty()) {
        continue;
      }
      DiskFile file;
      file.path = (fs::path("/") / images.paths[i]).lexically_normal().string();
      if (source.starts_with(kImagePrefix)) {
        file.image = load_recipe(context_.root, source.substr(kImagePrefix.size())).name;
      } else if (const bool shown = build_application(file.source = context_.resolve(source)) && context_.dry_run;
                 !shown && !fs::is_regular_file(file.source)) {
        throw Failure(ExitCode::Usage, fmt::format("--{}: {}", kRoles[i].name,
                                                   fs::exists(file.source) ? file.source.string() + " is no file" : missing_path(file.source)));
      }
      partition.files.push_back(file);
    }
    return disk(recipe);
  }

  const Context& context_;
  const BuildOptions& options_;
  ImageStore store_;
  Lock lock_;
};

ExitCode build(const Context& context, const BuildOptions& options) {
  if (options.recipe.empty() == options.config.empty()) {
    throw Failure(ExitCode::Usage, "image build needs a recipe, or --config with a VM file or a recipe",
                  fmt::format("recipes: {}", fmt::join(disk_recipe_names(context.root), ", ")));
  }
  const fs::path named = context.resolve(options.recipe.empty() ? options.config : fs::path(options.recipe));
  const bool file = !options.config.empty() || fs::is_regular_file(named);
  const fs::path path = file ? named : disk_recipe_path(context.root, options.recipe);
  const TomlTable table = load_toml(path);
  Builder builder(context, options);
  if (!table.contains("kind")) {
    return builder.vm(read_vm(table, path), path);
  }
  builder.refuse_disk_options(fmt::format("{} is a recipe, which says itself what is on the disk", path.string()));
  return builder.disk(load_disk_recipe(path));
}

struct ResizeOptions {
  fs::path disk;
  std::string size;
};

ExitCode resize(const Context& context, const ResizeOptions& options) {
  const std::uint64_t size = parse_size(options.size);
  if (size == 0 || size % kSectorBytes != 0) {
    throw Failure(ExitCode::Usage, fmt::format("'{}' is no size of a disk as in 512M: a number with K, M, G or T", options.size));
  }
  if (context.dry_run) {
    print_out(fmt::format("# {} -> {} bytes\n", context.resolve(options.disk).string(), size));
    return ExitCode::Success;
  }
  resize_disk(context.console, context.resolve(options.disk), size);
  return ExitCode::Success;
}

}  // namespace

Handler declare_image_build(CLI::App& app) {
  const auto options = std::make_shared<BuildOptions>();
  app.add_option("RECIPE", options->recipe, "A recipe for a disk: a file, or a name in configs/disks");
  app.add_option("--config,-c", options->config, "A VM file, or a recipe")->type_name("FILE")->check(existing_file());
  app.add_option("-o,--output", options->output, "The disk, or the folder for a VM's images (default: in build/images)")->type_name("PATH");
  for (size_t i = 0; i < kRoles.size(); ++i) {
    app.add_option(fmt::format("--{}", kRoles[i].name), options->sources[i],
                   fmt::format("What a VM with image_location = \"fs\" finds as {}: a file, or image:NAME", kRoles[i].key))
        ->type_name("SOURCE");
  }
  app.add_option("--filesystem", options->file_system, "Of that disk (default: ext4)")->check(CLI::IsMember({"ext4", "fat32"}));
  app.add_option("--cache", options->cache, "Keep fetched files here (default: $AXVISOR_CACHE, ~/.cache/axvisor)")->type_name("FOLDER");
  app.add_flag("--offline", options->offline, "Only from the cache (also AXVISOR_OFFLINE=1)");
  app.add_flag("--json", options->json, "Print the paths as JSON");
  return [options](Context& context) { return build(context, *options); };
}

Handler declare_image_resize(CLI::App& app) {
  const auto options = std::make_shared<ResizeOptions>();
  app.add_option("DISK", options->disk, "A disk image")->required()->check(existing_file());
  app.add_option("SIZE", options->size, "Its new size: a number with K, M, G or T")->required();
  return [options](Context& context) { return resize(context, *options); };
}

}  // namespace ax::xtask
