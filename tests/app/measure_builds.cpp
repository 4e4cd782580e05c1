// Compares builds by `xtask app` with hand-written CMake and Ninja: SQLite, and a generated project of 500 files. Prints the
// processor time that each takes, the best of some rounds, and fails where ours takes more than 1.1 times theirs, or where an
// edited header rebuilds anything but its users.
//
//   app_measure [--files N] [--rounds N] [--sqlite FOLDER] [--xtask FILE]
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace {
namespace fs = std::filesystem;

constexpr double kLimit = 1.1;
constexpr int kHeaders = 50;

struct Settings {
  int files = 500;
  int rounds = 3;
  fs::path sqlite;  ///< with sqlite3.c; empty: not measured
};

void write(const fs::path& path, const std::string& text) {
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Cost {
  double cpu = 0;   ///< seconds of processor time, with all children
  double wall = 0;  ///< seconds
};

double children_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  constexpr double kMicro = 1e-6;
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * kMicro;
}

Cost run(const std::string& command) {
  const double cpu = children_seconds();
  const auto start = std::chrono::steady_clock::now();
  if (std::system(("(" + command + ") >log 2>&1").c_str()) != 0) {
    fmt::print(stderr, "{}\n{}", command, read("log"));
    std::exit(1);
  }
  return {children_seconds() - cpu, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

/// A description and a hand-written CMakeLists.txt of the same program, both in the current folder.
struct Commands {
  std::string clean, build;
};
Commands our_commands{"rm -rf app_build", XTASK_PROGRAM " app build"};
const Commands kTheirs{"rm -rf hand", "cmake -G Ninja -S . -B hand -DCMAKE_BUILD_TYPE= && cmake --build hand"};
const Commands kTheirsAgain{"", "cmake --build hand"};

Cost best(const Cost& a, const Cost& b) { return {std::min(a.cpu, b.cpu), std::min(a.wall, b.wall)}; }

bool report(const std::string& what, const Cost& ours, const Cost& theirs) {
  const double ratio = ours.cpu / theirs.cpu;
  const bool good = ratio <= kLimit;
  fmt::print("{:<28} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f} {:>6.2f}{}\n", what, ours.cpu, theirs.cpu, ours.wall, theirs.wall, ratio,
             good ? "" : "  above 1.1");
  std::fflush(stdout);
  return good;
}

bool compare(const std::string& name, int rounds) {
  constexpr double kLong = 1e9;
  std::map<std::string, std::pair<Cost, Cost>> results;
  for (const char* what : {"clean build", "nothing to do"}) results[what] = {{kLong, kLong}, {kLong, kLong}};
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [command, ours] : {std::pair(our_commands, true), {kTheirs, false}}) {
      run(command.clean);
      auto& [our_best, their_best] = results["clean build"];
      Cost& cost = ours ? our_best : their_best;
      cost = best(cost, run(command.build));
    }
  }
  constexpr int kNoOps = 5;
  for (int round = 0; round < rounds * kNoOps; ++round) {
    auto& [ours, theirs] = results["nothing to do"];
    ours = best(ours, run(our_commands.build));
    theirs = best(theirs, run(kTheirsAgain.build));
  }
  bool good = true;
  for (const auto& [what, costs] : results) good &= report(name + ", " + what, costs.first, costs.second);
  return good;
}

// ---- the generated project

std::set<int> headers_of(int file) { return {file % kHeaders, (file * 7 + 3) % kHeaders}; }

void generate(int files) {
  std::string list;
  for (int header = 0; header < kHeaders; ++header) {
    write(fmt::format("include/part_{}.h", header),
          fmt::format("#pragma once\n#include <stdio.h>\n#include <string.h>\nenum {{ kPart{0} = {0} }};\n", header));
  }
  std::string declarations;
  std::string calls;
  for (int file = 0; file < files; ++file) {
    std::string text;
    std::string sum;
    for (const int header : headers_of(file)) {
      text += fmt::format("#include \"part_{}.h\"\n", header);
      sum += fmt::format(" + kPart{}", header);
    }
    text += fmt::format(
        "int function_{0}(int value) {{\n  char text[32];\n  snprintf(text, sizeof text, \"%d\", value{1});\n"
        "  return (int)strlen(text);\n}}\n",
        file, sum);
    write(fmt::format("src/group_{}/file_{}.c", file / 50, file), text);
    list += fmt::format("  src/group_{}/file_{}.c\n", file / 50, file);
    declarations += fmt::format("int function_{}(int value);\n", file);
    calls += fmt::format("  sum += function_{}(argc);\n", file);
  }
  write("src/main.c",
        declarations + "int main(int argc, char** argv) {\n  (void)argv;\n  int sum = 0;\n" + calls + "  return sum == 0;\n}\n");
  write("app.toml",
        "[build]\ncompiler = \"gcc\"\n[[targets]]\nname = \"many\"\nsrc = \"src\"\ninclude_dir = \"include\"\ntype = \"exe\"\n"
        "cflags = \"-O1 -Wall\"\n");
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nproject(many C)\nadd_executable(many\n  src/main.c\n" + list +
            ")\ntarget_include_directories(many PRIVATE include)\ntarget_compile_options(many PRIVATE -O1 -Wall)\n");
}

/// Edits one header after the other and compares what is compiled with who includes it.
bool check_header_edits(int files) {
  bool good = true;
  for (const int header : {0, 17, kHeaders - 1}) {
    const fs::path path = fmt::format("include/part_{}.h", header);
    write(path, read(path) + "// edited\n");
    run(our_commands.build);
    const std::string log = read("log");
    int compiled = 0;
    int users = 0;
    bool exact = true;
    for (int file = 0; file < files; ++file) {
      const bool uses = headers_of(file).contains(header);
      const bool built = log.find(fmt::format("/file_{}.c.o\n", file)) != std::string::npos;
      users += uses ? 1 : 0;
      compiled += built ? 1 : 0;
      exact &= uses == built;
    }
    exact &= log.find("main.c.o") == std::string::npos;
    fmt::print("edit of part_{}.h: {} of {} users compiled, {}\n", header, compiled, users, exact ? "nothing else" : "WRONG");
    good &= exact && users > 0;
  }
  return good;
}

void make_sqlite(const fs::path& source) {
  for (const char* file : {"sqlite3.c", "sqlite3.h"}) {
    fs::create_directories("amalgamation");
    fs::copy_file(source / file, fs::path("amalgamation") / file, fs::copy_options::overwrite_existing);
  }
  write("main.c", "#include <sqlite3.h>\n#include <stdio.h>\nint main(void) { return puts(sqlite3_libversion()) < 0; }\n");
  const std::string options = "-w -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION";
  write(
      "app.toml",
      "[build]\ncompiler = \"gcc\"\n[[targets]]\nname = \"libsqlite3\"\nsrc = \"amalgamation\"\ninclude_dir = \"amalgamation\"\n"
      "type = \"static\"\ncflags = \"" +
          options +
          "\"\n[[targets]]\nname = \"shell\"\nsrc = \"main.c\"\ntype = \"exe\"\n"
          "deps = [\"libsqlite3\"]\n");
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nproject(sqlite C)\nadd_library(sqlite3 STATIC amalgamation/sqlite3.c)\n"
        "target_include_directories(sqlite3 PUBLIC amalgamation)\ntarget_compile_options(sqlite3 PRIVATE " +
            options + ")\nadd_executable(shell main.c)\ntarget_link_libraries(shell PRIVATE sqlite3)\n");
}

