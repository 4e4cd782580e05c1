#include "hypervisor/vm/boot_layout.hpp"

#include <algorithm>
#include <array>

namespace hv {
namespace {

// Linux maps the device tree with one 2 MiB block and wants it within reach of the kernel.
constexpr u64 kFdtRoom = 2_MiB;
constexpr u64 kFdtReach = 512_MiB;

constexpr usize kHeaderSize = 64;
constexpr usize kTextOffsetAt = 8;
constexpr usize kImageSizeAt = 16;
constexpr usize kFlagsAt = 24;  // bits 1 and 2: the granule
constexpr usize kMagicAt = 56;
constexpr u32 kMagic = 0x644d'5241;  // "ARM\x64"

// The last page of the device tree's room, unless the tree might need it.
void take_stolen_time(BootLayout& layout) {
  constexpr u64 kTreeNeeds = 256_KiB;
  const Gpa page = layout.fdt.end().align_down(kPageSize) - kPageSize;
  if (layout.fdt.size < kTreeNeeds + 2 * kPageSize) return;
  layout.stolen_time = {page, kPageSize};
  layout.fdt.size = page - layout.fdt.base;
}

GpaRange default_fdt(const GpaRange& bank) {
  const u64 reach = std::min(bank.size, kFdtReach);
  if (reach < kFdtRoom) return {};
  return {(bank.base + (reach - kFdtRoom)).align_down(kFdtRoom), kFdtRoom};
}

// Up to the next thing in the bank, and at most what Linux can map.
u64 room_at(Gpa address, const GpaRange& bank, std::initializer_list<GpaRange> others) {
  Gpa limit = bank.end();
  for (const GpaRange& other : others)
    if (!other.empty() && other.base >= address) limit = std::min(limit, other.base);
  return std::min(limit - address, kFdtRoom);
}

}  // namespace

const GpaRange* bank_of(std::span<const GpaRange> ram, GpaRange range) {
  for (const GpaRange& bank : ram)
    if (range.fits() && bank.contains(range)) return &bank;
  return nullptr;
}

u64 little_endian(std::span<const std::byte> bytes, usize at, usize size) {
  u64 value = 0;
  for (usize i = 0; i < size; ++i) value |= std::to_integer<u64>(bytes[at + i]) << (8 * i);
  return value;
}

std::optional<Arm64Image> Arm64Image::parse(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderSize || little_endian(bytes, kMagicAt, 4) != kMagic) return std::nullopt;
  return Arm64Image{.text_offset = little_endian(bytes, kTextOffsetAt, 8),
                    .image_size = little_endian(bytes, kImageSizeAt, 8),
                    .granule = static_cast<unsigned>(little_endian(bytes, kFlagsAt, 1) >> 1 & 3)};
}

std::string_view Arm64Image::why_not_on(u64 mmfr0) const {
  // Arm ARM D19.2.64: TGran4, TGran16 and TGran64 say each in its way that a granule is absent.
  constexpr struct {
    unsigned field;
    u64 absent;
    std::string_view text;
  } kGranules[] = {{28, 15, "has a kernel with 4 KiB pages, which this CPU lacks"},
                   {20, 0, "has a kernel with 16 KiB pages, which this CPU lacks"},
                   {24, 15, "has a kernel with 64 KiB pages, which this CPU lacks"}};
  if (granule == 0) return {};
  const auto& pages = kGranules[granule - 1];
  return (mmfr0 >> pages.field & 15) == pages.absent ? pages.text : std::string_view();
}

std::expected<BootLayout, LayoutError> plan_boot(const VmConfig& config, std::span<const GpaRange> ram,
                                                 const BootImages& images) {
  BootLayout layout;
  layout.entry = config.entry_point;

  const u64 announced = images.kernel_header ? images.kernel_header->image_size : 0;
  layout.kernel = {config.kernel.load_address, std::max(images.kernel_size, announced)};
  const GpaRange* bank = bank_of(ram, layout.kernel);
  if (bank == nullptr) return reject(Error::OutOfRange, "the kernel does not fit into the memory at kernel_load_addr");
  if (!bank->contains(layout.entry)) return reject(Error::OutOfRange, "entry_point is not in the kernel's memory");

  const bool fdt_configured = config.dtb.load_address != Gpa(0);
  if (images.ramdisk_size != 0 && config.ramdisk.load_address != Gpa(0)) {
    layout.ramdisk = {config.ramdisk.load_address, images.ramdisk_size};
  }
  if (fdt_configured) {
    const Gpa at = config.dtb.load_address;
    const GpaRange* fdt_bank = bank_of(ram, {at, 1});
    if (fdt_bank == nullptr) return reject(Error::OutOfRange, "dtb_load_addr is outside the memory");
    layout.fdt = {at, room_at(at, *fdt_bank, {layout.kernel, layout.ramdisk})};
  } else {
    layout.fdt = default_fdt(*bank);
    if (layout.fdt.empty() || layout.fdt.base < bank->base) return reject(Error::OutOfRange, "no room for the device tree");
  }
  if (layout.fdt.overlaps(layout.kernel)) return reject(Error::Overlap, "the device tree would overwrite the kernel");

  if (images.ramdisk_size != 0 && layout.ramdisk.empty()) {
    const Gpa top = fdt_configured ? bank->end() : layout.fdt.base;
    if (top - bank->base < images.ramdisk_size) return reject(Error::OutOfRange, "no room for the ramdisk");
    layout.ramdisk = {(top - images.ramdisk_size).align_down(kPageSize), images.ramdisk_size};
  }
  if (!layout.ramdisk.empty()) {
    if (bank_of(ram, layout.ramdisk) == nullptr)
      return reject(Error::OutOfRange, "the ramdisk does not fit into the memory at ramdisk_load_addr");
    if (layout.ramdisk.overlaps(layout.kernel)) return reject(Error::Overlap, "the ramdisk would overwrite the kernel");
    if (layout.ramdisk.overlaps(layout.fdt)) return reject(Error::Overlap, "the ramdisk would overwrite the device tree");
  }
  take_stolen_time(layout);
  return layout;
}

}  // namespace hv
