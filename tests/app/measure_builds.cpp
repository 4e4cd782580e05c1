// Compares `xtask app build` with `cmake --build` of a hand-written CMakeLists.txt for Ninja: SQLite, and a generated project of
// 500 files. Prints the processor time that each takes, the best of some rounds, and fails where ours takes more than 1.1 times
// theirs, or where an edited header rebuilds anything but its users. The two take turns, so that what else the machine does
// meets both; a clean build is repeated only while its ratio is not clearly good.
//
//   app_measure [--files N] [--rounds N] [--xtask FILE]
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>

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
constexpr double kClearlyGood = 1.05;
constexpr int kNoOps = 20;
constexpr int kHeaders = 50;
constexpr int kEnvironment = 4;  // exit status of xtask: something outside the tree is missing

struct Settings {
  int files = 500;
  int rounds = 3;  ///< of clean builds, at most
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
  constexpr Cost kNone{1e9, 1e9};
  Cost ours = kNone;
  Cost theirs = kNone;
  for (int round = 0; round < rounds && (round == 0 || ours.cpu > kClearlyGood * theirs.cpu); ++round) {
    run(our_commands.clean);
    ours = best(ours, run(our_commands.build));
    run(kTheirs.clean);
    theirs = best(theirs, run(kTheirs.build));
  }
  bool good = report(name + ", clean build", ours, theirs);
  ours = theirs = kNone;
  for (int round = 0; round < kNoOps; ++round) {
    ours = best(ours, run(our_commands.build));
    theirs = best(theirs, run(kTheirsAgain.build));
  }
  good &= report(name + ", nothing to do", ours, theirs);
  return good;
}

// ---- the generated project

std::set<int> headers_of(int file) { return {file % kHeaders, (file * 7 + 3) % kHeaders}; }

void generate(int files) {
  std::string list;
  for (int header = 0; header < kHeaders; ++header) {
    write(fmt::format("include/part_{}.h", header),
          fmt::format("#pragma once\n#include <stdio.h>\nenum {{ kPart{0} = {0} }};\n", header));
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
        "  return text[0];\n}}\n",
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

/// The application of configs/apps, with its sources, and the same by hand. False: they cannot be fetched here.
bool make_sqlite() {
  for (const char* file : {"app.toml", "main.c", "expected.txt"})
    fs::copy_file(fs::path(AXVISOR_SOURCE_DIR "/configs/apps/sqlite") / file, file);
  if (const int status = std::system((our_commands.build + " >log 2>&1").c_str()); status != 0) {
    fmt::print("{}", read("log"));
    if (WEXITSTATUS(status) != kEnvironment) std::exit(1);
    return false;
  }
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.25)\nproject(sqlite C)\nadd_library(sqlite3 STATIC amalgamation/sqlite3.c)\n"
        "target_include_directories(sqlite3 PUBLIC amalgamation)\n"
        "target_compile_options(sqlite3 PRIVATE -w -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION)\n"
        "add_executable(words main.c)\ntarget_compile_options(words PRIVATE -std=c11 -O2 -Wall -Wextra)\n"
        "target_link_libraries(words PRIVATE sqlite3)\n");
  return true;
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
      {"--rounds", [&](const std::string& v) { settings.rounds = std::stoi(v); }}};
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
  enter(folder / "sqlite");
  if (make_sqlite()) {
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