void enter(const fs::path& folder) {
  fs::create_directories(folder);
  fs::current_path(folder);
}

Settings parse(int argc, char** argv) {
  Settings settings;
  const std::map<std::string, std::function<void(const std::string&)>> options{
      {"--files", [&](const std::string& v) { settings.files = std::stoi(v); }},
      {"--xtask", [&](const std::string& v) { our_commands.build = fs::absolute(v).string() + " app build"; }},
      {"--rounds", [&](const std::string& v) { settings.rounds = std::stoi(v); }},
      {"--sqlite", [&](const std::string& v) { settings.sqlite = fs::absolute(v); }}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto option = options.find(argv[i]);
    if (option == options.end()) {
      fmt::print(stderr, "unknown option {}\n", argv[i]);
      std::exit(2);
    }
    option->second(argv[i + 1]);
  }
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = parse(argc, argv);
  std::string name = (fs::temp_directory_path() / "app-measure-XXXXXX").string();
  const fs::path folder = fs::canonical(::mkdtemp(name.data()));
  ::setenv("CCACHE_DISABLE", "1", 1);
  ::setenv("AXVISOR_ROOT", AXVISOR_SOURCE_DIR, 1);
  for (const char* variable : {"CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS"}) ::unsetenv(variable);
  fmt::print("{:<28} {:>9} {:>9} {:>9} {:>9} {:>6}\n", "seconds", "cpu", "by hand", "wall", "by hand", "ratio");
  bool good = true;
  if (!settings.sqlite.empty()) {
    enter(folder / "sqlite");
    make_sqlite(settings.sqlite);
    good &= compare("SQLite", settings.rounds);
  }
  enter(folder / "many");
  generate(settings.files);
  good &= compare(fmt::format("{} files", settings.files), settings.rounds);
  good &= check_header_edits(settings.files);
  fs::current_path("/");
  fs::remove_all(folder);
  return good ? 0 : 1;
}
