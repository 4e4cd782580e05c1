// AxVisor's own files are read as they are. Ours in files/ cover the same keys and forms, and are always there; theirs
// are tested where a copy lies beside the source tree.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using ::testing::HasSubstr;

fs::path own_folder() { return source_folder() / "tests/compat/files"; }
fs::path axvisor_folder() { return source_folder().parent_path() / "shared/compat/axvisor"; }

std::vector<fs::path> toml_files(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

const FileSchema& schema_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == "defconfig.toml") return kDefconfigSchema;
  return name.starts_with("board-") || path.parent_path().filename() == "board" ? kBoardSchema : kVmSchema;
}

/// Errors of reading and checking one file by itself.
std::string problems(const fs::path& path) {
  SourceStore sources;
  Diagnostics diagnostics;
  std::optional<Document> document =
      load_document(**sources.open(path, path.filename().string()), schema_of(path), diagnostics);
  if (!document) return diagnostics.render(false);
  if (&schema_of(path) == &kBoardSchema) decode_board(*document, PlatformFolders(), sources, diagnostics);
  if (&schema_of(path) == &kVmSchema) check_vm_alone(Vm(std::move(*document), "", diagnostics), diagnostics);
  return diagnostics.ok() ? std::string() : diagnostics.render(false);
}

TEST(OwnFiles, AreReadWithoutErrors) {
  const std::vector<fs::path> files = toml_files(own_folder());
  ASSERT_GE(files.size(), 9U);
  for (const fs::path& file : files) EXPECT_EQ(problems(file), "") << file;
}

TEST(OwnFiles, NameEveryKeyOfTheVmSchemaThatIsBuilt) {
  std::string all;
  for (const fs::path& file : toml_files(own_folder())) all += read_file(file);
  for (const FileSchema* schema : all_schemas()) {
    for (const Section& section : schema->sections) {
      for (const Key& key : section.keys) {
        if (!key.not_built.empty()) continue;
        const bool ours_only = schema == &kPlatformSchema || (key.origin == Origin::Ours && schema != &kVmSchema);
        const bool ramdisk = key.name.starts_with("ramdisk");  // AxVisor's files have it in comments only
        if (ours_only || ramdisk) continue;
        EXPECT_THAT(all, HasSubstr(fmt::format("{} = ", key.name)));
      }
    }
  }
}

/// The names of the VMs and the warnings when two files are built into one image, with kernels in place.
void expect_works_together(const fs::path& first, const fs::path& second, const std::string& first_kernel,
                           const std::string& second_kernel) {
  Repository r;
  write_file(r.root() / "one/vm.toml", replaced(read_file(first), first_kernel, "kernel-1.bin"));
  write_file(r.root() / "two/vm.toml", replaced(read_file(second), second_kernel, "kernel-2.bin"));
  write_file(r.root() / "one/kernel-1.bin", "one");
  write_file(r.root() / "two/kernel-2.bin", "two");
  Options options = r.options();
  options.vm_configs = (r.root() / "one/vm.toml").string() + ":" + (r.root() / "two/vm.toml").string();
  const Loaded c(options);
  EXPECT_TRUE(c.diagnostics.ok()) << c.messages();
  EXPECT_EQ(c.diagnostics.warnings(), 2U) << c.messages();
  EXPECT_THAT(c.messages(), HasSubstr("another VM has id 1 already"));
  EXPECT_THAT(c.messages(), HasSubstr("the identical region 0x80000000 + 0x10000000 is taken: it moves"));
  ASSERT_EQ(c->vms().size(), 2U);
  EXPECT_EQ(c->vm_configs()[1].id, 2U);
  EXPECT_THAT(report(*c, c.diagnostics), HasSubstr("nothing, because"));
}

TEST(OwnFiles, TwoVmsThatWantTheSameWorkTogether) {
  expect_works_together(own_folder() / "vm-wildcard-first.toml", own_folder() / "vm-wildcard-second.toml", "small.bin",
                        "large.bin");
}

class AxVisorFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(axvisor_folder()))
      GTEST_SKIP() << "AxVisor's files are not beside the source tree: " << axvisor_folder();
  }
};

TEST_F(AxVisorFiles, AreReadWithoutErrors) {
  usize count = 0;
  for (const char* folder : {"", "board", "vms"}) {
    for (const fs::path& file : toml_files(axvisor_folder() / folder)) {
      EXPECT_EQ(problems(file), "") << file;
      ++count;
    }
  }
  EXPECT_EQ(count, 24U) << "1 defconfig, 5 boards, 18 VMs";
}

TEST_F(AxVisorFiles, BoardsBecomeConfigurations) {
  for (const fs::path& file : toml_files(axvisor_folder() / "board")) {
    Repository r;
    Loaded c(r.options(file.string()));
    require_built_platform(*c, c.diagnostics);
    EXPECT_TRUE(c.diagnostics.ok()) << file << c.messages();
  }
}

TEST_F(AxVisorFiles, TheGuidesTwoVmsWorkTogether) {
  expect_works_together(axvisor_folder() / "vms/arceos-aarch64-qemu-smp1.toml",
                        axvisor_folder() / "vms/linux-aarch64-qemu-smp1.toml", "path/arceos-aarch64-dyn-smp1.bin",
                        "/tmp/axvisor/qemu_aarch64_linux/qemu-aarch64");
}

TEST_F(AxVisorFiles, AVmFromDiskIsRefusedByNameOfTheFeature) {
  Repository r;
  Options options = r.options();
  options.vm_configs = (axvisor_folder() / "vms/linux-aarch64-e2000-smp1.toml").string();
  EXPECT_THAT(Loaded(options).messages(), HasSubstr("which needs feature fs"));
}

}  // namespace
}  // namespace ax::config::testing
