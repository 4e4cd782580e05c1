#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/image/disk_image.hpp"
#include "tools/xtask/image/image_store.hpp"
#include "tools/xtask/image/importer.hpp"
#include "tools/xtask/image/local_storage.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// What overrides .image.toml. Taken before and after the sub-command.
struct StorageOptions {
  std::optional<fs::path> local_storage;
  std::optional<std::string> registry;
  bool no_auto_sync = false;
  std::optional<std::int64_t> auto_sync_threshold;
  std::optional<int> jobs;
  bool offline = false;
};

constexpr int kMostJobs = 32;

void declare_storage_options(CLI::App& app, StorageOptions& options) {
  app.add_option("-S,--local-storage", options.local_storage, "Keep images here (default: of .image.toml, /tmp/.axvisor-images)")
      ->type_name("FOLDER");
  app.add_option("-R,--registry", options.registry, "Address or path of the registry")->type_name("URL");
  app.add_flag("-N,--no-auto-sync", options.no_auto_sync, "Do not fetch the registry, however old its list is");
  app.add_option("--auto-sync-threshold", options.auto_sync_threshold, "Fetch the registry when its list is older (0: never)")
      ->type_name("SECONDS")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            std::int64_t seconds = -1;
            const bool number = CLI::detail::lexical_cast(text, seconds);
            return number && seconds >= 0 && seconds <= kLongestThreshold.count()
                       ? ""
                       : fmt::format("'{}' is no number of seconds: 604800 is a week, 0 means never", text);
          },
          ""));
  app.add_option("-j,--jobs", options.jobs, "Downloads at the same time")->type_name("N")->check(CLI::Range(1, kMostJobs));
  app.add_flag("--offline", options.offline, "Only what is here already (also AXVISOR_OFFLINE=1)");
}

/// The options of `image` itself, which every sub-command's come before.
template <class Value>
std::optional<Value> inherited(const CLI::App& app, const char* name, const std::optional<Value>& own) {
  const CLI::Option* option = app.get_parent() == nullptr ? nullptr : app.get_parent()->get_option_no_throw(name);
  return own || option == nullptr || option->count() == 0 ? own : std::optional(option->as<Value>());
}

ImageSettings effective_settings(const Context& context, const CLI::App& app, const StorageOptions& options) {
  ImageSettings settings = load_image_settings(image_settings_path(context.root));
  if (const auto folder = inherited(app, "--local-storage", options.local_storage)) {
    settings.local_storage = context.resolve(*folder);
  }
  if (const auto registry = inherited(app, "--registry", options.registry)) {
    settings.registry = registry->find("://") == std::string::npos ? context.resolve(*registry).string() : *registry;
  } else if (settings.registry.find("://") == std::string::npos) {
    settings.registry = (context.root / settings.registry).lexically_normal().string();
  }
  if (settings.registry.find("://") == std::string::npos && !fs::exists(settings.registry)) {
    throw Failure(ExitCode::Usage, "registry: " + missing_path(settings.registry), "--registry and .image.toml take an address or a path");
  }
  if (const auto threshold = inherited(app, "--auto-sync-threshold", options.auto_sync_threshold)) {
    settings.auto_sync_threshold = std::chrono::seconds(*threshold);
  }
  if (const auto jobs = inherited(app, "--jobs", options.jobs)) {
    settings.jobs = *jobs;
  }
  const CLI::Option* group = app.get_parent()->get_option_no_throw("--no-auto-sync");
  settings.auto_sync = settings.auto_sync && !options.no_auto_sync && (group == nullptr || group->count() == 0);
  return settings;
}

bool effective_offline(const CLI::App& app, const StorageOptions& options) {
  const CLI::Option* group = app.get_parent()->get_option_no_throw("--offline");
  return options.offline || offline_by_environment() || (group != nullptr && group->count() > 0);
}

LocalStorage open_storage(const Context& context, const CLI::App& app, const StorageOptions& options) {
  return {context.console, effective_settings(context, app, options), effective_offline(app, options)};
}

/// One line of `image ls`.
struct Listed {
  std::string name;
  std::string version;
  std::string arch;
  std::string source;  ///< recipe, disk, registry, imported
  bool here = false;
  std::string description;
  std::string sha256;
  std::string url;
  std::string released_at;
};

std::string aarch64_or_x86_64(const std::string& debian_name) {
  return debian_name == "arm64" ? "aarch64" : debian_name == "amd64" ? "x86_64" : debian_name;
}

