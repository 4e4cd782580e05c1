#include "tools/xtask/run/run_config.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace {

const std::vector<std::string> kKeys{"args",           "uefi",     "to_bin", "success_regex", "fail_regex",  "shell_prefix",
                                     "shell_init_cmd", "timeout",  "steps",  "expect_exit",   "verdict",     "fail_reason",
                                     "machine",        "cpu",      "memory", "smp",           "gic_version", "kernel",
                                     "load_address",   "emulator", "accel"};

constexpr std::array<std::pair<std::string_view, KernelSource>, 5> kKernelSources{{{"elf", KernelSource::Elf},
                                                                                   {"bin", KernelSource::Bin},
                                                                                   {"loader", KernelSource::Loader},
                                                                                   {"iso", KernelSource::Iso},
                                                                                   {"none", KernelSource::None}}};

const std::vector<std::string> kAccelerators{"auto", "kvm", "tcg"};

std::string trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos ? ""
                                         : std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

class Loader {
 public:
  Loader(const TomlTable& table, const std::string& file, const Variables& variables)
      : reader_(table, file), file_(file), variables_(variables) {}

  RunConfig load() {
    RunConfig config;
    load_machine(config.machine);
    load_script(config.script);
    reader_.finish();
    return config;
  }

 private:
  /// Variables replaced; a mistake is one of this key.
  std::string substituted(const TomlReader& reader, std::string_view key, const std::string& text) const {
    return substitute_in_key(variables_, reader, key, text);
  }

  std::string text(std::string_view key) { return substituted(reader_, key, reader_.string(key).value_or("")); }

  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> values = reader_.strings(key);
    for (std::string& value : values) {
      value = substituted(reader_, key, value);
    }
    return values;
  }

  std::vector<std::string> expressions(std::string_view key) {
    std::vector<std::string> values = texts(key);
    for (const std::string& value : values) {
      check_expression(reader_, key, value);
    }
    return values;
  }

  static void check_expression(const TomlReader& reader, std::string_view key, const std::string& expression) {
    const RE2 compiled(expression, RE2::Quiet);
    if (!compiled.ok()) {
      reader.fail(key, fmt::format("'{}' is not a regular expression: {}", expression, compiled.error()));
    }
  }

  static std::optional<Seconds> seconds(TomlReader& reader) {
    const std::optional<double> value = reader.number("timeout");
    if (value && *value < 0) {
      reader.fail("timeout", "must not be negative (seconds; 0 = none)");
    }
    return value && *value > 0 ? std::optional(Seconds(*value)) : std::nullopt;
  }

  void load_machine(MachineSettings& machine) {
    machine.emulator = text("emulator");
    machine.args = texts("args");
    machine.machine = text("machine");
    machine.cpu = text("cpu");
    machine.memory = text("memory");
    machine.accel = text("accel");
    if (!machine.accel.empty() && std::ranges::find(kAccelerators, machine.accel) == kAccelerators.end()) {
      reader_.fail("accel", fmt::format("'{}' is none of \"auto\", \"kvm\", \"tcg\"{}", machine.accel,
                                        did_you_mean(machine.accel, kAccelerators)));
    }
    machine.smp = reader_.integer("smp");
    machine.gic_version = reader_.integer("gic_version");
    machine.kernel = kernel_source();
    if (machine.smp && *machine.smp < 1) {
      reader_.fail("smp", "must be at least 1");
    }
    if (const std::optional<std::int64_t> address = reader_.integer("load_address")) {
      if (machine.kernel != KernelSource::Loader) {
        reader_.fail("load_address", "has no effect unless kernel = \"loader\"");
      }
      machine.load_address = static_cast<std::uint64_t>(*address);
    } else if (machine.kernel == KernelSource::Loader) {
      reader_.fail("kernel", "\"loader\" needs load_address");
    }
    machine.uefi = reader_.boolean("uefi").value_or(false);
    if (machine.uefi && (machine.kernel == KernelSource::Loader || machine.kernel == KernelSource::None)) {
      reader_.fail("uefi", "UEFI firmware boots an image of its own choice: not with kernel = \"loader\" or \"none\"");
    }
  }

  KernelSource kernel_source() {
    const std::optional<bool> to_bin = reader_.boolean("to_bin");
    const std::optional<std::string> kernel = reader_.string("kernel");
    if (!kernel) {
      return to_bin.value_or(false) ? KernelSource::Bin : KernelSource::Elf;
    }
    for (const auto& [name, source] : kKernelSources) {
      if (name == *kernel) {
        if (to_bin && *to_bin != (source == KernelSource::Bin || source == KernelSource::Loader)) {
          reader_.fail("kernel", fmt::format("\"{}\" contradicts to_bin = {}", *kernel, *to_bin));
        }
        return source;
      }
    }
    reader_.fail("kernel", "must be \"elf\", \"bin\", \"loader\", \"iso\" or \"none\"");
  }

  void load_script(ConsoleScript& script) {
    script.success_regex = expressions("success_regex");
    script.fail_regex = expressions("fail_regex");
    script.shell_prefix = trim(text("shell_prefix"));
    script.shell_init_cmd = trim(text("shell_init_cmd"));
    if (!script.shell_init_cmd.empty() && script.shell_prefix.empty()) {
      reader_.fail("shell_init_cmd", "needs shell_prefix: the prompt to wait for");
    }
    for (const TomlTable* step : reader_.tables("steps")) {
      script.steps.push_back(load_step(*step, script.steps.size() + 1));
    }
    script.timeout = seconds(reader_);
    if (const std::optional<std::int64_t> status = reader_.integer("expect_exit")) {
      script.expect_exit = static_cast<int>(*status);
    }
    load_verdict(script);
  }

  ConsoleStep load_step(const TomlTable& table, size_t number) {
    TomlReader reader(table, file_);
    ConsoleStep step;
    step.name = substituted(reader, "name", reader.string("name").value_or(fmt::format("step {}", number)));
    step.expect = substituted(reader, "expect", reader.required_string("expect"));
    check_expression(reader, "expect", step.expect);
    step.send = substituted(reader, "send", reader.string("send").value_or(""));
    step.timeout = seconds(reader);
    reader.finish();
    return step;
  }

  void load_verdict(ConsoleScript& script) {
    const std::string verdict = reader_.string("verdict").value_or("pass");
    if (verdict != "pass" && verdict != "fail") {
      reader_.fail("verdict", "must be \"pass\" or \"fail\"");
    }
    script.expect_failure = verdict == "fail";
    script.fail_reason = text("fail_reason");
    check_expression(reader_, "fail_reason", script.fail_reason);
    if (script.expect_failure == script.fail_reason.empty()) {
      reader_.fail(script.expect_failure ? "verdict" : "fail_reason",
                   "verdict = \"fail\" and fail_reason (timeout, fail_regex or exit) go together");
    }
  }

  TomlReader reader_;
  std::string file_;
  const Variables& variables_;
};

}  // namespace

std::vector<std::string> run_config_keys() { return kKeys; }

RunConfig load_run_config(const std::filesystem::path& path,
                          const std::vector<std::pair<std::string, std::string>>& overrides,
                          const Variables& variables) {
  TomlTable table = load_toml(path);
  for (const auto& [key, value] : overrides) {
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      throw Failure(ExitCode::Usage, fmt::format("--set {}: unknown key{}", key, did_you_mean(key, kKeys)));
    }
    table.insert_or_assign(key, parse_toml_value(value));
  }
  return Loader(table, path.string(), variables).load();
}

}  // namespace ax::xtask
