#include "tools/xtask/image/local_storage.hpp"

#include <fmt/format.h>
#include <re2/re2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <set>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/core/toml_file.hpp"
#include "tools/xtask/image/apt_root.hpp"
#include "tools/xtask/image/image_store.hpp"
#include "tools/xtask/image/progress.hpp"
#include "tools/xtask/image/signature.hpp"
#include "tools/xtask/image/unpack.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kLargestRegistry = 16 << 20;
constexpr std::uint64_t kLargestSignature = 4096;
constexpr std::string_view kListComment = "The images of ";
constexpr std::string_view kArchiveSuffix = ".tar.gz";

std::int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// In a folder where everybody may create files, somebody else may have been first.
void refuse_foreign_folder(const fs::path& folder) {
  struct stat own{};
  struct stat parent{};
  const bool both = ::stat(folder.c_str(), &own) == 0 && ::stat(folder.parent_path().c_str(), &parent) == 0;
  if (both && (parent.st_mode & S_ISVTX) != 0 && (parent.st_mode & S_IWOTH) != 0 && own.st_uid != ::geteuid()) {
    throw Failure(ExitCode::Environment, fmt::format("{} belongs to another user, who could exchange images in it", folder.string()),
                  "set local_storage in .image.toml, or --local-storage, to a folder of your own");
  }
}

bool is_archive(const fs::path& path, const std::string& sha256) {
  return fs::is_regular_file(path) && sha256_of_file(path) == sha256;
}

/// The last part of an address, without what stands behind "?".
std::string file_name_of(const std::string& address) {
  const std::string plain = address.substr(0, address.find_first_of("?#"));
  return plain.substr(plain.rfind('/') + 1);
}

fs::path hidden_beside(const fs::path& folder, const std::string& what) {
  return folder.parent_path() / fmt::format(".{}.{}", folder.filename().string(), what);
}

