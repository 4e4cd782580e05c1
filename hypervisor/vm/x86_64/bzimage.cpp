// Linux bzImage through the 64-bit boot protocol (Linux Documentation/x86/boot.rst).
#include <algorithm>

#include "hypervisor/vm/x86_64/boot_builder.hpp"

namespace hv {
namespace {

// Offsets in the file, which are those in boot_params, too.
constexpr usize kSetupSectors = 0x1f1, kBootFlag = 0x1fe, kJumpLength = 0x201, kVersion = 0x206, kTypeOfLoader = 0x210,
                kLoadFlags = 0x211, kRamdiskImage = 0x218, kRamdiskSize = 0x21c, kCommandLinePointer = 0x228,
                kRamdiskMax = 0x22c, kAlignment = 0x230, kRelocatable = 0x234, kXLoadFlags = 0x236,
                kCommandLineSize = 0x238, kPreferredAddress = 0x258, kInitSize = 0x260, kHeaderEnd = 0x264;
// In boot_params only.
constexpr usize kRsdp = 0x070, kE820Count = 0x1e8, kE820Table = 0x2d0, kE820EntrySize = 20;

constexpr u64 kSectorSize = 512, kDefaultSetupSectors = 4;
constexpr u16 kBootFlagValue = 0xaa55, kFirst64BitVersion = 0x20c;
constexpr u8 kUndefinedLoader = 0xff, kLoadedHigh = 1 << 0, kHas64BitEntry = 1 << 0;
constexpr u64 kEntry64 = 0x200;

constexpr unsigned kPageDirectories = 4;  // of 1 GiB each
constexpr u64 kTablePresent = 1 << 0, kTableWritable = 1 << 1, kTableLarge = 1 << 7;
constexpr usize kEntriesPerTable = 512;

/// The first 4 GiB, one to one.
void build_page_tables(BootBuilder& builder) {
  using namespace boot_area;
  constexpr u64 kFlags = kTablePresent | kTableWritable;
  const auto entry = [&](usize table, usize index, u64 value) {
    builder.put(kPageTables + table * kPageSize + index * sizeof(u64), value);
  };
  entry(0, 0, builder.address_of(kPageTables + kPageSize).value() | kFlags);
  for (usize directory = 0; directory < kPageDirectories; ++directory) {
    const usize table = 2 + directory;
    entry(1, directory, builder.address_of(kPageTables + table * kPageSize).value() | kFlags);
    for (usize i = 0; i < kEntriesPerTable; ++i)
      entry(table, i, (directory * kEntriesPerTable + i) * 2_MiB | kFlags | kTableLarge);
  }
}
static_assert(boot_area::kPageTables + (2 + kPageDirectories) * kPageSize <= boot_area::kCommandLine);

/// Selectors 0x10 and 0x18, as the protocol asks.
void build_gdt(BootBuilder& builder, StartState& start) {
  constexpr u64 kGdt[] = {0, 0, 0x00af'9b00'0000'ffff /*64-bit code*/, 0x00cf'9300'0000'ffff /*data*/};
  builder.put(boot_area::kGdt, kGdt);
  start.gdt = {.base = builder.address_of(boot_area::kGdt).value(), .limit = sizeof kGdt - 1};
  start.code_selector = 0x10;
  start.data_selector = 0x18;
}

class BzImage {
 public:
  explicit BzImage(std::span<const std::byte> file) : file_(file) {}

  BootStatus check() const {
    if (file_.size() < kHeaderEnd || number(kBootFlag, 2) != kBootFlagValue)
      return reject(Error::Malformed, "the kernel is a damaged bzImage");
    if (number(kVersion, 2) < kFirst64BitVersion || (number(kXLoadFlags, 2) & kHas64BitEntry) == 0) {
      return reject(Error::NotSupported, "the kernel is a bzImage without a 64-bit entry point (boot protocol 2.12)");
    }
    if ((number(kLoadFlags, 1) & kLoadedHigh) == 0 || setup_size() >= file_.size())
      return reject(Error::Malformed, "the kernel is a damaged bzImage");
    return {};
  }

