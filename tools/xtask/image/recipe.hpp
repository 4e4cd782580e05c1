// What a guest image is made of: configs/images/NAME.toml, and the versions that configs/images/lock.toml pins.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ax::xtask {

struct ImageRecipe {
  enum class Kind {
    DebianKernel,  ///< one file out of a Debian package
    Initramfs,     ///< a cpio archive around Debian's static busybox
    KernelModules,  ///< a cpio archive with drivers out of a kernel's package, for the end of an initramfs
    DeviceTrees,    ///< device trees of boards out of a kernel's package, one behind the other
    Registry,       ///< one file out of an image of the registry
  };
  std::string name;
  std::string summary;
  Kind kind = Kind::DebianKernel;
  std::string architecture;  ///< Debian's name: arm64, amd64
  std::string package;       ///< a package, or a metapackage that depends on the versioned one; the name of a registry's image
  std::string file;          ///< in the package; a Debian kernel's is a prefix, as its name ends with the version
  std::filesystem::path file_path;  ///< of the recipe itself

  // Initramfs
  std::filesystem::path init;         ///< the script that becomes /init
  std::vector<std::string> applets;   ///< links to busybox in /bin
  bool gzip = false;
  std::string drivers;                ///< name of the KernelModules image that is appended; empty = none

  // KernelModules
  std::vector<std::string> modules;   ///< without ".ko", in the order in which they are loaded

  // DeviceTrees
  std::vector<std::string> files;     ///< names, in the order of the image

  /// Whether `package` is only a metapackage to look through.
  bool versioned_by_dependency() const { return kind != Kind::Initramfs && kind != Kind::Registry; }
  /// Whether the image is what a vCPU begins with, for which another guest can stand in.
  bool bootable() const { return kind == Kind::DebianKernel || kind == Kind::Registry; }
};

/// Throws Failure(Usage): unknown name (with a suggestion), unknown keys, missing files.
ImageRecipe load_recipe(const std::filesystem::path& root, const std::string& name);
std::vector<std::string> recipe_names(const std::filesystem::path& root);

/// One pinned package.
struct LockEntry {
  std::string package;
  std::string version;
  std::string package_sha256;
  std::string file_sha256;  ///< of the file that was taken out of it

  friend bool operator==(const LockEntry&, const LockEntry&) = default;
};

using Lock = std::map<std::string, LockEntry>;

std::filesystem::path lock_path(const std::filesystem::path& root);
/// An absent file is an empty lock.
Lock load_lock(const std::filesystem::path& path);
std::string format_lock(const Lock& lock);

}  // namespace ax::xtask
