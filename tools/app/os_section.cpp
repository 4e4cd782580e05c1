#include "tools/app/os_section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "tools/app/services.hpp"
#include "tools/config/suggest.hpp"

namespace ax::app {
namespace {

constexpr std::array<std::pair<std::string_view, Arch>, 3> kPlatforms{{
    {"x86_64-qemu-q35", Arch::X86_64},
    {"aarch64-qemu-virt", Arch::Aarch64},
    {"riscv64-qemu-virt", Arch::Riscv64},
}};
constexpr PortForward kDefaultPort{5555, 5555};

/// Reads a decimal number up to `max` off the front of `text`.
std::optional<u64> take_number(std::string_view& text, u64 max) {
  u64 number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number > max) return std::nullopt;
  text.remove_prefix(static_cast<usize>(end - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    if ((part != 0 && !take(text, ".")) || !take_number(text, 255)) return false;
  }
  return text.empty();
}

bool is_memory_size(std::string_view text) {
  const std::optional<u64> number = take_number(text, u64{1} << 40);
  return number && *number != 0 &&
         (text.empty() || (text.size() == 1 && std::string_view("kKmMgGtT").find(text[0]) != std::string_view::npos));
}

std::optional<PortForward> parse_port(std::string_view text) {
  constexpr u64 kLastPort = 65'535;
  const auto host = take_number(text, kLastPort);
  if (!host || !take(text, ":")) return std::nullopt;
  const auto guest = take_number(text, kLastPort);
  if (!guest || *guest == 0) return std::nullopt;
  PortForward port{static_cast<u16>(*host), static_cast<u16>(*guest)};
  if (text == "/tcp") {
    port.udp = false;
  } else if (text == "/udp") {
    port.tcp = false;
  } else if (!text.empty()) {
    return std::nullopt;
  }
  return port;
}

class Decoder {
 public:
  Decoder(const OsSections& sections, Diagnostics& diagnostics) : s_(sections), diagnostics_(diagnostics) {}

  Os decode() {
    os_.name = s_.os.text("name");
    os_.musl = s_.os.text("ulib") == "ruxmusl";
    os_.develop = s_.os.flag("develop");
    os_.platform = s_.platform.text("name");
    for (const auto& [name, arch] : kPlatforms) {
      if (name == os_.platform) os_.arch = arch;
    }
    os_.smp = s_.platform.number("smp");
    os_.release = s_.platform.text("mode") == "release";
    os_.log = s_.platform.text("log");
    const std::string verbosity = s_.platform.text("v");
    os_.verbosity = verbosity.empty() ? 0 : static_cast<unsigned>(verbosity[0] - '0');
    qemu();
    services();
    return std::move(os_);
  }

 private:
  void qemu() {
    Qemu& q = os_.qemu;
    const std::pair<std::string_view, bool*> flags[] = {
        {"blk", &q.blk}, {"net", &q.net},           {"graphic", &q.graphic},  {"debug", &q.debug},
        {"v9p", &q.v9p}, {"qemu_log", &q.qemu_log}, {"net_dump", &q.net_dump}};
    for (const auto& [name, flag] : flags) *flag = s_.qemu.flag(name);
    q.memory = checked("memory", is_memory_size, "is no size of memory", "write a number with K, M, G or T: \"128M\"");
    q.ip = checked("ip", is_ipv4, "is no IPv4 address", "write four numbers up to 255: \"10.0.2.15\"");
    q.gw = checked("gw", is_ipv4, "is no IPv4 address", "write four numbers up to 255: \"10.0.2.2\"");
    constexpr auto not_empty = [](std::string_view text) { return !text.empty(); };
    q.disk_img = checked("disk_img", not_empty, "is no file", "remove the key, or name a file");
    q.v9p_path = checked("v9p_path", not_empty, "is no folder", "remove the key, or name a folder");
    q.tap = s_.qemu.text("net_dev") == "tap";
    q.accel = s_.qemu.text("accel");
    q.args = words("args", false);
    q.envs = words("envs", true);
    ports();
    useless("net_dump", q.net_dump && !q.net, "there is no network device to dump", "add net = \"y\"");
    for (const char* key : {"net_dev", "ip", "gw"}) {
      useless(key, !q.net && is_changed(key), "there is no network device", "add net = \"y\"");
    }
    useless("disk_img", !q.blk && is_changed("disk_img"), "there is no disk", "add blk = \"y\"");
    useless("v9p_path", !q.v9p && is_changed("v9p_path"), "no folder is shared", "add v9p = \"y\"");
  }

  template <class Test>
  std::string checked(std::string_view key, Test test, std::string_view complaint, std::string_view fix) {
    const std::string text = s_.qemu.text(key);
    if (s_.qemu.usable(key) && !test(text)) {
      diagnostics_.error(s_.qemu.where(key), fmt::format("'{}' {}: '{}'", key, complaint, text)).fix(std::string(fix));
    }
    return text;
  }

