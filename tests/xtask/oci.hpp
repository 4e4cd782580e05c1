// OCI image layouts made in memory: sound ones, to be damaged afterwards.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace ax::xtask::test {

/// The files of one layout.
class OciLayout {
 public:
  OciLayout();

  /// Adds a blob; returns "digest" and "size" of its descriptor.
  std::string blob(const std::string& content);
  /// Adds a manifest with these layers (.tar.gz); returns the inside of its descriptor.
  std::string manifest(const std::vector<std::string>& layers);
  /// A manifest of one layer that is a plain file with this title.
  std::string manifest_of_file(const std::string& title, const std::string& content);
  /// Adds an index of descriptors; returns the inside of its own.
  std::string index(const std::string& descriptors);
  /// What index.json names: descriptors with their braces.
  void choose(const std::string& descriptors);
  /// A descriptor with a tag.
  static std::string tagged(const std::string& inside, const std::string& tag);

  void write(const std::string& folder) const;
  /// The layout as a .tar.gz.
  std::string tar() const;

  std::map<std::string, std::string> files;  ///< path -> content
};

/// Where the layout keeps the blob with this content.
std::string blob_path(const std::string& content);

}  // namespace ax::xtask::test
