// ${...} in run configurations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ax::xtask {

/// What ${...} stands for in one run:
///   ${NAME}               a variable: workspaceFolder, elf, bin, or one defined by the caller
///   ${env:VAR}            the environment; empty where unset. ${env:VAR:-text}: `text` where unset or empty
///   ${nonce}              five random digits, the same throughout one run
///   ${nonce*N}            nonce times N: the answer to a typed command that the echo of the command cannot contain;
///                         ${nonce7} is short for ${nonce*7}
///   $${                   a literal ${
class Variables {
 public:
  explicit Variables(std::uint32_t nonce) : values_{{"nonce7", std::to_string(std::uint64_t{nonce} * 7)}}, nonce_(nonce) {}

  void define(const std::string& name, std::string value) { values_[name] = std::move(value); }

  /// Throws Failure(Usage) for an unknown variable (with a suggestion) or an unterminated ${.
  std::string substitute(std::string_view text) const;

 private:
  std::string value_of(std::string_view expression) const;

  std::map<std::string, std::string, std::less<>> values_;
  std::uint32_t nonce_;
};

class TomlReader;
/// substitute() of a key's value: a mistake is reported with the key's file and line.
std::string substitute_in_key(const Variables& variables, const TomlReader& reader, std::string_view key, const std::string& text);

/// Five digits, from the system's random source.
std::uint32_t random_nonce();

}  // namespace ax::xtask
