#include "tools/app/os_build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/app/project.hpp"
#include "tools/app/qemu.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLoaderName = "loader";  // the program that starts a ready-made one
constexpr std::string_view kRustLld = "rust-lld -flavor gnu";

class Planner {
 public:
  Planner(const Application& app, const OsProvider& provider, const fs::path& folder)
      : app_(app), os_(*app.os), provider_(provider), folder_(folder) {}

  OsBuild plan() {
    const Target* program = app_.program();
    const std::string name = program != nullptr ? program->name : std::string(kLoaderName);
    out_.elf = folder_ / "bin" / (name + ".elf");
    out_.bin = folder_ / "bin" / (name + ".bin");
    settings();
    if (provider_.other_tools) compilers();
    out_.steps = provider_.system;
    for (const usize index : app_.order) target(app_.targets[index]);
    if (program == nullptr) link(Words(), {provider_.loader}, {});
    return std::move(out_);
  }

 private:
  void settings() {
    std::string services;
    for (const std::string& service : os_.services) services += (services.empty() ? "" : ",") + service;
    out_.settings = {{"system", provider_.name},
                     {"platform", os_.platform},
                     {"ulib", os_.musl ? "ruxmusl" : "ruxlibc"},
                     {"services", services},
                     {"smp", std::to_string(os_.smp)},
                     {"mode", os_.release ? "release" : "debug"},
                     {"log", os_.log},
                     {"develop", os_.develop ? "y" : "n"},
                     {"v", std::to_string(os_.verbosity)},
                     {"ip", os_.qemu.ip},
                     {"gw", os_.qemu.gw}};
    if (!os_.name.empty()) out_.settings.insert(out_.settings.begin(), {"name", os_.name});
  }

  void compilers() {
    const std::string prefix = fmt::format("{}-linux-musl-", arch_name(os_.arch));
    for (const std::string& named : {app_.compiler.c, app_.compiler.cxx}) {
      const std::string file = fs::path(named).filename().string();
      const bool cxx = named == app_.compiler.cxx && named != app_.compiler.c;
      out_.stand_ins.push_back({file.starts_with(prefix) ? file : prefix + file, join_words(cxx ? provider_.cxx : provider_.c)});
      if (!std::ranges::any_of(app_.targets, [&](const Target& t) { return app_.uses_cxx(t); })) break;
    }
  }

  /// Two sources never share an object: its name has the whole path in it.
  fs::path object_of(const Target& target, const Source& source) const {
    std::string relative = source.path.lexically_relative(app_.folder).string();
    for (usize at = relative.find("../"); at != std::string::npos; at = relative.find("../")) relative.replace(at, 3, "__/");
    return folder_ / "objects" / target.name / (relative + ".o");
  }

  /// GCC warns of a standard of the other language and goes on; Clang, which does its work here, does not go on.
  static bool is_other_standard(std::string_view word, Language language) {
    if (!word.starts_with("-std=")) return false;
    return word.contains("++") != (language == Language::Cxx);
  }

  std::vector<fs::path> compile(const Target& target) {
    std::vector<fs::path> objects;
    for (const Source& source : target.sources) {
      Words command = source.language == Language::Cxx ? provider_.cxx : provider_.c;
      for (const Words& words : {provider_.options, app_.compiler.options, target.cflags}) {
        std::ranges::copy_if(words, std::back_inserter(command), [&](const std::string& word) {
          return !provider_.other_tools || !is_other_standard(word, source.language);
        });
      }
      for (const fs::path& folder : include_folders(app_, target)) command.push_back("-I" + folder.string());
      objects.push_back(object_of(target, source));
      command.insert(command.end(), {"-o", objects.back().string(), "-c", source.path.string()});
      out_.steps.push_back({OsStep::Kind::Compile, std::move(command), {source.path}, objects.back()});
    }
    return objects;
  }

  fs::path product(const Target& target) const { return folder_ / "bin" / product_name(target); }

