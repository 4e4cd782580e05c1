#include "tools/config/source.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace ax::config {
namespace fs = std::filesystem;
namespace {

// Far above any real configuration; below what would make a mistaken path (an image, a device) exhaust memory.
constexpr std::uintmax_t kMaxFileSize = 4_MiB;

}  // namespace

std::string_view SourceFile::line(u32 number) const {
  if (number == 0) return {};
  std::string_view rest = text_;
  for (u32 i = 1; i < number; ++i) {
    const usize end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return rest;
}

std::expected<const SourceFile*, std::string> SourceStore::open(const fs::path& path, std::string display) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  for (const SourceFile& file : files_) {
    if (!error && file.path() == canonical) return &file;
  }
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return std::unexpected("no such file");
  if (!fs::is_regular_file(status)) return std::unexpected("not a regular file");
  if (fs::file_size(path, error) > kMaxFileSize || error) {
    return std::unexpected(fmt::format("larger than {} MiB: this is no configuration file", kMaxFileSize >> 20));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
  return &files_.emplace_back(files_.size(), canonical, std::move(display), std::move(text));
}

const SourceFile& SourceStore::add(std::string display, std::string text) {
  return files_.emplace_back(files_.size(), fs::path(display), display, std::move(text));
}

}  // namespace ax::config
