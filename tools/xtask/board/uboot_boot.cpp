#include "tools/xtask/board/uboot_boot.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "tools/xtask/board/fit_image.hpp"
#include "tools/xtask/board/uboot_session.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr Seconds kCommand{20};  // for commands that do not wait for a network

/// The address of an interface of this machine.
std::string address_of(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    throw Failure(ExitCode::Environment, "this machine's network interfaces cannot be listed");
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::string known;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) {
      continue;
    }
    if (entry->ifa_name == interface) {
      std::array<char, INET_ADDRSTRLEN> text{};
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text.data(), text.size());
      return text.data();
    }
    known += (known.empty() ? "" : ", ") + std::string(entry->ifa_name);
  }
  throw Failure(ExitCode::Usage, fmt::format("[net] interface: '{}' is no interface of this machine with an IPv4 address", interface),
                "interfaces: " + known);
}

std::string uboot_architecture(const std::string& architecture) {
  return architecture == "aarch64" ? "arm64" : architecture == "riscv64" ? "riscv" : architecture;
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
  text.remove_prefix(text.starts_with("0x") ? 2 : 0);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

void run_shell(const Context& context, const std::string& what, const std::string& command) {
  if (command.empty()) {
    return;
  }
  context.console.step(fmt::format("{}: {}", what, command));
  const int status = run_command({.argv = {"/bin/sh", "-c", command}, .folder = context.root, .console = ChildProcess::Console::Stderr});
  if (status != 0) {
    throw Failure(ExitCode::Failure, fmt::format("{} failed (status {}): {}", what, status, command));
  }
}

/// The board's power goes off at the end of this scope.
class PowerOff {
 public:
  PowerOff(const Context& context, std::string command) : context_(context), command_(std::move(command)) {}
  ~PowerOff() {
    try {
      run_shell(context_, "board_power_off_cmd", command_);
    } catch (const std::exception& error) {
      context_.console.warn(error.what());
    }
  }
  PowerOff(const PowerOff&) = delete;
  PowerOff& operator=(const PowerOff&) = delete;

 private:
  const Context& context_;
  std::string command_;
};

/// The serial line as what the runner judges.
class SerialTarget : public Target {
 public:
  explicit SerialTarget(const SerialLine& line) : line_(line) {}
  int console() const override { return line_.fd(); }
  std::optional<int> poll_status() override { return line_.hung_up() ? std::optional(1) : std::nullopt; }
  void stop() override {}
  std::string trouble() const override { return line_.hung_up() ? "the serial line went away\n" : ""; }

 private:
  const SerialLine& line_;
};

struct Addresses {
  std::uint64_t kernel = 0;
  std::uint64_t fit = 0;
  std::optional<std::uint64_t> device_tree;
  std::string own_device_tree;  ///< $fdtcontroladdr: where U-Boot keeps its own
};

/// Loading and starting, once U-Boot listens.
class Boot {
 public:
  Boot(const Context& context, const UbootConfig& config, const BoardImage& image, UbootSession& session)
      : context_(context), config_(config), image_(image), session_(session), kernel_(read_file(image.bin)) {
    if (!config.dtb_file.empty()) {
      device_tree_ = read_file(config.dtb_file);
    }
  }

  /// The command that starts the image, which is in the board's memory now.
  std::string load() {
    for (const std::string& command : config_.commands) {
      session_.require(command, config_.load_timeout);
    }
    find_addresses();
    if (config_.boot == BootMethod::Fit) {
      load_file(image_.name + ".fit", make_fit(), addresses_.fit);
      // Without a device tree in the image the board's own one is named: bootm would start the kernel with none.
      const bool own = device_tree_.empty() && !addresses_.own_device_tree.empty();
      // The configuration by name: some U-Boots look for one that fits their own device tree otherwise, and find none.
      const std::string start = fmt::format("bootm {:x}#{}", addresses_.fit, kFitConfiguration);
      return own ? fmt::format("{} - {}", start, addresses_.own_device_tree) : start;
    }
    load_file(image_.name + ".bin", kernel_, addresses_.kernel);
    if (device_tree_.empty()) {
      if (addresses_.own_device_tree.empty()) {
        throw Failure(ExitCode::Usage, "booti needs a device tree, and this U-Boot has none of its own", "name one with dtb_file");
      }
      return fmt::format("booti {:x} - {}", addresses_.kernel, addresses_.own_device_tree);
    }
    if (!addresses_.device_tree) {
      throw Failure(ExitCode::Failure, "U-Boot has no fdt_addr_r: there is no place for dtb_file", "boot = \"fit\" needs none");
    }
    load_file(image_.name + ".dtb", device_tree_, *addresses_.device_tree);
    return fmt::format("booti {:x} - {:x}", addresses_.kernel, *addresses_.device_tree);
  }

 private:
  std::optional<std::uint64_t> first_of(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const std::optional<std::uint64_t> value = hexadecimal(session_.variable(name)); value && *value != 0) {
        return value;
      }
    }
    return std::nullopt;
  }

  void find_addresses() {
    const std::optional<std::uint64_t> kernel = config_.kernel_load_addr ? config_.kernel_load_addr : first_of({"kernel_addr_r", "loadaddr"});
    if (!kernel) {
      throw Failure(ExitCode::Usage, "U-Boot has neither kernel_addr_r nor loadaddr", "say where the image goes with kernel_load_addr");
    }
    addresses_.kernel = *kernel;
    const std::optional<std::uint64_t> fit = config_.fit_load_addr ? config_.fit_load_addr : first_of({"kernel_comp_addr_r", "kernel_addr_c"});
    addresses_.fit = fit ? *fit : fit_address_above(*kernel, kernel_.size());
    addresses_.device_tree = first_of({"fdt_addr_r"});
    addresses_.own_device_tree = session_.variable("fdtcontroladdr");
  }

  std::string make_fit() const {
    const std::string fit = build_fit({.kernel = kernel_,
                                       .architecture = uboot_architecture(image_.architecture),
                                       .load_address = addresses_.kernel,
                                       .entry = addresses_.kernel,
                                       .device_tree = device_tree_,
                                       .device_tree_address = addresses_.device_tree,
                                       .key_name = config_.sign_key});
    const fs::path file = image_.bin.parent_path() / "image.fit";
    write_file(file, fit);
    if (config_.sign_key.empty()) {
      return fit;
    }
    sign_fit(file, config_.sign_keys);
    return read_file(file);
  }

  void load_file(const std::string& name, const std::string& content, std::uint64_t address) {
    const bool network = config_.net && config_.transfer != Transfer::Ymodem;
    if (network && !network_failed_) {
      if (load_by_tftp(name, content, address)) {
        return;
      }
      if (config_.transfer == Transfer::Tftp) {
        throw Failure(ExitCode::Failure, fmt::format("{} did not reach the board by TFTP", name));
      }
      network_failed_ = true;
      context_.console.warn("the network does not work: sending over the serial line (YMODEM)");
    }
    context_.console.step(fmt::format("sending {} ({} KiB) by YMODEM", name, content.size() / 1024));
    if (!session_.send_ymodem(name, content, address, config_.load_timeout)) {
      throw Failure(ExitCode::Failure, fmt::format("{} did not reach the board by YMODEM", name));
    }
    check_size(name, content.size());
  }

  void check_size(const std::string& name, size_t size) {
    const std::optional<std::uint64_t> arrived = hexadecimal(session_.variable("filesize"));
    if (arrived != size) {
      throw Failure(ExitCode::Failure, fmt::format("{}: {} bytes arrived, {} were sent", name, arrived.value_or(0), size));
    }
  }

  /// Brings the board's network up, once.
  bool connect() {
    if (connected_) {
      return true;
    }
    const NetSettings& net = *config_.net;
    const std::string server = net.server_ip.empty() ? address_of(net.interface) : net.server_ip;
    if (net.tftp_dir.empty()) {
      server_ = std::make_unique<TftpServer>(net.tftp_port == 0 ? TftpServer::kPort : net.tftp_port);
      session_.attach(server_.get());
      if (server_->port() != TftpServer::kPort) {
        context_.console.warn(fmt::format(
            "the TFTP server listens on port {}: a port below 1024 needs root, or sysctl net.ipv4.ip_unprivileged_port_start=69. U-Boot only "
            "finds it if it was built with CONFIG_TFTP_PORT",
            server_->port()));
        session_.require(fmt::format("setenv tftpdstp {}", server_->port()), kCommand);
      }
    }
    if (!net.board_ip.empty()) {
      session_.require("setenv ipaddr " + net.board_ip, kCommand);
    } else {
      session_.require("setenv autoload no", kCommand);
      if (!session_.run("dhcp", config_.load_timeout).good) {
        return false;
      }
    }
    for (const auto& [name, value] : {std::pair{"netmask", net.netmask}, std::pair{"gatewayip", net.gateway}}) {
      if (!value.empty()) {
        session_.require(fmt::format("setenv {} {}", name, value), kCommand);
      }
    }
    session_.require("setenv serverip " + server, kCommand);
    return connected_ = true;
  }

  bool load_by_tftp(const std::string& name, const std::string& content, std::uint64_t address) {
    if (!connect()) {
      return false;
    }
    std::string path = name;
    if (server_) {
      server_->offer(name, content);
    } else {
      path = "axvisor/" + name;
      write_file(config_.net->tftp_dir / path, content);
    }
    context_.console.step(fmt::format("sending {} ({} KiB) by TFTP", path, content.size() / 1024));
    try {
      if (!session_.run(fmt::format("tftpboot {:x} {}", address, path), config_.load_timeout).good) {
        return false;
      }
    } catch (const Failure& failure) {
      if (failure.code() != ExitCode::Timeout) {
        throw;
      }
      session_.interrupt(config_.answer_timeout);
      return false;
    }
    check_size(name, content.size());
    return true;
  }

  const Context& context_;
  const UbootConfig& config_;
  const BoardImage& image_;
  UbootSession& session_;
  std::string kernel_;
  std::string device_tree_;
  Addresses addresses_;
  std::unique_ptr<TftpServer> server_;
  bool connected_ = false;
  bool network_failed_ = false;
};

}  // namespace

