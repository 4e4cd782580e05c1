#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/apt_root.hpp"
#include "tools/xtask/image/image_store.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct ImageOptions {
  std::string name;
  std::vector<std::string> together;
  fs::path file;
  fs::path stand_in;
  fs::path cache;
  fs::path output;
  fs::path depfile;
  bool offline = false;
  bool update = false;
};

void declare_cache(CLI::App& app, ImageOptions& options) {
  app.add_option("--cache", options.cache, "Keep fetched files here (default: $AXVISOR_CACHE, ~/.cache/axvisor)")
      ->type_name("FOLDER");
}

ImageStore open_store(const Context& context, const ImageOptions& options) {
  return {context.console, options.cache.empty() ? default_cache() : context.resolve(options.cache),
          options.offline || offline_by_environment()};
}

std::optional<LockEntry> locked_entry(const Lock& lock, const std::string& name) {
  const auto found = lock.find(name);
  return found == lock.end() ? std::nullopt : std::optional(found->second);
}

/// What the output was made of, for Ninja. A stand-in also depends on a file that does not exist: the next build tries again,
/// and where nothing changes nothing is linked anew.
void write_depfile(const Context& context, const ImageOptions& options, const ImageRecipe& recipe, bool stand_in) {
  if (options.depfile.empty()) {
    return;
  }
  const fs::path output = context.resolve(options.output);
  std::string text = fmt::format("{}: {} {}", output.string(), recipe.file_path.string(), lock_path(context.root).string());
  text += recipe.init.empty() ? "" : " " + recipe.init.string();
  text += recipe.drivers.empty() ? "" : " " + load_recipe(context.root, recipe.drivers).file_path.string();
  text += stand_in ? fmt::format(" {}.never", stand_in_mark(output).string()) : "";
  write_file(context.resolve(options.depfile), text + "\n");
}

// A mirror that could not be reached is left alone for a while: every build would wait for it.
constexpr std::chrono::minutes kRetryAfter{10};
// What takes the place of a RAM disk: the end of an empty archive, which nobody looks at.
constexpr size_t kEmptyRamDisk = 512;

bool failed_lately(const fs::path& output) {
  const fs::path mark = stand_in_mark(output);
  return fs::exists(mark) && fs::file_time_type::clock::now() - fs::last_write_time(mark) < kRetryAfter;
}

void write_stand_in(const Context& context, const ImageOptions& options, const ImageRecipe& recipe, const Failure& reason) {
  const fs::path output = context.resolve(options.output);
  const bool kernel = recipe.bootable();
  write_file_if_changed(output, kernel ? read_file(context.resolve(options.stand_in)) : std::string(kEmptyRamDisk, '\0'));
  if (!failed_lately(output)) {
    write_file(stand_in_mark(output), std::string(reason.what()) + "\n");
  }
  if (kernel) {  // once, not for its RAM disk too
    context.console.warn(fmt::format(
        "{}: the built-in tiny guest stands in for it, and tests that need it are skipped (with a network: ./xtask image fetch {})",
        reason.what(), recipe.name));
  }
}

/// The image, when it and all that it is of no use without can be had.
std::string fetch_together(const Context& context, ImageStore& store, const Lock& lock, const ImageOptions& options,
                           const ImageRecipe& recipe) {
  std::string content = complete_image(context.root, store, lock, recipe.name);
  for (const std::string& name : options.together) {
    if (name != options.name) {
      store.image(load_recipe(context.root, name), locked_entry(lock, name));
    }
  }
  return content;
}

ExitCode fetch(const Context& context, const ImageOptions& given) {
  ImageOptions options = given;
  for (const auto& [path, name] : {std::pair{&options.depfile, "--depfile"}, std::pair{&options.stand_in, "--stand-in"}}) {
    if (!path->empty() && options.output.empty()) {
      throw Failure(ExitCode::Usage, fmt::format("{} needs --output", name));
    }
  }
  const bool stands_in = !options.stand_in.empty();
  options.offline |= stands_in && failed_lately(context.resolve(options.output));
  const ImageRecipe recipe = load_recipe(context.root, options.name);
  for (const std::string& name : options.together) {
    load_recipe(context.root, name);  // before anything is fetched: it may be misspelt
  }
  ImageStore store = open_store(context, options);
  const Lock lock = load_lock(lock_path(context.root));
  const std::optional<LockEntry> entry = locked_entry(lock, options.name);
  if (context.dry_run) {
    print_out(fmt::format("# {}: {} {}, {}\n", options.name, entry ? entry->package : recipe.package,
                          entry ? entry->version : "(current)", entry && store.has(*entry) ? "cached" : "to be fetched"));
    return ExitCode::Success;
  }
  std::string content;
  try {
    content = fetch_together(context, store, lock, options, recipe);
  } catch (const Unreachable& reason) {
    if (!stands_in) {
      throw;
    }
    write_stand_in(context, options, recipe, reason);
    write_depfile(context, options, recipe, true);
    return ExitCode::Success;
  }
  if (options.output.empty()) {
    print_out(store.keep(content).string() + "\n");
    return ExitCode::Success;
  }
  fs::remove(stand_in_mark(context.resolve(options.output)));
  write_file_if_changed(context.resolve(options.output), content);
  write_depfile(context, options, recipe, false);
  return ExitCode::Success;
}

