#include "tools/xtask/image/registry.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <set>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace {

// A registry that includes more than this is broken, or wants to keep somebody busy.
constexpr size_t kMostFiles = 100;

std::string sha256_value(TomlReader& reader) {
  static const RE2 kHash("[0-9a-fA-F]{64}");
  std::string value = reader.required_string("sha256");
  if (!RE2::FullMatch(value, kHash)) {
    reader.fail("sha256", "must be a SHA-256 in 64 hexadecimal digits");
  }
  std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::tolower(c); });
  return value;
}

RegistryImage read_image(TomlReader& reader) {
  RegistryImage image;
  image.name = reader.required_string("name");
  image.version = reader.string("version").value_or("");
  image.released_at = reader.string("released_at").value_or("");
  image.description = reader.string("description").value_or("");
  image.sha256 = sha256_value(reader);
  image.arch = reader.string("arch").value_or("");
  image.url = reader.required_string("url");
  if (!is_plain_name(image.name)) {
    reader.fail("name", fmt::format("'{}' cannot be the name of a file: use letters, digits and . _ + -", image.name));
  }
  if (!image.version.empty() && !is_plain_name(image.version)) {
    reader.fail("version", fmt::format("'{}' cannot be in the name of a file: use letters, digits and . _ + -", image.version));
  }
  if (!image.released_at.empty() && !parse_rfc3339(image.released_at)) {
    reader.fail("released_at", fmt::format("'{}' is not a time as in 2026-01-31T12:00:00Z", image.released_at));
  }
  return image;
}

/// Splits "v0.0.22" into ["v", 0, ".", 0, ".", 22]-like keys, so that numbers compare as such.
bool version_less(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!a.empty() && !b.empty()) {
    if (digit(a[0]) && digit(b[0])) {
      const auto take = [&](std::string_view& text) {
        size_t zeros = std::min(text.find_first_not_of('0'), text.size());
        text.remove_prefix(zeros);
        size_t size = 0;
        while (size < text.size() && digit(text[size])) ++size;
        const std::string_view number = text.substr(0, size);
        text.remove_prefix(size);
        return number;
      };
      const std::string_view left = take(a);
      const std::string_view right = take(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
    } else {
      if (a[0] != b[0]) return a[0] < b[0];
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.size() < b.size();
}

bool older(const RegistryImage& a, const RegistryImage& b) {
  const std::optional<std::int64_t> left = parse_rfc3339(a.released_at);
  const std::optional<std::int64_t> right = parse_rfc3339(b.released_at);
  return left != right ? left < right : version_less(a.version, b.version);
}

std::string versions_of(const std::vector<RegistryImage>& images, const std::string& name) {
  std::string list;
  for (const RegistryImage& image : images) {
    if (image.name == name) {
      list += (list.empty() ? "" : ", ") + (image.version.empty() ? "(none)" : image.version);
    }
  }
  return list;
}

bool from_network(const std::string& address) { return address.starts_with("http://") || address.starts_with("https://"); }

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  static const RE2 kForm(R"((\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-]\d\d):(\d\d)))");
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::string offset_hours;  // signed; nothing with Z
  std::string offset_minutes;
  if (!RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kForm, &year, &month, &day, &hour, &minute, &second,
                      &offset_hours, &offset_minutes)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  constexpr int kLeapSecond = 60;
  if (!date.ok() || hour > 23 || minute > 59 || second > kLeapSecond) {
    return std::nullopt;
  }
  const auto offset = std::chrono::hours(std::atoi(offset_hours.c_str())) +
                      std::chrono::minutes(std::atoi(offset_minutes.c_str()) * (offset_hours.starts_with('-') ? -1 : 1));
  const auto local = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
  return (local - offset).time_since_epoch() / std::chrono::seconds(1);
}

bool is_plain_name(std::string_view text) {
  static const RE2 kPlain("[A-Za-z0-9_+-][A-Za-z0-9._+-]*");
  constexpr size_t kLongest = 128;
  return text.size() <= kLongest && RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kPlain);
}

RegistryFile parse_registry(std::string_view text, const std::string& name) {
  const TomlTable table = parse_toml(text, name, TomlDates::AsText);
  RegistryFile file;
  TomlReader reader(table, name);
  for (const TomlTable* include : reader.tables("includes")) {
    file.includes.push_back(TomlReader(*include, name).required_string("url"));
  }
  for (const TomlTable* image : reader.tables("images")) {
    TomlReader fields(*image, name);
    file.images.push_back(read_image(fields));
  }
  return file;
}

