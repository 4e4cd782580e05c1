#include "tools/config/features.hpp"

#include <algorithm>
#include <cctype>

#include "tools/config/platform.hpp"

namespace ax::config {
namespace {

using std::string_view;

constexpr string_view kArm[] = {"aarch64-dyn"};
constexpr string_view kQ35[] = {"x86-qemu-q35"};
constexpr string_view kMmioBus[] = {"aarch64-dyn", "riscv64-qemu-virt"};

constexpr string_view kFs[] = {"fs"};
constexpr string_view kIrq[] = {"irq"};
constexpr string_view kSdmmc[] = {"sdmmc"};

constexpr string_view kSdmmcAliases[] = {"driver/sdmmc"};
constexpr string_view kPhytiumAliases[] = {"driver/phytium-blk"};
constexpr string_view kRk3568Aliases[] = {"driver/rk3568-clk"};
constexpr string_view kRk3588Aliases[] = {"driver/rk3588-clk"};
constexpr string_view kBusMmioAliases[] = {"bus-mmio"};
constexpr string_view kMyplatAliases[] = {"myplat"};

constexpr Feature kFeatures[] = {
    {.name = "axstd/bus-mmio",
     .doc = "Devices are found on the memory-mapped bus that the device tree describes.",
     .aliases = kBusMmioAliases,
     .platforms = kMmioBus,
     .always = true},
    {.name = "axstd/myplat",
     .doc = "The platform is a library of its own, chosen by the board.",
     .aliases = kMyplatAliases,
     .platforms = kQ35,
     .always = true},
    {.name = "dyn-plat",
     .doc = "One image for every machine: console, interrupt controller, timers, CPUs and memory come from the device "
            "tree.",
     .platforms = kArm,
     .always = true},
    {.name = "ept-level-4",
     .doc = "Second-stage tables may have four levels. The hypervisor uses fewer where the CPU or the guest's "
            "addresses allow it; "
            "without the feature three are the most."},
    {.name = "fs",
     .doc = "File systems on the machine's disks: image_location = \"fs\" and the file commands of the shell."},
    {.name = "hv", .doc = "The platform runs at the hypervisor's exception level.", .always = true},
    {.name = "irq", .doc = "Interrupt controller and timers are driven.", .always = true},
    {.name = "phytium-blk",
     .doc = "Disk controller of Phytium boards.",
     .aliases = kPhytiumAliases,
     .platforms = kArm,
     .needs = kFs,
     .built = false},
    {.name = "reboot-on-system-off",
     .doc = "The machine restarts, instead of powering off, when the last VM has stopped."},
    {.name = "rk3568-clk",
     .doc = "Clock controller of the RK3568, for its SD/MMC host.",
     .aliases = kRk3568Aliases,
     .platforms = kArm,
     .needs = kSdmmc,
     .built = false},
    {.name = "rk3588-clk",
     .doc = "Clock controller of the RK3588, for its SD/MMC host.",
     .aliases = kRk3588Aliases,
     .platforms = kArm,
     .needs = kSdmmc,
     .built = false},
    {.name = "sdmmc",
     .doc = "SD cards behind standard host controllers (SDHCI), on PCI and in the device tree.",
     .aliases = kSdmmcAliases,
     .needs = kFs},
    {.name = "smp",
     .doc = "More than one CPU is brought up; the key `smp` sets how many.",
     .needs = kIrq,
     .always = true},
};

consteval bool sorted_by_name() { return std::ranges::is_sorted(kFeatures, {}, &Feature::name); }
static_assert(sorted_by_name());

}  // namespace

std::span<const Feature> all_features() { return kFeatures; }

const Feature* find_feature(std::string_view name) {
  for (const Feature& f : kFeatures) {
    if (f.name == name || std::ranges::find(f.aliases, name) != f.aliases.end()) return &f;
  }
  return nullptr;
}

bool available_on(const Feature& feature, const Platform& platform) {
  return feature.platforms.empty() || std::ranges::find(platform.features, feature.name) != platform.features.end();
}

std::string upper_identifier(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    out += std::isalnum(byte) ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return out;
}

std::string camel_identifier(std::string_view name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) out += start ? static_cast<char>(std::toupper(byte)) : c;
    start = !std::isalnum(byte);
  }
  return out;
}

std::vector<std::string> feature_names(const Platform& platform) {
  std::vector<std::string> out;
  for (const Feature& f : kFeatures) {
    if (!available_on(f, platform)) continue;
    out.emplace_back(f.name);
    for (const std::string_view alias : f.aliases) out.emplace_back(alias);
  }
  return out;
}

}  // namespace ax::config