ExitCode verify(const Context& context, const ImageOptions& options) {
  const fs::path file = context.resolve(options.file);
  skip_without_images({file});
  const std::optional<LockEntry> entry = locked_entry(load_lock(lock_path(context.root)), options.name);
  const ImageRecipe recipe = load_recipe(context.root, options.name);
  if (!entry || !recipe.bootable()) {
    throw Failure(ExitCode::Usage, fmt::format("image {} is no kernel that the lock file pins", options.name));
  }
  const std::string content = read_file(file);
  open_store(context, options).verify_kernel(recipe, *entry, content);
  print_out(fmt::format("{}: {}\n", options.name, sha256_hex(content)));
  return ExitCode::Success;
}

ExitCode lock_images(const Context& context, const ImageOptions& options) {
  ImageStore store = open_store(context, options);
  Lock lock = load_lock(lock_path(context.root));
  std::vector<std::string> names = recipe_names(context.root);
  if (!options.name.empty()) {
    names = {load_recipe(context.root, options.name).name};
  }
  for (const std::string& name : names) {
    const ImageRecipe recipe = load_recipe(context.root, name);
    const std::optional<LockEntry> before = locked_entry(lock, name);
    const std::string old_version = before ? before->version : "(not locked)";
    if (options.update && !context.dry_run) {
      lock[name] = store.current(recipe);
      print_out(fmt::format("{}: {} -> {}\n", name, old_version, lock[name].version));
    } else {
      const std::string now = store.current_version(recipe);
      print_out(fmt::format("{}: locked {}, the {} has {}\n", name, old_version,
                            recipe.kind == ImageRecipe::Kind::Registry ? "registry" : "mirror", now));
    }
  }
  if (options.update && !context.dry_run) {
    write_file_if_changed(lock_path(context.root), format_lock(lock));
  }
  return ExitCode::Success;
}

}  // namespace

fs::path stand_in_mark(const fs::path& image) { return image.string() + ".stand-in"; }

void skip_without_images(const std::vector<fs::path>& images) {
  for (const fs::path& image : images) {
    if (fs::exists(stand_in_mark(image))) {
      throw Failure(ExitCode::Skipped, fmt::format("skipped: {} was not fetched: {}", image.filename().string(),
                                                   read_file(stand_in_mark(image))));
    }
  }
}

Handler declare_image_fetch(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  app.add_option("NAME", options->name, "An image of `image ls`")->required();
  app.add_option("--output", options->output, "Write the image here, only if it differs (default: print its cached path)")
      ->type_name("FILE");
  app.add_option("--depfile", options->depfile, "Write a Makefile rule with what the image depends on")->type_name("FILE");
  app.add_option("--stand-in", options->stand_in,
                 "Where the mirror cannot be reached, write a copy of this guest instead, warn, and leave a mark")
      ->type_name("FILE")
      ->check(existing_file());
  app.add_option("--together", options->together, "An image without which this one is of no use (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_flag("--offline", options->offline, "Only from the cache (also AXVISOR_OFFLINE=1)");
  declare_cache(app, *options);
  return [options](Context& context) { return fetch(context, *options); };
}

Handler declare_image_verify(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  app.add_option("NAME", options->name, "A kernel of `image ls`")->required();
  app.add_option("FILE", options->file, "The file to compare")->required()->check(existing_file());
  declare_cache(app, *options);
  return [options](Context& context) { return verify(context, *options); };
}

Handler declare_image_lock(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  app.add_option("NAME", options->name, "Only this image");
  app.add_flag("--update", options->update, "Write what the mirror has now into the lock file");
  declare_cache(app, *options);
  return [options](Context& context) { return lock_images(context, *options); };
}

}  // namespace ax::xtask