std::string format_registry(const std::vector<RegistryImage>& images, const std::string& comment) {
  std::string text = "# " + comment + "\n";
  for (const RegistryImage& image : images) {
    text += "\n[[images]]\n";
    for (const auto& [key, value] : {std::pair{"name", &image.name},
                                     {"version", &image.version},
                                     {"released_at", &image.released_at},
                                     {"description", &image.description},
                                     {"sha256", &image.sha256},
                                     {"arch", &image.arch},
                                     {"url", &image.url}}) {
      const bool optional = std::string_view(key) == "released_at";
      text += value->empty() && optional ? "" : fmt::format("{} = {}\n", key, toml_quote(*value));
    }
  }
  return text;
}

std::string resolve_address(const std::string& base, const std::string& address) {
  static const RE2 kComplete("[a-z]+:.*");
  if (RE2::FullMatch(address, kComplete) || address.starts_with('/')) {
    return address;
  }
  const std::string plain = base.substr(0, base.find_first_of("?#"));
  const size_t slash = plain.rfind('/');
  return slash == std::string::npos ? address : plain.substr(0, slash + 1) + address;
}

std::vector<RegistryImage> collect_registry(const std::string& address, const RegistryReader& read,
                                            const std::function<void(const std::string&)>& warn) {
  std::vector<RegistryImage> images;
  std::set<std::string> titles;
  std::set<std::string> seen{address};
  for (std::deque<std::string> queue{address}; !queue.empty(); queue.pop_front()) {
    const std::string& current = queue.front();
    const RegistryFile file = parse_registry(read(current), current);
    for (const RegistryImage& image : file.images) {
      if (!titles.insert(image.title()).second) {
        warn(fmt::format("{}: image {} is there already, this one is left out", current, image.title()));
        continue;
      }
      images.push_back(image);
      images.back().url = resolve_address(current, image.url);
      if (from_network(current) && !from_network(images.back().url) && !images.back().url.starts_with("deb:")) {
        throw Failure(ExitCode::Usage, fmt::format("{}: image {}: a registry from the network cannot name {}", current, image.title(),
                                                   images.back().url));
      }
    }
    for (const std::string& include : file.includes) {
      const std::string next = resolve_address(current, include);
      if (from_network(current) && !from_network(next)) {
        throw Failure(ExitCode::Usage, fmt::format("{}: a registry from the network cannot include {}", current, next));
      }
      if (seen.size() >= kMostFiles && !seen.contains(next)) {
        throw Failure(ExitCode::Failure, fmt::format("{}: the registry {} includes more than {} files", current, address, kMostFiles));
      }
      if (seen.insert(next).second) {
        queue.push_back(next);
      }
    }
  }
  return images;
}

ImageName parse_image_name(const std::string& text) {
  const size_t colon = text.find(':');
  ImageName name{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  const bool version_fits = colon == std::string::npos || is_plain_name(name.version);
  if (!is_plain_name(name.name) || !version_fits) {
    throw Failure(ExitCode::Usage, fmt::format("'{}' is not the name of an image: expected NAME or NAME:VERSION", text),
                  "./xtask image ls shows the images");
  }
  return name;
}

const RegistryImage& find_image(const std::vector<RegistryImage>& images, const ImageName& wanted) {
  const RegistryImage* found = nullptr;
  std::vector<std::string> names;
  for (const RegistryImage& image : images) {
    names.push_back(image.name);
    const bool fits = image.name == wanted.name && (wanted.version.empty() || image.version == wanted.version);
    if (fits && (found == nullptr || !older(image, *found))) {
      found = &image;
    }
  }
  if (found != nullptr) {
    return *found;
  }
  if (const std::string versions = versions_of(images, wanted.name); !versions.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("image '{}' has no version '{}'; it has: {}", wanted.name, wanted.version, versions));
  }
  throw Failure(ExitCode::Usage, fmt::format("unknown image '{}'{}", wanted.name, did_you_mean(wanted.name, names)),
                "./xtask image ls shows the images, ./xtask image sync fetches the list anew");
}

bool matches_pattern(const std::string& text, const std::string& pattern) {
  RE2::Options quiet;
  quiet.set_log_errors(false);
  const RE2 expression(pattern, quiet);
  return expression.ok() ? RE2::PartialMatch(text, expression) : text.find(pattern) != std::string::npos;
}

std::vector<const RegistryImage*> matching_images(const std::vector<RegistryImage>& images, const std::string& pattern) {
  std::vector<const RegistryImage*> found;
  for (const RegistryImage& image : images) {
    if (matches_pattern(image.name, pattern)) {
      found.push_back(&image);
    }
  }
  return found;
}

}  // namespace ax::xtask
