// An EFI program with an arm64 Image inside: loads the Image, hands it the machine's device tree, and is gone. It runs at EL2 on
// the firmware's identity map and leaves as the arm64 boot protocol wants it: MMU and data cache off, x0 = device tree.
//
// UEFI 2.9: 4 (system table), 7.2 (memory), 7.4 (ExitBootServices), 2.3.6 (AArch64). Linux Documentation/arch/arm64/booting.rst.

using u32 = unsigned int;
using u64 = unsigned long long;
using Status = u64;
using Handle = void*;

extern "C" const unsigned char axvisor_image[];
extern "C" const unsigned char axvisor_image_end[];
/// Cleans [begin, end) to the point of coherency, turns MMU and caches off, and jumps to `entry` with x0 = `fdt`.
extern "C" [[noreturn]] void leave(const void* fdt, const void* entry, const void* begin, const void* end);

namespace {

struct Guid {
  u64 low;
  u64 high;
};
constexpr Guid kDeviceTreeTable{0x41a5'f19c'b1b6'21d5, 0xe0aa'692c'15d9'0b83};  // b1b621d5-f19c-41a5-830b-d9152c69aae0

struct ConfigurationEntry {
  Guid guid;
  const void* table;
};

struct TextOutput {
  void* reset;
  Status (*output_string)(TextOutput*, const char16_t*);
};

/// EFI_BOOT_SERVICES: only what is called has a type.
struct BootServices {
  unsigned char header[24];
  void* raise_tpl;
  void* restore_tpl;
  Status (*allocate_pages)(u32 type, u32 memory_type, u64 pages, u64* address);
  void* free_pages;
  Status (*get_memory_map)(u64* size, void* map, u64* key, u64* descriptor_size, u32* version);
  void* others[21];
  Status (*exit_boot_services)(Handle image, u64 key);
};
static_assert(__builtin_offsetof(BootServices, exit_boot_services) == 24 + 26 * 8);

struct SystemTable {
  unsigned char header[24];
  const char16_t* vendor;
  u64 revision;
  void* console[3];  // input handle and protocol, output handle
  TextOutput* output;
  void* error[2];
  void* runtime;
  BootServices* boot;
  u64 entries;
  const ConfigurationEntry* configuration;
};
static_assert(__builtin_offsetof(SystemTable, output) == 64 && __builtin_offsetof(SystemTable, configuration) == 112);

/// The start of an arm64 Image.
struct ImageHeader {
  u32 code[2];
  u64 text_offset;
  u64 image_size;  ///< bytes in memory, zeroed data included
};

constexpr u32 kAnyPages = 0;
constexpr u32 kLoaderData = 2;
constexpr u64 kPage = 4096;
constexpr u64 kAlignment = 2 << 20;
constexpr Status kFailed = 1ULL << 63 | 1;  // EFI_LOAD_ERROR

Status fail(const SystemTable& system, const char16_t* why) {
  system.output->output_string(system.output, why);
  return kFailed;
}

const void* device_tree(const SystemTable& system) {
  for (u64 i = 0; i < system.entries; ++i) {
    const ConfigurationEntry& entry = system.configuration[i];
    if (entry.guid.low == kDeviceTreeTable.low && entry.guid.high == kDeviceTreeTable.high) {
      return entry.table;
    }
  }
  return nullptr;
}

/// The map's key changes with every allocation, so it is asked for last, and once more where the firmware moved meanwhile.
bool exit_firmware(const SystemTable& system, Handle image) {
  alignas(16) static unsigned char map[64 << 10];
  for (int attempt = 0; attempt < 2; ++attempt) {
    u64 size = sizeof map;
    u64 key = 0;
    u64 descriptor_size = 0;
    u32 version = 0;
    if (system.boot->get_memory_map(&size, map, &key, &descriptor_size, &version) != 0) {
      return false;
    }
    if (system.boot->exit_boot_services(image, key) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

extern "C" Status efi_main(Handle image, SystemTable* system) {
  const void* const fdt = device_tree(*system);
  if (fdt == nullptr) {
    return fail(*system, u"axvisor: the firmware has no device tree (ACPI alone is not enough)\r\n");
  }
  const auto& header = *reinterpret_cast<const ImageHeader*>(axvisor_image);
  u64 base = 0;
  const u64 pages = (header.text_offset + header.image_size + kAlignment) / kPage;
  if (system->boot->allocate_pages(kAnyPages, kLoaderData, pages, &base) != 0) {
    return fail(*system, u"axvisor: no memory for the image\r\n");
  }
  auto* const target = reinterpret_cast<unsigned char*>((base + kAlignment - 1) / kAlignment * kAlignment + header.text_offset);
  const u64 size = static_cast<u64>(axvisor_image_end - axvisor_image);
  for (u64 i = 0; i < header.image_size; ++i) {
    target[i] = i < size ? axvisor_image[i] : 0;
  }
  if (!exit_firmware(*system, image)) {
    return fail(*system, u"axvisor: the firmware does not let go\r\n");
  }
  leave(fdt, target, target, target + header.image_size);
}
