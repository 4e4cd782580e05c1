// Compiled descriptions: nothing is lost on the way to the hypervisor, and what is no description is refused with a reason.
#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>

#include "hypervisor/config/vm_description.hpp"
#include "hypervisor/config/vm_fields.hpp"
#include "kernel/fdt/writer.hpp"
#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using hv::Field;
using hv::FieldKind;
using hv::RecordId;
using ::testing::HasSubstr;
using Blob = std::vector<std::byte>;

// ---- the list of fields knows every member ------------------------------------------------------------------------------

struct Anything {
  template <class T>
  operator T() const;
};

template <class T, class... Values>
consteval usize member_count() {
  if constexpr (requires { T{Values{}..., Anything{}}; }) {
    return member_count<T, Values..., Anything>();
  } else {
    return sizeof...(Values);
  }
}

static_assert(member_count<hv::VmConfig>() == std::size(hv::kVmConfigFields));
static_assert(member_count<hv::Image>() == std::size(hv::kImageFields) + 2);  // where its bytes are
static_assert(member_count<hv::MemoryRegion>() == std::size(hv::kMemoryRegionFields));
static_assert(member_count<hv::MemoryFlags>() == std::size(hv::kMemoryFlagsFields));
static_assert(member_count<hv::PassthroughDevice>() == std::size(hv::kPassthroughDeviceFields));
static_assert(member_count<hv::PassthroughRange>() == std::size(hv::kPassthroughRangeFields));
static_assert(member_count<hv::PciAddress>() == std::size(hv::kPciAddressFields));
static_assert(member_count<hv::EmulatedDevice>() == std::size(hv::kEmulatedDeviceFields));

// ---- help ---------------------------------------------------------------------------------------------------------------

class MallocHeap final : public mm::ObjectAllocator {
 public:
  Result<std::byte*> allocate(usize bytes, usize alignment) override {
    ++objects;
    return static_cast<std::byte*>(std::aligned_alloc(alignment, align_up(bytes, alignment)));
  }
  void free(std::byte* storage) override {
    --objects;
    std::free(storage);
  }
  int objects = 0;
};

std::expected<mm::Box<hv::VmDescription>, hv::DescriptionProblem> decode(MallocHeap& heap, std::span<const std::byte> bytes,
                                                                         std::string_view arch = "aarch64") {
  auto file = mm::Scratch::create(heap, bytes.size());
  std::ranges::copy(bytes, file->bytes().begin());
  return hv::VmDescription::decode(heap, std::move(*file), arch);
}

std::string problem_of(std::span<const std::byte> bytes, std::string_view arch = "aarch64") {
  MallocHeap heap;
  std::string text = "no problem";
  if (const auto decoded = decode(heap, bytes, arch); !decoded) {
    char buffer[256];
    BufferSink sink(buffer, sizeof buffer);
    hv::describe(sink, decoded.error());
    text = sink.view();
  }
  EXPECT_EQ(heap.objects, 0);
  return text;
}

Blob bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A tree as the compiler writes it, with `more` in its root.
template <class More>
Blob tree(More more, u32 version = hv::kDescriptionVersion) {
  Blob out(4096);
  fdt::Writer writer(out);
  writer.begin_node("");
  writer.property(hv::kDescriptionVersionProperty, version);
  writer.string(hv::kDescriptionArchProperty, "aarch64");
  more(writer);
  writer.end_node();
  out.resize(writer.finish().value());
  return out;
}

// ---- every field has a value that is not its default --------------------------------------------------------------------