std::vector<Listed> listed_recipes(const Context& context, const fs::path& cache) {
  const ImageStore store(context.console, cache, true);
  const Lock lock = load_lock(lock_path(context.root));
  std::vector<Listed> result;
  for (const std::string& name : recipe_names(context.root)) {
    const ImageRecipe recipe = load_recipe(context.root, name);
    const auto locked = lock.find(name);
    const bool pinned = locked != lock.end();
    result.push_back({name, pinned ? locked->second.version : "(not locked)", aarch64_or_x86_64(recipe.architecture), "recipe",
                      pinned && store.has(locked->second), recipe.summary, pinned ? locked->second.file_sha256 : "", "", ""});
  }
  for (const std::string& name : disk_recipe_names(context.root)) {
    const DiskRecipe recipe = load_disk_recipe(disk_recipe_path(context.root, name));
    result.push_back({name, "", "", "disk", fs::exists(context.root / "build/images" / (name + ".img")), recipe.summary, "", "", ""});
  }
  return result;
}

std::vector<Listed> listed_images(LocalStorage& storage) {
  std::vector<Listed> result;
  for (const StoredImage& stored : storage.images(false)) {
    const RegistryImage& image = stored.image;
    result.push_back({image.name, image.version, image.arch, stored.imported ? "imported" : "registry", stored.here,
                      image.description, image.sha256, image.url, image.released_at});
  }
  return result;
}

nlohmann::json to_json(const std::vector<Listed>& images) {
  nlohmann::json list = nlohmann::json::array();
  for (const Listed& image : images) {
    list.push_back({{"name", image.name},
                    {"version", image.version},
                    {"arch", image.arch},
                    {"source", image.source},
                    {"here", image.here},
                    {"description", image.description},
                    {"sha256", image.sha256},
                    {"url", image.url},
                    {"released_at", image.released_at}});
  }
  return list;
}

/// Versions of one image on one line.
std::vector<Listed> merge_versions(const std::vector<Listed>& images) {
  std::vector<Listed> result;
  std::map<std::pair<std::string, std::string>, std::pair<size_t, int>> places;  // source, name -> index, how many
  for (const Listed& image : images) {
    const auto [place, fresh] = places.try_emplace({image.source, image.name}, result.size(), 0);
    if (fresh) {
      result.push_back(image);
    }
    Listed& line = result[place->second.first];
    line.here = line.here || image.here;
    if (++place->second.second > 1) {
      line.version = fmt::format("{} versions", place->second.second);
    }
  }
  return result;
}

std::string format_table(const std::vector<Listed>& images) {
  constexpr size_t kGap = 2;
  size_t name = sizeof "NAME" - 1;
  size_t version = sizeof "VERSION" - 1;
  size_t arch = sizeof "ARCHITECTURE" - 1;
  for (const Listed& image : images) {
    name = std::max(name, image.name.size());
    version = std::max(version, image.version.size());
    arch = std::max(arch, image.arch.size());
  }
  const auto line = [&](std::string_view a, std::string_view b, std::string_view c, std::string_view d, std::string_view e,
                        std::string_view f) {
    return fmt::format("{:<{}}{:<{}}{:<{}}{:<10}{:<6}{}\n", a, name + kGap, b, version + kGap, c, arch + kGap, d, e, f);
  };
  std::string text = line("NAME", "VERSION", "ARCHITECTURE", "FROM", "HERE", "DESCRIPTION");
  for (const Listed& image : images) {
    text += line(image.name, image.version, image.arch, image.source, image.here ? "yes" : "no", image.description);
  }
  return text;
}

struct ListOptions : StorageOptions {
  std::string pattern;
  fs::path cache;
  bool json = false;
};

ExitCode list(const Context& context, const CLI::App& app, const ListOptions& options) {
  std::vector<Listed> images = listed_recipes(context, options.cache.empty() ? default_cache() : context.resolve(options.cache));
  LocalStorage storage = open_storage(context, app, options);
  for (Listed& image : listed_images(storage)) {
    images.push_back(std::move(image));
  }
  std::vector<std::string> names;
  for (const Listed& image : images) {
    names.push_back(image.name);
  }
  std::erase_if(images, [&](const Listed& image) { return !options.pattern.empty() && !matches_pattern(image.name, options.pattern); });
  if (images.empty() && !names.empty()) {
    context.console.step(fmt::format("no image matches '{}'{}", options.pattern, did_you_mean(options.pattern, names)));
  }
  const bool verbose = context.console.verbosity() == Verbosity::Verbose;
  print_out(options.json ? to_json(images).dump(2) + "\n" : format_table(verbose ? images : merge_versions(images)));
  return ExitCode::Success;
}

struct NamesOptions : StorageOptions {
  std::vector<std::string> names;
  fs::path output;
  bool no_extract = false;
  bool all = false;
  bool json = false;
};

std::vector<ImageName> parse_names(const std::vector<std::string>& texts) {
  std::vector<ImageName> names;
  for (const std::string& text : texts) {
    names.push_back(parse_image_name(text));
  }
  return names;
}

