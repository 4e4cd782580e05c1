#include "tools/config/vm.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ax::config {
namespace {

using hv::ConfigKey;

constexpr std::string_view kProductPrefix = "image:";

std::vector<hv::PassthroughRange> ranges_of(const Document& doc, std::string_view path) {
  std::vector<hv::PassthroughRange> out;
  for (const Row& row : doc.rows(path)) out.push_back({Gpa(row.integer("base")), row.integer("length")});
  return out;
}

}  // namespace

Vm::Vm(Document document, std::string source, Diagnostics& diagnostics)
    : document_(std::move(document)), source_(std::move(source)) {
  config_.source = source_;
  decode_base();
  decode_kernel(diagnostics);
  decode_devices(diagnostics);
}

void Vm::decode_base() {
  const Document& doc = document_;
  vm_type_ = doc.integer("base.vm_type");
  name_ = doc.text("base.name");
  phys_cpu_ids_ = doc.integers("base.phys_cpu_ids");
  phys_cpu_sets_ = doc.integers("base.phys_cpu_sets");
  config_.id = static_cast<u32>(doc.integer("base.id"));
  config_.name = name_;
  config_.cpu_count = static_cast<u32>(doc.integer("base.cpu_num"));
  config_.phys_cpu_ids = phys_cpu_ids_;
  config_.phys_cpu_sets = phys_cpu_sets_;
  config_.exclusive_cpus = doc.boolean("base.exclusive");
  config_.priority = static_cast<u8>(doc.integer("base.priority"));
  config_.time_slice_us = static_cast<u32>(doc.integer("base.time_slice_us"));
  config_.budget_us = static_cast<u32>(doc.integer("base.budget_us"));
  config_.period_us = static_cast<u32>(doc.integer("base.period_us"));
  config_.on_crash = static_cast<hv::CrashPolicy>(doc.choice("base.on_crash").number);
  config_.watchdog_ms = static_cast<u32>(doc.integer("base.watchdog_ms"));
  config_.start = static_cast<hv::StartPolicy>(doc.choice("base.start").number);
  start_after_ = doc.strings("base.start_after");
  start_after_views_.assign(start_after_.begin(), start_after_.end());
  config_.start_after = start_after_views_;
}

void Vm::decode_kernel(Diagnostics& diagnostics) {
  const Document& doc = document_;
  command_line_ = doc.text("kernel.cmdline");
  config_.command_line = command_line_;
  config_.strict_addresses = doc.boolean("kernel.strict");
  config_.boot_protocol = static_cast<hv::BootProtocol>(doc.choice("kernel.boot_protocol").number);
  config_.kernel_places_itself = !doc.has("kernel.kernel_load_addr");
  // Not built: reading them is what refuses them.
  doc.has("kernel.uefi_firmware_path");
  doc.has("kernel.disk_path");

  images_.reserve(4);  // hv::Image views the texts
  config_.kernel = image_of(ConfigKey::KernelPath, ConfigKey::KernelLoadAddr);
  config_.dtb = image_of(ConfigKey::DtbPath, ConfigKey::DtbLoadAddr);
  config_.ramdisk = image_of(ConfigKey::RamdiskPath, ConfigKey::RamdiskLoadAddr);
  decode_bios(diagnostics);
  decode_checksums(diagnostics);

  const bool has_entry = doc.has("kernel.entry_point");
  config_.entry_point = Gpa(doc.integer(has_entry ? "kernel.entry_point" : "kernel.kernel_load_addr"));
  for (const Row& row : doc.rows("kernel.memory_regions")) memory_names_.push_back(row.text("shared"));
  for (const Row& row : doc.rows("kernel.memory_regions")) {
    memory_.push_back({Gpa(row.integer("base")), row.integer("size"), hv::MemoryFlags::from_bits(row.integer("flags")),
                       static_cast<hv::MapType>(row.integer("map_type")), memory_names_[memory_.size()]});
  }
  config_.memory = memory_;
}

void Vm::decode_bios(Diagnostics& diagnostics) {
  const Document& doc = document_;
  const bool named = doc.has("kernel.bios_path");
  const bool enabled = doc.has("kernel.enable_bios") ? doc.boolean("kernel.enable_bios") : named;
  if (enabled && !named) {
    diagnostics.error(doc.where("kernel.enable_bios"), "enable_bios = true, but there is no bios_path")
        .fix("add bios_path and bios_load_addr: no BIOS is built in");
  }
  const bool placed = doc.has("kernel.bios_load_addr");
  if (enabled && named && !placed) {
    diagnostics.error(doc.where("kernel.bios_path"), "bios_path needs a bios_load_addr")
        .fix("add bios_load_addr = 0x8000 or where the code expects to be");
  }
  if (enabled && named && placed) config_.bios = image_of(ConfigKey::BiosPath, ConfigKey::BiosLoadAddr);
}

void Vm::decode_checksums(Diagnostics& diagnostics) {
  constexpr usize kDigits = 64;
  const std::pair<std::string_view, hv::Image*> images[] = {{"kernel.kernel_sha256", &config_.kernel},
                                                            {"kernel.dtb_sha256", &config_.dtb},
                                                            {"kernel.ramdisk_sha256", &config_.ramdisk},
                                                            {"kernel.bios_sha256", &config_.bios}};
  for (usize i = 0; i < std::size(images); ++i) {
    const auto& [key, image] = images[i];
    checksums_[i] = document_.text(key);
    const std::string& digits = checksums_[i];
    if (!digits.empty() && (digits.size() != kDigits || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)) {
      diagnostics.error(document_.where(key), fmt::format("'{}' is no SHA-256", digits)).fix("write the 64 hexadecimal digits that sha256sum prints");
    }
    image->sha256 = digits;
  }
}

