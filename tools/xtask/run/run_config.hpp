// One run of an emulator as a TOML file describes it: the machine, and what must be seen on its console.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/xtask/core/substitution.hpp"

namespace ax::xtask {

using Seconds = std::chrono::duration<double>;

/// `[[steps]]`: wait for `expect`, then type `send`.
struct ConsoleStep {
  std::string name;    ///< for messages; "step N" by default
  std::string expect;  ///< RE2, over the console text since the end of the previous step's match
  std::string send;    ///< typed as it is once `expect` was seen; may be empty
  std::optional<Seconds> timeout;  ///< since the previous step
};

/// What makes a run succeed or fail. `^` and `$` are the ends of a line in every expression.
struct ConsoleScript {
  std::vector<std::string> success_regex;  ///< one of them must be seen; none = not asked for
  std::vector<std::string> fail_regex;     ///< seen = failed, whatever else was seen
  std::string shell_prefix;                ///< when this text appears, shell_init_cmd is typed, once
  std::string shell_init_cmd;
  std::vector<ConsoleStep> steps;
  std::optional<Seconds> timeout;  ///< of the whole run
  std::optional<int> expect_exit;  ///< the emulator must end by itself with this status
  bool expect_failure = false;     ///< verdict = "fail": the run must fail, for a reason that matches fail_reason
  std::string fail_reason;         ///< RE2 over "KIND: detail", KIND = timeout | fail_regex | exit
};

/// What `-kernel` gets, or whether the image is put into memory by the generic loader, or on a CD behind GRUB; None: `args`
/// say what is booted.
enum class KernelSource { Elf, Bin, Loader, Iso, None };

struct MachineSettings {
  std::string emulator;  ///< program; empty: qemu-system-<arch of the ELF file>
  std::vector<std::string> args;  ///< for Bochs: lines of its configuration
  std::string machine;
  std::string cpu;
  std::string memory;
  std::string accel;  ///< "tcg", "kvm" or "auto"; empty: what the arguments say, else TCG
  std::optional<std::int64_t> smp;
  std::optional<std::int64_t> gic_version;
  KernelSource kernel = KernelSource::Elf;
  std::optional<std::uint64_t> load_address;  ///< KernelSource::Loader
  bool uefi = false;  ///< EDK2 boots the machine: from the CD on a PC, from a folder as its disk elsewhere
};

struct RunConfig {
  MachineSettings machine;
  ConsoleScript script;
};

/// The keys of such a file, for suggestions.
std::vector<std::string> run_config_keys();

/// Reads the file, with `overrides` (key, TOML value) replacing keys, and substitutes ${...} in every string.
/// Throws Failure(Usage): unknown keys, wrong types, expressions that do not compile, keys that contradict each other.
RunConfig load_run_config(const std::filesystem::path& path,
                          const std::vector<std::pair<std::string, std::string>>& overrides, const Variables& variables);

}  // namespace ax::xtask