  u64 number(usize at, usize size) const { return little_endian(file_, at, size); }

  /// The real-mode part, which is not used but for its header.
  u64 setup_size() const {
    const u64 sectors = number(kSetupSectors, 1);
    return ((sectors == 0 ? kDefaultSetupSectors : sectors) + 1) * kSectorSize;
  }
  std::span<const std::byte> payload() const { return file_.subspan(setup_size()); }
  u64 memory_size() const { return std::max<u64>(number(kInitSize, 4), payload().size()); }

  /// What goes into boot_params: from setup_sects to the end that the header's own jump tells.
  std::span<const std::byte> header() const {
    const usize end = std::min<usize>({kBootFlag + 4 + number(kJumpLength, 1), kE820Table - 0x40, file_.size()});
    return file_.subspan(kSetupSectors, end - kSetupSectors);
  }

  std::expected<Gpa, LayoutError> load_address(const VmConfig& config) const {
    const Gpa preferred(number(kPreferredAddress, 8));
    const Gpa wanted = config.kernel_places_itself ? preferred : config.kernel.load_address;
    if (wanted == preferred) return wanted;
    const u64 alignment = number(kAlignment, 4);
    if (number(kRelocatable, 1) == 0)
      return reject(Error::OutOfRange, "the kernel cannot run at kernel_load_addr: it is not relocatable");
    if (!is_power_of_two(alignment) || !wanted.is_aligned(alignment))
      return reject(Error::Unaligned, "kernel_load_addr is not aligned as the kernel wants");
    return wanted;
  }

 private:
  std::span<const std::byte> file_;
};

/// The screen is left zero: there is none.
void build_parameters(BootBuilder& builder, const BzImage& image) {
  const std::span header = image.header();
  std::memcpy(builder.request.scratch.data() + boot_area::kInformation + kSetupSectors, header.data(), header.size());
  const auto put = [&](usize field, auto value) { builder.put(boot_area::kInformation + field, value); };
  put(kTypeOfLoader, kUndefinedLoader);
  put(kCommandLinePointer, builder.address32_of(boot_area::kCommandLine));
  put(kRamdiskImage, static_cast<u32>(builder.ramdisk.base.value()));
  put(kRamdiskSize, static_cast<u32>(builder.ramdisk.size));
  put(kRsdp, builder.request.rsdp.value());
  u8 count = 0;
  const MemoryMap map = builder.memory_map();
  for (const MemoryMapEntry& entry : map.entries()) {
    const usize at = kE820Table + count++ * kE820EntrySize;
    put(at, entry.range.base.value());
    put(at + 8, entry.range.size);
    put(at + 16, static_cast<u32>(entry.type));
  }
  put(kE820Count, count);
}

}  // namespace

BootStatus plan_bzimage(BootBuilder& builder) {
  const BzImage image(builder.request.kernel);
  if (auto status = image.check(); !status) return status;
  const auto load = image.load_address(builder.request.config);
  if (!load) return std::unexpected(load.error());
  if (auto status = builder.add_image(*load, image.payload(), image.memory_size()); !status) return status;
  const Gpa reach(std::min<u64>(image.number(kRamdiskMax, 4) + 1, 4_GiB));
  if (auto status = builder.add_ramdisk(reach); !status) return status;
  if (auto status = builder.add_command_line(image.number(kCommandLineSize, 4)); !status) return status;
  if (load->value() + image.memory_size() > kPageDirectories * 1_GiB)
    return reject(Error::OutOfRange, "the kernel is loaded above 4 GiB");

  StartState& start = builder.plan.start;
  start.mode = StartState::Mode::Long64;
  start.rip = load->value() + kEntry64;
  start.rsi = builder.address_of(boot_area::kInformation).value();
  start.cr3 = builder.address_of(boot_area::kPageTables).value();
  build_page_tables(builder);
  build_gdt(builder, start);
  build_parameters(builder, image);
  return builder.add_boot_area();
}

}  // namespace hv
