#include "tools/xtask/vmconfig/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tools/config/document.hpp"

namespace ax::xtask {
namespace {

constexpr std::array<std::string_view, 8> kColours{"#4e79a7", "#f28e2b", "#59a14f", "#e15759",
                                                   "#76b7b2", "#edc948", "#b07aa1", "#9c755f"};
constexpr int kMargin = 20;
constexpr int kColumnWidth = 190;
constexpr int kColumnGap = 130;  // addresses stand there
constexpr int kRowHeight = 22;
constexpr int kLeastHeight = 26;   // of a memory region: its text must fit
constexpr int kScaledHeight = 60;  // of the largest region, on top of that

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string address(std::uint64_t value) { return config::format_number(value, config::Unit::Address); }

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::pair<unsigned, std::string_view>, 3> kUnits{{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}}};
  for (const auto& [shift, name] : kUnits) {
    if (bytes >> shift != 0 && bytes % (std::uint64_t{1} << shift) == 0) {
      return fmt::format("{} {}", bytes >> shift, name);
    }
  }
  return fmt::format("{} bytes", bytes);
}

/// One stretch of an address space.
struct Stretch {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  std::string label;
  std::string detail;
  std::string_view colour;
};

class Picture {
 public:
  explicit Picture(const config::Configuration& configuration)
      : configuration_(configuration), vms_(configuration.vm_configs()) {}