ExitCode download(const Context& context, const CLI::App& app, const NamesOptions& options) {
  const std::vector<ImageName> names = parse_names(options.names);
  LocalStorage storage = open_storage(context, app, options);
  const DownloadOptions download_options{options.output.empty() ? fs::path() : context.resolve(options.output), !options.no_extract};
  if (context.dry_run) {
    for (const std::string& line : storage.plan(names, download_options)) {
      print_out("# " + line + "\n");
    }
    return ExitCode::Success;
  }
  for (const fs::path& place : storage.download(names, download_options)) {
    print_out(place.string() + "\n");
  }
  return ExitCode::Success;
}

ExitCode remove(const Context& context, const CLI::App& app, const NamesOptions& options) {
  const std::vector<ImageName> names = parse_names(options.names);
  LocalStorage storage = open_storage(context, app, options);
  std::optional<Failure> missing;
  for (size_t i = 0; i < names.size(); ++i) {
    if (context.dry_run) {
      print_out(fmt::format("rm -r {0}.tar.gz {0}\n", (storage.folder() / names[i].stem()).string()));
      continue;
    }
    const std::vector<fs::path> removed = storage.remove(names[i], options.all);
    for (const fs::path& path : removed) {
      context.console.step("removed " + path.string());
    }
    if (removed.empty() && !missing) {
      const std::string& wrong = options.names[i];
      missing.emplace(ExitCode::Usage, fmt::format("nothing of image {} is in {}{}", wrong, storage.folder().string(),
                                                   did_you_mean(wrong, storage.names_here())),
                      "./xtask image ls shows what is here");
    }
  }
  if (missing) {
    throw Failure(*missing);
  }
  return ExitCode::Success;
}

ExitCode sync(const Context& context, const CLI::App& app, const StorageOptions& options) {
  const ImageSettings settings = effective_settings(context, app, options);
  if (context.dry_run) {
    print_out(fmt::format("# {} -> {}\n", settings.registry, (settings.local_storage / "images.toml").string()));
    return ExitCode::Success;
  }
  LocalStorage storage = open_storage(context, app, options);
  const size_t count = storage.sync();
  context.console.step(fmt::format("{} images in {}", count, (storage.folder() / "images.toml").string()));
  return ExitCode::Success;
}

ExitCode write_defaults(const Context& context) {
  const fs::path path = image_settings_path(context.root);
  if (context.dry_run) {
    print_out("# the defaults -> .image.toml\n");
    return ExitCode::Success;
  }
  if (fs::exists(path)) {
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    const std::string backup = fmt::format(".image.toml.backup_{:04}{:02}{:02}_{:02}{:02}{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                                           utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    fs::copy_file(path, context.root / backup, fs::copy_options::overwrite_existing);
    context.console.step("kept the previous .image.toml as " + backup);
  }
  write_file(path, format_image_settings(default_image_settings()));
  context.console.step("wrote .image.toml");
  return ExitCode::Success;
}

/// Disks by path: their tables and file systems.
ExitCode check_disks(const Context& context, const NamesOptions& options) {
  nlohmann::json list = nlohmann::json::array();
  std::string text;
  std::string first_problem;
  for (const std::string& name : options.names) {
    const fs::path path = context.resolve(name);
    for (const CheckedPartition& part : check_disk(path)) {
      const std::string where = fmt::format("{}, {}", path.string(), part.name);
      list.push_back({{"disk", path.string()},
                      {"partition", part.name},
                      {"file_system", part.file_system},
                      {"sound", part.problem.empty()},
                      {"problem", part.problem}});
      text += fmt::format("{}: {}\n", where,
                          !part.problem.empty()      ? "damaged"
                          : part.file_system.empty() ? "no file system that is known here"
                                                     : part.file_system + ", sound");
      if (!part.problem.empty() && first_problem.empty()) {
        first_problem = fmt::format("{}: the file system is damaged:\n{}", where, part.problem);
      }
    }
  }
  print_out(options.json ? list.dump(2) + "\n" : text);
  if (!first_problem.empty()) {
    throw Failure(ExitCode::Failure, first_problem, "build the disk anew, or let e2fsck or fsck.vfat mend it");
  }
  return ExitCode::Success;
}

ExitCode check(const Context& context, const CLI::App& app, const NamesOptions& options) {
  if (!options.names.empty()) {
    return check_disks(context, options);
  }
  LocalStorage storage = open_storage(context, app, options);
  nlohmann::json list = nlohmann::json::array();
  size_t bad = 0;
  std::string text;
  const std::vector<LocalStorage::CheckedImage> images = storage.check();
  for (const LocalStorage::CheckedImage& image : images) {
    bad += image.problem.empty() ? 0 : 1;
    list.push_back({{"archive", image.archive.string()}, {"sound", image.problem.empty()}, {"problem", image.problem}});
    text += fmt::format("{}: {}\n", image.archive.string(), image.problem.empty() ? "sound" : image.problem);
  }
  print_out(options.json ? list.dump(2) + "\n" : text);
  if (bad != 0) {
    throw Failure(ExitCode::Failure, fmt::format("{} of {} archives are not what they should be", bad, images.size()),
                  "./xtask image download fetches them again, ./xtask image rm removes them");
  }
  return ExitCode::Success;
}

struct ImportOptions : StorageOptions {
  std::string source;
  std::string name;
  std::string arch;
  std::string description;
  std::string tag;
};

ExitCode import_image(const Context& context, const CLI::App& app, const ImportOptions& options) {
  RegistryImage image;
  const ImageName name = parse_image_name(options.name);
  image.name = name.name;
  image.version = name.version;
  image.arch = options.arch;
  image.description = options.description;
  const bool address = options.source.find("://") != std::string::npos;
  const std::string source = address ? options.source : context.resolve(options.source).string();
  if (context.dry_run) {
    print_out(fmt::format("# {} -> image {}\n", source, image.title()));
    return ExitCode::Success;
  }
  const ImageSettings settings = effective_settings(context, app, options);
  LocalStorage storage = open_storage(context, app, options);
  const FetchSettings fetch{settings.ca_file, settings.timeout, settings.jobs, effective_offline(app, options)};
  print_out(import_source(context.console, storage, fetch, source, options.tag, image).string() + "\n");
  return ExitCode::Success;
}

template <class Options>
std::shared_ptr<Options> storage_command(CLI::App& app) {
  auto options = std::make_shared<Options>();
  declare_storage_options(app, *options);
  return options;
}

}  // namespace

