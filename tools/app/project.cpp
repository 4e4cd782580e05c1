#include "tools/app/project.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace ax::app {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 14> kReservedNames{"all",
                                                          "test",
                                                          "clean",
                                                          "install",
                                                          "help",
                                                          "package",
                                                          "edit_cache",
                                                          "rebuild_cache",
                                                          "list_install_components",
                                                          "ALL",
                                                          "RUN_TESTS",
                                                          "INSTALL",
                                                          "package_source",
                                                          "depend"};

std::string_view extension(TargetType type) {
  constexpr std::string_view extensions[] = {"", ".a", ".so", ".o"};
  return extensions[static_cast<usize>(type)];
}

bool is_bare_linker(const Words& linker) {
  if (linker.empty()) return false;
  const std::string name = fs::path(linker.front()).filename().string();
  return name == "ld" || name.starts_with("ld.") || name.ends_with("-ld") || name == "lld" || name == "mold";
}

class ProjectWriter {
 public:
  ProjectWriter(const Application& app, fs::path folder) : app_(app), folder_(std::move(folder)) {}

  std::vector<GeneratedFile> write() {
    std::vector<GeneratedFile> files;
    files.push_back({"CMakeLists.txt", top()});
    files.push_back({std::string(kCompilerFile), compilers()});
    for (const Target& target : app_.targets) {
      files.push_back({fs::path("targets") / cmake_target(target) / "CMakeLists.txt", target_file(target)});
    }
    return files;
  }

 private:
  // ---- text

  /// A quoted argument of CMake; the application's folder is written as ${app_dir}.
  std::string quote(std::string_view text) const {
    std::string out;
    for (const char c : text) {
      if (c == '\\' || c == '"' || c == '$') out += '\\';
      out += c;
    }
    const std::string folder = app_.folder.string() + "/";
    for (usize at = out.find(folder); at != std::string::npos; at = out.find(folder, at + 1)) {
      out.replace(at, folder.size(), "${app_dir}/");
    }
    if (out == app_.folder.string()) out = "${app_dir}";
    return '"' + out + '"';
  }

  /// Shell text inside a rule, where Ninja too looks for dollar signs.
  static std::string rule_text(const Words& words) {
    std::string out;
    for (const char c : join_words(words)) {
      out += c;
      if (c == '$') out += c;
    }
    return out;
  }

  /// One option for CMake that stands for all the words, which so are neither sorted nor merged. Its parser takes a
  /// backslash for an escape in single quotes too, unlike a shell.
  static std::string option_text(const Words& words) {
    std::string out = "SHELL:";
    for (const std::string& word : words) {
      if (&word != &words.front()) out += ' ';
      if (word.empty()) out += "''";
      for (const char c : word) {
        if (std::string_view(" \t'\"\\").find(c) != std::string_view::npos) out += '\\';
        out += c;
      }
    }
    return out;
  }

  bool any(Language language) const {
    return std::ranges::any_of(app_.targets, [&](const Target& t) {
      return std::ranges::find(t.sources, language, &Source::language) != t.sources.end();
    });
  }

  bool uses_cxx() const { return any(Language::Cxx); }
  /// C is always there: it links what has assembly only.
  std::string languages() const {
    return fmt::format("C{}{}", uses_cxx() ? " CXX" : "", any(Language::Assembly) ? " ASM" : "");
  }

  // ---- files

  std::string top() const {
    const fs::path relative = app_.folder.lexically_relative(folder_);
    const bool inside = folder_.lexically_relative(app_.folder).native().starts_with("..") == false;
    std::string out = fmt::format(
        "# Made of {} by `xtask app`, which overwrites it. Usable by itself:\n"
        "#   cmake -G Ninja -S . -B FOLDER && cmake --build FOLDER\n"
        "cmake_minimum_required(VERSION 3.25)\n",
        app_.file.filename().string());
    out += inside ? fmt::format("get_filename_component(app_dir \"${{CMAKE_CURRENT_SOURCE_DIR}}/{}\" ABSOLUTE)\n",
                                relative.string())
                  : fmt::format("set(app_dir \"{}\")\n", app_.folder.string());
    out += fmt::format(
        "include({})\n"
        "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n"
        "project(app LANGUAGES {})\n\n"
        "if(NOT CMAKE_BUILD_TYPE)\n  set(CMAKE_BUILD_TYPE Release)\nendif()\n",
        kCompilerFile, languages());
    const std::string options = rule_text(app_.compiler.options);
    for (const std::string_view language : {"C", "CXX", "ASM"}) {
      out += fmt::format(
          "set(CMAKE_{0}_FLAGS {1})\nset(CMAKE_{0}_FLAGS_RELEASE \"\")\nset(CMAKE_{0}_FLAGS_DEBUG \"-O0 -g\")\n",
          language, quote(options));
    }
    out +=
        "set(CMAKE_EXPORT_COMPILE_COMMANDS ON)\n"
        "set(CMAKE_SKIP_RPATH ON)\n"
        "set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n"
        "set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n"
        "set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n"
        "file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n\n";
    for (const usize index : app_.order)
      out += fmt::format("add_subdirectory(targets/{})\n", cmake_target(app_.targets[index]));
    return out;
  }