  std::string draw() {
    text(kMargin, y_ += 24, fmt::format("{}: who owns what", configuration_.board().name),
         "font-size=\"18\" font-weight=\"bold\"");
    legend();
    memory();
    cpus();
    rows("Devices", device_rows());
    rows("Interrupts", interrupt_rows());
    return fmt::format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
               "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
               width_ + kMargin, y_ + kMargin) +
           out_ + "</svg>\n";
  }

 private:
  std::string_view colour(size_t vm) const { return kColours[vm % kColours.size()]; }

  void text(int x, int y, std::string_view words, std::string_view style = "") {
    out_ += fmt::format("<text x=\"{}\" y=\"{}\" {}>{}</text>\n", x, y, style, escaped(words));
    width_ = std::max(width_, x + static_cast<int>(words.size()) * 8);
  }

  void box(int x, int y, int width, int height, std::string_view fill, const std::string& tooltip) {
    out_ +=
        fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#333\"><title>{}</title></rect>\n",
                    x, y, width, height, fill, escaped(tooltip));
    width_ = std::max(width_, x + width);
  }

  void heading(std::string_view words) { text(kMargin, y_ += 34, words, "font-size=\"15\" font-weight=\"bold\""); }

  void legend() {
    for (size_t i = 0; i < vms_.size(); ++i) {
      y_ += kRowHeight;
      box(kMargin, y_ - 12, 14, 14, colour(i), std::string(vms_[i].name));
      text(kMargin + 22, y_, fmt::format("{}: {} vCPU, {}", vms_[i].name, vms_[i].cpu_count, vms_[i].source));
    }
    if (vms_.empty()) {
      text(kMargin, y_ += kRowHeight, "no virtual machines");
    }
  }

  /// Memory of one VM: RAM, emulated devices, ranges passed through, in the order of their addresses.
  std::vector<Stretch> guest_space(size_t index) const {
    const hv::VmConfig& vm = vms_[index];
    std::vector<Stretch> space;
    constexpr std::array<std::string_view, 3> kMaps{"any host memory", "same host address", "reserved host memory"};
    for (const hv::MemoryRegion& region : vm.memory) {
      space.push_back(
          {region.gpa.value(), region.size, "RAM", std::string(kMaps[static_cast<size_t>(region.map)]), colour(index)});
    }
    for (const hv::EmulatedDevice& device : vm.emulated_devices) {
      space.push_back({device.gpa.value(), device.size, std::string(device.name), "emulated", "#dddddd"});
    }
    for (const hv::PassthroughDevice& device : vm.passthrough_devices) {
      if (!device.by_path) {
        space.push_back(
            {device.gpa.value(), device.size, std::string(device.name), "host " + address(device.hpa.value()), "#fff3b0"});
      }
    }
    for (const hv::PassthroughRange& range : vm.passthrough_ranges) {
      space.push_back({range.gpa.value(), range.size, "passed through", "same host address", "#fff3b0"});
    }
    std::ranges::sort(space, {}, &Stretch::base);
    return space;
  }

  std::vector<Stretch> host_space() const {
    std::vector<Stretch> space{{configuration_.board().load_address, 0, "hypervisor", "linked here", "#bbbbbb"}};
    for (size_t i = 0; i < vms_.size(); ++i) {
      for (const hv::MemoryRegion& region : vms_[i].memory) {
        if (region.map != hv::MapType::Alloc) {
          space.push_back({region.gpa.value(), region.size, std::string(vms_[i].name), "fixed address", colour(i)});
        }
      }
    }
    std::ranges::sort(space, {}, &Stretch::base);
    return space;
  }

  int column(int x, std::string_view title, const std::vector<Stretch>& space) {
    std::uint64_t largest = 1;
    for (const Stretch& stretch : space) {
      largest = std::max(largest, stretch.size);
    }
    int y = y_ + kRowHeight;
    text(x, y - 6, title, "font-weight=\"bold\"");
    std::uint64_t end = 0;
    for (const Stretch& stretch : space) {
      if (end != 0 && stretch.base > end) {
        y += 10;  // a gap in the address space, not to scale
      }
      const int height =
          kLeastHeight + static_cast<int>(static_cast<double>(stretch.size) / static_cast<double>(largest) * kScaledHeight);
      const std::string size = stretch.size == 0 ? "" : ", " + size_text(stretch.size);
      box(x, y, kColumnWidth, height, stretch.colour,
          fmt::format("{}: {}{}, {}", stretch.label, address(stretch.base), size, stretch.detail));
      text(x + 6, y + 17, fmt::format("{}{}", stretch.label, size));
      text(x + kColumnWidth + 6, y + 11, address(stretch.base), "fill=\"#555\" font-size=\"10\"");
      y += height;
      end = stretch.base + stretch.size;
    }
    return y;
  }

  void memory() {
    heading("Memory (not to scale; addresses at the lower end of each stretch)");
    int bottom = column(kMargin, "host, fixed addresses", host_space());
    for (size_t i = 0; i < vms_.size(); ++i) {
      const int x = kMargin + static_cast<int>(i + 1) * (kColumnWidth + kColumnGap);
      bottom = std::max(bottom, column(x, fmt::format("{} sees", vms_[i].name), guest_space(i)));
    }
    y_ = bottom;
  }

  /// Whether vCPU `index` may run on the physical CPU `id`; a VM that names none may run on every one.
  static bool may_use(const hv::VmConfig& vm, std::uint64_t id) {
    const auto in_set = [id](std::uint64_t set) { return id < 64 && (set >> id & 1) != 0; };
    if (vm.phys_cpu_ids.empty() && vm.phys_cpu_sets.empty()) {
      return true;
    }
    return std::ranges::find(vm.phys_cpu_ids, id) != vm.phys_cpu_ids.end() || std::ranges::any_of(vm.phys_cpu_sets, in_set);
  }

  void cpus() {
    heading("Physical CPUs");
    std::set<std::uint64_t> ids;
    for (std::uint64_t id = 0; id < configuration_.smp().value_or(0); ++id) {
      ids.insert(id);
    }
    for (const hv::VmConfig& vm : vms_) {
      ids.insert(vm.phys_cpu_ids.begin(), vm.phys_cpu_ids.end());
    }
    int x = kMargin + 160;
    for (const std::uint64_t id : ids) {
      text(x, y_ + kRowHeight, fmt::format("{:#x}", id), "font-size=\"10\"");
      x += 34;
    }
    y_ += kRowHeight;
    for (size_t i = 0; i < vms_.size(); ++i) {
      y_ += kRowHeight;
      text(kMargin, y_, fmt::format("{}{}", vms_[i].name, vms_[i].exclusive_cpus ? " (exclusive)" : ""));
      x = kMargin + 160;
      for (const std::uint64_t id : ids) {
        const bool used = may_use(vms_[i], id);
        box(x, y_ - 14, 28, 18, used ? colour(i) : "#f4f4f4",
            fmt::format("CPU {:#x}: {}{}", id, used ? "" : "not ", vms_[i].name));
        x += 34;
      }
    }
  }

  struct Line {
    size_t vm;
    std::string words;
  };

  void rows(std::string_view title, const std::vector<Line>& lines) {
    heading(title);
    for (const Line& line : lines) {
      y_ += kRowHeight;
      box(kMargin, y_ - 12, 14, 14, colour(line.vm), std::string(vms_[line.vm].name));
      text(kMargin + 22, y_, line.words);
    }
    if (lines.empty()) {
      text(kMargin, y_ += kRowHeight, "all stay with the hypervisor");
    }
  }

  std::vector<Line> device_rows() const {
    std::vector<Line> lines;
    for (size_t i = 0; i < vms_.size(); ++i) {
      for (const hv::PassthroughDevice& device : vms_[i].passthrough_devices) {
        const bool all = device.by_path && device.name == "/";
        lines.push_back(
            {i, fmt::format("{}: {}", vms_[i].name, all ? "every device that no VM names" : std::string(device.name))});
      }
      for (const std::string_view path : vms_[i].excluded_devices) {
        lines.push_back({i, fmt::format("{}: not {}", vms_[i].name, path)});
      }
      for (const hv::EmulatedDevice& device : vms_[i].emulated_devices) {
        lines.push_back({i, fmt::format("{}: {} (emulated, {})", vms_[i].name, device.name, address(device.gpa.value()))});
      }
    }
    return lines;
  }

  std::vector<Line> interrupt_rows() const {
    constexpr std::array<std::string_view, 3> kModes{"no interrupts", "emulated", "passed through"};
    std::vector<Line> lines;
    for (size_t i = 0; i < vms_.size(); ++i) {
      lines.push_back({i, fmt::format("{}: {}", vms_[i].name, kModes[static_cast<size_t>(vms_[i].interrupt_mode)])});
      for (const hv::PassthroughDevice& device : vms_[i].passthrough_devices) {
        if (device.irq != 0) {
          lines.push_back({i, fmt::format("{}: {} from {}", vms_[i].name, device.irq, device.name)});
        }
      }
    }
    return lines;
  }

  const config::Configuration& configuration_;
  std::vector<hv::VmConfig> vms_;
  std::string out_;
  int y_ = 0;
  int width_ = 0;
};

}  // namespace

std::string plot_svg(const config::Configuration& configuration) { return Picture(configuration).draw(); }

std::string plot_html(const config::Configuration& configuration) {
  return fmt::format("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body>\n{}</body></html>\n",
                     escaped(configuration.board().name), plot_svg(configuration));
}

}  // namespace ax::xtask
