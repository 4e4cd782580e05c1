// An application: its description, read and checked as a whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/app/sources.hpp"
#include "tools/app/toolchain.hpp"

namespace ax::app {

enum class TargetType : u8 { Exe, Static, Dll, Object };

struct Target {
  std::string name;
  TargetType type = TargetType::Exe;
  std::vector<Source> sources;
  std::vector<std::filesystem::path> include_folders;  ///< absolute; searched by users of the target too
  std::vector<std::filesystem::path> own_folders;      ///< those of -I in cflags, which come first
  Words cflags;                                        ///< without the above; paths are absolute
  Words archiver;                                      ///< of a static library: the program and its operation
  Words linker;                                        ///< empty: the compiler
  Words ldflags;
  std::vector<usize> deps;  ///< positions in Application::targets
  Position where;
};

enum class Arch : u8 { X86_64, Aarch64, Riscv64 };

struct PortForward {
  u16 host = 0;
  u16 guest = 0;
  bool tcp = true;
  bool udp = true;
};

struct Qemu {
  bool blk = false, net = false, graphic = false, debug = false, v9p = false, qemu_log = false, net_dump = false;
  std::string memory;
  std::string disk_img;
  std::string v9p_path;
  bool tap = false;
  std::string ip, gw;
  std::string args, envs;  ///< separated by commas
  std::vector<PortForward> ports;
  std::string accel;  ///< auto, kvm or tcg
};

struct Os {
  std::string name;
  std::vector<std::string> named_services;  ///< as the description has them
  std::vector<std::string> services;  ///< with what they need, in the order of the services' table
  bool musl = false;                  ///< ulib is ruxmusl, else ruxlibc
  bool develop = false;
  Arch arch = Arch::X86_64;
  std::string platform;
  u64 smp = 1;
  bool release = true;
  std::string log;
  unsigned verbosity = 0;
  Qemu qemu;
};

struct Test {
  std::string name;
  std::vector<std::string> args;
  std::filesystem::path input;   ///< absolute, or empty
  std::filesystem::path output;  ///< absolute, or empty
  std::vector<std::string> success_regex;
  std::vector<std::string> fail_regex;
  int status = 0;
  unsigned timeout_seconds = 0;
};

/// Sources of others that are fetched.
struct Package {
  std::string debian;
  std::string version;
  std::string sha256;
  std::vector<std::string> files;
  std::filesystem::path folder;  ///< absolute
  Position where;
};

struct Application {
  std::filesystem::path file;    ///< absolute
  std::filesystem::path folder;  ///< of the file: where programs run and what paths are relative to
  Compiler compiler;
  std::optional<std::filesystem::path> app;  ///< ready-made program; absolute
  bool app_on_disk = false;                  ///< `app` is on the machine's disk, not here
  Position app_where;
  std::vector<Target> targets;
  std::vector<usize> order;  ///< positions in `targets`: what is used comes before its users
  std::optional<Os> os;
  std::vector<Test> tests;

  /// The target of type exe, or null.
  const Target* program() const;
  bool uses_cxx(const Target& target) const;
  /// Whether any source is C++.
  bool uses_cxx() const;
  /// The targets that `target` uses, directly or not, each after its users.
  std::vector<const Target*> closure(const Target& target) const;
  /// Those of them that stand on its linker's command line: what a dll has taken in itself does not.
  std::vector<const Target*> linked(const Target& target) const;
};

/// The description in `folder`: config_linux.toml or app.toml. Error: a sentence for the user.
std::expected<std::filesystem::path, std::string> find_description(const std::filesystem::path& folder);

/// What must be fetched before the description can be checked: its [[packages]], as far as they are right. Mistakes are
/// left to load_application().
std::vector<Package> load_packages(const config::SourceFile& file);

/// Reads and checks everything, reporting every mistake; usable only when there was none.
Application load_application(const config::SourceFile& file, const PkgConfig& pkg_config, Diagnostics& diagnostics);

}  // namespace ax::app