  /// The guest splits at ';' and ',': neither can be part of a word.
  std::string words(std::string_view key, bool assignments) {
    std::string joined;
    const std::vector<Located> list = s_.qemu.list(key);
    const bool is_list = list.size() != 1 || list.front().where.column != s_.qemu.where(key).column;
    for (const Located& word : list) {
      const std::string_view forbidden = is_list ? ",;" : ";";
      const usize at = word.text.find_first_of(forbidden);
      if (at != std::string::npos) {
        diagnostics_
            .error(word.where, fmt::format("'{}' must not contain '{}': the system separates words with it", key, word.text[at]))
            .fix(word.text[at] == ',' ? "make two words of it" : "leave it out");
      }
      joined += (joined.empty() ? "" : ",") + word.text;
    }
    if (assignments) check_assignments(joined);
    return joined;
  }

  void check_assignments(const std::string& joined) {
    for (usize start = 0; start < joined.size();) {
      const usize end = std::min(joined.find(',', start), joined.size());
      const std::string word = joined.substr(start, end - start);
      const usize equals = word.find('=');
      if (equals == std::string::npos || equals == 0) {
        diagnostics_.error(s_.qemu.where("envs"), fmt::format("'{}' is no NAME=VALUE", word))
            .fix("write \"NAME=VALUE\"");
      }
      start = end + 1;
    }
  }

  void ports() {
    if (!s_.qemu.has("ports")) os_.qemu.ports = {kDefaultPort};
    for (const Located& text : s_.qemu.list("ports")) {
      const std::optional<PortForward> port = parse_port(text.text);
      if (port) {
        os_.qemu.ports.push_back(*port);
      } else {
        diagnostics_.error(text.where, fmt::format("'{}' is no HOST:GUEST of ports", text.text))
            .fix("write \"8080:80/tcp\"");
      }
    }
    const Qemu& q = os_.qemu;
    useless("ports", s_.qemu.has("ports") && (!q.net || q.tap), "ports lead nowhere without a user network",
            "add net = \"y\" and net_dev = \"user\"");
  }

  /// A default that is written down is no mistake.
  bool is_changed(std::string_view key) const {
    const std::string text = s_.qemu.text(key);
    return s_.qemu.usable(key) && !text.empty() && text != table_named("os.platform.qemu").find(key)->default_value;
  }

  void useless(std::string_view key, bool is_useless, std::string_view reason, std::string_view fix) {
    if (!is_useless) return;
    diagnostics_.warning(s_.qemu.where(key), fmt::format("'{}' has no effect: {}", key, reason)).fix(std::string(fix));
  }

  void services() {
    std::vector<std::string> known;
    for (const Service& service : all_services()) known.emplace_back(service.name);
    std::vector<std::string> names;
    for (const Located& name : s_.os.list("services")) {
      if (find_service(name.text) == nullptr) {
        diagnostics_.error(name.where, fmt::format("there is no service '{}'", name.text))
            .fix(config::did_you_mean(name.text, known, fmt::format("use: {}", config::join(known))));
        continue;
      }
      if (std::ranges::find(names, name.text) != names.end()) {
        diagnostics_.warning(name.where, fmt::format("service '{}' is named twice", name.text))
            .fix("remove one of the two");
      }
      names.push_back(name.text);
      check_device(*find_service(name.text), name.where);
    }
    os_.services = with_needs(names);
    os_.named_services = std::move(names);
    const auto offers = [&](std::string_view service) {
      return std::ranges::find(os_.services, service) != os_.services.end();
    };
    const Qemu& q = os_.qemu;
    const auto unused = [&](bool device, std::string_view key, bool served, std::string_view service) {
      if (!device || served) return;
      diagnostics_.warning(s_.qemu.where(key), fmt::format("no service uses the device of '{}'", key))
          .fix(fmt::format("add \"{}\" to services, or remove it", service));
    };
    const bool on_disk = offers("blkfs") || offers("fatfs") || offers("ext4_rs") || offers("another_ext4");
    unused(q.blk, "blk", on_disk, "blkfs");
    unused(q.net, "net", offers("net") || offers("net-9p"), "net");
    unused(q.v9p, "v9p", offers("virtio-9p"), "virtio-9p");
    if (!(q.args + q.envs).empty() && !offers("alloc")) {
      const std::string_view key = q.args.empty() ? "envs" : "args";
      diagnostics_.warning(s_.qemu.where(key), fmt::format("'{}' reaches the program only with the service alloc", key))
          .fix("add \"alloc\" to services");
    }
  }

  void check_device(const Service& service, Position where) {
    const Qemu& q = os_.qemu;
    const std::pair<std::string_view, bool> devices[] = {
        {"", true}, {"blk", q.blk}, {"net", q.net}, {"graphic", q.graphic}, {"v9p", q.v9p}};
    const auto& [key, present] = devices[static_cast<usize>(service.device)];
    if (present) return;
    diagnostics_.error(where, fmt::format("service '{}' has no device: '{}' is off", service.name, key))
        .fix(fmt::format("add {} = \"y\" to [os.platform.qemu], or remove the service", key));
  }

  const OsSections& s_;
  Diagnostics& diagnostics_;
  Os os_;
};

}  // namespace

Os decode_os(const OsSections& sections, Diagnostics& diagnostics) { return Decoder(sections, diagnostics).decode(); }

}  // namespace ax::app
