// Where the file of a recipe comes from: a Debian mirror, or a registry of images.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/image/apt_root.hpp"
#include "tools/xtask/image/recipe.hpp"

namespace ax::xtask {

class ImageOrigin {
 public:
  virtual ~ImageOrigin() = default;
  /// "the mirror", for messages.
  virtual std::string name() const = 0;
  /// Renews the index. Returns false where it cannot be reached or trusted; why has been said then.
  virtual bool update() = 0;
  /// This version of this package; nothing where the index does not have it.
  virtual std::optional<PackageRecord> find(const std::string& package, const std::string& version) = 0;
  /// What the recipe's package is now. Throws Failure where there is none.
  virtual PackageRecord current() = 0;
  /// The recipe's file out of the package. Throws Unreachable, and Failure where the package is not what the index says.
  virtual std::string file(const PackageRecord& record) = 0;
};

/// As the recipe's kind says. A mirror's index is kept in `cache`; the registry is .image.toml's.
std::unique_ptr<ImageOrigin> open_origin(const Console& console, const ImageRecipe& recipe, const std::filesystem::path& cache);

}  // namespace ax::xtask
