// The list of images that a registry offers, in AxVisor's format: read, merged with what it includes, checked, written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

struct RegistryImage {
  std::string name;
  std::string version;      ///< may be empty
  std::string released_at;  ///< RFC 3339, or empty
  std::string description;
  std::string sha256;       ///< lower case
  std::string arch;
  std::string url;

  /// NAME, or NAME:VERSION.
  std::string title() const { return version.empty() ? name : name + ":" + version; }
};

/// One file of a registry.
struct RegistryFile {
  std::vector<std::string> includes;  ///< as written
  std::vector<RegistryImage> images;
};

/// Seconds since 1970 with fractions cut off; nothing where `text` is no RFC 3339 time.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// Unknown keys are left alone: newer registries may have more. Names and versions become file names, so they must be such.
/// Throws Failure(Usage) `name:line: ...`.
RegistryFile parse_registry(std::string_view text, const std::string& name);

/// A registry without includes; `comment` is its first line.
std::string format_registry(const std::vector<RegistryImage>& images, const std::string& comment);

/// `address` as seen from the file at `base`: itself if it is complete, else beside that file.
std::string resolve_address(const std::string& base, const std::string& address);

/// Reads the file at an address; throws where it cannot be had or is not what it should be.
using RegistryReader = std::function<std::string(const std::string& address)>;

/// The images of the registry at `address` and of everything it includes, each file once, breadth first. Of images with the same
/// name and version the first is taken, and `warn` is told. Throws Failure.
std::vector<RegistryImage> collect_registry(const std::string& address, const RegistryReader& read,
                                            const std::function<void(const std::string&)>& warn);

/// NAME or NAME:VERSION taken apart. Throws Failure(Usage) where it is neither.
struct ImageName {
  std::string name;
  std::string version;  ///< empty: the newest

  /// What its archive and its folder are called.
  std::string stem() const { return version.empty() ? name : name + "-" + version; }
};
ImageName parse_image_name(const std::string& text);
/// Letters, digits and ". _ + -", not a dot first: harmless as a file name.
bool is_plain_name(std::string_view text);

/// The image of this name: with the given version, or the one released last (without dates, the highest version). Throws
/// Failure(Usage) that suggests a name or tells the versions.
const RegistryImage& find_image(const std::vector<RegistryImage>& images, const ImageName& wanted);

/// Images whose name matches.
std::vector<const RegistryImage*> matching_images(const std::vector<RegistryImage>& images, const std::string& pattern);
/// Whether `text` matches the regular expression somewhere, or contains it where it is none.
bool matches_pattern(const std::string& text, const std::string& pattern);

}  // namespace ax::xtask
