#include "hypervisor/vm/x86_64/guest_acpi.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>
#include <vector>

#include "kernel/acpi/tables.hpp"

namespace hv {
namespace {

namespace acpi = ax::acpi;

/// The tables as the guest's memory, read by the hypervisor's own parser.
class GuestTables final : public ax::mm::PhysicalWindow {
 public:
  explicit GuestTables(const GuestAcpi& machine)
      : base_(machine.base.value()), bytes_(guest_acpi_size(machine.cpu_count)) {
    const auto size = write_guest_acpi(machine, bytes_);
    if (size)
      bytes_.resize(*size);
    else
      bytes_.clear();
  }
  std::span<const std::byte> read(Hpa address, u64 size) const override {
    const u64 offset = address.value() - base_;
    if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
    return std::span(bytes_).subspan(offset, size);
  }
  acpi::Tables open() const {
    auto tables = acpi::Tables::open(*this, Hpa(base_));
    EXPECT_TRUE(tables);
    return *tables;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  u64 base_;
  std::vector<std::byte> bytes_;
};

u8 sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), u8{0},
                         [](u8 a, std::byte b) { return static_cast<u8>(a + std::to_integer<u8>(b)); });
}

TEST(GuestAcpi, TheRootPointerHasBothChecksums) {
  const GuestTables tables({});
  EXPECT_EQ(std::memcmp(tables.bytes().data(), "RSD PTR ", 8), 0);
  EXPECT_EQ(sum(std::span(tables.bytes()).first(20)), 0);
  EXPECT_EQ(sum(std::span(tables.bytes()).first(36)), 0);
}

