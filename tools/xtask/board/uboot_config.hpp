// .uboot.toml: a board on a serial line, how it is started, and what must be seen on its console.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/xtask/core/substitution.hpp"
#include "tools/xtask/run/run_config.hpp"

namespace ax::xtask {

enum class BootMethod : std::uint8_t {
  Fit,   ///< one image tree, started by bootm
  Image  ///< the flat binary and the device tree, started by booti
};

enum class Transfer : std::uint8_t {
  Auto,    ///< TFTP where [net] is given, YMODEM where that does not work
  Tftp,
  Ymodem,
};

struct NetSettings {
  std::string interface;  ///< of this machine, towards the board: its address is the server's
  std::string server_ip;  ///< the server's address, instead of that of `interface`
  std::string board_ip;   ///< the board's address; empty: DHCP
  std::string gateway;
  std::string netmask;
  std::filesystem::path tftp_dir;  ///< the folder of a TFTP server that runs here; empty: the built-in server
  std::uint16_t tftp_port = 0;     ///< of the built-in server; 0: the well-known one
};

struct UbootConfig {
  std::filesystem::path file;  ///< where it came from
  std::filesystem::path serial;
  std::uint32_t baud_rate = 115200;
  std::filesystem::path dtb_file;  ///< empty: the device tree that U-Boot itself uses
  std::optional<std::uint64_t> kernel_load_addr;
  std::optional<std::uint64_t> fit_load_addr;
  std::string reset_command;      ///< for a shell; run once the line is open
  std::string power_off_command;  ///< run at the end, whatever happened
  std::vector<std::string> commands;  ///< typed at U-Boot's prompt before the image is loaded
  std::optional<NetSettings> net;
  BootMethod boot = BootMethod::Fit;
  Transfer transfer = Transfer::Auto;
  Seconds answer_timeout{60};  ///< for the first prompt
  Seconds load_timeout{120};   ///< for one file
  std::filesystem::path sign_keys;  ///< folder with KEY.key and KEY.crt; empty: not signed
  std::string sign_key;
  ConsoleScript script;
};

/// The keys of such a file, for suggestions.
std::vector<std::string> uboot_config_keys();

/// Reads the file and substitutes ${...} in every string. Throws Failure(Usage): unknown keys (with a suggestion), wrong types
/// and values.
UbootConfig load_uboot_config(const std::filesystem::path& path, const std::vector<std::pair<std::string, std::string>>& overrides,
                              const Variables& variables);

/// Board profiles: uboot/NAME.toml in the folders of AXVISOR_CONFIG_PATH, in ~/.config/axvisor, and in the tree's configs.
std::vector<std::pair<std::string, std::filesystem::path>> board_profiles(const std::filesystem::path& root);
/// Throws Failure(Usage) with a suggestion.
std::filesystem::path find_board_profile(const std::filesystem::path& root, const std::string& name);

/// What `.uboot.toml` is where there is none, with a comment on every key.
std::string default_uboot_config();

}  // namespace ax::xtask