/// Readers see the old file or the new one; Ctrl-C leaves neither half of it nor a copy of another name.
void copy_in_one_step(const fs::path& from, const fs::path& to) {
  constexpr size_t kBlock = 1 << 20;
  const fs::path temporary = hidden_beside(to, "new");
  SignalWatch signals;
  try {
    std::ifstream source(from, std::ios::binary);
    std::ofstream copy(temporary, std::ios::binary | std::ios::trunc);
    std::string block(kBlock, '\0');
    while (source.read(block.data(), kBlock), source.gcount() > 0) {
      copy.write(block.data(), source.gcount());
      if (signals.take() != 0) {
        throw Failure(ExitCode::Interrupted, "interrupted");
      }
    }
    copy.close();
    if (!copy) {
      throw Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", temporary.string(), std::strerror(errno)));
    }
    fs::rename(temporary, to);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

/// "deb:PACKAGE[=VERSION][/ARCHITECTURE]"
struct PackageAddress {
  std::string package;
  std::string version;
  std::string architecture;
};

std::optional<PackageAddress> parse_package_address(const std::string& address, const std::string& arch) {
  static const RE2 kForm("deb:([a-z0-9][a-z0-9+.-]*)(?:=([^/]+))?(?:/([a-z0-9]+))?");
  static const std::map<std::string, std::string> kDebianNames{{"aarch64", "arm64"}, {"x86_64", "amd64"}};
  PackageAddress package;
  if (!RE2::FullMatch(address, kForm, &package.package, &package.version, &package.architecture)) {
    return std::nullopt;
  }
  if (package.architecture.empty()) {
    const auto known = kDebianNames.find(arch);
    package.architecture = known == kDebianNames.end() ? arch : known->second;
  }
  return package;
}

}  // namespace

/// One image on its way to one folder.
struct LocalStorage::Wanted {
  RegistryImage image;
  std::string stem;
  fs::path archive;  ///< where it will be
  fs::path folder;   ///< what it is unpacked to
};

LocalStorage::LocalStorage(const Console& console, ImageSettings settings, bool offline)
    : console_(console),
      settings_(std::move(settings)),
      fetch_settings_{settings_.ca_file, settings_.timeout, settings_.jobs, offline} {
  std::error_code error;
  fs::create_directories(folder(), error);
  if (error || ::access(folder().c_str(), W_OK | X_OK) != 0) {
    throw Failure(ExitCode::Environment,
                  fmt::format("cannot keep images in {}: {}", folder().string(), error ? error.message() : "not writable"),
                  "set local_storage in .image.toml, or --local-storage, to a folder of your own");
  }
  refuse_foreign_folder(folder());
}

std::vector<RegistryImage> LocalStorage::load_list() const {
  return fs::exists(list_path()) ? parse_registry(read_file(list_path()), list_path().string()).images : std::vector<RegistryImage>();
}

std::vector<RegistryImage> LocalStorage::load_imported() const {
  return fs::exists(imported_path()) ? parse_registry(read_file(imported_path()), imported_path().string()).images
                                     : std::vector<RegistryImage>();
}

std::string LocalStorage::registry_address() const {
  static const RE2 kComplete("[a-z]+:.*");
  return RE2::FullMatch(settings_.registry, kComplete) ? settings_.registry : fs::absolute(settings_.registry).lexically_normal().string();
}

std::optional<std::string> LocalStorage::reason_to_sync() const {
  if (!fs::exists(list_path())) {
    return "there is no list of images yet";
  }
  const std::string text = read_file(list_path());
  const std::string comment = "# " + std::string(kListComment);
  if (text.starts_with(comment) && !text.starts_with(comment + registry_address() + "\n")) {
    return "the list of images is another registry's";
  }
  if (settings_.auto_sync_threshold.count() == 0) {
    return std::nullopt;
  }
  const fs::path record = folder() / ".last_sync";
  const std::string last_text = fs::is_regular_file(record) ? read_file(record) : "";
  std::int64_t last = 0;
  std::from_chars(last_text.data(), last_text.data() + last_text.size(), last);
  const std::int64_t age = seconds_since_1970() - last;
  if (age >= 0 && age < settings_.auto_sync_threshold.count()) {
    return std::nullopt;
  }
  constexpr std::int64_t kDay = 86400;
  return last == 0 || age < 0 ? "it is not known when the list of images was fetched"
                              : fmt::format("the list of images is {} days old", age / kDay);
}

std::string LocalStorage::read_registry_file(const std::string& address) const {
  const Fetcher fetcher(console_, fetch_settings_);
  std::string content = fetcher.document(address, kLargestRegistry);
  if (settings_.public_key.empty()) {
    return content;
  }
  const size_t query = std::min(address.find('?'), address.size());
  const std::string signature_address = address.substr(0, query) + ".sig" + address.substr(query);
  std::string signature;
  try {
    signature = fetcher.document(signature_address, kLargestSignature);
  } catch (const Unreachable& failure) {
    throw Failure(ExitCode::Failure, fmt::format("{} has no signature, and .image.toml has a public_key: {}", address, failure.what()),
                  "ask who publishes the registry for a signature; without public_key none is asked for");
  }
  if (!signature_fits(content, signature, settings_.public_key)) {
    throw Failure(ExitCode::Failure, fmt::format("{} is not signed by the key in .image.toml: it was changed, or signed by another key",
                                                 address),
                  "compare public_key with what the registry's owner says");
  }
  return content;
}

void LocalStorage::write_list() {
  const std::string address = registry_address();
  console_.step("reading the registry " + address);
  const std::vector<RegistryImage> images = collect_registry(
      address, [this](const std::string& file) { return read_registry_file(file); }, [this](const std::string& text) { console_.warn(text); });
  write_file(list_path(), format_registry(images, std::string(kListComment) + address));
  write_file(folder() / ".last_sync", std::to_string(seconds_since_1970()));
}

size_t LocalStorage::sync() {
  const FileLock held(folder() / ".lock", [&] { console_.step("waiting for another command in " + folder().string()); });
  write_list();
  return load_list().size();
}

void LocalStorage::sync_if_needed(bool required) {
  if (!settings_.auto_sync || !reason_to_sync()) {
    return;
  }
  const FileLock held(folder() / ".lock", [&] { console_.step("waiting for another command in " + folder().string()); });
  const std::optional<std::string> reason = reason_to_sync();  // another process may have been faster
  if (!reason) {
    return;
  }
  const bool have_list = fs::exists(list_path());
  if (have_list && fetch_settings_.offline && is_network_address(registry_address())) {
    return;
  }
  try {
    console_.step(*reason);
    write_list();
  } catch (const Failure& failure) {
    if (failure.code() == ExitCode::Interrupted || (!have_list && required)) {
      throw;
    }
    console_.warn(fmt::format("{}; {}", failure.what(), have_list ? "the list of before is used" : "its images are not listed"));
  }
}

std::vector<StoredImage> LocalStorage::images(bool required) {
  sync_if_needed(required);
  if (required && !fs::exists(list_path()) && !fs::exists(imported_path())) {
    throw Failure(ExitCode::Usage, fmt::format("{} has no list of images", folder().string()), "./xtask image sync fetches it");
  }
  std::vector<StoredImage> result;
  const auto add_all = [&](const std::vector<RegistryImage>& images, bool imported) {
    for (const RegistryImage& image : images) {
      const auto there = [&](const std::string& stem) { return fs::exists(folder() / (stem + std::string(kArchiveSuffix))); };
      result.push_back({image, imported, there(image.name) || (!image.version.empty() && there(image.name + "-" + image.version))});
    }
  };
  add_all(load_imported(), true);
  add_all(load_list(), false);
  return result;
}

std::vector<LocalStorage::Wanted> LocalStorage::find(const std::vector<ImageName>& names, const DownloadOptions& options) {
  std::vector<RegistryImage> known;
  for (StoredImage& stored : images()) {
    known.push_back(std::move(stored.image));
  }
  const fs::path target = options.folder.empty() ? folder() : options.folder;
  std::vector<Wanted> result;
  std::set<std::string> stems;
  for (const ImageName& name : names) {
    if (stems.insert(name.stem()).second) {
      result.push_back({find_image(known, name), name.stem(), target / (name.stem() + std::string(kArchiveSuffix)), target / name.stem()});
    }
  }
  return result;
}

/// An archive that another name, or another folder, has already.
bool LocalStorage::take_from_storage(const Wanted& wanted) const {
  const RegistryImage& image = wanted.image;
  for (const std::string& stem : {image.name, image.name + "-" + image.version}) {
    const fs::path candidate = folder() / (stem + std::string(kArchiveSuffix));
    if (candidate != wanted.archive && is_archive(candidate, image.sha256)) {
      place(wanted, candidate);
      return true;
    }
  }
  return false;
}

/// Copies into the folder in one step.
void LocalStorage::place(const Wanted& wanted, const fs::path& file) const {
  fs::create_directories(wanted.archive.parent_path());
  std::error_code error;
  if (file.parent_path().filename() == ".partial") {
    fs::rename(file, wanted.archive, error);
    if (!error) {
      return;
    }
  }
  copy_in_one_step(file, wanted.archive);
  if (file.parent_path().filename() == ".partial") {
    fs::remove(file);
  }
}

void LocalStorage::fetch_package(const Wanted& wanted) const {
  const std::optional<PackageAddress> address = parse_package_address(wanted.image.url, wanted.image.arch);
  if (!address) {
    throw Failure(ExitCode::Usage, fmt::format("image {}: '{}' is not deb:PACKAGE[=VERSION][/ARCHITECTURE]", wanted.image.title(),
                                               wanted.image.url));
  }
  if (fetch_settings_.offline) {
    throw Unreachable(fmt::format("{}: not here yet, and offline {} cannot be fetched", wanted.image.title(), wanted.image.url),
                      "leave out --offline and AXVISOR_OFFLINE");
  }
  const fs::path cache = default_cache();
  const FileLock held(cache / "lock", [&] { console_.step("waiting for another fetch into " + cache.string()); });
  AptRoot apt(console_, cache / "apt" / address->architecture, address->architecture);
  const bool updated = apt.update();
  const std::optional<PackageRecord> record = apt.find(address->package, address->version);
  if (!record) {
    throw Unreachable(fmt::format("image {}: the configured Debian mirror {} {}", wanted.image.title(),
                                  updated ? "does not offer" : "cannot be reached for", wanted.image.url));
  }
  if (record->sha256 != wanted.image.sha256) {
    throw Failure(ExitCode::Failure, fmt::format("image {}: {} {} has SHA-256 {} in the mirror's index, not {}", wanted.image.title(),
                                                 record->name, record->version, record->sha256, wanted.image.sha256),
                  "the mirror has moved on: the registry has to name the new version, or =VERSION an old one");
  }
  write_file(partial(wanted.image.sha256), apt.download(*record));
}

/// One lock per content, so that processes which want the same wait for each other and others do not.
void LocalStorage::fetch(std::vector<Wanted>& wanted) {
  std::set<std::string> contents;
  for (const Wanted& one : wanted) {
    contents.insert(one.image.sha256);
  }
  std::deque<FileLock> locks;  // in the set's order: nobody waits in a circle
  for (const std::string& content : contents) {
    locks.emplace_back(folder() / ".locks" / content, [&] { console_.step("waiting for another download of the same image"); });
  }
  std::vector<FileRequest> requests;
  std::set<std::string> requested;
  for (const Wanted& one : wanted) {
    if (is_archive(one.archive, one.image.sha256) || take_from_storage(one)) {
      console_.step(fmt::format("{}: {} is there", one.image.title(), one.archive.string()));
    } else if (requested.insert(one.image.sha256).second) {
      requests.push_back({one.image.title(), one.image.url, one.image.sha256, partial(one.image.sha256)});
    }
  }
  std::erase_if(requests, [&](const FileRequest& request) {
    const bool package = request.address.starts_with("deb:");
    if (package) {
      const auto at = std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& one) { return one.image.sha256 == request.sha256; });
      fetch_package(*at);
    }
    return package;
  });
  if (!requests.empty()) {
    Fetcher(console_, fetch_settings_).files(requests);
  }
  for (const Wanted& one : wanted) {
    if (requested.contains(one.image.sha256)) {
      const fs::path file = partial(one.image.sha256);
      place(one, fs::exists(file) ? file : std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& other) {
                                             return other.image.sha256 == one.image.sha256;
                                           })->archive);
    }
  }
}

