// A VM file turned into the VmConfig that the hypervisor works with, with the way back to its lines.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/config/checks.hpp"
#include "tools/config/document.hpp"
#include "tools/config/kernel_image.hpp"

namespace ax::config {

/// Where an image of a VM comes from.
enum class ImageSource : u8 {
  None,
  File,     ///< a file of the host, built in
  Product,  ///< "image:NAME", made by the build, built in
  GuestFs,  ///< a path on a disk of the machine
  Module,   ///< what the boot loader passes under this name
};

/// One image of a VM, as its file names it.
struct ImageReference {
  hv::ConfigKey key = hv::ConfigKey::KernelPath;
  ImageSource source = ImageSource::None;
  std::string text{};  ///< as written
  Position where{};
  std::string product{};         ///< NAME of a product
  std::filesystem::path path{};  ///< of a File, and of a Product once it is known; absolute
  u64 size = 0;                  ///< bytes that the guest's memory must have; 0 while the file does not exist
  std::optional<usize> index{};  ///< number of the embedded image

  bool embedded() const { return source == ImageSource::File || source == ImageSource::Product; }
};

/// One VM. `config` views the other members, so a Vm stays where it was made.
class Vm {
 public:
  /// `source` is how the description names its file inside the image: no path of the building machine.
  Vm(Document document, std::string source, Diagnostics& diagnostics);
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  const Document& document() const { return document_; }
  const hv::VmConfig& config() const { return config_; }
  u64 vm_type() const { return vm_type_; }
  bool has_id() const { return document_.has("base.id"); }
  void set_id(u32 id) { config_.id = id; }

  std::vector<ImageReference>& images() { return images_; }
  const std::vector<ImageReference>& images() const { return images_; }
  const ImageReference* image(hv::ConfigKey key) const;

  /// What the kernel's header says; nothing while the file does not exist.
  const std::optional<KernelImage>& kernel() const { return kernel_; }
  void set_kernel(std::optional<KernelImage> kernel) { kernel_ = kernel; }

  /// The line that a violation's place stands on.
  Position where(const hv::Place& place) const;
  /// Whether a value was read correctly: a rule is not worth reporting on one that was not.
  bool valid(const hv::Place& place) const;

 private:
  void decode_base();
  void decode_kernel(Diagnostics& diagnostics);
  void decode_devices(Diagnostics& diagnostics);
  void decode_pci(Diagnostics& diagnostics);
  void decode_bios(Diagnostics& diagnostics);
  void decode_checksums(Diagnostics& diagnostics);
  hv::Image image_of(hv::ConfigKey path_key, hv::ConfigKey load_key);

  Document document_;
  std::string source_;
  u64 vm_type_ = 0;
  std::string name_;
  std::string command_line_;
  std::vector<std::string> start_after_;
  std::vector<std::string_view> start_after_views_;
  std::vector<u64> phys_cpu_ids_;
  std::vector<u64> phys_cpu_sets_;
  std::vector<std::string> memory_names_;
  std::vector<hv::MemoryRegion> memory_;
  std::vector<std::string> device_names_;
  std::vector<hv::PassthroughDevice> passthrough_devices_;
  std::vector<hv::PassthroughRange> passthrough_ranges_;
  std::vector<hv::PassthroughRange> passthrough_ports_;
  std::vector<hv::PciAddress> passthrough_pci_;
  std::vector<std::pair<std::string, Position>> excluded_;
  std::vector<std::string_view> excluded_views_;
  std::vector<std::string> emulated_names_;
  std::vector<std::vector<u64>> emulated_arguments_;
  std::vector<hv::EmulatedDevice> emulated_;
  std::vector<ImageReference> images_;
  std::array<std::string, 4> checksums_;
  std::optional<KernelImage> kernel_;
  hv::VmConfig config_;
};

}  // namespace ax::config