  std::string compilers() const {
    const Compiler& c = app_.compiler;
    std::string out = fmt::format("set(CMAKE_C_COMPILER {})\nset(CMAKE_CXX_COMPILER {})\nset(CMAKE_ASM_COMPILER {})\n",
                                  quote(c.c), quote(c.cxx), quote(c.c));
    std::string launcher;
    for (const std::string& word : c.launcher) launcher += (launcher.empty() ? "" : ";") + word;
    for (const std::string_view language : {"C", "CXX"}) {
      if (!launcher.empty()) out += fmt::format("set(CMAKE_{}_COMPILER_LAUNCHER {})\n", language, quote(launcher));
    }
    return out;
  }

  std::string target_file(const Target& target) const {
    constexpr std::string_view kinds[] = {"a program", "a static library", "a shared library",
                                          "a relocatable object file"};
    std::string out = fmt::format("# {}: {}\n", target.name, kinds[static_cast<usize>(target.type)]);
    out += target.type == TargetType::Object ? object_target(target) : linked_target(target);
    return out;
  }

  std::string linked_target(const Target& target) const {
    const std::string name = cmake_target(target);
    constexpr std::string_view commands[] = {"add_executable({})\n", "add_library({} STATIC)\n",
                                             "add_library({} SHARED)\n"};
    std::string out = fmt::format(fmt::runtime(commands[static_cast<usize>(target.type)]), name);
    out += compilation(target, name);
    out += fmt::format(
        "set_target_properties({} PROPERTIES PREFIX \"\" OUTPUT_NAME {} SUFFIX \"{}\" LINKER_LANGUAGE {} DEFINE_SYMBOL "
        "\"\")\n",
        name, quote(target.name), extension(target.type), language(target));
    out += rule(target);
    if (target.type == TargetType::Static) return out;
    std::string libraries;
    std::string objects;
    for (const Target* used : app_.linked(target)) {
      const bool object = used->type == TargetType::Object;
      libraries += object ? fmt::format("  \"${{CMAKE_BINARY_DIR}}/bin/{}\"\n", product_name(*used))
                          : fmt::format("  {}\n", cmake_target(*used));
      if (object) objects += fmt::format(" {}", cmake_target(*used));
    }
    if (!libraries.empty()) out += fmt::format("target_link_libraries({} PRIVATE\n{})\n", name, libraries);
    if (!objects.empty()) out += fmt::format("add_dependencies({}{})\n", name, objects);
    return out;
  }

  std::string object_target(const Target& target) const {
    const std::string name = cmake_target(target);
    const std::string objects = name + ".objects";
    std::string out = fmt::format("add_library({} OBJECT)\n", objects) + compilation(target, objects);
    const bool bare = is_bare_linker(target.linker);
    Words command = target.linker.empty() ? app_.compiler.command(app_.uses_cxx(target)) : target.linker;
    command.push_back("-r");
    if (!bare) command.push_back("-nostdlib");
    std::string words;
    for (const std::string& word : command) words += " " + quote(word);
    std::string last;
    for (const std::string& word : target.ldflags) last += " " + quote(word);
    out += fmt::format(
        "set(product \"${{CMAKE_BINARY_DIR}}/bin/{0}\")\n"
        "add_custom_command(OUTPUT \"${{product}}\"\n"
        "  COMMAND{1} -o \"${{product}}\" $<TARGET_OBJECTS:{2}>{3}\n"
        "  DEPENDS {2} $<TARGET_OBJECTS:{2}>\n"
        "  COMMENT \"Linking object {0}\" COMMAND_EXPAND_LISTS VERBATIM)\n"
        "add_custom_target({4} ALL DEPENDS \"${{product}}\")\n",
        product_name(target), words, objects, last, name);
    return out;
  }