  void target(const Target& target) {
    const std::vector<fs::path> objects = compile(target);
    switch (target.type) {
      case TargetType::Static: archive(target, objects); return;
      case TargetType::Exe: {
        std::vector<fs::path> libraries;
        for (const Target* used : app_.linked(target)) libraries.push_back(product(*used));
        note_linker(target);
        link(target.ldflags, objects, libraries);
        return;
      }
      default: link_object(target, objects); return;
    }
  }

  void archive(const Target& target, const std::vector<fs::path>& objects) {
    Words command = target.archiver;
    if (!provider_.archiver.empty()) {
      stand_in(command.front(), provider_.archiver);
      command.erase(command.begin());
      command.insert(command.begin(), provider_.archiver.begin(), provider_.archiver.end());
    }
    command.push_back(product(target).string());
    for (const fs::path& object : objects) command.push_back(object.string());
    out_.steps.push_back({OsStep::Kind::Archive, std::move(command), objects, product(target)});
  }

  Words linker_of(const Target* target) const {
    const bool own = !provider_.other_tools && target != nullptr && !target->linker.empty();
    return own ? target->linker : provider_.linker;
  }

  void link_object(const Target& target, const std::vector<fs::path>& objects) {
    note_linker(target);
    Words command = linker_of(&target);
    command.emplace_back("-r");
    command.insert(command.end(), target.ldflags.begin(), target.ldflags.end());
    command.insert(command.end(), {"-o", product(target).string()});
    for (const fs::path& object : objects) command.push_back(object.string());
    out_.steps.push_back({OsStep::Kind::LinkObject, std::move(command), objects, product(target)});
  }

  void link(const Words& ldflags, const std::vector<fs::path>& objects, const std::vector<fs::path>& libraries) {
    Words command = linker_of(app_.program());
    command.insert(command.end(), provider_.link_options.begin(), provider_.link_options.end());
    command.push_back("-T" + provider_.linker_script.string());
    if (os_.arch == Arch::X86_64) command.push_back("--no-relax");
    command.insert(command.end(), ldflags.begin(), ldflags.end());
    std::vector<fs::path> inputs;
    for (const auto* list : {&provider_.libraries, &objects, &libraries}) inputs.insert(inputs.end(), list->begin(), list->end());
    for (const fs::path& file : inputs) command.push_back(file.string());
    command.insert(command.end(), {"-o", out_.elf.string()});
    inputs.push_back(provider_.linker_script);
    out_.steps.push_back({OsStep::Kind::Link, std::move(command), std::move(inputs), out_.elf});
    Words strip = provider_.objcopy;
    strip.push_back(out_.elf.string());
    strip.insert(strip.end(), provider_.objcopy_options.begin(), provider_.objcopy_options.end());
    strip.push_back(out_.bin.string());
    out_.steps.push_back({OsStep::Kind::Strip, std::move(strip), {out_.elf}, out_.bin});
  }

  void note_linker(const Target& target) {
    if (provider_.other_tools)
      stand_in(target.linker.empty() ? std::string(kRustLld) : join_words(target.linker), provider_.linker);
  }

  void stand_in(const std::string& named, const Words& words) {
    const std::string used = join_words(words);
    const auto same = [&](const StandIn& s) { return s.named == named; };
    if (named != used && std::ranges::none_of(out_.stand_ins, same)) out_.stand_ins.push_back({named, used});
  }

  const Application& app_;
  const Os& os_;
  const OsProvider& provider_;
  const fs::path& folder_;
  OsBuild out_;
};

/// A path where Ninja reads one.
std::string ninja_path(const fs::path& path) {
  std::string out;
  for (const char c : path.string()) {
    if (std::string_view("$ :\n").find(c) != std::string_view::npos) out += '$';
    out += c;
  }
  return out;
}

/// A command where Ninja reads a variable.
std::string ninja_value(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == '$' ? 2 : 1, c);
  return out;
}

/// Where the inputs of a step are written when they are too many for a command line.
std::string list_of(const OsStep& step) { return step.output.string() + ".list"; }

/// Linux takes 128 KiB in one argument, and a command line is one for the shell that Ninja starts.
bool is_long(const OsStep& step) {
  constexpr usize kLongest = 100'000;
  return step.kind != OsStep::Kind::Compile && join_words(step.command).size() > kLongest;
}