Handler declare_image(CLI::App& app) {
  // Read by name when a sub-command runs; what parsing writes here must live as long.
  const auto options = storage_command<StorageOptions>(app);
  app.parse_complete_callback([options] {});
  return nullptr;
}

Handler declare_image_list(CLI::App& app) {
  const auto options = storage_command<ListOptions>(app);
  app.add_option("PATTERN", options->pattern, "Only images whose name matches this regular expression, or contains it");
  app.add_option("--cache", options->cache, "Where the files of recipes are kept (default: $AXVISOR_CACHE, ~/.cache/axvisor)")
      ->type_name("FOLDER");
  app.add_flag("--json", options->json, "Print the list as JSON");
  return [options, &app](Context& context) { return list(context, app, *options); };
}

Handler declare_image_download(CLI::App& app) {
  const auto options = storage_command<NamesOptions>(app);
  app.add_option("NAME", options->names, "Images of `image ls`, as NAME or NAME:VERSION")->required();
  app.add_option("-o,--output,--output-dir", options->output, "Put them here instead of the local storage")->type_name("FOLDER");
  app.add_flag("--no-extract", options->no_extract, "Leave the archives packed");
  return [options, &app](Context& context) { return download(context, app, *options); };
}

Handler declare_image_remove(CLI::App& app) {
  const auto options = storage_command<NamesOptions>(app);
  app.add_option("NAME", options->names, "NAME or NAME:VERSION, as it was downloaded")->required();
  app.add_flag("--all", options->all, "Every version of it");
  return [options, &app](Context& context) { return remove(context, app, *options); };
}

Handler declare_image_sync(CLI::App& app) {
  const auto options = storage_command<StorageOptions>(app);
  return [options, &app](Context& context) { return sync(context, app, *options); };
}

Handler declare_image_defconfig(CLI::App&) {
  return [](Context& context) { return write_defaults(context); };
}

Handler declare_image_check(CLI::App& app) {
  const auto options = storage_command<NamesOptions>(app);
  app.add_option("DISK", options->names, "Disk images, whose partition table and file systems are checked (default: the local storage)")
      ->check(existing_file());
  app.add_flag("--json", options->json, "Print the result as JSON");
  return [options, &app](Context& context) { return check(context, app, *options); };
}

Handler declare_image_import(CLI::App& app) {
  const auto options = storage_command<ImportOptions>(app);
  app.add_option("SOURCE", options->source, "A file, a folder, or an address")->required();
  app.add_option("NAME", options->name, "What it shall be called: NAME or NAME:VERSION")->required();
  app.add_option("--arch", options->arch, "Its architecture, for the list")
      ->check(CLI::IsMember({"aarch64", "x86_64", "riscv64", "loongarch64"}));
  app.add_option("--description", options->description, "A few words, for the list");
  app.add_option("--tag", options->tag, "Which of several images of an OCI layout");
  return [options, &app](Context& context) { return import_image(context, app, *options); };
}

}  // namespace ax::xtask
