#include "tools/config/machine_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/config/schema.hpp"

namespace ax::config {
namespace {

using hv::ConfigKey;
using hv::EmulatedDeviceType;
using hv::KernelFormat;

constexpr std::string_view kPc = "x86_64", kArm = "aarch64";

/// An emulated device that only one architecture has. On a PC its place is fixed.
struct ArchDevice {
  EmulatedDeviceType type;
  std::string_view arch;
  u64 pc_address = 0;
};
constexpr ArchDevice kArchDevices[] = {
    {EmulatedDeviceType::GicRedistributor, kArm},
    {EmulatedDeviceType::GicDistributor, kArm},
    {EmulatedDeviceType::X86IoApic, kPc, 0xfec0'0000},
    {EmulatedDeviceType::X86Pit, kPc, 0x40},
};
constexpr u64 kPcConsolePort = 0x3f8;

// What a PC has below 4 GiB besides RAM: APICs, HPET and firmware.
constexpr u64 kPcDevicesBase = 0xfec0'0000, kPcDevicesEnd = 4_GiB;
// Real-mode code, boot parameters and the start of secondary CPUs need RAM here.
constexpr u64 kPcLowMemory = 1_MiB;

std::string_view name_of(KernelFormat format) {
  constexpr std::string_view kNames[] = {"flat binary", "arm64 Image", "bzImage", "ELF file"};
  return kNames[static_cast<usize>(format)];
}

class MachineChecker {
 public:
  MachineChecker(const Board& board, const Vm& vm, Diagnostics& diagnostics)
      : board_(board), vm_(vm), doc_(vm.document()), diagnostics_(diagnostics) {}

  void run() {
    images_from_disk();
    emulated_devices();
    if (board_.target->arch == kPc) {
      pc_memory();
      pc_has_no_device_tree();
      if (!vm_.config().bios.present()) pc_kernel();
      if (vm_.config().bios.present() && vm_.config().kernel_places_itself)
        needs_load_address("a kernel behind a BIOS");
    } else {
      not_on_arm();
    }
  }

 private:
  std::string this_board() const { return fmt::format("this board is {}", board_.target->arch); }

  void images_from_disk() {
    for (const ImageReference& image : vm_.images()) {
      if (image.source != ImageSource::GuestFs) continue;
      if (!board_.has_feature("fs")) {
        diagnostics_
            .error(image.where, fmt::format("'{}' comes from a disk (image_location = \"fs\"), which needs feature fs", image.text))
            .note(doc_.where("kernel.image_location"), "image_location is here")
            .fix("add \"fs\" to the board's features, or use image_location = \"memory\" and a path on the building machine");
      } else if (!image.text.starts_with('/')) {
        diagnostics_.error(image.where, fmt::format("'{}' is a path on a disk of the machine and must be absolute", image.text))
            .fix(fmt::format("write \"/{}\"", image.text));
      }
    }
  }

  // ---- Arm

  void not_on_arm() {
    if (vm_.image(ConfigKey::BiosPath) != nullptr) {
      diagnostics_.error(doc_.where("kernel.bios_path"), fmt::format("bios_path is for x86_64 only, {}", this_board()))
          .fix("remove it, or set enable_bios = false");
    }
    if (!vm_.config().passthrough_ports.empty()) {
      diagnostics_
          .error(doc_.where("devices.passthrough_ports"),
                 fmt::format("I/O ports exist on x86_64 only, {}", this_board()))
          .fix("remove passthrough_ports");
    }
    if (vm_.config().boot_protocol == hv::BootProtocol::Multiboot) {
      diagnostics_
          .error(doc_.where("kernel.boot_protocol"), fmt::format("Multiboot is for x86_64 only, {}", this_board()))
          .fix("remove boot_protocol");
    }
    if (vm_.config().kernel_places_itself) needs_load_address("a kernel for " + std::string(board_.target->arch));
    const std::optional<KernelImage>& kernel = vm_.kernel();
    if (kernel && hv::carries_entry(kernel->format)) {
      diagnostics_
          .error(doc_.where("kernel.kernel_path"),
                 fmt::format("the kernel is {} {}: {} guests need an arm64 Image or a flat binary",
                             kernel->format == KernelFormat::Elf ? "an" : "a", name_of(kernel->format),
                             board_.target->arch))
          .fix(kernel->format == KernelFormat::Elf ? "make a flat binary of it: llvm-objcopy -O binary" : "");
    }
  }

  void needs_load_address(const std::string& what) {
    if (vm_.image(ConfigKey::KernelPath) == nullptr) return;  // the kernel is missing altogether, as was reported
    diagnostics_.error(doc_.where("kernel.kernel_path"), fmt::format("{} needs a kernel_load_addr", what))
        .fix("add kernel_load_addr = where the kernel expects to be");
  }

  // ---- PC

  void pc_memory() {
    const auto regions = vm_.config().memory;
    bool low = regions.empty();  // reported already
    for (usize i = 0; i < regions.size(); ++i) {
      const u64 base = regions[i].gpa.value(), end = base + regions[i].size;
      low |= base == 0 && end >= kPcLowMemory;
      if (base < kPcDevicesEnd && end > kPcDevicesBase) {
        diagnostics_
            .error(doc_.where("kernel.memory_regions", i),
                   fmt::format("the region {:#x} + {:#x} covers the APICs of a PC", base, regions[i].size))
            .fix(fmt::format("end it at {:#x} at the latest, and put more memory at {:#x}", kPcDevicesBase,
                             kPcDevicesEnd));
      }
    }
    if (!low) {
      diagnostics_.error(doc_.where("kernel.memory_regions"), "a PC needs RAM at address 0, 1 MiB at least")
          .fix("let a region start at 0x0");
    }
  }

  void pc_has_no_device_tree() {
    constexpr std::string_view kWhy = "PCs have no device tree";
    if (vm_.image(ConfigKey::DtbPath) != nullptr) {
      diagnostics_.error(doc_.where("kernel.dtb_path"), fmt::format("{}: the guest gets ACPI tables", kWhy))
          .fix("remove dtb_path");
    }
    const auto devices = vm_.config().passthrough_devices;
    for (usize i = 0; i < devices.size(); ++i) {
      if (!devices[i].by_path) continue;
      diagnostics_
          .error(doc_.where("devices.passthrough_devices", i),
                 fmt::format("'{}' is a device-tree path, and {}", devices[i].name, kWhy))
          .fix("write an address range: [name, base_gpa, base_hpa, length, irq]");
    }
    if (!vm_.config().excluded_devices.empty()) {
      diagnostics_
          .error(doc_.where("devices.excluded_devices"), fmt::format("excluded_devices names paths, and {}", kWhy))
          .fix("remove excluded_devices");
    }
  }

  /// A kernel that is entered without a BIOS.
  void pc_kernel() {
    const std::optional<KernelImage>& kernel = vm_.kernel();
    if (!kernel) return;
    const bool multiboot = vm_.config().boot_protocol == hv::BootProtocol::Multiboot;
    const Position path = doc_.where("kernel.kernel_path");
    if (!kernel->problem.empty()) {
      diagnostics_.error(path, fmt::format("the kernel {}", kernel->problem));
      return;
    }
    switch (kernel->format) {
      case KernelFormat::Arm64Image: diagnostics_.error(path, "the kernel is an arm64 Image, " + this_board()); return;
      case KernelFormat::Flat: return pc_flat_kernel(multiboot);
      case KernelFormat::BzImage:
        if (multiboot) {
          diagnostics_
              .error(doc_.where("kernel.boot_protocol"), "the kernel is a bzImage, which is no Multiboot kernel")
              .fix("remove boot_protocol");
        }
        break;
      case KernelFormat::Elf: unused("kernel.kernel_load_addr", *kernel); break;
    }
    unused("kernel.entry_point", *kernel);
    kernel_in_memory(*kernel);
  }

  void pc_flat_kernel(bool multiboot) {
    if (vm_.config().kernel_places_itself) needs_load_address("a flat binary");
    if (!multiboot) {
      diagnostics_.error(doc_.where("kernel.kernel_path"), "nothing says how this flat binary is entered")
          .fix("add bios_path for a 16-bit stub, or boot_protocol = \"multiboot\" for 32-bit protected mode");
    }
  }

  void unused(std::string_view key, const KernelImage& kernel) {
    if (!doc_.has(key)) return;
    diagnostics_
        .warning(doc_.where(key),
                 fmt::format("the kernel's own header says this ({}): the key is not used", name_of(kernel.format)))
        .fix("remove it");
  }

  /// The shared rules know nothing of where a kernel places itself.
  void kernel_in_memory(const KernelImage& kernel) {
    const bool chosen = kernel.format == KernelFormat::BzImage && !vm_.config().kernel_places_itself;
    const u64 address = chosen ? vm_.config().kernel.load_address.value() : kernel.load_address;
    const Position where = doc_.where(chosen ? "kernel.kernel_load_addr" : "kernel.kernel_path");
    if (chosen && kernel.alignment == 0 && address != kernel.load_address) {
      diagnostics_
          .error(where, fmt::format("the kernel is not relocatable: it runs at {:#x} only", kernel.load_address))
          .fix("remove kernel_load_addr");
    } else if (chosen && kernel.alignment != 0 && address % kernel.alignment != 0) {
      diagnostics_
          .error(where, fmt::format("the load address {:#x} is no multiple of {:#x}, as the kernel's header demands",
                                    address, kernel.alignment))
          .fix(fmt::format("use {:#x}, or remove kernel_load_addr", kernel.load_address));
    }
    if (chosen) return;  // the shared rules look at the rest
    const bool fits = std::ranges::any_of(vm_.config().memory, [&](const hv::MemoryRegion& r) {
      return r.gpa.value() <= address && address + kernel.memory_size <= r.gpa.value() + r.size;
    });
    if (!fits) {
      diagnostics_
          .error(where, fmt::format("the kernel wants {:#x} bytes at {:#x}, where the VM has no such memory",
                                    kernel.memory_size, address))
          .note(doc_.where("kernel.memory_regions"), "its memory is here")
          .fix("enlarge the region");
    }
  }

  // ---- emulated devices

  void emulated_devices() {
    const auto devices = vm_.config().emulated_devices;
    for (usize i = 0; i < devices.size(); ++i) {
      const Position where = doc_.where("devices.emu_devices", i);
      const auto row = std::ranges::find(kArchDevices, devices[i].type, &ArchDevice::type);
      const bool console = devices[i].type == EmulatedDeviceType::Console;
      const bool pc = board_.target->arch == kPc;
      if (row != std::end(kArchDevices) && row->arch != board_.target->arch) {
        diagnostics_
            .error(where, fmt::format("'{}' is a device of {} machines, {}", devices[i].name, row->arch, this_board()))
            .fix("remove it");
      } else if (pc && (console || row != std::end(kArchDevices))) {
        pc_place(devices[i], console ? kPcConsolePort : row->pc_address, where);
      }
    }
  }

  void pc_place(const hv::EmulatedDevice& device, u64 address, Position where) {
    if (device.gpa.value() == address) return;
    diagnostics_
        .error(where, fmt::format("'{}' is at {:#x} in a PC, not at {:#x}", device.name, address, device.gpa.value()))
        .fix(fmt::format("write {:#x}, or remove the device: every VM has it", address));
  }

  const Board& board_;
  const Vm& vm_;
  const Document& doc_;
  Diagnostics& diagnostics_;
};

}  // namespace

void check_machine(const Board& board, const Vm& vm, Diagnostics& diagnostics) {
  MachineChecker(board, vm, diagnostics).run();
}

}  // namespace ax::config
