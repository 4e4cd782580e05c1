#include "tools/xtask/image/image_store.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/apt_root.hpp"
#include "tools/xtask/image/archive.hpp"
#include "tools/xtask/image/image_origin.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReasonHint = "-v shows what was said";
constexpr const char* kUpdateHint = "./xtask image lock --update pins what the mirror has now";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void warn_replaced(const Console& console, const ImageRecipe& recipe, const LockEntry& locked, const LockEntry& current) {
  const char* origin = recipe.kind == ImageRecipe::Kind::Registry ? "registry" : "mirror";
  console.warn(fmt::format("image {}: the {} no longer has {} {}; taking {} {} ({})", recipe.name, origin, locked.package,
                           locked.version, current.package, current.version, kUpdateHint));
}

void require_equal(const std::string& what, const std::string& found, const std::string& locked) {
  if (found != locked) {
    throw Failure(ExitCode::Failure, fmt::format("{} has SHA-256 {}, the lock file says {}", what, found, locked),
                  kUpdateHint);
  }
}

}  // namespace

fs::path default_cache() {
  if (const std::string own = environment("AXVISOR_CACHE"); !own.empty()) {
    return fs::absolute(own);
  }
  if (const std::string xdg = environment("XDG_CACHE_HOME"); !xdg.empty()) {
    return fs::path(xdg) / "axvisor";
  }
  const std::string home = environment("HOME");
  if (home.empty()) {
    throw Failure(ExitCode::Environment, "no cache folder: none of AXVISOR_CACHE, XDG_CACHE_HOME and HOME is set");
  }
  return fs::path(home) / ".cache/axvisor";
}

bool offline_by_environment() { return environment("AXVISOR_OFFLINE") == "1"; }

FileLock ImageStore::lock(const ImageRecipe& recipe) const {
  // A registry's image may itself come from the mirror, under the mirror's lock.
  const char* name = recipe.kind == ImageRecipe::Kind::Registry ? "registry.lock" : "lock";
  return FileLock(cache_ / name, [this] { console_.step("waiting for another fetch into " + cache_.string()); });
}

fs::path ImageStore::blob(const std::string& sha256) const { return cache_ / "sha256" / sha256; }

std::optional<std::string> ImageStore::cached(const std::string& sha256) const {
  if (!fs::is_regular_file(blob(sha256))) {
    return std::nullopt;
  }
  std::string content = read_file(blob(sha256));
  if (sha256_hex(content) != sha256) {
    console_.warn(fmt::format("{} is damaged and will be fetched again", blob(sha256).string()));
    return std::nullopt;
  }
  return content;
}

bool ImageStore::has(const LockEntry& entry) const { return fs::is_regular_file(blob(entry.file_sha256)); }

fs::path ImageStore::keep(const std::string& content) {
  const fs::path path = blob(sha256_hex(content));
  write_file_if_changed(path, content);
  return path;
}

/// Remembers what stood in for a locked version that the mirror had dropped, so that it need not be fetched twice.
fs::path ImageStore::replacement_record(const ImageRecipe& recipe) const {
  return cache_ / "replacements" / (recipe.name + ".toml");
}

std::optional<std::string> ImageStore::cached_replacement(const ImageRecipe& recipe,
                                                          const std::optional<LockEntry>& locked) const {
  const Lock record = load_lock(replacement_record(recipe));
  const auto original = record.find("locked");
  const auto replacement = record.find("replacement");
  if (!locked || original == record.end() || replacement == record.end() || original->second != *locked) {
    return std::nullopt;
  }
  std::optional<std::string> content = cached(replacement->second.file_sha256);
  if (content) {
    warn_replaced(console_, recipe, *locked, replacement->second);
  }
  return content;
}

void ImageStore::verify_kernel(const ImageRecipe& recipe, const LockEntry& locked, const std::string& content) const {
  const std::string found = sha256_hex(content);
  const Lock record = load_lock(replacement_record(recipe));
  const auto original = record.find("locked");
  const auto replacement = record.find("replacement");
  const bool replaced = original != record.end() && replacement != record.end() && original->second == locked;
  if (replaced && found == replacement->second.file_sha256) {
    warn_replaced(console_, recipe, locked, replacement->second);
  } else {
    require_equal("image " + recipe.name, found, locked.file_sha256);
  }
}

