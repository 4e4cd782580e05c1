#include "tools/app/os_build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tools/app/project.hpp"
#include "tools/app/qemu.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLinker = "ld.lld-19";
constexpr std::string_view kObjcopy = "llvm-objcopy-19";
constexpr std::string_view kArchiver = "llvm-ar-19";
constexpr std::string_view kLoaderName = "loader";  // the program that starts a ready-made one

class Planner {
 public:
  Planner(const Application& app, const OsFolders& folders) : app_(app), os_(*app.os), folders_(folders) {}

  OsBuild plan() {
    const Target* program = app_.program();
    const std::string name = program != nullptr ? program->name : std::string(kLoaderName);
    out_.elf = folders_.build / "bin" / (name + ".elf");
    out_.bin = folders_.build / "bin" / (name + ".bin");
    settings();
    compilers();
    for (const usize index : app_.order) target(app_.targets[index]);
    if (program == nullptr) link(Words(), {folders_.unikernel / "lib/loader.o"}, {});
    return std::move(out_);
  }

 private:
  std::string arch() const { return std::string(arch_name(os_.arch)); }
  bool offers(std::string_view service) const { return std::ranges::find(os_.services, service) != os_.services.end(); }

  void settings() {
    std::string services;
    for (const std::string& service : os_.services) services += (services.empty() ? "" : ",") + service;
    out_.settings = {{"platform", os_.platform},
                     {"ulib", os_.musl ? "ruxmusl" : "ruxlibc"},
                     {"services", services},
                     {"smp", std::to_string(os_.smp)},
                     {"mode", os_.release ? "release" : "debug"},
                     {"log", os_.log},
                     {"develop", os_.develop ? "y" : "n"},
                     {"v", std::to_string(os_.verbosity)},
                     {"ip", os_.qemu.ip},
                     {"gw", os_.qemu.gw}};
  }

  void compilers() {
    for (const std::string& named : {app_.compiler.c, app_.compiler.cxx}) {
      const std::string file = fs::path(named).filename().string();
      const std::string prefix = arch() + "-linux-musl-";
      const bool cxx = named == app_.compiler.cxx && named != app_.compiler.c;
      out_.stand_ins.push_back(
          {file.starts_with(prefix) ? file : prefix + file, join_words(compiler(cxx ? Language::Cxx : Language::C))});
      if (!std::ranges::any_of(app_.targets, [&](const Target& t) { return app_.uses_cxx(t); })) break;
    }
  }

  Words compiler(Language language) const {
    return {language == Language::Cxx ? "clang++-19" : "clang-19", fmt::format("--target={}-linux-musl", arch()),
            fmt::format("--sysroot={}", (folders_.unikernel / "sysroot").string())};
  }

  /// Options of every source, before those of its target.
  Words system_options() const {
    Words words{"-nostdinc", "-fno-builtin", "-ffreestanding",
                "-Wall",     "-isystem",     (folders_.unikernel / "include").string()};
    if (!os_.musl) {
      for (const std::string& service : os_.services) words.push_back("-DRUX_CONFIG_" + upper(service));
      words.push_back("-DRUX_CONFIG_" + upper(os_.log));
    }
    if (os_.release) words.push_back("-O3");
    if (os_.arch == Arch::Riscv64) words.insert(words.end(), {"-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany"});
    if (!offers("fp_simd") && os_.arch == Arch::X86_64) words.push_back("-mno-sse");
    if (!offers("fp_simd") && os_.arch == Arch::Aarch64) words.push_back("-mgeneral-regs-only");
    return words;
  }

  static std::string upper(std::string text) {
    for (char& c : text) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
  }

  /// Two sources never share an object: its name has the whole path in it.
  fs::path object_of(const Target& target, const Source& source) const {
    std::string relative = source.path.lexically_relative(app_.folder).string();
    for (usize at = relative.find("../"); at != std::string::npos; at = relative.find("../"))
      relative.replace(at, 3, "__/");
    return folders_.build / "objects" / target.name / (relative + ".o");
  }

  std::vector<fs::path> compile(const Target& target) {
    std::vector<fs::path> objects;
    for (const Source& source : target.sources) {
      Words command = compiler(source.language);
      for (const Words& words : {system_options(), app_.compiler.options, target.cflags}) {
        command.insert(command.end(), words.begin(), words.end());
      }
      for (const fs::path& folder : include_folders(app_, target)) command.push_back("-I" + folder.string());
      objects.push_back(object_of(target, source));
      command.insert(command.end(), {"-o", objects.back().string(), "-c", source.path.string()});
      out_.steps.push_back({OsStep::Kind::Compile, std::move(command), source.path, objects.back()});
    }
    return objects;
  }

  fs::path product(const Target& target) const { return folders_.build / "bin" / product_name(target); }

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
    stand_in(command.front(), kArchiver);
    command.front() = kArchiver;
    command.push_back(product(target).string());
    for (const fs::path& object : objects) command.push_back(object.string());
    out_.steps.push_back({OsStep::Kind::Archive, std::move(command), {}, product(target)});
  }

  void link_object(const Target& target, const std::vector<fs::path>& objects) {
    note_linker(target);
    Words command{std::string(kLinker), "-r"};
    command.insert(command.end(), target.ldflags.begin(), target.ldflags.end());
    command.insert(command.end(), {"-o", product(target).string()});
    for (const fs::path& object : objects) command.push_back(object.string());
    out_.steps.push_back({OsStep::Kind::LinkObject, std::move(command), {}, product(target)});
  }

  void link(const Words& ldflags, const std::vector<fs::path>& objects, const std::vector<fs::path>& libraries) {
    Words command{std::string(kLinker),
                  "-nostdlib",
                  "-static",
                  "-no-pie",
                  "--gc-sections",
                  "-T" + (folders_.unikernel / "linker.lds").string()};
    if (os_.arch == Arch::X86_64) command.push_back("--no-relax");
    command.insert(command.end(), ldflags.begin(), ldflags.end());
    command.push_back((folders_.unikernel / "lib/libc.a").string());
    command.push_back((folders_.unikernel / (os_.musl ? "lib/libruxmusl.a" : "lib/libruxlibc.a")).string());
    for (const auto* list : {&objects, &libraries}) {
      for (const fs::path& file : *list) command.push_back(file.string());
    }
    command.insert(command.end(), {"-o", out_.elf.string()});
    out_.steps.push_back({OsStep::Kind::Link, std::move(command), {}, out_.elf});
    out_.steps.push_back({OsStep::Kind::Strip,
                          {std::string(kObjcopy), "--strip-all", "-O", "binary", out_.elf.string(), out_.bin.string()},
                          {},
                          out_.bin});
  }

  void note_linker(const Target& target) {
    stand_in(target.linker.empty() ? "rust-lld -flavor gnu" : join_words(target.linker), kLinker);
  }

  void stand_in(const std::string& named, std::string_view used) {
    const auto same = [&](const StandIn& s) { return s.named == named; };
    if (named != used && std::ranges::none_of(out_.stand_ins, same))
      out_.stand_ins.push_back({named, std::string(used)});
  }

  const Application& app_;
  const Os& os_;
  const OsFolders& folders_;
  OsBuild out_;
};

}  // namespace

OsBuild plan_os_build(const Application& app, const OsFolders& folders) { return Planner(app, folders).plan(); }

}  // namespace ax::app
