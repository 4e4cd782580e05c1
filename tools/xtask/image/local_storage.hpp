// Where registry images are kept: the list of what there is, archives, and what was in them. Shared by concurrent processes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/image/fetcher.hpp"
#include "tools/xtask/image/image_settings.hpp"
#include "tools/xtask/image/registry.hpp"

namespace ax::xtask {

/// What is known about one image, and what of it is here.
struct StoredImage {
  RegistryImage image;
  bool imported = false;  ///< by the user; else from the registry
  bool here = false;      ///< its archive is in the storage, under its name with or without the version
};

struct DownloadOptions {
  std::filesystem::path folder;  ///< absolute; empty: the storage
  bool extract = true;
};

class LocalStorage {
 public:
  /// Creates the folder. Throws Failure(Environment) where it cannot be written, or stands in a public folder and belongs to
  /// somebody else.
  LocalStorage(const Console& console, ImageSettings settings, bool offline);

  const std::filesystem::path& folder() const { return settings_.local_storage; }

  /// The registry's images and the imported ones; the registry is fetched first where the settings say so. `required` false: where
  /// there is no list and none can be had, that is a warning and no images.
  std::vector<StoredImage> images(bool required = true);

  /// Fetches the registry. Returns how many images it has. Throws Unreachable, and Failure for what is wrong with it; the old list
  /// stays then.
  size_t sync();

  /// Fetches archives side by side and unpacks them. Returns where each one is: its folder, or the archive without `extract`.
  std::vector<std::filesystem::path> download(const std::vector<ImageName>& names, const DownloadOptions& options);

  /// What download() would fetch, for --dry-run.
  std::vector<std::string> plan(const std::vector<ImageName>& names, const DownloadOptions& options);

  /// Removes archive and folder (a bare name: of every version too, with `all_versions`). Returns what was removed.
  std::vector<std::filesystem::path> remove(const ImageName& name, bool all_versions);

  /// What remove() can be asked for: NAME and NAME:VERSION of what is here.
  std::vector<std::string> names_here();

  struct CheckedImage {
    std::filesystem::path archive;
    std::string problem;  ///< empty: sound
  };
  /// Compares every archive that is here with its SHA-256.
  std::vector<CheckedImage> check();

  /// Adds an archive to the storage as an image of its own, and to imported.toml. Replaces an imported one of the same title. Throws
  /// Failure(Usage) where the registry has that title.
  std::filesystem::path add(const RegistryImage& image, const std::filesystem::path& archive);

 private:
  struct Wanted;
  std::filesystem::path list_path() const { return settings_.local_storage / "images.toml"; }
  std::filesystem::path imported_path() const { return settings_.local_storage / "imported.toml"; }
  std::vector<RegistryImage> load_list() const;
  std::vector<RegistryImage> load_imported() const;
  std::optional<std::string> reason_to_sync() const;
  void sync_if_needed(bool required);
  std::string registry_address() const;
  std::string read_registry_file(const std::string& address) const;
  void write_list();
  std::vector<Wanted> find(const std::vector<ImageName>& names, const DownloadOptions& options);
  bool take_from_storage(const Wanted& wanted) const;
  void fetch(std::vector<Wanted>& wanted);
  void fetch_package(const Wanted& wanted) const;
  void place(const Wanted& wanted, const std::filesystem::path& file) const;
  void unpack(const Wanted& wanted) const;
  std::filesystem::path partial(const std::string& sha256) const { return settings_.local_storage / ".partial" / sha256; }

  const Console& console_;
  ImageSettings settings_;
  FetchSettings fetch_settings_;
};

}  // namespace ax::xtask