std::uint64_t fit_address_above(std::uint64_t kernel_address, std::uint64_t kernel_size) {
  constexpr std::uint64_t kRoom = 0x200'0000;  // for what the kernel has in memory beyond its file
  constexpr std::uint64_t kBoundary = 0x100'0000;
  const std::uint64_t end = kernel_address + std::max(kernel_size * 2, kRoom);
  return (end + kBoundary - 1) / kBoundary * kBoundary;
}

ExitCode boot_board(const Context& context, const UbootConfig& config, const BoardImage& image, const RunOptions& options) {
  const BoardLock lock(config.serial);
  const SerialLine line(config.serial, config.baud_rate);
  const PowerOff power_off(context, config.power_off_command);
  run_shell(context, "board_reset_cmd", config.reset_command);
  ConsoleScript script = config.script;
  {
    UbootSession session(context.console, line, config.serial);
    context.console.step(fmt::format("waiting for U-Boot on {} ({} baud)", config.serial.string(), config.baud_rate));
    session.interrupt(config.answer_timeout);
    Boot boot(context, config, image, session);
    const std::string command = boot.load();
    session.attach(nullptr);
    context.console.step("starting: " + command);
    session.start(command);
    // An image that U-Boot does not start leaves its prompt.
    const std::string prompt = session.prompt();
    script.fail_regex.push_back("^" + RE2::QuoteMeta(prompt.substr(0, prompt.find_last_not_of(' ') + 1)) + "\\s*$");
  }
  SerialTarget target(line);
  if (options.interactive) {
    context.console.step("Ctrl-A x leaves");
  }
  return report_outcome(context.console, script, run_target(target, script, options));
}

std::string describe_boot(const UbootConfig& config, const BoardImage& image) {
  std::string text = fmt::format("# {}: {} baud\n", config.serial.string(), config.baud_rate);
  if (!config.reset_command.empty()) {
    text += config.reset_command + "\n";
  }
  const std::string by = config.net && config.transfer != Transfer::Ymodem ? "tftpboot" : "loady";
  const bool fit = config.boot == BootMethod::Fit;
  text += fmt::format("# U-Boot: {}{} {} from {}, then {}\n", config.commands.empty() ? "" : fmt::format("{} commands, ", config.commands.size()), by,
                      image.name + (fit ? ".fit" : ".bin"), image.bin.string(), fit ? "bootm" : "booti");
  return config.power_off_command.empty() ? text : text + config.power_off_command + "\n";
}

}  // namespace ax::xtask