constexpr u64 kIds[] = {0x100, 0x8000'0001'0000'0203}, kSets[] = {1, 6}, kArguments[] = {1, 0x2'0000};
constexpr hv::MemoryRegion kMemory[] = {
    {.gpa = Gpa(0x8000'0000),
     .size = 0x1000,
     .flags = {true, true, true, true},
     .map = hv::MapType::Reserved,
     .shared = "mail box"},
    {.gpa = Gpa(0x1'8000'0000), .size = 0x2000, .flags = {.write = true}, .map = hv::MapType::Identical}};
constexpr hv::PassthroughDevice kDevices[] = {
    {.name = "/soc", .by_path = true, .gpa = Gpa(1), .hpa = Hpa(2), .size = 3, .irq = 4}, {.name = "timer", .irq = 40}};
constexpr hv::PassthroughRange kRanges[] = {{Gpa(0x300'0000), 0x2000}}, kPorts[] = {{Gpa(0x3f8), 8}, {Gpa(0x60), 1}};
constexpr hv::PciAddress kPci[] = {{1, 2, 31, 7}, {.bus = 1}};
constexpr std::string_view kExcluded[] = {"/a", "/b"}, kAfter[] = {"v"};
constexpr hv::EmulatedDevice kEmulated[] = {
    {"gicr", Gpa(0x80a'0000), 0x2'0000, 5, hv::EmulatedDeviceType::GicRedistributor, kArguments},
    {.name = "uart", .type = hv::EmulatedDeviceType::Console}};

hv::Image image(std::string_view path, hv::ImageLocation location = hv::ImageLocation::Fs) {
  return {.location = location, .path = path, .load_address = Gpa(0x8020'0000), .sha256 = "0123456789abcdef"};
}

hv::VmConfig full() {
  return {.id = 5,
          .name = "gu\"est 客",
          .source = "configs/vms/full.toml",
          .cpu_count = 2,
          .phys_cpu_ids = kIds,
          .phys_cpu_sets = kSets,
          .exclusive_cpus = true,
          .priority = 6,
          .time_slice_us = 2500,
          .budget_us = 4000,
          .period_us = 10'000,
          .entry_point = Gpa(0x8020'0000),
          .boot_protocol = hv::BootProtocol::Multiboot,
          .kernel_places_itself = true,
          .kernel = image("/guest/kernel"),
          .dtb = image("/guest/dtb"),
          .bios = image("bios", hv::ImageLocation::Module),
          .ramdisk = image("initrd", hv::ImageLocation::Module),
          .command_line = "root=/dev/vda \"quoted\" $HOME \\",
          .strict_addresses = true,
          .memory = kMemory,
          .interrupt_mode = hv::InterruptMode::Passthrough,
          .passthrough_devices = kDevices,
          .passthrough_ranges = kRanges,
          .passthrough_ports = kPorts,
          .passthrough_pci = kPci,
          .excluded_devices = kExcluded,
          .allow_unprotected_dma = true,
          .emulated_devices = kEmulated,
          .on_crash = hv::CrashPolicy::Shutdown,
          .start = hv::StartPolicy::Manual,
          .watchdog_ms = 1500,
          .start_after = kAfter};
}

/// A description has less than the default configuration's without the field.
bool is_default(const Field& field, const hv::VmConfig& config) {
  const auto* at = reinterpret_cast<const std::byte*>(&config) + field.offset;
  const hv::VmConfig none;
  const auto* there = reinterpret_cast<const std::byte*>(&none) + field.offset;
  const usize size = field.kind < FieldKind::Text      ? usize{1} << static_cast<u8>(field.kind)
                     : field.kind == FieldKind::Record ? sizeof(hv::Image)
                                                       : sizeof(std::span<int>);
  return std::memcmp(at, there, size) == 0;
}

TEST(Description, ItsTestsSetEveryField) {
  const hv::VmConfig config = full();
  for (const Field& field : hv::kVmConfigFields) EXPECT_FALSE(is_default(field, config)) << field.name();
}

TEST(Description, TheGeneratorWritesEveryFieldToo) {
  const std::string source = vm_config_source(full());
  for (const Field& field : hv::kVmConfigFields) EXPECT_THAT(source, HasSubstr("." + std::string(field.name()) + " = "));
}

TEST(Description, DecodesToWhatTheGeneratorWrites) {
  const hv::VmConfig config = full();
  MallocHeap heap;
  {
    const auto decoded = decode(heap, vm_description(config, true, "aarch64").value());
    ASSERT_TRUE(decoded);
    EXPECT_TRUE((*decoded)->has_id());
    EXPECT_EQ(vm_config_source((*decoded)->config()), vm_config_source(config));
    EXPECT_EQ(vm_description((*decoded)->config(), true, "aarch64"), vm_description(config, true, "aarch64"));
  }
  EXPECT_EQ(heap.objects, 0);
}

TEST(Description, LeavesTheChoiceOfAnIdToTheHypervisor) {
  MallocHeap heap;
  const auto decoded = decode(heap, vm_description(full(), false, "aarch64").value());
  ASSERT_TRUE(decoded);
  EXPECT_FALSE((*decoded)->has_id());
}

TEST(Description, OfEveryVmFileOfTheTree) {
  usize files = 0;
  for (const char* folder : {"configs/vms", "tests/boot/vms"}) {
    for (const fs::directory_entry& entry : fs::directory_iterator(source_folder() / folder)) {
      if (entry.path().extension() != ".toml") continue;
      SourceStore sources;
      Diagnostics diagnostics;
      auto document = load_document(*sources.open(entry.path(), entry.path().filename()).value(), kVmSchema, diagnostics);
      const Vm vm(std::move(*document), entry.path().filename(), diagnostics);
      hv::VmConfig config = vm.config();
      for (hv::Image* image : {&config.kernel, &config.dtb, &config.bios, &config.ramdisk})
        image->location = hv::ImageLocation::Fs;
      MallocHeap heap;
      const auto decoded = decode(heap, vm_description(config, true, "aarch64").value());
      ASSERT_TRUE(decoded) << entry.path();
      EXPECT_EQ(vm_config_source((*decoded)->config()), vm_config_source(config)) << entry.path();
      ++files;
    }
  }
  EXPECT_GT(files, 50U);
}

// ---- what is no description -----------------------------------------------------------------------------------------------

TEST(Description, OfTomlSaysHowToCompileIt) {
  EXPECT_EQ(problem_of(bytes_of("[base]\nname = \"v\"\n")),
            "it is no compiled description: make one of a TOML file with './xtask vmconfig compile VM.toml -o VM.vm'");
  EXPECT_THAT(problem_of(bytes_of("x")), HasSubstr("no compiled description"));
  Blob other(4096);  // a device tree of something else
  fdt::Writer writer(other);
  writer.begin_node("");
  writer.end_node();
  other.resize(writer.finish().value());
  EXPECT_THAT(problem_of(other), HasSubstr("no compiled description"));
}

TEST(Description, CutOffAnywhereIsRefused) {
  const Blob whole = vm_description(full(), true, "aarch64").value();
  for (usize size = 4; size < whole.size(); ++size)
    ASSERT_EQ(problem_of(std::span(whole).first(size)), "it is damaged or cut off: copy it again") << size;
}

TEST(Description, OfAnotherVersionOrArchitectureIsRefused) {
  EXPECT_EQ(problem_of(tree([](fdt::Writer&) {}, 7)),
            "its format has version 7, and this hypervisor reads version 1: compile it again with the xtask of this version");
  EXPECT_EQ(problem_of(tree([](fdt::Writer&) {}), "x86_64"),
            "it was compiled for a board of another architecture (aarch64): compile it again with --board");
}

TEST(Description, FieldsThatCannotBeAreRefused) {
  const auto refuses = [](const char* field, auto more) {
    EXPECT_THAT(problem_of(tree(more)),
                HasSubstr("'" + std::string(field) + "' is unknown here, or has a value that it cannot have"));
  };
  EXPECT_EQ(problem_of(tree([](fdt::Writer&) {})), "no problem");
  refuses("colour", [](fdt::Writer& w) { w.property("colour", u32{1}); });
  refuses("memory", [](fdt::Writer& w) { w.property("memory", u32{1}); });
  refuses("name", [](fdt::Writer& w) { w.begin_node("name"), w.end_node(); });
  refuses("exclusive_cpus", [](fdt::Writer& w) { w.property("exclusive_cpus", u32{2}); });
  refuses("start", [](fdt::Writer& w) { w.property("start", u32{2}); });
  refuses("id", [](fdt::Writer& w) { w.property("id", u64{1}); });
  refuses("entry_point", [](fdt::Writer& w) { w.string("entry_point", "no number"); });
  refuses("name", [](fdt::Writer& w) { w.string("name", "two\nlines"); });
  refuses("name", [](fdt::Writer& w) { w.string("name", std::string(64, 'x')); });
  refuses("name", [](fdt::Writer& w) { w.property("name", u32{0x41414141}); });
  refuses("phys_cpu_ids", [](fdt::Writer& w) { w.property("phys_cpu_ids", u32{1}); });
  refuses("map", [](fdt::Writer& w) {
    w.begin_node("memory"), w.begin_node("0"), w.property("map", u32{3}), w.end_node(), w.end_node();
  });
  refuses("memory", [](fdt::Writer& w) {
    w.begin_node("memory");
    for (int i = 0; i < 257; ++i) w.begin_node("r"), w.end_node();
    w.end_node();
  });
}

TEST(Description, CannotNameImagesThatAreBuiltIn) {
  hv::VmConfig config = full();
  config.ramdisk.location = hv::ImageLocation::Memory;
  EXPECT_EQ(problem_of(vm_description(config, true, "aarch64").value()),
            "image 'initrd' is not on a disk of this machine: set image_location = \"fs\" and its path there");
}

}  // namespace
}  // namespace ax::config::testing
