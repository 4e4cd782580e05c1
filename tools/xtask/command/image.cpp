#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <memory>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/image_store.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct ImageOptions {
  std::string name;
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
  const char* environment = std::getenv("AXVISOR_OFFLINE");
  const bool offline = options.offline || (environment != nullptr && std::string_view(environment) == "1");
  return {context.console, options.cache.empty() ? default_cache() : context.resolve(options.cache), offline};
}

std::optional<LockEntry> locked_entry(const Lock& lock, const std::string& name) {
  const auto found = lock.find(name);
  return found == lock.end() ? std::nullopt : std::optional(found->second);
}

ExitCode list(const Context& context, const ImageOptions& options) {
  const ImageStore store = open_store(context, options);
  const Lock lock = load_lock(lock_path(context.root));
  print_out(fmt::format("{:<24} {:<24} {:<7} {}\n", "NAME", "VERSION", "CACHED", "SUMMARY"));
  for (const std::string& name : recipe_names(context.root)) {
    const std::optional<LockEntry> entry = locked_entry(lock, name);
    print_out(fmt::format("{:<24} {:<24} {:<7} {}\n", name, entry ? entry->version : "(not locked)",
                          entry && store.has(*entry) ? "yes" : "no", load_recipe(context.root, name).summary));
  }
  return ExitCode::Success;
}

/// What the output was made of, for Ninja.
void write_depfile(const Context& context, const ImageOptions& options, const ImageRecipe& recipe) {
  std::string text = fmt::format("{}: {} {}", context.resolve(options.output).string(), recipe.file_path.string(),
                                 lock_path(context.root).string());
  text += recipe.init.empty() ? "\n" : " " + recipe.init.string() + "\n";
  write_file(context.resolve(options.depfile), text);
}

ExitCode fetch(const Context& context, const ImageOptions& options) {
  if (!options.depfile.empty() && options.output.empty()) {
    throw Failure(ExitCode::Usage, "--depfile needs --output");
  }
  const ImageRecipe recipe = load_recipe(context.root, options.name);
  ImageStore store = open_store(context, options);
  const std::optional<LockEntry> entry = locked_entry(load_lock(lock_path(context.root)), options.name);
  if (context.dry_run) {
    print_out(fmt::format("# {}: {} {}, {}\n", options.name, entry ? entry->package : recipe.package,
                          entry ? entry->version : "(current)", entry && store.has(*entry) ? "cached" : "to be fetched"));
    return ExitCode::Success;
  }
  const std::string content = store.image(recipe, entry);
  if (options.output.empty()) {
    print_out(store.keep(content).string() + "\n");
    return ExitCode::Success;
  }
  write_file_if_changed(context.resolve(options.output), content);
  if (!options.depfile.empty()) {
    write_depfile(context, options, recipe);
  }
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
      print_out(fmt::format("{}: locked {}, the mirror has {}\n", name, old_version, now));
    }
  }
  if (options.update && !context.dry_run) {
    write_file_if_changed(lock_path(context.root), format_lock(lock));
  }
  return ExitCode::Success;
}

}  // namespace

Handler declare_image_list(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  declare_cache(app, *options);
  return [options](Context& context) { return list(context, *options); };
}

Handler declare_image_fetch(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  app.add_option("NAME", options->name, "An image of `image ls`")->required();
  app.add_option("--output", options->output, "Write the image here, only if it differs (default: print its cached path)")
      ->type_name("FILE");
  app.add_option("--depfile", options->depfile, "Write a Makefile rule with what the image depends on")->type_name("FILE");
  app.add_flag("--offline", options->offline, "Only from the cache (also AXVISOR_OFFLINE=1)");
  declare_cache(app, *options);
  return [options](Context& context) { return fetch(context, *options); };
}

Handler declare_image_lock(CLI::App& app) {
  const auto options = std::make_shared<ImageOptions>();
  app.add_option("NAME", options->name, "Only this image");
  app.add_flag("--update", options->update, "Write what the mirror has now into the lock file");
  declare_cache(app, *options);
  return [options](Context& context) { return lock_images(context, *options); };
}

}  // namespace ax::xtask