TEST(GuestAcpi, NamesProcessorsAndInterruptControllers) {
  const GuestTables tables({.cpu_count = 3, .io_apic_id = 7});
  const auto madt = acpi::read_madt(*tables.open().find("APIC"));
  ASSERT_TRUE(madt);
  EXPECT_EQ(madt->local_apic, Hpa(0xfee0'0000));
  EXPECT_TRUE(madt->has_8259);
  ASSERT_EQ(madt->apic_ids.size(), 3u);
  EXPECT_EQ(madt->apic_ids[2], 2u);
  ASSERT_EQ(madt->io_apics.size(), 1u);
  EXPECT_EQ(madt->io_apics[0].id, 7);
  EXPECT_EQ(madt->io_apics[0].registers.base, Hpa(0xfec0'0000));
  ASSERT_EQ(madt->overrides.size(), 2u);
  EXPECT_EQ(madt->overrides[0].isa_interrupt, 0);
  EXPECT_EQ(madt->overrides[0].gsi, 2u);
  EXPECT_FALSE(madt->overrides[0].level);
  EXPECT_EQ(madt->overrides[1].isa_interrupt, 9);
  EXPECT_TRUE(madt->overrides[1].level);
  EXPECT_FALSE(madt->overrides[1].active_low);
}

TEST(GuestAcpi, DescribesPowerManagement) {
  const GuestTables tables({});
  const auto power = acpi::read_fadt(*tables.open().find("FACP"));
  ASSERT_TRUE(power);
  EXPECT_EQ(power->sci_interrupt, 9);
  EXPECT_EQ(power->smi_command_port, 0);
  EXPECT_EQ(power->pm1a_control_port, 0x604);
  EXPECT_EQ(power->reset.space, acpi::Register::Space::Port);
  EXPECT_EQ(power->reset.address, 0xcf9u);
  EXPECT_EQ(power->reset_value, 6);
  const auto dsdt = acpi::read_table(tables, power->dsdt, "DSDT");
  ASSERT_TRUE(dsdt);
  const auto soft_off = acpi::find_soft_off(*dsdt);
  ASSERT_TRUE(soft_off);
  EXPECT_EQ(soft_off->a, 5);
}

TEST(GuestAcpi, OldAndNewRootTablesAgree) {
  GuestTables tables({});
  u32 rsdt = 0;
  u64 xsdt = 0;
  std::memcpy(&rsdt, tables.bytes().data() + 16, 4);
  std::memcpy(&xsdt, tables.bytes().data() + 24, 8);
  const auto old_table = acpi::read_table(tables, Hpa(rsdt), "RSDT"),
             new_table = acpi::read_table(tables, Hpa(xsdt), "XSDT");
  ASSERT_TRUE(old_table && new_table);
  for (usize i = 0; i < 2; ++i) {
    u32 old_entry = 0;
    u64 new_entry = 0;
    std::memcpy(&old_entry, old_table->data() + 36 + 4 * i, 4);
    std::memcpy(&new_entry, new_table->data() + 36 + 8 * i, 8);
    EXPECT_EQ(old_entry, new_entry);
  }
}

TEST(GuestAcpi, TheFacsIsAligned) {
  const GuestTables tables({});
  const auto fadt = *tables.open().find("FACP");
  u32 facs = 0;
  std::memcpy(&facs, fadt.data() + 36, 4);
  EXPECT_EQ(facs % 64, 0u);
  EXPECT_EQ(std::memcmp(tables.read(Hpa(facs), 64).data(), "FACS\x40\0\0\0", 8), 0);
}

TEST(GuestAcpi, FitsWhereItsSizeIsPromised) {
  for (u32 cpus : {1u, 8u, 64u}) EXPECT_FALSE(GuestTables({.cpu_count = cpus}).bytes().empty()) << cpus;
  EXPECT_LE(guest_acpi_size(64), kFirmwareTables.size);
}

TEST(GuestAcpi, ABufferTooSmallIsAnError) {
  const usize size = GuestTables({}).bytes().size();
  for (usize small = 0; small < size; ++small) {
    std::vector<std::byte> out(small);
    EXPECT_EQ(write_guest_acpi({}, out).error(), Error::OutOfRange) << small;
  }
}

/// What the reference disassembler makes of a table.
std::string disassemble(std::span<const std::byte> table, const std::string& name) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("guest_acpi_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto file = folder / (name + ".dat");
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(table.data()), static_cast<std::streamsize>(table.size()));
  const std::string log = (folder / "log").string();
  const int status = std::system((std::string(AXVISOR_IASL) + " -d " + file.string() + " >" + log + " 2>&1").c_str());
  std::stringstream text;
  if (status == 0) text << std::ifstream(folder / (name + ".dsl")).rdbuf();
  std::stringstream messages;
  messages << std::ifstream(log).rdbuf();
  EXPECT_EQ(status, 0) << messages.str();
  EXPECT_EQ(messages.str().find("rror"), std::string::npos) << messages.str();
  EXPECT_EQ(messages.str().find("arning"), std::string::npos) << messages.str();
  std::filesystem::remove_all(folder);
  return text.str();
}

TEST(GuestAcpi, TheReferenceDisassemblerReadsTheTables) {
  if (std::string_view(AXVISOR_IASL).empty()) GTEST_SKIP() << "iasl is not installed";
  const GuestTables tables({.cpu_count = 2});
  const auto fadt = *tables.open().find("FACP");
  const auto power = *acpi::read_fadt(fadt);
  const std::string dsdt = disassemble(*acpi::read_table(tables, power.dsdt, "DSDT"), "dsdt");
  for (const char* expected : {"Name (_S5, Package (0x04)", "Device (COM1)", "EisaId (\"PNP0501\")", "0x03F8,", "{4}",
                               "Device (RTC)", "EisaId (\"PNP0B00\")", "0x0070,", "{8}"}) {
    EXPECT_NE(dsdt.find(expected), std::string::npos) << expected << "\n" << dsdt;
  }
  EXPECT_NE(disassemble(fadt, "facp").find("PM1A Event Block Address : 00000600"), std::string::npos);
  EXPECT_NE(disassemble(*tables.open().find("APIC"), "apic").find("[I/O APIC]"), std::string::npos);
}

TEST(GuestAcpi, DescribesAWatchdogWhereThereIsOne) {
  EXPECT_FALSE(GuestTables({}).open().find("WDAT"));
  const GuestTables tables({.watchdog_ms = 1500});
  const auto wdat = tables.open().find("WDAT");
  ASSERT_TRUE(wdat);
  EXPECT_EQ(wdat->size(), 36u + 32u + 8 * 24u);
  if (std::string_view(AXVISOR_IASL).empty()) GTEST_SKIP() << "iasl is not installed";
  const std::string text = disassemble(*wdat, "wdat");
  for (const char* expected : {"Timer Period : 00000001", "Max Count : 000005DC", "Watchdog Entry Count : 00000008",
                               "Watchdog Action : 01", "Watchdog Action : 0B", "Address : 0000000000000620", "Address : 0000000000000628"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
}

constexpr PciWindow kWindows[] = {{.bus = 0x1000, .base = 0x1000, .size = 0xf000, .is_port = true},
                                  {.bus = 0xfe00'0000, .base = 0xfe00'0000, .size = 0xbd'3000},
                                  {.bus = 0x80'0000'0000, .base = 0x80'0000'0000, .size = 0x4000}};
constexpr GuestPciLine kLines[] = {{.device = 1, .pin = 1, .line = 10}, {.device = 2, .pin = 4, .line = 23}};
constexpr GuestPci kPci{.ecam = {Gpa(0xb000'0000), 1_MiB}, .windows = kWindows, .lines = kLines};

TEST(GuestAcpi, SaysWherePciConfigurationSpaceIs) {
  const GuestTables tables({.pci = kPci});
  const auto mcfg = tables.open().find("MCFG");
  ASSERT_TRUE(mcfg);
  const auto segments = acpi::read_mcfg(*mcfg);
  ASSERT_TRUE(segments);
  ASSERT_EQ(segments->size(), 1U);
  EXPECT_EQ((*segments)[0].registers, (HpaRange{Hpa(0xb000'0000), 1_MiB}));
  EXPECT_EQ((*segments)[0].last_bus, 0);
  EXPECT_FALSE(GuestTables({}).open().find("MCFG"));
}

TEST(GuestAcpi, TheReferenceDisassemblerReadsThePciDevices) {
  if (std::string_view(AXVISOR_IASL).empty()) GTEST_SKIP() << "iasl is not installed";
  const GuestTables tables({.pci = kPci});
  const std::string ssdt = disassemble(*tables.open().find("SSDT"), "ssdt");
  for (const char* expected : {"Device (PCI0)", "EisaId (\"PNP0A08\")", "EisaId (\"PNP0A03\")", "WordBusNumber (ResourceProducer, MinFixed, MaxFixed",
                               "0x0CF8,", "0x00000000FE000000, // Range Minimum", "0x00000000FEBD2FFF, // Range Maximum",
                               "0x0000000000BD3000, // Length", "0x0000008000003FFF, // Range Maximum", "Device (PCIC)",
                               "QWordIO (ResourceProducer", "0x0000000000001000, // Range Minimum", "0x000000000000FFFF, // Range Maximum",
                               "Name (_PRT, Package (0x02)", "0x0001FFFF,", "0x0A\n", "0x0002FFFF,", "0x03,", "0x17\n",
                               "EisaId (\"PNP0C02\")", "Memory32Fixed (ReadWrite,", "0xB0000000,         // Address Base"}) {
    EXPECT_NE(ssdt.find(expected), std::string::npos) << expected << "\n" << ssdt;
  }
  EXPECT_NE(disassemble(*tables.open().find("MCFG"), "mcfg").find("Base Address : 00000000B0000000"), std::string::npos);
}

}  // namespace
}  // namespace hv
