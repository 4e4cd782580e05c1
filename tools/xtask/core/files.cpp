#include "tools/xtask/core/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  throw Failure(ExitCode::Failure, what + " " + path.string() + ": " + std::strerror(errno));
}

void write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail("cannot write", path);
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
}

/// The mode a newly created file would get: mkstemp() makes private files, shared ones are wanted here.
mode_t default_file_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

class Sha256 {
 public:
  Sha256() { check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }

  void add(std::string_view part) { check(EVP_DigestUpdate(context_.get(), part.data(), part.size()) == 1); }

  std::string hex() {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  static void check(bool done) {
    if (!done) {
      throw Failure(ExitCode::Environment, "OpenSSL cannot compute SHA-256");
    }
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

}  // namespace

std::string missing_path(const fs::path& path) {
  if (fs::exists(path)) {
    return fmt::format("{} is {}", path.string(), fs::is_directory(path) ? "a folder, not a file" : "no regular file");
  }
  fs::path missing = path;
  while (missing.has_parent_path() && missing.parent_path() != missing && !fs::exists(missing.parent_path())) {
    missing = missing.parent_path();
  }
  const fs::path folder = missing.has_parent_path() ? missing.parent_path() : ".";
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return "no such file: " + path.string() + (missing == path ? "" : ", nor " + missing.string()) +
         did_you_mean(missing.filename().string(), names);
}

Failure no_such_file(std::string_view option, const fs::path& path) {
  return {ExitCode::Usage, std::string(option) + ": " + missing_path(path)};
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || fs::is_directory(path)) {
    throw Failure(ExitCode::Usage, "cannot read " + path.string() + ": " +
                                       (fs::exists(path) ? "not a readable file" : "no such file"));
  }
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string read_if_there(const fs::path& path) { return fs::is_regular_file(path) ? read_file(path) : std::string(); }

void write_file(const fs::path& path, std::string_view content) {
  if (path.has_parent_path()) {
    fs::create_directories(path.parent_path());
  }
  std::string temporary = path.string() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) {
    fail("cannot create", temporary);
  }
  try {
    write_all(fd, content, path);
    if (::fchmod(fd, default_file_mode()) != 0 || ::close(fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
      fail("cannot write", path);
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

bool write_file_if_changed(const fs::path& path, std::string_view content) {
  if (fs::is_regular_file(path) && fs::file_size(path) == content.size() && read_file(path) == content) {
    return false;
  }
  write_file(path, content);
  return true;
}

std::string sha256_hex(std::string_view content) {
  Sha256 hash;
  hash.add(content);
  return hash.hex();
}

std::string sha256_of_file(const fs::path& path) {
  constexpr size_t kBlock = 1 << 20;
  std::ifstream stream(path, std::ios::binary);
  if (!stream || fs::is_directory(path)) {
    throw Failure(ExitCode::Usage, "cannot read " + path.string() + ": " +
                                       (fs::exists(path) ? "not a readable file" : "no such file"));
  }
  Sha256 hash;
  std::string block(kBlock, '\0');
  while (stream.read(block.data(), kBlock), stream.gcount() > 0) {
    hash.add(std::string_view(block).substr(0, static_cast<size_t>(stream.gcount())));
  }
  return hash.hex();
}

FileLock::FileLock(const fs::path& path, const std::function<void()>& on_wait) {
  if (path.has_parent_path()) {
    fs::create_directories(path.parent_path());
  }
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    fail("cannot open lock file", path);
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
    return;
  }
  if (on_wait) {
    on_wait();
  }
  while (::flock(fd_, LOCK_EX) != 0) {
    if (errno != EINTR) {
      ::close(fd_);
      fail("cannot lock", path);
    }
  }
}

FileLock::~FileLock() { ::close(fd_); }

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "xtask.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    fail("cannot create", name);
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace ax::xtask