Words inputs_of(const OsStep& step) {
  Words out;
  for (const std::string& word : step.command) {
    if (std::ranges::find(step.inputs, fs::path(word)) != step.inputs.end()) out.push_back(word);
  }
  return out;
}

/// The step's command; of a long one, its inputs, which stand in a row, are in a file.
Words command_of(const OsStep& step) {
  if (!is_long(step)) return step.command;
  const Words inputs = inputs_of(step);
  Words out;
  for (const std::string& word : step.command) {
    if (!inputs.empty() && word == inputs.front()) out.push_back("@" + list_of(step));
    if (std::ranges::find(inputs, word) == inputs.end()) out.push_back(word);
  }
  return out;
}

std::string shell_line(const OsStep& step, const Application& app) {
  const fs::path& folder = step.folder.empty() ? app.folder : step.folder;
  const bool makes_folder = step.kind == OsStep::Kind::Once;
  std::string out = makes_folder ? fmt::format("mkdir -p {} && ", join_words({folder.string()})) : "";
  out += fmt::format("cd {} && ", join_words({folder.string()}));
  for (const auto& [name, value] : step.environment) out += fmt::format("{}={} ", name, join_words({value}));
  if (step.kind == OsStep::Kind::Archive) {
    // An archive that is there would keep the objects of sources that are gone.
    out += fmt::format("rm -f {} && ", join_words({step.output.string()}));
  }
  Words command = command_of(step);
  if (step.kind == OsStep::Kind::Compile) command.insert(command.end(), {"-MMD", "-MF", step.output.string() + ".d"});
  out += join_words(command);
  if (makes_folder) {
    // What a configuration says is of interest when it fails.
    const std::string log = join_words({step.output.string() + ".log"});
    out += fmt::format(" >{0} 2>&1 || {{ cat {0}; exit 1; }}", log);
  }
  return out;
}

}  // namespace

OsBuild plan_os_build(const Application& app, const OsProvider& provider, const fs::path& folder) {
  return Planner(app, provider, folder).plan();
}

std::string ninja_file(const OsBuild& plan, const Application& app) {
  constexpr std::string_view kVerbs[] = {"Building the system:", "Preparing", "Compiling", "Archiving",
                                         "Linking object",       "Linking",   "Making"};
  std::string out =
      "# Made by `xtask app`, which overwrites it.\n"
      "ninja_required_version = 1.8\n"
      "rule run\n  command = $line\n  description = $text\n"
      "rule run_long\n  command = $line\n  description = $text\n  rspfile = $out.list\n  rspfile_content = $inputs\n"
      "rule compile\n  command = $line\n  description = $text\n  depfile = $out.d\n  deps = gcc\n"
      "rule system\n  command = $line\n  description = $text\n  restat = 1\n  pool = console\n"
      "build always: phony\n";
  for (const OsStep& step : plan.steps) {
    const bool compile = step.kind == OsStep::Kind::Compile;
    const bool system = step.kind == OsStep::Kind::System;
    out += "build " + ninja_path(step.output);
    if (!step.more_outputs.empty()) out += " |";
    for (const fs::path& output : step.more_outputs) out += " " + ninja_path(output);
    out += compile ? ": compile" : system ? ": system" : is_long(step) ? ": run_long" : ": run";
    for (const fs::path& input : step.inputs) out += " " + ninja_path(input);
    if (system) out += " | always";
    // Headers and libraries of the system are there before anything is compiled.
    if (compile) {
      out += " ||";
      for (const OsStep& other : plan.steps) {
        if (other.kind == OsStep::Kind::Once || other.before_compiling) out += " " + ninja_path(other.output);
      }
    }
    out += fmt::format("\n  line = {}\n  text = {} {}\n", ninja_value(shell_line(step, app)),
                       kVerbs[static_cast<usize>(step.kind)], ninja_value(step.output.filename().string()));
    if (is_long(step)) out += fmt::format("  inputs = {}\n", ninja_value(join_words(inputs_of(step))));
  }
  return out + fmt::format("default {}\n", ninja_path(plan.bin));
}

}  // namespace ax::app
