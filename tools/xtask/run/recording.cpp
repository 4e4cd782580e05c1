#include "tools/xtask/run/recording.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/json.hpp"

namespace ax::xtask {
namespace {

constexpr unsigned kColumns = 120;
constexpr unsigned kRows = 32;

/// Bytes of the UTF-8 character that `lead` begins; 0 for a byte that begins none.
size_t character_size(unsigned char lead) {
  return lead < 0x80 ? 1 : (lead & 0xe0) == 0xc0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : (lead & 0xf8) == 0xf0 ? 4 : 0;
}

bool continues(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      return false;
    }
  }
  return true;
}

/// Takes the whole characters from the front of `bytes`; what is no UTF-8 becomes U+FFFD.
std::string take_characters(std::string& bytes) {
  std::string text;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t size = character_size(static_cast<unsigned char>(bytes[at]));
    const std::string_view tail = std::string_view(bytes).substr(at + 1, size == 0 ? 0 : size - 1);
    if (size == 0 || !continues(tail)) {
      text += "\xef\xbf\xbd";
      ++at;
    } else if (tail.size() + 1 < size) {
      break;
    } else {
      text.append(bytes, at, size);
      at += size;
    }
  }
  bytes.erase(0, at);
  return text;
}

}  // namespace

Recording::Recording(const std::filesystem::path& path, TimePoint start)
    : file_(std::fopen(path.c_str(), "we"), &std::fclose), start_(start) {
  if (!file_) {
    throw Failure(ExitCode::Usage, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  }
  fmt::print(file_.get(), "{{\"version\": 2, \"width\": {}, \"height\": {}}}\n", kColumns, kRows);
}

void Recording::output(std::string_view bytes, TimePoint now) {
  rest_ += bytes;
  const std::string text = take_characters(rest_);
  if (!text.empty()) {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    fmt::print(file_.get(), "[{:.6f}, \"o\", {}]\n", seconds, json_quote(text));
    std::fflush(file_.get());
  }
}

}  // namespace ax::xtask
