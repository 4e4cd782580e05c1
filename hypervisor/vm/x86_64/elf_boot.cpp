// ELF kernels, entered as PVH guests (Xen's hvm_start_info) or through Multiboot 1 (the Multiboot specification,
// 0.6.96).
#include <algorithm>

#include "hypervisor/vm/x86_64/boot_builder.hpp"
#include "hypervisor/vm/x86_64/elf_image.hpp"
#include "hypervisor/vm/x86_64/multiboot_header.hpp"

namespace hv {
namespace {

constexpr Gpa kEnd32{4_GiB};

// ---- PVH -------------------------------------------------------------------------------------------------------------

struct HvmStartInfo {
  u32 magic = 0x336e'c578;
  u32 version = 1;
  u32 flags = 0;
  u32 module_count = 0;
  u64 modules = 0;
  u64 command_line = 0;
  u64 rsdp = 0;
  u64 memory_map = 0;
  u32 memory_map_entries = 0;
  u32 reserved = 0;
};
static_assert(sizeof(HvmStartInfo) == 56);
struct HvmModule {
  u64 address, size, command_line, reserved;
};
struct HvmMemoryMapEntry {
  u64 address, size;
  u32 type, reserved;
};
static_assert(sizeof(HvmModule) == 32 && sizeof(HvmMemoryMapEntry) == 24);

// Places in the information page.
constexpr usize kModules = 0x80, kMemoryMap = 0x100;
static_assert(kMemoryMap + MemoryMap::kMaxEntries * sizeof(HvmMemoryMapEntry) <= boot_area::kGdt);

void build_start_info(BootBuilder& builder) {
  HvmStartInfo info;
  if (!builder.ramdisk.empty()) {
    info.module_count = 1;
    info.modules = builder.address_of(kModules).value();
    builder.put(kModules, HvmModule{builder.ramdisk.base.value(), builder.ramdisk.size, 0, 0});
  }
  info.command_line = builder.address_of(boot_area::kCommandLine).value();
  info.rsdp = builder.request.rsdp.value();
  info.memory_map = builder.address_of(kMemoryMap).value();
  const MemoryMap map = builder.memory_map();
  for (const MemoryMapEntry& entry : map.entries()) {
    const usize at = kMemoryMap + info.memory_map_entries++ * sizeof(HvmMemoryMapEntry);
    builder.put(at, HvmMemoryMapEntry{entry.range.base.value(), entry.range.size, static_cast<u32>(entry.type), 0});
  }
  builder.put(boot_area::kInformation, info);
}

// ---- Multiboot -------------------------------------------------------------------------------------------------------

constexpr u32 kLoaderMagic = 0x2bad'b002;
// Bits 0 to 15 of the header's flags must be understood: aligned modules, memory information, video mode (a wish).
constexpr u32 kMandatory = 0xffff, kKnown = 1 << 0 | 1 << 1 | 1 << 2;

struct MultibootInfo {
  enum Flag : u32 {
    kHasMemory = 1 << 0,
    kHasCommandLine = 1 << 2,
    kHasModules = 1 << 3,
    kHasMemoryMap = 1 << 6,
    kHasLoaderName = 1 << 9
  };
  u32 flags = 0;
  u32 lower_kib = 0, upper_kib = 0;
  u32 boot_device = 0;
  u32 command_line = 0;
  u32 module_count = 0, modules = 0;
  u32 symbols[4] = {};
  u32 memory_map_length = 0, memory_map = 0;
  u32 drives_length = 0, drives = 0;
  u32 configuration_table = 0;
  u32 loader_name = 0;
  u32 apm_table = 0;
  u32 video[6] = {};  // VBE, which there is none of
};
static_assert(sizeof(MultibootInfo) == 96);
struct MultibootModule {
  u32 begin, end, text, reserved;
};
struct [[gnu::packed]] MultibootMemory {
  u32 size;  ///< of what follows
  u64 address, length;
  u32 type;
};
static_assert(sizeof(MultibootModule) == 16 && sizeof(MultibootMemory) == 24);

constexpr char kLoaderNameText[] = "AxVisor";
constexpr usize kLoaderName = 0xc0;

/// The flags of the header, if there is one.
std::optional<u32> multiboot_flags(std::span<const std::byte> file) {
  const auto header = MultibootHeader::find(file);
  return header ? std::optional(header->flags) : std::nullopt;
}

void build_multiboot_info(BootBuilder& builder) {
  const MemoryMap map = builder.memory_map();
  MultibootInfo info;
  info.flags = MultibootInfo::kHasMemory | MultibootInfo::kHasCommandLine | MultibootInfo::kHasMemoryMap |
               MultibootInfo::kHasLoaderName;
  info.lower_kib = map.lower_kib();
  info.upper_kib = map.upper_kib();
  info.command_line = builder.address32_of(boot_area::kCommandLine);
  if (!builder.ramdisk.empty()) {
    info.flags |= MultibootInfo::kHasModules;
    info.module_count = 1;
    info.modules = builder.address32_of(kModules);
    const u32 begin = static_cast<u32>(builder.ramdisk.base.value());
    // Its text is empty: the zero that the boot area is full of.
    builder.put(kModules, MultibootModule{begin, begin + static_cast<u32>(builder.ramdisk.size),
                                          builder.address32_of(boot_area::kGdt), 0});
  }
  info.memory_map = builder.address32_of(kMemoryMap);
  for (const MemoryMapEntry& entry : map.entries()) {
    builder.put(kMemoryMap + info.memory_map_length,
                MultibootMemory{sizeof(MultibootMemory) - sizeof(u32), entry.range.base.value(), entry.range.size,
                                static_cast<u32>(entry.type)});
    info.memory_map_length += sizeof(MultibootMemory);
  }
  info.loader_name = builder.address32_of(kLoaderName);
  builder.put(kLoaderName, kLoaderNameText);
  builder.put(boot_area::kInformation, info);
}

BootStatus describe_for_pvh(BootBuilder& builder) {
  if (auto status = builder.add_command_line(boot_area::kMaxCommandLine); !status) return status;
  build_start_info(builder);
  builder.plan.start.rbx = builder.address_of(boot_area::kInformation).value();
  return builder.add_boot_area();
}

/// What both formats have in common once the kernel itself is placed.
BootStatus finish(BootBuilder& builder, bool pvh, u64 entry) {
  if (entry >= kEnd32.value()) return reject(Error::OutOfRange, "the kernel's entry point is above 4 GiB");
  if (bank_of(builder.request.ram, {Gpa(entry), 1}) == nullptr)
    return reject(Error::OutOfRange, "the kernel's entry point is not in the memory");
  if (auto status = builder.add_ramdisk(kEnd32); !status) return status;
  builder.plan.start = {.mode = StartState::Mode::Protected32, .rip = entry};
  return pvh ? describe_for_pvh(builder) : describe_for_multiboot(builder);
}

BootStatus check_flags(std::optional<u32> flags) {
  if (flags && (*flags & kMandatory & ~kKnown) != 0)
    return reject(Error::NotSupported, "the kernel's Multiboot header wants what is not there");
  return {};
}

std::optional<MultibootHeader> header_with_addresses(std::span<const std::byte> file) {
  const auto header = MultibootHeader::find(file);
  return header && header->has_addresses() ? header : std::nullopt;
}

BootStatus plan_by_header(BootBuilder& builder, const MultibootHeader& header) {
  const auto placement = header.placement(builder.request.kernel);
  if (!placement) return std::unexpected(placement.error());
  if (auto status = builder.add_image(placement->load, placement->bytes, placement->memory_size); !status)
    return status;
  return finish(builder, false, placement->entry);
}

}  // namespace

BootStatus describe_for_multiboot(BootBuilder& builder) {
  if (auto status = builder.add_command_line(boot_area::kMaxCommandLine); !status) return status;
  build_multiboot_info(builder);
  builder.plan.start.rax = kLoaderMagic;
  builder.plan.start.rbx = builder.address_of(boot_area::kInformation).value();
  return builder.add_boot_area();
}

BootStatus plan_elf(BootBuilder& builder) {
  const BootRequest& request = builder.request;
  const auto image = ElfImage::parse(request.kernel);
  if (!image) return std::unexpected(image.error());
  const std::optional<u32> flags = multiboot_flags(request.kernel);
  const bool wants_multiboot = request.config.boot_protocol == BootProtocol::Multiboot;
  const std::optional<u32> pvh = wants_multiboot ? std::nullopt : image->pvh_entry;
  if (!pvh && !wants_multiboot && !flags) {
    return reject(Error::NotSupported, "the kernel is an ELF file without a PVH note or a Multiboot header");
  }
  if (!pvh) {
    if (auto status = check_flags(flags); !status) return status;
    if (const auto header = header_with_addresses(request.kernel)) return plan_by_header(builder, *header);
  }
  for (const ElfSegment& segment : image->segments) {
    if (auto status = builder.add_image(segment.address, segment.bytes, segment.memory_size); !status) return status;
  }
  return finish(builder, pvh.has_value(), pvh ? *pvh : image->entry);
}

BootStatus plan_flat_multiboot(BootBuilder& builder) {
  const BootRequest& request = builder.request;
  if (auto status = check_flags(multiboot_flags(request.kernel)); !status) return status;
  if (const auto header = header_with_addresses(request.kernel)) return plan_by_header(builder, *header);
  if (auto status = builder.add_image(request.config.kernel.load_address, request.kernel, 0); !status) return status;
  return finish(builder, false, request.config.entry_point.value());
}

}  // namespace hv