/// Into a folder beside the one it will be, which then takes its name.
void LocalStorage::unpack(const Wanted& wanted) const {
  const FileLock held(folder() / ".locks" / wanted.image.sha256);
  const fs::path record = hidden_beside(wanted.folder, "sha256");
  if (fs::is_directory(wanted.folder) && fs::exists(record) && read_file(record) == wanted.image.sha256) {
    return;
  }
  console_.step(fmt::format("unpacking {} to {}", wanted.archive.string(), wanted.folder.string()));
  const fs::path fresh = hidden_beside(wanted.folder, "unpacking");
  const fs::path old = hidden_beside(wanted.folder, "old");
  const auto remove_leftovers = [&] {
    for (const fs::path& path : {fresh, fs::path(fresh.string() + ".layout"), old}) {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  remove_leftovers();
  try {
    SignalWatch signals;
    ProgressLine progress(console_);
    const std::uint64_t size = fs::file_size(wanted.archive);
    unpack_archive(wanted.archive, fresh,
                   {.watch =
                        [&](std::uint64_t bytes) {
                          if (signals.take() != 0) {
                            throw Failure(ExitCode::Interrupted, "interrupted");
                          }
                          progress.show("unpacking " + wanted.image.title(), bytes, size);
                        },
                    .tag = {},
                    .file_name = file_name_of(wanted.image.url)});
  } catch (...) {
    remove_leftovers();
    throw;
  }
  fs::remove(record);
  if (fs::exists(wanted.folder)) {
    fs::rename(wanted.folder, old);
  }
  fs::rename(fresh, wanted.folder);
  fs::remove_all(old);
  write_file(record, wanted.image.sha256);
}

std::vector<fs::path> LocalStorage::download(const std::vector<ImageName>& names, const DownloadOptions& options) {
  std::vector<Wanted> wanted = find(names, options);
  fetch(wanted);
  std::vector<fs::path> places;
  for (const Wanted& one : wanted) {
    if (options.extract) {
      unpack(one);
    }
    places.push_back(options.extract ? one.folder : one.archive);
  }
  return places;
}

std::vector<std::string> LocalStorage::plan(const std::vector<ImageName>& names, const DownloadOptions& options) {
  std::vector<std::string> lines;
  for (const Wanted& one : find(names, options)) {
    const bool there = is_archive(one.archive, one.image.sha256);
    lines.push_back(there ? fmt::format("{} is there", one.archive.string())
                          : fmt::format("{} -> {} (SHA-256 {})", one.image.url, one.archive.string(), one.image.sha256));
    if (options.extract) {
      lines.push_back(fmt::format("{} -> {}", one.archive.string(), one.folder.string()));
    }
  }
  return lines;
}

std::vector<fs::path> LocalStorage::remove(const ImageName& name, bool all_versions) {
  std::vector<RegistryImage> imported = load_imported();
  std::set<std::string> stems{name.stem()};
  for (const StoredImage& stored : images(false)) {
    if (all_versions && stored.image.name == name.name && !stored.image.version.empty()) {
      stems.insert(stored.image.name + "-" + stored.image.version);
    }
  }
  const FileLock held(folder() / ".lock", [&] { console_.step("waiting for another command in " + folder().string()); });
  std::vector<fs::path> removed;
  for (const std::string& stem : stems) {
    const fs::path place = folder() / stem;
    fs::remove(hidden_beside(place, "sha256"));
    for (const fs::path& path : {fs::path(place.string() + std::string(kArchiveSuffix)), place}) {
      if (fs::exists(fs::symlink_status(path))) {
        fs::remove_all(path);
        removed.push_back(path);
      }
    }
  }
  const size_t before = imported.size();
  std::erase_if(imported, [&](const RegistryImage& image) {
    return image.name == name.name && (name.version.empty() ? all_versions || image.version.empty() : image.version == name.version);
  });
  if (imported.size() != before) {
    write_file(imported_path(), format_registry(imported, "Images that `xtask image import` added"));
  }
  return removed;
}

std::vector<std::string> LocalStorage::names_here() {
  std::vector<std::string> names;
  for (const StoredImage& stored : images(false)) {
    const RegistryImage& image = stored.image;
    for (const ImageName& name : {ImageName{image.name, ""}, ImageName{image.name, image.version}}) {
      const fs::path place = folder() / name.stem();
      if (fs::exists(place) || fs::exists(place.string() + std::string(kArchiveSuffix))) {
        names.push_back(name.version.empty() ? name.name : image.title());
      }
    }
  }
  return names;
}

std::vector<LocalStorage::CheckedImage> LocalStorage::check() {
  std::vector<CheckedImage> result;
  std::map<fs::path, std::set<std::string>> expected;
  for (const StoredImage& stored : images(false)) {
    const RegistryImage& image = stored.image;
    expected[folder() / (image.name + std::string(kArchiveSuffix))].insert(image.sha256);
    if (!image.version.empty()) {
      expected[folder() / (image.name + "-" + image.version + std::string(kArchiveSuffix))].insert(image.sha256);
    }
  }
  std::set<fs::path> archives;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder())) {
    if (entry.path().string().ends_with(kArchiveSuffix) && entry.is_regular_file()) {
      archives.insert(entry.path());
    }
  }
  for (const fs::path& archive : archives) {
    const auto known = expected.find(archive);
    const std::string found = sha256_of_file(archive);
    const bool sound = known != expected.end() && known->second.contains(found);
    result.push_back({archive, sound                     ? ""
                               : known == expected.end() ? "no registry knows it"
                                                         : fmt::format("has SHA-256 {}, not {}", found, *known->second.begin())});
  }
  return result;
}

fs::path LocalStorage::add(const RegistryImage& image, const fs::path& archive) {
  for (const RegistryImage& other : load_list()) {
    if (other.title() == image.title()) {
      throw Failure(ExitCode::Usage, fmt::format("the registry has an image {} already", image.title()), "choose another name or version");
    }
  }
  const FileLock held(folder() / ".lock", [&] { console_.step("waiting for another command in " + folder().string()); });
  const std::string stem = ImageName{image.name, image.version}.stem();
  const Wanted wanted{image, stem, folder() / (stem + std::string(kArchiveSuffix)), folder() / stem};
  place(wanted, archive);
  std::vector<RegistryImage> imported = load_imported();
  std::erase_if(imported, [&](const RegistryImage& other) { return other.title() == image.title(); });
  imported.push_back(image);
  imported.back().url = "file://" + wanted.archive.string();
  write_file(imported_path(), format_registry(imported, "Images that `xtask image import` added"));
  unpack(wanted);
  return wanted.folder;
}

}  // namespace ax::xtask
