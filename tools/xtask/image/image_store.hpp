// Guest images: fetched once, checked, kept by hash.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/image/recipe.hpp"

namespace ax::xtask {

/// $AXVISOR_CACHE, else $XDG_CACHE_HOME/axvisor, else ~/.cache/axvisor.
std::filesystem::path default_cache();
/// AXVISOR_OFFLINE=1.
bool offline_by_environment();

class ImageOrigin;

/// A folder of files named by their SHA-256, shared by concurrent processes, and the way to fill it.
class ImageStore {
 public:
  ImageStore(const Console& console, std::filesystem::path cache, bool offline)
      : console_(console), cache_(std::move(cache)), offline_(offline) {}

  /// The image itself: a kernel as it is in its package, or an initramfs made here. Takes the locked version, from the cache
  /// or the mirror; when the mirror no longer has it, the current one, with a warning. Throws Unreachable where it
  /// is neither in the cache nor to be had, Failure(Failure) when something is not what the lock says.
  std::string image(const ImageRecipe& recipe, const std::optional<LockEntry>& locked);

  /// What the mirror offers now (fetched into the cache), for the lock file.
  LockEntry current(const ImageRecipe& recipe);

  /// The version that the mirror offers now; nothing is fetched but the index.
  std::string current_version(const ImageRecipe& recipe);

  /// Whether `content` is a kernel that the lock pins, or the one that a signed index offered in its place. Throws
  /// Failure(Failure) with the reason when it is not.
  void verify_kernel(const ImageRecipe& recipe, const LockEntry& locked, const std::string& content) const;

  bool has(const LockEntry& entry) const;
  /// Keeps a file; returns its path.
  std::filesystem::path keep(const std::string& content);

 private:
  std::string source_file(const ImageRecipe& recipe, const std::optional<LockEntry>& locked);
  std::string fetch(const ImageRecipe& recipe, const std::optional<LockEntry>& locked);
  std::string fetch_current(ImageOrigin& origin, LockEntry* entry);
  std::unique_ptr<ImageOrigin> open_updated_origin(const ImageRecipe& recipe) const;
  std::optional<std::string> cached(const std::string& sha256) const;
  FileLock lock(const ImageRecipe& recipe) const;
  std::filesystem::path blob(const std::string& sha256) const;
  std::filesystem::path replacement_record(const ImageRecipe& recipe) const;
  std::optional<std::string> cached_replacement(const ImageRecipe& recipe, const std::optional<LockEntry>& locked) const;

  const Console& console_;
  std::filesystem::path cache_;
  bool offline_;
};

/// The image of a recipe with everything that belongs into it: an initramfs with its drivers behind it.
std::string complete_image(const std::filesystem::path& root, ImageStore& store, const Lock& lock, const std::string& name);

}  // namespace ax::xtask
