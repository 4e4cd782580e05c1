#include "tests/build/include_graph.hpp"

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "tools/xtask/core/files.hpp"

namespace ax::build_test {
namespace fs = std::filesystem;
namespace {

/// One entry of compile_commands.json.
struct Compilation {
  fs::path source;
  std::string object;
  std::vector<fs::path> include_folders;
};

std::vector<Compilation> compilations(const fs::path& build_folder) {
  std::vector<Compilation> out;
  for (const auto& entry : nlohmann::json::parse(xtask::read_file(build_folder / "compile_commands.json"))) {
    Compilation compilation{entry.at("file").get<std::string>(), {}, {}};
    std::istringstream words(entry.at("command").get<std::string>());
    for (std::string word; words >> word;) {
      if (word.starts_with("-I")) {
        compilation.include_folders.emplace_back(word.substr(2));
      } else if (word == "-o") {
        words >> compilation.object;
      }
    }
    out.push_back(compilation);
  }
  return out;
}

/// The name in a line `#include "name"` or `#include <name>`.
std::optional<std::string> included_name(const std::string& line) {
  constexpr std::string_view kDirective = "#include ";
  if (!line.starts_with(kDirective)) {
    return std::nullopt;
  }
  const size_t end = line.find_first_of("\">", kDirective.size() + 1);
  return line.substr(kDirective.size() + 1, end - kDirective.size() - 1);
}

/// Collects the files that a compilation reads. Headers that are in none of the folders given with -I are the system's.
class Reader {
 public:
  explicit Reader(const Compilation& compilation) : folders_(compilation.include_folders) { visit(compilation.source); }
  bool has_read(const fs::path& file) const { return seen_.contains(file.lexically_normal()); }

 private:
  void visit(const fs::path& file) {
    if (!seen_.insert(file.lexically_normal()).second) {
      return;
    }
    std::istringstream lines(xtask::read_file(file));
    for (std::string line; std::getline(lines, line);) {
      if (const std::optional<std::string> name = included_name(line)) {
        visit_header(*name);
      }
    }
  }
  void visit_header(const std::string& name) {
    for (const fs::path& folder : folders_) {
      if (fs::exists(folder / name)) {
        return visit(folder / name);
      }
    }
  }

  const std::vector<fs::path>& folders_;
  std::set<fs::path> seen_;
};

std::set<std::string> objects_where(const fs::path& build_folder, const std::function<bool(const Compilation&)>& wanted) {
  std::set<std::string> out;
  for (const Compilation& compilation : compilations(build_folder)) {
    if (wanted(compilation)) {
      out.insert(compilation.object);
    }
  }
  return out;
}

}  // namespace

std::set<std::string> objects_using(const fs::path& build_folder, const fs::path& file) {
  return objects_where(build_folder, [&](const Compilation& compilation) { return Reader(compilation).has_read(file); });
}

std::set<std::string> objects_below(const fs::path& build_folder, const fs::path& folder) {
  return objects_where(build_folder, [&](const Compilation& compilation) {
    return compilation.source.string().starts_with(folder.string() + "/");
  });
}

std::set<std::string> all_objects(const fs::path& build_folder) {
  return objects_where(build_folder, [](const Compilation&) { return true; });
}

}  // namespace ax::build_test
