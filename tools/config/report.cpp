// report.txt: the memory map, and who owns which CPU, interrupt and device.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/config/emit.hpp"
#include "tools/config/suggest.hpp"

namespace ax::config {
namespace {

using hv::ConfigKey;

std::string hex(u64 value) { return format_number(value, Unit::Address); }

std::string size_text(u64 bytes) {
  if (bytes >= 1_GiB && bytes % 1_GiB == 0) return fmt::format("{} GiB", bytes >> 30);
  if (bytes >= 1_MiB && bytes % 1_MiB == 0) return fmt::format("{} MiB", bytes >> 20);
  if (bytes >= 1_KiB && bytes % 1_KiB == 0) return fmt::format("{} KiB", bytes >> 10);
  return fmt::format("{} bytes", bytes);
}

/// "0x4000_0000 - 0x7fff_ffff"
std::string span_text(u64 base, u64 size) {
  return fmt::format("{} - {}", hex(base), hex(base + (size == 0 ? 0 : size - 1)));
}

std::string flags_text(hv::MemoryFlags f) {
  std::string out{f.read ? 'r' : '-', f.write ? 'w' : '-', f.execute ? 'x' : '-'};
  return f.device ? out + " device" : out;
}

std::string_view map_text(hv::MapType map) {
  constexpr std::string_view names[] = {"alloc", "identical", "reserved"};
  return names[static_cast<usize>(map)];
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

class ReportWriter {
 public:
  ReportWriter(const Configuration& c, const Diagnostics& diagnostics)
      : c_(c), diagnostics_(diagnostics), vms_(c.vm_configs()) {}

  std::string write() {
    board();
    virtual_machines();
    memory();
    host_memory();
    cpus();
    scheduling();
    interrupts();
    devices();
    emulated();
    warnings();
    return out_;
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  void title(std::string_view text) { out_ += fmt::format("\n{}\n{}\n", text, std::string(text.size(), '-')); }

  void board() {
    const Board& b = c_.board();
    std::vector<std::string> working, waiting;
    for (const Feature* f : b.features) (f->built ? working : waiting).emplace_back(f->name);
    line("Board       {} ({})", b.name, c_.portable_name(b.document->file().path()));
    line("Target      {}, platform {}", b.target->triple, b.platform.name);
    line("Linked at   {}{}", hex(b.load_address), b.to_bin ? ", with a flat .bin" : "");
    line("Log         {}", b.log);
    line("CPUs        {}", cpu_count());
    line("Features    {}", or_none(join(working)));
    if (!waiting.empty()) line("Not built   {} (selected, but without effect in this version)", join(waiting));
  }

  std::string cpu_count() const {
    constexpr std::string_view origins[] = {"the machine", "defconfig.toml", "the board",
                                            "the command line or AXVISOR_SMP"};
    if (!c_.smp()) return fmt::format("as many as the machine has, up to {}", Configuration::kDefaultMaxCpus);
    return fmt::format("up to {} (from {})", *c_.smp(), origins[static_cast<usize>(c_.smp_origin())]);
  }

  void virtual_machines() {
    title("Virtual machines, in boot order");
    if (vms_.empty()) line("none");
    for (usize i = 0; i < vms_.size(); ++i) {
      const hv::VmConfig& vm = vms_[i];
      line("{} (id {}, {}, {} vCPU{}, from {})", vm.name, vm.id, type_text(c_.vms()[i]->vm_type()), vm.cpu_count,
           vm.cpu_count == 1 ? "" : "s", vm.source);
      line("  entry     {}",
           vm.kernel_places_itself && !vm.bios.present() ? "as the kernel's header says" : hex(vm.entry_point.value()));
      for (const ImageReference& image : c_.vms()[i]->images()) image_line(vm, image);
      if (!vm.command_line.empty()) line("  cmdline   {}", vm.command_line);
    }
  }

  static std::string type_text(u64 type) {
    for (const Choice& c : kVmSchema.find_key("base.vm_type")->choices) {
      if (c.number == type) return std::string(c.text);
    }
    return fmt::format("type {}", type);
  }

  void image_line(const hv::VmConfig& vm, const ImageReference& image) {
    struct Label {
      ConfigKey key;
      std::string_view text;
      const hv::Image& image;
    };
    const Label labels[] = {{ConfigKey::KernelPath, "kernel", vm.kernel},
                            {ConfigKey::DtbPath, "dtb", vm.dtb},
                            {ConfigKey::BiosPath, "bios", vm.bios},
                            {ConfigKey::RamdiskPath, "ramdisk", vm.ramdisk}};
    const Label& label = *std::ranges::find(labels, image.key, &Label::key);
    const u64 address = label.image.load_address.value();
    const bool chosen = address == 0 && image.key != ConfigKey::KernelPath && image.key != ConfigKey::BiosPath;
    const bool own = image.key == ConfigKey::KernelPath && vm.kernel_places_itself;
    line("  {:9} {} at {}", label.text, image.text,
         chosen ? "an address chosen at boot"
         : own  ? "the address that its header names"
                : hex(address));
  }

  void memory() {
    title("Guest memory");
    for (const hv::VmConfig& vm : vms_) {
      line("{}", vm.name);
      std::vector<hv::MemoryRegion> regions(vm.memory.begin(), vm.memory.end());
      std::ranges::sort(regions, {}, &hv::MemoryRegion::gpa);
      for (const hv::MemoryRegion& r : regions) {
        line("  {:35} {:>10}  {}  {}", span_text(r.gpa.value(), r.size), size_text(r.size), flags_text(r.flags),
             r.shared.empty() ? std::string(map_text(r.map)) : fmt::format("shared '{}'", r.shared));
      }
    }
  }

  void host_memory() {
    title("Host memory with a fixed address");
    bool any = false;
    for (const hv::VmConfig& vm : vms_) {
      for (const hv::MemoryRegion& r : vm.memory) {
        if (r.map == hv::MapType::Alloc) continue;
        any = true;
        line("  {:35} {:>10}  {} ({})", span_text(r.gpa.value(), r.size), size_text(r.size), vm.name, map_text(r.map));
      }
    }
    if (!any) line("none");
  }

  void cpus() {
    title("Physical CPUs");
    std::map<u64, std::vector<std::string>> owners;
    for (const hv::VmConfig& vm : vms_) {
      for (usize i = 0; i < vm.phys_cpu_ids.size(); ++i) {
        owners[vm.phys_cpu_ids[i]].push_back(
            fmt::format("{} vCPU {}{}", vm.name, i, vm.exclusive_cpus ? " (exclusive)" : ""));
      }
    }
    for (const auto& [id, users] : owners)
      line("  CPU {:#x}: {}{}", id, join(users), users.size() > 1 ? " - shared" : "");
    for (const hv::VmConfig& vm : vms_) {
      for (usize i = 0; i < vm.phys_cpu_sets.size(); ++i) {
        line("  mask {}: {} vCPU {}{}", hex(vm.phys_cpu_sets[i]), vm.name, i, vm.exclusive_cpus ? " (exclusive)" : "");
      }
      if (vm.phys_cpu_ids.empty() && vm.phys_cpu_sets.empty()) line("  any CPU: all vCPUs of {}", vm.name);
    }
    if (vms_.empty()) line("none");
  }

  void scheduling() {
    constexpr u64 kMicrosecondsPerSecond = 1'000'000;
    title("Scheduling");
    for (const hv::VmConfig& vm : vms_) {
      const u64 slice = vm.time_slice_us != 0 ? vm.time_slice_us : kMicrosecondsPerSecond / c_.defconfig().ticks_per_sec;
      const u32 period = vm.period_us != 0 ? vm.period_us : hv::kDefaultPeriodUs;
      const std::string budget =
          vm.budget_us == 0 ? "no budget"
                            : fmt::format("each vCPU {} us of every {} us ({:.1f}%)", vm.budget_us, period, 100.0 * vm.budget_us / period);
      line("{}: priority {}, slices of {} us, {}", vm.name, vm.priority, slice, budget);
    }
    if (vms_.empty()) line("none");
  }

  void interrupts() {
    constexpr std::string_view modes[] = {"no interrupts", "emulated", "passthrough"};
    title("Interrupts");
    for (const hv::VmConfig& vm : vms_) {
      line("{}: {}", vm.name, modes[static_cast<usize>(vm.interrupt_mode)]);
      for (const hv::PassthroughDevice& d : vm.passthrough_devices) {
        if (d.irq != 0) line("  {:5} {} (host)", d.irq, d.name);
      }
      for (const hv::EmulatedDevice& d : vm.emulated_devices) {
        if (d.irq != 0) line("  {:5} {} (emulated)", d.irq, d.name);
      }
    }
    if (vms_.empty()) line("none");
  }

  void devices() {
    title("Devices of the machine");
    const hv::VmConfig* wildcard = nullptr;
    bool any = false;
    for (const hv::VmConfig& vm : vms_) {
      for (const hv::PassthroughDevice& d : vm.passthrough_devices) {
        any = true;
        if (!d.by_path && d.size == 0) {
          line("  {:35} {} ({})", fmt::format("interrupt {}", d.irq), vm.name, d.name);
        } else if (!d.by_path) {
          line("  {:35} {} ({}), guest address {}", span_text(d.hpa.value(), d.size), vm.name, d.name,
               hex(d.gpa.value()));
        } else if (d.name != "/") {
          line("  {:35} {}", d.name, vm.name);
        } else if (wildcard == nullptr) {
          wildcard = &vm;
          line("  {:35} {}: everything that no VM names", "/", vm.name);
        } else {
          line("  {:35} {}: nothing, because {} comes first", "/", vm.name, wildcard->name);
        }
      }
      for (const hv::PassthroughRange& r : vm.passthrough_ranges) {
        any = true;
        line("  {:35} {}", span_text(r.gpa.value(), r.size), vm.name);
      }
      for (const hv::PassthroughRange& r : vm.passthrough_ports) {
        any = true;
        line("  {:35} {}", "ports " + span_text(r.gpa.value(), r.size), vm.name);
      }
      for (const hv::PciAddress& a : vm.passthrough_pci) {
        any = true;
        line("  {:35} {}", fmt::format("PCI {:04x}:{:02x}:{:02x}.{}", a.segment, a.bus, a.device, a.function), vm.name);
      }
      if (vm.allow_unprotected_dma) line("  {:35} {}", "DMA to all of the machine's memory", vm.name);
      for (const std::string_view path : vm.excluded_devices) line("  {:35} hidden from {}", path, vm.name);
    }
    if (!any) line("all stay with the hypervisor");
  }

  void emulated() {
    bool any = false;
    for (const hv::VmConfig& vm : vms_) any |= !vm.emulated_devices.empty();
    if (!any) return;
    title("Emulated devices named by VM files");
    for (const hv::VmConfig& vm : vms_) {
      for (const hv::EmulatedDevice& d : vm.emulated_devices) {
        line("  {:35} {} ({}, type {:#x})", span_text(d.gpa.value(), d.size), vm.name, d.name,
             static_cast<u16>(d.type));
      }
    }
  }

  void warnings() {
    if (diagnostics_.warnings() == 0) return;
    title("Warnings");
    for (const Diagnostic& d : diagnostics_.all()) {
      if (d.severity != Severity::Warning) continue;
      const std::string file = d.where.file == nullptr ? "command line" : c_.portable_name(d.where.file->path());
      line("  {}:{}: {}", file, d.where.line, d.text);
    }
  }

  const Configuration& c_;
  const Diagnostics& diagnostics_;
  std::vector<hv::VmConfig> vms_;
  std::string out_;
};

}  // namespace

std::string report(const Configuration& configuration, const Diagnostics& diagnostics) {
  return ReportWriter(configuration, diagnostics).write();
}

}  // namespace ax::config
