// Flattened image trees (FIT): what U-Boot's bootm takes, made here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ax::xtask {

/// The name of the only configuration in an image tree.
inline constexpr std::string_view kFitConfiguration = "config-axvisor";

/// A gzip stream without name and time, so that equal input gives equal output.
std::string gzip(std::string_view content);

struct FitSettings {
  std::string kernel;        ///< flat binary
  std::string architecture;  ///< U-Boot's name: arm64, x86_64, riscv
  std::uint64_t load_address = 0;
  std::uint64_t entry = 0;
  bool compress = true;      ///< the kernel with gzip; U-Boot unpacks it to the load address
  std::string device_tree;   ///< flattened; empty: none, the board has its own
  std::optional<std::uint64_t> device_tree_address{};  ///< where it is copied to; none: U-Boot decides
  std::string key_name{};    ///< a configuration signature with this key is prepared; empty: none
};

/// The image tree: `kernel` and `fdt` with SHA-256 hashes, one configuration. Reproducible: its time stamp is
/// that of SOURCE_DATE_EPOCH, or 0.
std::string build_fit(const FitSettings& settings);

/// Signs `file` in place with `keys`/`key_name`.key (RSA 2048, PKCS #1.5 over SHA-256), by mkimage. Throws
/// Failure(Environment) where mkimage is not installed, Failure(Failure) where it fails.
void sign_fit(const std::filesystem::path& file, const std::filesystem::path& keys);

}  // namespace ax::xtask
