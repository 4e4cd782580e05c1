#include "kernel/acpi/tables.hpp"

#include <gtest/gtest.h>

#include "tests/unit/acpi/fake_pc.hpp"

namespace ax::acpi {
namespace {

using test::acpi_table;
using test::BlobWriter;
using test::FakePhysicalMemory;
namespace at = test::at;

Result<Bytes> find(const FakePhysicalMemory& memory, std::string_view signature) {
  const auto tables = Tables::open(memory, Hpa(at::kRsdp));
  return tables ? tables->find(signature) : fail(tables.error());
}

TEST(AcpiRoot, IsFoundInTheBiosAreaAtSixteenBytes) {
  FakePhysicalMemory memory;
  test::Blob bios(128_KiB);
  const test::Blob pointer = test::root_pointer(2);
  std::copy(pointer.begin(), pointer.end(), bios.begin() + 0x1'5678);  // not at a multiple of 16
  memory.put(0xe'0000, bios);
  EXPECT_EQ(scan_for_root_pointer(memory), std::nullopt);
  std::copy(pointer.begin(), pointer.end(), memory.regions[0xe'0000].end() - 36 - 12);
  EXPECT_EQ(scan_for_root_pointer(memory), Hpa(0xf'ffd0));
}

TEST(AcpiRoot, IsFoundInTheExtendedBiosDataArea) {
  FakePhysicalMemory memory;
  memory.put(0x40e, BlobWriter().add<u16>(0x9fc0));
  test::Blob ebda(1_KiB);
  const test::Blob pointer = test::root_pointer(0);
  std::copy(pointer.begin(), pointer.end(), ebda.begin() + 0x20);
  memory.put(0x9'fc00, ebda);
  EXPECT_EQ(scan_for_root_pointer(memory), Hpa(0x9'fc20));
}

TEST(AcpiRoot, IsNotBelievedWithAWrongChecksum) {
  FakePhysicalMemory memory = test::fake_pc();
  memory.regions[at::kRsdp][9] ^= std::byte{1};
  EXPECT_EQ(Tables::open(memory, Hpa(at::kRsdp)).error(), Error::Malformed);
}

TEST(AcpiTables, ComeFromTheXsdtWhereThereIsOne) {
  EXPECT_TRUE(find(test::fake_pc(2), "HPET").has_value());
  EXPECT_EQ(find(test::fake_pc(0), "HPET").error(), Error::NotFound);  // revision 0 has only the RSDT
  EXPECT_TRUE(find(test::fake_pc(0), "APIC").has_value());
}

TEST(AcpiTables, FallBackToTheRsdtWhenTheXsdtIsDamaged) {
  FakePhysicalMemory memory = test::fake_pc();
  memory.regions[at::kXsdt][40] ^= std::byte{1};
  EXPECT_TRUE(find(memory, "APIC").has_value());
}

TEST(AcpiTables, AreNotFoundWhenDamagedOrOutOfReach) {
  FakePhysicalMemory memory = test::fake_pc();
  memory.regions[at::kMadt][50] ^= std::byte{1};
  EXPECT_EQ(find(memory, "APIC").error(), Error::NotFound);
  memory.regions.erase(at::kFadt);
  EXPECT_EQ(find(memory, "FACP").error(), Error::NotFound);
  EXPECT_TRUE(find(memory, "MCFG").has_value());
}

TEST(AcpiTables, RefuseALengthBelowTheHeader) {
  FakePhysicalMemory memory = test::fake_pc();
  BlobWriter table{memory.regions[at::kDsdt]};
  memory.put(at::kDsdt, table.set(test::kTableLength, u32{35}));
  EXPECT_EQ(read_table(memory, Hpa(at::kDsdt), "DSDT").error(), Error::Malformed);
}

TEST(Madt, ListsProcessorsThatAreEnabledIoApicsAndOverrides) {
  const auto madt = read_madt(*find(test::fake_pc(), "APIC"));
  ASSERT_TRUE(madt);
  EXPECT_EQ(madt->local_apic, Hpa(0xfee0'0000));
  EXPECT_TRUE(madt->has_8259);
  EXPECT_FALSE(madt->incomplete);
  ASSERT_EQ(madt->apic_ids.size(), 4u);
  EXPECT_EQ(madt->apic_ids[2], 2u);
  EXPECT_EQ(madt->apic_ids[3], 300u);
  ASSERT_EQ(madt->io_apics.size(), 1u);
  EXPECT_EQ(madt->io_apics[0].registers.base, Hpa(0xfec0'0000));
  ASSERT_EQ(madt->overrides.size(), 2u);
  EXPECT_EQ(madt->overrides[0].gsi, 2u);
  EXPECT_FALSE(madt->overrides[0].level || madt->overrides[0].active_low);
  EXPECT_TRUE(madt->overrides[1].level && madt->overrides[1].active_low);
}

TEST(Madt, LetsTheAddressRecordOverrideTheHeader) {
  BlobWriter body;
  body.add<u32>(0xfee0'0000).add<u32>(0).add<u8>(5).add<u8>(12).add<u16>(0).add<u64>(0xfef0'0000);
  EXPECT_EQ(read_madt(acpi_table("APIC", body.blob))->local_apic, Hpa(0xfef0'0000));
}

TEST(Madt, RefusesRecordsThatAreTooShortOrReachBeyondTheTable) {
  const auto with = [](std::initializer_list<u8> record) {
    BlobWriter body;
    body.add<u32>(0xfee0'0000).add<u32>(0);
    for (u8 byte : record) body.add(byte);
    return acpi_table("APIC", body.blob);
  };
  for (auto record : {std::initializer_list<u8>{0},
                      {0, 0},
                      {0, 1},
                      {0, 8, 0, 0, 1, 0, 0},
                      {0, 7, 0, 0, 1, 0, 0},
                      {1, 2},
                      {9, 4, 0, 0}}) {
    EXPECT_EQ(read_madt(with(record)).error(), Error::Malformed);
  }
  EXPECT_TRUE(read_madt(with({0x7f, 2})));  // an unknown type is passed over
}

TEST(Madt, SaysThatItLeftProcessorsOut) {
  BlobWriter body;
  body.add<u32>(0).add<u32>(0);
  for (u32 id = 0; id < 300; ++id) body.add<u8>(9).add<u8>(16).add<u16>(0).add<u32>(id).add<u32>(1).add<u32>(id);
  const auto madt = read_madt(acpi_table("APIC", body.blob));
  EXPECT_TRUE(madt->incomplete);
  EXPECT_EQ(madt->apic_ids.size(), 256u);
}

TEST(Fadt, SaysHowToSwitchOffAndReset) {
  const auto power = read_fadt(*find(test::fake_pc(), "FACP"));
  ASSERT_TRUE(power);
  EXPECT_EQ(power->sci_interrupt, 9);
  EXPECT_EQ(power->smi_command_port, 0xb2);
  EXPECT_EQ(power->acpi_enable, 2);
  EXPECT_EQ(power->pm1a_control_port, 0x604);
  EXPECT_EQ(power->pm1b_control_port, 0);
  EXPECT_EQ(power->reset.space, Register::Space::Port);
  EXPECT_EQ(power->reset.address, 0xcf9u);
  EXPECT_EQ(power->reset_value, 0xf);
  EXPECT_EQ(power->dsdt, Hpa(at::kDsdt));
}

TEST(Fadt, PrefersTheExtendedFields) {
  BlobWriter body{test::fadt_body()};
  body.set(140 - test::kTableHeader, u64{0x1234'5000});
  body.set(172 - test::kTableHeader, u8{1}).set(176 - test::kTableHeader, u64{0xb004});
  const auto power = read_fadt(acpi_table("FACP", body.blob));
  EXPECT_EQ(power->dsdt, Hpa(0x1234'5000));
  EXPECT_EQ(power->pm1a_control_port, 0xb004);
}

TEST(Fadt, OfRevisionOneHasNoResetRegister) {
  test::Blob body = test::fadt_body();
  body.resize(116 - test::kTableHeader);
  const auto power = read_fadt(acpi_table("FACP", body));
  ASSERT_TRUE(power);
  EXPECT_EQ(power->reset.space, Register::Space::None);
  body.resize(100 - test::kTableHeader);
  EXPECT_EQ(read_fadt(acpi_table("FACP", body)).error(), Error::Malformed);
}

TEST(Mcfg, GivesTheRegistersOfTheFirstBusOn) {
  BlobWriter body;
  body.zeros(8).add<u64>(0xb000'0000).add<u16>(1).add<u8>(0x10).add<u8>(0x1f).add<u32>(0);
  const auto segments = read_mcfg(acpi_table("MCFG", body.blob));
  ASSERT_TRUE(segments);
  ASSERT_EQ(segments->size(), 1u);
  EXPECT_EQ((*segments)[0].registers, (HpaRange{Hpa(0xb100'0000), 16_MiB}));
  EXPECT_EQ((*segments)[0].segment, 1);
}

TEST(Mcfg, RefusesBusesInTheWrongOrderAndAddressesThatWrap) {
  const auto with = [](u64 base, u8 first, u8 last) {
    BlobWriter body;
    body.zeros(8).add<u64>(base).add<u16>(0).add<u8>(first).add<u8>(last).add<u32>(0);
    return acpi_table("MCFG", body.blob);
  };
  EXPECT_FALSE(read_mcfg(with(0xb000'0000, 2, 1)));
  EXPECT_FALSE(read_mcfg(with(0xb000'1000, 0, 1)));
  EXPECT_FALSE(read_mcfg(with(~u64{0} << 20, 0, 255)));
}

TEST(HpetTable, GivesTheRegistersInMemoryOnly) {
  EXPECT_EQ(read_hpet(*find(test::fake_pc(), "HPET")), Hpa(0xfed0'0000));
  BlobWriter body{test::hpet_body()};
  EXPECT_FALSE(read_hpet(acpi_table("HPET", body.set(4, u8{1}).blob)));
}

TEST(SoftOff, IsThePackageBehindTheNameInAnyOfItsEncodings) {
  const auto type = find_soft_off(*read_table(test::fake_pc(), Hpa(at::kDsdt), "DSDT"));
  ASSERT_TRUE(type);
  EXPECT_EQ(type->a, 5);
  EXPECT_EQ(type->b, 1);

  BlobWriter zeros, words, single;
  zeros.text("_S5_").add<u8>(0x12).add<u8>(6).add<u8>(4).zeros(4);
  words.text("_S5_").add<u8>(0x12).add<u8>(0x48).add<u8>(0).add<u8>(2).add<u8>(0x0b).add<u16>(7).add<u8>(0x0b).add<u16>(
      6);
  single.text("_S5_").add<u8>(0x12).add<u8>(4).add<u8>(1).add<u8>(0x0a).add<u8>(3);
  EXPECT_EQ(find_soft_off(acpi_table("DSDT", zeros.blob))->a, 0);
  EXPECT_EQ(find_soft_off(acpi_table("DSDT", words.blob))->a, 7);
  EXPECT_EQ(find_soft_off(acpi_table("DSDT", words.blob))->b, 6);
  EXPECT_EQ(find_soft_off(acpi_table("DSDT", single.blob))->b, 3);
}

TEST(SoftOff, IsNotReadBeyondTheTable) {
  BlobWriter whole;
  whole.text("_S5_").add<u8>(0x12).add<u8>(0x48).add<u8>(0).add<u8>(2).add<u8>(0x0b).add<u16>(7).add<u8>(0x0a).add<u8>(
      6);
  for (usize size = 0; size < whole.blob.size(); ++size) {
    const test::Blob part(whole.blob.begin(), whole.blob.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(find_soft_off(acpi_table("DSDT", part)).error(), Error::NotFound) << size;
  }
}

}  // namespace
}  // namespace ax::acpi