  /// Sources, headers and options of what compiles a target.
  std::string compilation(const Target& target, const std::string& name) const {
    std::string out = fmt::format("target_sources({} PRIVATE\n", name);
    for (const Source& source : target.sources) out += fmt::format("  {}\n", quote(source.path.string()));
    out += ")\n";
    std::string folders;
    for (const fs::path& folder : include_folders(app_, target))
      folders += fmt::format("  {}\n", quote(folder.string()));
    if (!folders.empty()) out += fmt::format("target_include_directories({} PRIVATE\n{})\n", name, folders);
    if (!target.cflags.empty()) {
      out += fmt::format("target_compile_options({} PRIVATE {})\n", name, quote(option_text(target.cflags)));
    }
    const bool shared = target.type == TargetType::Dll || ends_up_in_dll(target);
    if (shared) out += fmt::format("set_target_properties({} PROPERTIES POSITION_INDEPENDENT_CODE ON)\n", name);
    return out;
  }

  bool ends_up_in_dll(const Target& target) const {
    return std::ranges::any_of(app_.targets, [&](const Target& user) {
      const auto linked = app_.linked(user);
      return user.type == TargetType::Dll && std::ranges::find(linked, &target) != linked.end();
    });
  }

  std::string language(const Target& target) const { return app_.uses_cxx(target) ? "CXX" : "C"; }

  /// How the target is put together, so that `archive`, `linker` and `ldflags` are used exactly and last.
  std::string rule(const Target& target) const {
    const std::string lang = language(target);
    if (target.type == TargetType::Static) {
      // An archive that is there would keep the objects of sources that are gone.
      return fmt::format(
          "set(CMAKE_{}_CREATE_STATIC_LIBRARY {})\n", lang,
          quote("<CMAKE_COMMAND> -E rm -f <TARGET>;" + rule_text(target.archiver) + " <TARGET> <OBJECTS>"));
    }
    const bool bare = is_bare_linker(target.linker);
    std::string text = target.linker.empty() ? fmt::format("<CMAKE_{}_COMPILER>", lang) : rule_text(target.linker);
    if (!bare) text += " <FLAGS>";
    const auto linker_option = [bare](const std::string& name, const std::string& value) {
      return bare ? Words{"-" + name, value} : Words{"-Wl,-" + name + "," + value};
    };
    const bool dll = target.type == TargetType::Dll;
    if (dll) text += " -shared " + rule_text(linker_option("soname", product_name(target)));
    text += " <LINK_FLAGS> -o <TARGET> <OBJECTS> <LINK_LIBRARIES>";
    const std::vector<const Target*> linked = app_.linked(target);
    if (std::ranges::find(linked, TargetType::Dll, &Target::type) != linked.end()) {
      text += " " + rule_text(linker_option("rpath", "$ORIGIN")) + " " + rule_text(linker_option("rpath-link", "bin"));
    }
    if (!target.ldflags.empty()) text += " " + rule_text(target.ldflags);
    return fmt::format("set(CMAKE_{}_{} {})\n", lang, dll ? "CREATE_SHARED_LIBRARY" : "LINK_EXECUTABLE", quote(text));
  }

  const Application& app_;
  fs::path folder_;
};

}  // namespace

std::vector<GeneratedFile> cmake_project(const Application& app, const fs::path& folder) {
  return ProjectWriter(app, folder).write();
}

std::string product_name(const Target& target) { return target.name + std::string(extension(target.type)); }

std::string cmake_target(const Target& target) {
  const bool reserved = std::ranges::find(kReservedNames, target.name) != kReservedNames.end();
  return reserved ? target.name + ".target" : target.name;
}

std::vector<fs::path> include_folders(const Application& app, const Target& target) {
  std::vector<fs::path> out = target.own_folders;
  out.insert(out.end(), target.include_folders.begin(), target.include_folders.end());
  for (const Target* used : app.closure(target))
    out.insert(out.end(), used->include_folders.begin(), used->include_folders.end());
  std::vector<fs::path> unique;
  for (const fs::path& folder : out) {
    if (std::ranges::find(unique, folder) == unique.end()) unique.push_back(folder);
  }
  return unique;
}

}  // namespace ax::app