std::string ImageStore::fetch_current(ImageOrigin& origin, LockEntry* entry) {
  const PackageRecord record = origin.current();
  std::string content = origin.file(record);
  *entry = {record.name, record.version, record.sha256, sha256_hex(content)};
  keep(content);
  return content;
}

std::string ImageStore::fetch(const ImageRecipe& recipe, const std::optional<LockEntry>& locked) {
  const std::unique_ptr<ImageOrigin> origin = open_origin(console_, recipe, cache_);
  const bool updated = origin->update();
  const std::optional<PackageRecord> record = locked ? origin->find(locked->package, locked->version) : std::nullopt;
  if (record) {
    require_equal(record->name + " " + record->version, record->sha256, locked->package_sha256);
    std::string content = origin->file(*record);
    require_equal(fmt::format("{} of {} {}", recipe.file, record->name, record->version), sha256_hex(content),
                  locked->file_sha256);
    keep(content);
    return content;
  }
  if (!updated) {
    throw Unreachable(fmt::format("image {}: {} cannot be reached", recipe.name, origin->name()), kReasonHint);
  }
  LockEntry current;
  std::string content = fetch_current(*origin, &current);
  if (locked) {
    warn_replaced(console_, recipe, *locked, current);
    write_file(replacement_record(recipe), format_lock({{"locked", *locked}, {"replacement", current}}));
  } else {
    console_.warn(fmt::format("image {}: no locked version, taking {} {} ({})", recipe.name, current.package,
                              current.version, kUpdateHint));
  }
  return content;
}

std::string ImageStore::source_file(const ImageRecipe& recipe, const std::optional<LockEntry>& locked) {
  const auto from_cache = [&]() -> std::optional<std::string> {
    std::optional<std::string> content = locked ? cached(locked->file_sha256) : std::nullopt;
    return content ? content : cached_replacement(recipe, locked);
  };
  if (std::optional<std::string> content = from_cache()) {
    return *std::move(content);
  }
  if (offline_) {
    throw Unreachable(fmt::format("image {} is not in the cache ({}), and offline it cannot be fetched", recipe.name,
                                  cache_.string()),
                      fmt::format("with a network: ./xtask image fetch {}", recipe.name));
  }
  const FileLock held = lock(recipe);
  // Another process may have fetched it while this one waited.
  if (std::optional<std::string> content = from_cache()) {
    return *std::move(content);
  }
  return fetch(recipe, locked);
}

std::string ImageStore::image(const ImageRecipe& recipe, const std::optional<LockEntry>& locked) {
  std::string content = source_file(recipe, locked);
  if (recipe.kind != ImageRecipe::Kind::Initramfs) {
    return content;
  }
  return build_initramfs({std::move(content), read_file(recipe.init), recipe.applets, recipe.gzip});
}

std::unique_ptr<ImageOrigin> ImageStore::open_updated_origin(const ImageRecipe& recipe) const {
  std::unique_ptr<ImageOrigin> origin = open_origin(console_, recipe, cache_);
  if (!origin->update()) {
    throw Failure(ExitCode::Environment, origin->name() + " cannot be reached", kReasonHint);
  }
  return origin;
}

LockEntry ImageStore::current(const ImageRecipe& recipe) {
  const FileLock held = lock(recipe);
  const std::unique_ptr<ImageOrigin> origin = open_updated_origin(recipe);
  LockEntry entry;
  fetch_current(*origin, &entry);
  return entry;
}

std::string ImageStore::current_version(const ImageRecipe& recipe) {
  const FileLock held = lock(recipe);
  const std::unique_ptr<ImageOrigin> origin = open_updated_origin(recipe);
  return origin->current().version;
}

std::string complete_image(const fs::path& root, ImageStore& store, const Lock& lock, const std::string& name) {
  const auto locked = [&](const std::string& image) {
    const auto found = lock.find(image);
    return found == lock.end() ? std::nullopt : std::optional(found->second);
  };
  const ImageRecipe recipe = load_recipe(root, name);
  std::string content = store.image(recipe, locked(name));
  if (!recipe.drivers.empty()) {  // the kernel unpacks one archive after the other
    content += store.image(load_recipe(root, recipe.drivers), locked(recipe.drivers));
  }
  return content;
}

}  // namespace ax::xtask
