#include "tools/xtask/image/image_settings.hpp"

#include <fmt/format.h>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr const char* kDefaultRegistry =
    "https://raw.githubusercontent.com/arceos-hypervisor/axvisor-guest/refs/heads/main/registry/default.toml";
constexpr std::int64_t kMostJobs = 32;

std::int64_t number_within(TomlReader& reader, std::string_view key, std::int64_t value, std::int64_t least, std::int64_t most) {
  const std::int64_t number = reader.integer(key).value_or(value);
  if (number < least || number > most) {
    reader.fail(key, fmt::format("{} is not in {} to {}", number, least, most));
  }
  return number;
}

}  // namespace

ImageSettings default_image_settings() {
  ImageSettings settings;
  settings.local_storage = fs::temp_directory_path() / ".axvisor-images";
  settings.registry = kDefaultRegistry;
  return settings;
}

fs::path image_settings_path(const fs::path& root) { return root / ".image.toml"; }

ImageSettings load_image_settings(const fs::path& path) {
  constexpr std::int64_t kHour = 3600;
  ImageSettings settings = default_image_settings();
  if (!fs::exists(path)) {
    return settings;
  }
  const TomlTable table = load_toml(path);
  TomlReader reader(table, path.string());
  const fs::path folder = path.parent_path();
  settings.local_storage = (folder / reader.string("local_storage").value_or(settings.local_storage)).lexically_normal();
  settings.registry = reader.string("registry").value_or(settings.registry);
  settings.auto_sync = reader.boolean("auto_sync").value_or(settings.auto_sync);
  settings.auto_sync_threshold =
      std::chrono::seconds(number_within(reader, "auto_sync_threshold", settings.auto_sync_threshold.count(), 0, kLongestThreshold.count()));
  settings.public_key = reader.string("public_key").value_or("");
  const std::string ca_file = reader.string("ca_file").value_or("");
  settings.ca_file = ca_file.empty() ? fs::path() : (folder / ca_file).lexically_normal();
  if (!ca_file.empty() && !fs::exists(settings.ca_file)) {
    reader.fail("ca_file", missing_path(settings.ca_file));
  }
  settings.timeout = std::chrono::seconds(number_within(reader, "timeout", settings.timeout.count(), 1, kHour));
  settings.jobs = static_cast<int>(number_within(reader, "jobs", settings.jobs, 1, kMostJobs));
  reader.finish();
  if (settings.registry.empty()) {
    reader.fail("registry", "is empty: give the address or the path of a registry file");
  }
  return settings;
}

std::string format_image_settings(const ImageSettings& settings) {
  std::string text = fmt::format(
      "# Where `xtask image` gets images from and keeps them: docs/images.md.\n"
      "\n"
      "# Images, and the list of what the registry has.\n"
      "local_storage = {}\n"
      "# Address or path of the registry file.\n"
      "registry = {}\n"
      "# Fetch the registry without being told, when there is none yet or it is older than this many seconds (0: never too old).\n"
      "auto_sync = {}\n"
      "auto_sync_threshold = {}\n"
      "# Seconds without a byte after which a server is given up, and downloads at the same time.\n"
      "timeout = {}\n"
      "jobs = {}\n",
      toml_quote(settings.local_storage.string()), toml_quote(settings.registry), settings.auto_sync,
      settings.auto_sync_threshold.count(), settings.timeout.count(), settings.jobs);
  text += "# The Ed25519 key that must have signed every registry file.\n";
  text += settings.public_key.empty() ? "# public_key = \"\"\n" : fmt::format("public_key = {}\n", toml_quote(settings.public_key));
  text += "# Certificates that HTTPS servers are checked against, instead of the system's.\n";
  text += settings.ca_file.empty() ? "# ca_file = \"\"\n" : fmt::format("ca_file = {}\n", toml_quote(settings.ca_file.string()));
  return text;
}

}  // namespace ax::xtask
