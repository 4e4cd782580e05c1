// Debian packages of any architecture from the machine's configured mirror, through apt's own signature checks, in an apt
// root of our own: the system's sources, keyrings and proxies are read, its package state is neither read nor changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tools/xtask/core/console.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

/// The network, or what it takes to use it, is not there: something else may stand in for what was wanted. A package that is
/// there and not what it should be is another failure.
class Unreachable : public Failure {
 public:
  explicit Unreachable(const std::string& message, std::string hint = {})
      : Failure(ExitCode::Environment, message, std::move(hint)) {}
};

/// One version of one package as a signed index describes it.
struct PackageRecord {
  std::string name;
  std::string version;
  std::string sha256;
  std::string depends;  ///< the Depends field
  std::uint64_t size = 0;  ///< bytes of the .deb
};

/// The records of `apt-cache show`'s output, in its order.
std::vector<PackageRecord> parse_package_records(const std::string& text);

class AptRoot {
 public:
  /// `folder` is created; only one process at a time may use it.
  AptRoot(const Console& console, std::filesystem::path folder, std::string architecture);

  /// Fetches the mirror's signed indices. Returns false where the mirror cannot be reached or trusted; apt has said why.
  bool update();
  /// The candidate version, or the given one; nothing where the indices do not have it.
  std::optional<PackageRecord> find(const std::string& package, const std::string& version = {}) const;
  /// The .deb, checked against the index. Throws Unreachable, and Failure(Environment) when it is another one.
  std::string download(const PackageRecord& record) const;

 private:
  Argv command(std::initializer_list<std::string> words) const;

  const Console& console_;
  std::filesystem::path folder_;
  std::string architecture_;
};

}  // namespace ax::xtask
