#include "tools/xtask/board/uboot_config.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>

#include "tools/config/configuration.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> kKeys{
    "serial", "baud_rate", "dtb_file", "kernel_load_addr", "fit_load_addr", "board_reset_cmd", "board_power_off_cmd", "uboot_cmd",
    "success_regex", "fail_regex", "shell_prefix", "shell_init_cmd", "timeout", "net", "boot", "transfer", "answer_timeout",
    "load_timeout", "sign"};

class Loader {
 public:
  Loader(const TomlTable& table, const fs::path& file, const Variables& variables)
      : table_(table), file_(file), reader_(table, file.string()), variables_(variables) {}

  UbootConfig load() {
    UbootConfig config;
    config.file = file_;
    config.serial = text(reader_, "serial");
    if (config.serial.empty()) {
      reader_.fail("serial", "names no serial line: write its device, as serial = \"/dev/ttyUSB0\"");
    }
    config.baud_rate = baud_rate();
    config.dtb_file = path("dtb_file");
    config.kernel_load_addr = address("kernel_load_addr");
    config.fit_load_addr = address("fit_load_addr");
    config.reset_command = text(reader_, "board_reset_cmd");
    config.power_off_command = text(reader_, "board_power_off_cmd");
    config.commands = texts("uboot_cmd");
    config.boot = choice<BootMethod>("boot", {{"fit", BootMethod::Fit}, {"booti", BootMethod::Image}});
    config.transfer = choice<Transfer>("transfer", {{"auto", Transfer::Auto}, {"tftp", Transfer::Tftp}, {"ymodem", Transfer::Ymodem}});
    config.answer_timeout = seconds("answer_timeout", config.answer_timeout);
    config.load_timeout = seconds("load_timeout", config.load_timeout);
    load_script(config.script);
    load_net(config);
    load_sign(config);
    reader_.finish();
    return config;
  }

