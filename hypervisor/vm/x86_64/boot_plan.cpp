#include "hypervisor/vm/x86_64/boot_plan.hpp"

#include <algorithm>

#include "hypervisor/config/kernel_format.hpp"
#include "hypervisor/vm/x86_64/boot_builder.hpp"
#include "hypervisor/vm/x86_64/multiboot_header.hpp"

namespace hv {
namespace {

constexpr Gpa kRealModeEnd{0x10'0000};

}  // namespace

BootStatus BootBuilder::add_image(Gpa to, std::span<const std::byte> bytes, u64 memory) {
  const GpaRange range{to, std::max<u64>(memory, bytes.size())};
  if (bank_of(request.ram, range) == nullptr)
    return reject(Error::OutOfRange, "an image does not fit into the memory at its address");
  if (overlaps_images(range)) return reject(Error::Overlap, "two images overlap");
  if (range.overlaps({boot_area::kBase, boot_area::kSize}))
    return reject(Error::Overlap, "an image covers the boot information at 0x10000");
  if (range.overlaps(kFirmwareTables)) return reject(Error::Overlap, "an image covers the ACPI tables at 0xe0000");
  if (!plan.pieces.push_back({to, bytes}) || !used_.push_back(range))
    return reject(Error::OutOfMemory, "the kernel has too many segments");
  return {};
}

bool BootBuilder::overlaps_images(GpaRange range) const {
  return std::ranges::any_of(used_, [&](const GpaRange& used) { return used.overlaps(range); });
}

BootStatus BootBuilder::add_ramdisk(Gpa limit) {
  if (request.ramdisk.empty()) return {};
  const u64 size = request.ramdisk.size();
  ramdisk = {request.config.ramdisk.load_address, size};
  if (ramdisk.base == Gpa(0)) {
    // In the range that goes on above 1 MiB, or else begins there, downwards from the limit, below everything that is there
    // already.
    const GpaRange* bank = nullptr;
    for (const GpaRange& one : request.ram)
      if (bank == nullptr && one.base < limit && one.end() > kHighMemory) bank = &one;
    if (bank == nullptr) return reject(Error::OutOfRange, "no room for the ramdisk");
    const Gpa bottom = std::max(bank->base, kHighMemory);
    Gpa top = std::min(limit, bank->end());
    for (bool moved = true; moved;) {
      moved = false;
      if (top < bottom || top - bottom < size) return reject(Error::OutOfRange, "no room for the ramdisk");
      ramdisk.base = (top - size).align_down(kPageSize);
      for (const GpaRange& used : used_) {
        if (!used.overlaps(ramdisk)) continue;
        top = used.base;
        moved = true;
      }
    }
  } else if (ramdisk.fits() && ramdisk.end() > limit) {
    return reject(Error::OutOfRange, "ramdisk_load_addr is higher than the kernel can reach");
  }
  return add_image(ramdisk.base, request.ramdisk, size);
}

BootStatus BootBuilder::add_command_line(usize limit) {
  const std::string_view text = request.config.command_line;
  if (text.size() > std::min(limit, boot_area::kMaxCommandLine))
    return reject(Error::OutOfRange, "the command line is longer than the kernel takes");
  std::memcpy(request.scratch.data() + boot_area::kCommandLine, text.data(), text.size());
  return {};
}

BootStatus BootBuilder::add_boot_area() {
  const GpaRange area{boot_area::kBase, boot_area::kSize};
  if (bank_of(request.ram, area) == nullptr) return reject(Error::OutOfRange, "an x86 guest needs memory at address 0");
  if (!plan.pieces.push_back({area.base, request.scratch.first(boot_area::kSize)}))
    return reject(Error::OutOfMemory, "the kernel has too many segments");
  return add_bios_data();
}

BootStatus BootBuilder::add_bios_data() {
  // Whoever loads something there has a BIOS of its own.
  if (overlaps_images({kBiosBaseMemory, sizeof(u16)})) return {};
  const auto base_memory = static_cast<u16>(memory_map().lower_kib());
  put(boot_area::kSize, base_memory);
  if (!plan.pieces.push_back({kBiosBaseMemory, request.scratch.subspan(boot_area::kSize, sizeof base_memory)}))
    return reject(Error::OutOfMemory, "the kernel has too many segments");
  return {};
}

BootStatus plan_bios(BootBuilder& builder) {
  const VmConfig& config = builder.request.config;
  if (auto status = builder.add_image(config.kernel.load_address, builder.request.kernel, 0); !status) return status;
  if (auto status = builder.add_image(config.bios.load_address, builder.request.bios, 0); !status) return status;
  if (auto status = builder.add_ramdisk(Gpa(4_GiB)); !status) return status;
  if (config.entry_point >= kRealModeEnd)
    return reject(Error::OutOfRange, "entry_point cannot be reached in real mode");
  // Segment 0 as far as it reaches, because stubs are linked at the address they run at.
  constexpr u64 kSegmentSize = 0x1'0000;
  const u64 entry = config.entry_point.value();
  builder.plan.start = {.mode = StartState::Mode::Real16,
                        .rip = entry % kSegmentSize,
                        .real_segment = static_cast<u16>(align_down(entry, kSegmentSize) >> 4)};
  // A stub that keeps EAX and EBX starts a Multiboot kernel.
  return describe_for_multiboot(builder);
}

std::expected<BootPlan, LayoutError> plan_x86_boot(const BootRequest& request) {
  BootBuilder builder(request);
  const KernelFormat format = kernel_format(request.kernel);
  const bool multiboot = request.config.boot_protocol == BootProtocol::Multiboot;
  const auto run = [&]() -> BootStatus {
    if (!request.bios.empty()) return plan_bios(builder);
    if (format == KernelFormat::Elf) return plan_elf(builder);
    if (format == KernelFormat::BzImage && !multiboot) return plan_bzimage(builder);
    if (format == KernelFormat::Flat && (multiboot || MultibootHeader::find(request.kernel)))
      return plan_flat_multiboot(builder);
    if (format == KernelFormat::Arm64Image) return reject(Error::NotSupported, "the kernel is an arm64 Image");
    if (format == KernelFormat::BzImage) return reject(Error::NotSupported, "a bzImage is no Multiboot kernel");
    return reject(
        Error::NotSupported,
        "the kernel is neither a bzImage nor an ELF file, and has neither a Multiboot header nor a bios_path");
  };
  if (const BootStatus status = run(); !status) return std::unexpected(status.error());
  return builder.plan;
}

}  // namespace hv
