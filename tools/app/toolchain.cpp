#include "tools/app/toolchain.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace ax::app {
namespace fs = std::filesystem;
namespace {

struct Family {
  std::string_view c;
  std::string_view cxx;
};
constexpr std::array<Family, 3> kFamilies{{{"gcc", "g++"}, {"clang", "clang++"}, {"cc", "c++"}}};
constexpr std::array<std::string_view, 3> kLaunchers{"ccache", "sccache", "distcc"};

/// A program's path, cut around the part that says which compiler it is.
struct Name {
  std::string before;
  std::string stem;
  std::string after;
};

Name cut(const std::string& program, std::string_view stem) {
  const size_t slash = program.rfind('/');
  const size_t start = slash == std::string::npos ? 0 : slash + 1;
  size_t end = program.size();
  const size_t dash = program.rfind('-');
  const bool version = dash != std::string::npos && dash > start && dash + 1 < program.size() &&
                       program.find_first_not_of("0123456789.", dash + 1) == std::string::npos;
  if (version) end = dash;
  if (end - start < stem.size() || program.compare(end - stem.size(), stem.size(), stem) != 0) return {};
  const size_t at = end - stem.size();
  if (at != start && program[at - 1] != '-') return {};
  return {program.substr(0, at), std::string(stem), program.substr(end)};
}

/// An option with a path: joined to it, or as the next word.
struct PathOption {
  std::string_view name;
  bool joined;     ///< may be joined
  bool if_exists;  ///< the program looks in folders of its own too: only a file that is there is meant
};
constexpr PathOption kPathOptions[] = {
    {"-isystem", true, false}, {"-iquote", true, false},    {"-idirafter", true, false}, {"-include", false, true},
    {"-imacros", false, true}, {"-I", true, false},         {"-L", true, false},         {"-B", true, true},
    {"-T", true, true},        {"--sysroot=", true, false}, {"-specs=", true, true},
};

std::string absolute(const std::string& path, const std::string& folder) {
  return path.starts_with('/') || path.starts_with('=') ? path : (fs::path(folder) / path).lexically_normal().string();
}

}  // namespace

Words Compiler::command(bool for_cxx) const {
  Words out{for_cxx ? cxx : c};
  out.insert(out.end(), options.begin(), options.end());
  return out;
}

Compiler compiler_of(const Words& words) {
  Compiler compiler;
  auto word = words.begin();
  while (word != words.end() &&
         std::ranges::find(kLaunchers, fs::path(*word).filename().string()) != kLaunchers.end()) {
    compiler.launcher.push_back(*word++);
  }
  if (word == words.end()) return compiler;
  compiler.c = compiler.cxx = *word++;
  compiler.options.assign(word, words.end());
  for (const Family& family : kFamilies) {
    for (const std::string_view stem : {family.c, family.cxx}) {
      const Name name = cut(compiler.c, stem);
      if (name.stem.empty()) continue;
      compiler.c = name.before + std::string(family.c) + name.after;
      compiler.cxx = name.before + std::string(family.cxx) + name.after;
      return compiler;
    }
  }
  return compiler;
}

bool is_rust_lld(const Words& linker) { return !linker.empty() && fs::path(linker.front()).filename() == "rust-lld"; }

Words with_absolute_paths(const Words& words, const std::string& folder) {
  const auto exists = [&](const std::string& path) {
    std::error_code error;
    return fs::exists(fs::path(folder) / path, error);
  };
  const auto resolved = [&](const PathOption& option, const std::string& path) {
    return option.if_exists && !exists(path) ? path : absolute(path, folder);
  };
  Words out;
  const PathOption* pending = nullptr;
  for (const std::string& word : words) {
    if (pending != nullptr) {
      out.push_back(resolved(*pending, word));
      pending = nullptr;
      continue;
    }
    const auto option = std::ranges::find_if(
        kPathOptions, [&](const PathOption& o) { return o.joined ? word.starts_with(o.name) : word == o.name; });
    if (option != std::end(kPathOptions)) {
      const std::string rest = word.substr(option->name.size());
      if (rest.empty() && !option->name.ends_with('=')) pending = option;
      out.push_back(rest.empty() ? word : std::string(option->name) + resolved(*option, rest));
    } else if (word.starts_with('@') && exists(word.substr(1))) {
      out.push_back("@" + absolute(word.substr(1), folder));
    } else {
      const bool file = !word.starts_with('-') && !word.empty() && exists(word);
      out.push_back(file ? absolute(word, folder) : word);
    }
  }
  return out;
}

Words without_build_options(const Words& cflags) {
  static constexpr std::array<std::string_view, 4> kAlone{"-c", "-MD", "-MMD", "-MP"};
  static constexpr std::array<std::string_view, 3> kWithArgument{"-MF", "-MT", "-MQ"};
  Words out;
  for (size_t i = 0; i < cflags.size(); ++i) {
    if (std::ranges::find(kAlone, cflags[i]) != kAlone.end()) continue;
    if (std::ranges::find(kWithArgument, cflags[i]) != kWithArgument.end()) {
      ++i;
      continue;
    }
    out.push_back(cflags[i]);
  }
  return out;
}

Words take_include_folders(Words& cflags) {
  Words folders;
  Words rest;
  for (size_t i = 0; i < cflags.size(); ++i) {
    if (cflags[i] == "-I" && i + 1 < cflags.size()) {
      folders.push_back(cflags[++i]);
    } else if (cflags[i].starts_with("-I") && cflags[i].size() > 2) {
      folders.push_back(cflags[i].substr(2));
    } else {
      rest.push_back(cflags[i]);
    }
  }
  cflags = std::move(rest);
  return folders;
}

}  // namespace ax::app