 private:
  std::string text(TomlReader& reader, std::string_view key) { return substitute_in_key(variables_, reader, key, reader.string(key).value_or("")); }

  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> values = reader_.strings(key);
    for (std::string& value : values) {
      value = substitute_in_key(variables_, reader_, key, value);
    }
    return values;
  }

  /// Relative paths are relative to the file.
  fs::path path(std::string_view key) {
    const fs::path value = text(reader_, key);
    if (value.empty()) {
      return {};
    }
    const fs::path absolute = value.is_absolute() ? value : fs::absolute(file_).parent_path() / value;
    if (!fs::exists(absolute)) {
      reader_.fail(key, fmt::format("no such file: {}", absolute.string()));
    }
    return absolute;
  }

  /// A number, also in quotes, as files of AxVisor have it.
  std::optional<std::uint64_t> number(std::string_view key) {
    const auto found = table_.find(key);
    if (found != table_.end() && std::holds_alternative<std::string>(found->second.data)) {
      std::string digits = text(reader_, key);
      if (digits.empty()) {
        return std::nullopt;
      }
      digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
      const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
      std::uint64_t value = 0;
      const char* first = digits.data() + (hexadecimal ? 2 : 0);
      const auto [end, error] = std::from_chars(first, digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
      if (error != std::errc{} || end != digits.data() + digits.size()) {
        reader_.fail(key, fmt::format("'{}' is no number", digits));
      }
      return value;
    }
    const std::optional<std::int64_t> value = reader_.integer(key);
    if (value && *value < 0) {
      reader_.fail(key, "must not be negative");
    }
    return value ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
  }

  std::optional<std::uint64_t> address(std::string_view key) { return number(key); }

  std::uint32_t baud_rate() {
    constexpr std::uint32_t kUsual = 115200;
    return static_cast<std::uint32_t>(number("baud_rate").value_or(kUsual));
  }

  Seconds seconds(std::string_view key, Seconds usual) {
    const std::optional<double> value = reader_.number(key);
    if (value && *value <= 0) {
      reader_.fail(key, "must be a number of seconds above 0");
    }
    return value ? Seconds(*value) : usual;
  }

  template <class T>
  T choice(std::string_view key, std::initializer_list<std::pair<std::string_view, T>> choices) {
    const std::optional<std::string> value = reader_.string(key);
    std::vector<std::string> names;
    for (const auto& [name, result] : choices) {
      if (!value || *value == name) {
        return result;
      }
      names.emplace_back(name);
    }
    reader_.fail(key, fmt::format("'{}' is none of {}{}", *value, fmt::join(names, ", "), did_you_mean(*value, names)));
  }

  std::vector<std::string> expressions(std::string_view key) {
    std::vector<std::string> values = texts(key);
    for (const std::string& value : values) {
      const RE2 compiled(value, RE2::Quiet);
      if (!compiled.ok()) {
        reader_.fail(key, fmt::format("'{}' is not a regular expression: {}", value, compiled.error()));
      }
    }
    return values;
  }

  void load_script(ConsoleScript& script) {
    script.success_regex = expressions("success_regex");
    script.fail_regex = expressions("fail_regex");
    script.shell_prefix = text(reader_, "shell_prefix");
    script.shell_init_cmd = text(reader_, "shell_init_cmd");
    if (!script.shell_init_cmd.empty() && script.shell_prefix.empty()) {
      reader_.fail("shell_init_cmd", "needs shell_prefix: the prompt to wait for");
    }
    const std::optional<double> timeout = reader_.number("timeout");
    if (timeout && *timeout < 0) {
      reader_.fail("timeout", "must not be negative (seconds; 0 = none)");
    }
    script.timeout = timeout && *timeout > 0 ? std::optional(Seconds(*timeout)) : std::nullopt;
  }

  const TomlTable* table(std::string_view key) {
    const auto found = table_.find(key);
    reader_.know(key);
    if (found == table_.end()) {
      return nullptr;
    }
    const auto* inner = std::get_if<TomlTable>(&found->second.data);
    if (inner == nullptr) {
      reader_.fail(key, fmt::format("must be a table: [{}]", key));
    }
    return inner;
  }

  std::string ip(TomlReader& reader, std::string_view key) {
    std::string value = text(reader, key);
    in_addr parsed{};
    if (!value.empty() && ::inet_pton(AF_INET, value.c_str(), &parsed) != 1) {
      reader.fail(key, fmt::format("'{}' is no IPv4 address", value));
    }
    return value;
  }

  void load_net(UbootConfig& config) {
    const TomlTable* inner = table("net");
    if (inner == nullptr) {
      if (config.transfer == Transfer::Tftp) {
        reader_.fail("transfer", "\"tftp\" needs [net]");
      }
      return;
    }
    TomlReader reader(*inner, file_.string());
    NetSettings net;
    net.interface = text(reader, "interface");
    net.server_ip = ip(reader, "server_ip");
    net.board_ip = ip(reader, "board_ip");
    net.gateway = ip(reader, "gatewayip");
    net.netmask = ip(reader, "netmask");
    net.tftp_dir = text(reader, "tftp_dir");
    const std::int64_t port = reader.integer("tftp_port").value_or(0);
    constexpr std::int64_t kLastPort = 65535;
    if (port < 0 || port > kLastPort) {
      reader.fail("tftp_port", "must be a port, 1 to 65535");
    }
    net.tftp_port = static_cast<std::uint16_t>(port);
    reader.finish();
    // ostool's files always have the table; with nothing in it there is no network.
    if (net.interface.empty() && net.server_ip.empty()) {
      if (config.transfer == Transfer::Tftp) {
        reader_.fail("net", "names neither interface nor server_ip");
      }
      return;
    }
    if (!net.tftp_dir.empty() && !fs::is_directory(net.tftp_dir)) {
      reader.fail("tftp_dir", fmt::format("no such folder: {}", net.tftp_dir.string()));
    }
    config.net = std::move(net);
  }

  void load_sign(UbootConfig& config) {
    const TomlTable* inner = table("sign");
    if (inner == nullptr) {
      return;
    }
    TomlReader reader(*inner, file_.string());
    config.sign_keys = substitute_in_key(variables_, reader, "keys", reader.required_string("keys"));
    config.sign_key = substitute_in_key(variables_, reader, "key", reader.required_string("key"));
    if (config.sign_keys.is_relative()) {
      config.sign_keys = fs::absolute(file_).parent_path() / config.sign_keys;
    }
    if (!fs::is_regular_file(config.sign_keys / (config.sign_key + ".key"))) {
      reader.fail("key", fmt::format("no such file: {}", (config.sign_keys / (config.sign_key + ".key")).string()));
    }
    if (config.boot != BootMethod::Fit) {
      reader.fail("key", "only a FIT image has a signature: boot = \"fit\"");
    }
    reader.finish();
  }

  const TomlTable& table_;
  fs::path file_;
  TomlReader reader_;
  const Variables& variables_;
};