hv::Image Vm::image_of(ConfigKey path_key, ConfigKey load_key) {
  const std::string_view key = hv::toml_path(path_key);
  const auto location = static_cast<hv::ImageLocation>(document_.choice("kernel.image_location").number);
  hv::Image image;
  image.load_address = Gpa(document_.integer(hv::toml_path(load_key)));
  image.location = location;
  const std::string text = document_.text(key);
  if (text.empty()) return image;

  ImageReference& reference =
      images_.emplace_back(ImageReference{.key = path_key, .text = text, .where = document_.where(key)});
  if (text.starts_with(kProductPrefix)) {
    reference.source = ImageSource::Product;
    reference.product = text.substr(kProductPrefix.size());
    image.location = hv::ImageLocation::Memory;
  } else if (location != hv::ImageLocation::Memory) {
    reference.source = location == hv::ImageLocation::Fs ? ImageSource::GuestFs : ImageSource::Module;
  } else {
    reference.source = ImageSource::File;
    reference.path = document_.file().path().parent_path() / text;
  }
  image.path = reference.text;
  return image;
}

void Vm::decode_devices(Diagnostics& diagnostics) {
  const Document& doc = document_;
  config_.interrupt_mode = static_cast<hv::InterruptMode>(doc.choice("devices.interrupt_mode").number);
  doc.choice("devices.address_space_policy");  // only one value is built: the check is what reading it means

  for (const Row& row : doc.rows("devices.passthrough_devices")) device_names_.push_back(row.text("name"));
  for (const Row& row : doc.rows("devices.passthrough_devices")) {
    const std::string& name = device_names_[passthrough_devices_.size()];
    const u64 length = row.integer("length");
    passthrough_devices_.push_back({name, length == 0 && name.starts_with('/'), Gpa(row.integer("base_gpa")),
                                    Hpa(row.integer("base_hpa")), length, static_cast<u32>(row.integer("irq"))});
  }
  passthrough_ranges_ = ranges_of(doc, "devices.passthrough_addresses");
  passthrough_ports_ = ranges_of(doc, "devices.passthrough_ports");
  decode_pci(diagnostics);
  excluded_ = doc.paths("devices.excluded_devices");
  for (const auto& [path, where] : excluded_) excluded_views_.push_back(path);

  for (const Row& row : doc.rows("devices.emu_devices")) {
    emulated_names_.push_back(row.text("name"));
    emulated_arguments_.push_back(row.integers("config"));
  }
  for (const Row& row : doc.rows("devices.emu_devices")) {
    const usize i = emulated_.size();
    emulated_.push_back({emulated_names_[i], Gpa(row.integer("base_gpa")), row.integer("length"),
                         static_cast<u32>(row.integer("irq")), static_cast<hv::EmulatedDeviceType>(row.integer("type")),
                         emulated_arguments_[i]});
  }
  config_.passthrough_devices = passthrough_devices_;
  config_.passthrough_ranges = passthrough_ranges_;
  config_.passthrough_ports = passthrough_ports_;
  config_.excluded_devices = excluded_views_;
  config_.emulated_devices = emulated_;
}

void Vm::decode_pci(Diagnostics& diagnostics) {
  constexpr std::string_view kPath = "devices.passthrough_pci";
  const std::vector<std::string> names = document_.strings(kPath);
  for (usize i = 0; i < names.size(); ++i) {
    const auto address = hv::parse_pci_address(names[i]);
    if (!address) {
      diagnostics.error(document_.where(kPath, i), fmt::format("'{}' is not a PCI function", names[i]))
          .fix("write segment, bus, device and function in hexadecimal: \"0000:00:03.0\"");
    }
    // What is wrong is equal to nothing else.
    passthrough_pci_.push_back(address.value_or(hv::PciAddress{.bus = static_cast<u8>(i), .device = 0xff}));
  }
  config_.passthrough_pci = passthrough_pci_;
  config_.allow_unprotected_dma = document_.boolean("devices.allow_unprotected_dma");
}

const ImageReference* Vm::image(ConfigKey key) const {
  const auto it = std::ranges::find(images_, key, &ImageReference::key);
  return it == images_.end() ? nullptr : &*it;
}

Position Vm::where(const hv::Place& place) const {
  const std::string_view path = hv::toml_path(place.key);
  if (place.index == hv::Place::kWholeValue) {
    // An entry point that follows the load address is wrong where that address stands.
    const bool implied = place.key == ConfigKey::EntryPoint && !document_.has(path);
    return document_.where(implied ? hv::toml_path(ConfigKey::KernelLoadAddr) : path);
  }
  if (place.key == ConfigKey::ExcludedDevices && place.index < excluded_.size()) return excluded_[place.index].second;
  return document_.where(path, place.index);
}

bool Vm::valid(const hv::Place& place) const {
  const std::string_view path = hv::toml_path(place.key);
  if (place.index == hv::Place::kWholeValue || place.key == ConfigKey::ExcludedDevices) return document_.valid(path);
  return document_.valid(path, place.index);
}

}  // namespace ax::config
