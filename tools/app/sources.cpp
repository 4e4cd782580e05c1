#include "tools/app/sources.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <optional>

#include "tools/config/suggest.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

constexpr std::pair<std::string_view, Language> kExtensions[] = {
    {".c", Language::C},     {".cc", Language::Cxx},     {".cpp", Language::Cxx},
    {".cxx", Language::Cxx}, {".S", Language::Assembly}, {".s", Language::Assembly},
};

std::optional<Language> language_of(const fs::path& path) {
  const std::string extension = path.extension().string();
  for (const auto& [known, language] : kExtensions) {
    if (known == extension) return language;
  }
  return std::nullopt;
}

using Names = std::vector<std::string>;

Names names_of(const fs::path& path) {
  Names names;
  for (const fs::path& part : path) {
    const std::string name = part.string();
    if (!name.empty() && name != "." && name != "/") names.push_back(name);
  }
  return names;
}

struct Candidate {
  Source source;
  std::string text;  ///< "/" and the path relative to the description
  Names names;
  usize root_names;  ///< how many of them belong to `src`
};

/// One entry of src_only or src_exclude.
class Entry {
 public:
  explicit Entry(const Located& located) : text_(located.text), names_(names_of(located.text)) {}

  /// Decides between whole names and parts of paths, by what there is.
  bool settle(const std::vector<Candidate>& candidates) {
    const auto fits = [this](const Candidate& c) { return matches(c); };
    if (std::ranges::any_of(candidates, fits)) return true;
    as_part_ = text_.find_first_of("*?[") == std::string::npos;
    return as_part_ && std::ranges::any_of(candidates, fits);
  }

  bool matches(const Candidate& candidate) const {
    return as_part_ ? candidate.text.find(text_) != std::string::npos : matches_names(candidate);
  }

 private:
  /// The entry's names stand in a row somewhere in the path, and the last of them below `src`.
  bool matches_names(const Candidate& c) const {
    if (names_.empty() || names_.size() > c.names.size()) return false;
    for (usize start = 0; start + names_.size() <= c.names.size(); ++start) {
      if (start + names_.size() <= c.root_names) continue;
      const bool equal = std::ranges::equal(names_, std::span(c.names).subspan(start, names_.size()),
                                            [](const std::string& pattern, const std::string& name) {
                                              return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
                                            });
      if (equal) return true;
    }
    return false;
  }

  std::string text_;
  Names names_;
  bool as_part_ = false;
};

bool is_left_out(const fs::directory_entry& entry, const std::string& name) {
  // CMake has programs of its own there.
  constexpr std::string_view kCMakeFolder = "CMakeFiles";
  if (name.starts_with('.') || name == kBuildFolder || name == kRuxgoBuildFolder || name == kCMakeFolder) return true;
  std::error_code error;
  return entry.is_directory(error) && fs::exists(entry.path() / kBuildMark, error);
}

class Search {
 public:
  Search(const SourceQuery& query, Diagnostics& diagnostics) : query_(query), diagnostics_(diagnostics) {}

  std::vector<Source> run() {
    if (query_.src.text.empty()) {
      diagnostics_.error(query_.src.where, "'src' is empty").fix("use \"./\" for the folder of this file");
      return {};
    }
    root_ = (query_.folder / query_.src.text).lexically_normal();
    if (!collect()) return {};
    if (candidates_.empty()) {
      diagnostics_.error(query_.src.where, fmt::format("no sources in '{}'", query_.src.text))
          .fix("sources end in .c .cc .cpp .cxx .S or .s");
      return {};
    }
    select();
    std::vector<Source> sources;
    for (Candidate& c : candidates_) sources.push_back(std::move(c.source));
    return sources;
  }

 private:
  bool collect() {
    std::error_code error;
    const fs::file_status status = fs::status(root_, error);
    if (!fs::exists(status)) {
      missing();
      return false;
    }
    if (!fs::is_directory(status)) {
      const std::optional<Language> language = language_of(root_);
      if (language) add(root_, *language);
      return true;
    }
    root_names_ = names_of(root_.lexically_relative(query_.folder)).size();
    fs::recursive_directory_iterator it(root_, fs::directory_options::skip_permission_denied, error);
    for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (is_left_out(*it, name)) {
        it.disable_recursion_pending();
        continue;
      }
      const std::optional<Language> language = language_of(it->path());
      std::error_code ignored;
      if (language && it->is_regular_file(ignored)) add(it->path(), *language);
    }
    if (error)
      diagnostics_.error(query_.src.where, fmt::format("cannot search '{}': {}", query_.src.text, error.message()))
          .fix("make it readable");
    std::ranges::sort(candidates_, {}, &Candidate::text);
    return !error;
  }

  void add(const fs::path& path, Language language) {
    // Nearly all sources are below the description: to cut its folder off is a fraction of what the general way takes.
    const std::string& text = path.native();
    const std::string folder = query_.folder.native() + "/";
    const fs::path relative =
        text.starts_with(folder) ? fs::path(text.substr(folder.size())) : path.lexically_relative(query_.folder);
    candidates_.push_back({{path, language}, "/" + relative.native(), names_of(relative), root_names_});
  }

  void missing() {
    const std::string name = root_.has_filename() ? root_.filename().string() : root_.parent_path().filename().string();
    const fs::path parent = root_.has_filename() ? root_.parent_path() : root_.parent_path().parent_path();
    std::vector<std::string> beside;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(parent, error)) beside.push_back(entry.path().filename().string());
    std::ranges::sort(beside);
    diagnostics_.error(query_.src.where, fmt::format("there is no '{}'", query_.src.text))
        .fix(config::did_you_mean(name, beside, "paths are relative to the folder of this file"));
  }

  void select() {
    std::vector<std::string> known;
    for (const Candidate& c : candidates_) known.push_back(c.names.back());
    std::vector<Entry> only = settled(query_.only, [&](const Located& entry) {
      diagnostics_.error(entry.where, fmt::format("'{}' fits no source of '{}'", entry.text, query_.src.text))
          .fix(config::did_you_mean(entry.text, known, "name a file or folder below 'src'"));
    });
    std::vector<Entry> exclude = settled(query_.exclude, [&](const Located& entry) {
      diagnostics_
          .warning(entry.where,
                   fmt::format("'{}' excludes nothing: it fits no source of '{}'", entry.text, query_.src.text))
          .fix(config::did_you_mean(entry.text, known, "remove it"));
    });
    const auto fits = [](const std::vector<Entry>& entries, const Candidate& c) {
      return std::ranges::any_of(entries, [&](const Entry& entry) { return entry.matches(c); });
    };
    std::erase_if(candidates_,
                  [&](const Candidate& c) { return fits(exclude, c) || (!query_.only.empty() && !fits(only, c)); });
    if (candidates_.empty() && diagnostics_.ok()) {
      diagnostics_.error(query_.src.where, fmt::format("no sources are left of '{}'", query_.src.text))
          .fix("src_only and src_exclude take all of them away");
    }
  }

  template <class Report>
  std::vector<Entry> settled(const std::vector<Located>& list, Report report) const {
    std::vector<Entry> entries;
    for (const Located& located : list) {
      Entry entry(located);
      if (!entry.settle(candidates_)) report(located);
      entries.push_back(entry);
    }
    return entries;
  }

  const SourceQuery& query_;
  Diagnostics& diagnostics_;
  fs::path root_;
  usize root_names_ = 0;  ///< of its path below the description; 0 where `src` is one file
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<Source> find_sources(const SourceQuery& query, Diagnostics& diagnostics) {
  return Search(query, diagnostics).run();
}

}  // namespace ax::app