std::vector<fs::path> profile_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  const char* path = std::getenv("AXVISOR_CONFIG_PATH");
  for (const std::string& folder : config::split_paths(path == nullptr ? "" : path)) {
    folders.push_back(fs::absolute(folder) / "uboot");
  }
  const char* config_home = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config_home != nullptr && *config_home != '\0') {
    folders.push_back(fs::path(config_home) / "axvisor/uboot");
  } else if (home != nullptr && *home != '\0') {
    folders.push_back(fs::path(home) / ".config/axvisor/uboot");
  }
  folders.push_back(root / "configs/uboot");
  return folders;
}

}  // namespace

std::vector<std::string> uboot_config_keys() { return kKeys; }

UbootConfig load_uboot_config(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& overrides,
                              const Variables& variables) {
  TomlTable table = load_toml(path);
  for (const auto& [key, value] : overrides) {
    const size_t dot = key.find('.');
    const std::string outer = key.substr(0, dot);
    if (std::find(kKeys.begin(), kKeys.end(), outer) == kKeys.end()) {
      throw Failure(ExitCode::Usage, fmt::format("--set {}: unknown key{}", key, did_you_mean(outer, kKeys)));
    }
    if (dot == std::string::npos) {
      table.insert_or_assign(key, parse_toml_value(value));
      continue;
    }
    TomlValue& inner = table.try_emplace(outer, TomlValue{TomlTable{}, 0}).first->second;
    if (auto* inner_table = std::get_if<TomlTable>(&inner.data)) {
      inner_table->insert_or_assign(key.substr(dot + 1), parse_toml_value(value));
    }
  }
  return Loader(table, path, variables).load();
}

std::vector<std::pair<std::string, fs::path>> board_profiles(const fs::path& root) {
  std::map<std::string, fs::path> profiles;
  for (const fs::path& folder : profile_folders(root)) {
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
      if (entry.path().extension() == ".toml") {
        profiles.try_emplace(entry.path().stem().string(), entry.path());
      }
    }
  }
  return {profiles.begin(), profiles.end()};
}

fs::path find_board_profile(const fs::path& root, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [profile, file] : board_profiles(root)) {
    if (profile == name) {
      return file;
    }
    names.push_back(profile);
  }
  throw Failure(ExitCode::Usage, fmt::format("unknown board profile '{}'{}", name, did_you_mean(name, names)),
                names.empty() ? "a profile is a file like .uboot.toml, as ~/.config/axvisor/uboot/NAME.toml"
                              : fmt::format("profiles: {}", fmt::join(names, ", ")));
}

std::string default_uboot_config() {
  return R"(# A board that U-Boot starts, on a serial line of this machine. docs/boards.md explains every key.
serial = "${env:BOARD_COMM_UART_DEV:-/dev/ttyUSB0}"
baud_rate = "${env:BOARD_COMM_UART_BAUD:-115200}"
# dtb_file = "board.dtb"                     # else the device tree that U-Boot itself uses
# kernel_load_addr = "0x40400000"            # else U-Boot's $kernel_addr_r or $loadaddr
# fit_load_addr = "0x48000000"               # else $kernel_comp_addr_r, or above the kernel
board_reset_cmd = "${env:BOARD_POWER_RESET}"
board_power_off_cmd = "${env:BOARD_POWER_OFF}"
uboot_cmd = []
success_regex = []
fail_regex = ["panicked at"]

# Without this table, or without an interface, files go over the serial line (YMODEM).
[net]
interface = "${env:BOARD_COMM_NET_IFACE}"
# board_ip = "192.168.1.20"                  # else DHCP
# gatewayip = "192.168.1.1"
# netmask = "255.255.255.0"
# tftp_dir = "/srv/tftp"                     # else the built-in server
)";
}

}  // namespace ax::xtask
