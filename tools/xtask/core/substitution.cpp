#include "tools/xtask/core/substitution.hpp"

#include <charconv>
#include <cstdlib>
#include <random>
#include <vector>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace {

constexpr std::string_view kEnvironment = "env:";
constexpr std::string_view kNonce = "nonce";

std::string environment_value(std::string_view expression) {
  const size_t separator = expression.find(":-");
  const std::string name(expression.substr(0, separator));
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && *value != '\0') {
    return value;
  }
  return separator == std::string_view::npos ? "" : std::string(expression.substr(separator + 2));
}

}  // namespace

std::string Variables::value_of(std::string_view expression) const {
  if (expression.starts_with(kEnvironment)) {
    return environment_value(expression.substr(kEnvironment.size()));
  }
  if (expression == kNonce) {
    return std::to_string(nonce_);
  }
  if (expression.starts_with("nonce*")) {
    const std::string_view digits = expression.substr(kNonce.size() + 1);
    std::uint32_t factor = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), factor);
    if (error == std::errc{} && end == digits.data() + digits.size()) {
      return std::to_string(std::uint64_t{nonce_} * factor);
    }
  }
  const auto found = values_.find(expression);
  if (found != values_.end()) {
    return found->second;
  }
  std::vector<std::string> names{std::string(kNonce), "nonce*7", "env:VAR"};
  for (const auto& [name, value] : values_) {
    names.push_back(name);
  }
  throw Failure(ExitCode::Usage,
                "unknown variable ${" + std::string(expression) + "}" + did_you_mean(expression, names));
}

std::string Variables::substitute(std::string_view text) const {
  std::string result;
  while (!text.empty()) {
    const size_t start = text.find("${");
    if (start == std::string_view::npos) {
      return result.append(text);
    }
    if (start > 0 && text[start - 1] == '$') {
      result.append(text.substr(0, start - 1)).append("${");
      text.remove_prefix(start + 2);
      continue;
    }
    const size_t end = text.find('}', start);
    if (end == std::string_view::npos) {
      throw Failure(ExitCode::Usage, "unterminated ${ in '" + std::string(text) + "' (write $${ for a literal one)");
    }
    result.append(text.substr(0, start)).append(value_of(text.substr(start + 2, end - start - 2)));
    text.remove_prefix(end + 1);
  }
  return result;
}

std::string substitute_in_key(const Variables& variables, const TomlReader& reader, std::string_view key, const std::string& text) {
  try {
    return variables.substitute(text);
  } catch (const Failure& failure) {
    reader.fail(key, failure.what());
  }
}

std::uint32_t random_nonce() {
  std::random_device source;
  return std::uniform_int_distribution<std::uint32_t>(10'000, 99'999)(source);
}

}  // namespace ax::xtask
