// Which files a build is made from: precedence, search folders, ids, images.
#include <gmock/gmock.h>

#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string named(std::string_view name) {
  return replaced(Repository::kVm, "name = \"v\"", "name = \"" + std::string(name) + "\"");
}

std::vector<std::string> names(const Configuration& c) {
  std::vector<std::string> out;
  for (const hv::VmConfig& vm : c.vm_configs()) out.emplace_back(vm.name);
  return out;
}

TEST(Smp, CommandLineBeforeBoardBeforeDefaults) {
  Repository r;
  Options options = r.options();
  EXPECT_EQ(Loaded(options)->smp(), std::nullopt);
  write_file(r.root() / "configs/defconfig.toml", "smp = 2\n");
  EXPECT_EQ(Loaded(options)->smp(), 2U);
  r.board("b", std::string(Repository::kBoard) + "smp = 3\n");
  EXPECT_EQ(Loaded(options)->smp(), 3U);
  options.smp = 5;
  EXPECT_EQ(Loaded(options)->smp(), 5U);
  EXPECT_EQ(Loaded(options)->smp_origin(), SettingOrigin::CommandLine);
}

TEST(VmSelection, CommandLineBeforeBoardBeforeDefaultVms) {
  Repository r;
  r.vm("one", named("one"));
  r.vm("two", named("two"));
  Options options = r.options();
  EXPECT_THAT(names(*Loaded(options)), ElementsAre("v"));
  r.board("b", std::string(Repository::kBoard) + "vm_configs = [\"configs/vms/one.toml\", \"configs/vms/v.toml\"]\n");
  EXPECT_THAT(names(*Loaded(options)), ElementsAre("one", "v"));
  options.vm_configs = (r.root() / "configs/vms/two.toml").string();
  EXPECT_THAT(names(*Loaded(options)), ElementsAre("two"));
}

TEST(VmSelection, NoneIsPossible) {
  Repository r;
  r.board("b", "target = \"aarch64-unknown-none-softfloat\"\n");
  const Loaded c(r.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_TRUE(c->vms().empty());
}

TEST(VmSelection, PathsOfTheUserAreRelativeToTheCurrentFolder) {
  Repository r;
  TemporaryFolder elsewhere;
  write_file(elsewhere / "mine/my-vm.toml", named("mine"));
  write_file(elsewhere / "mine/kernel.bin", "a kernel");
  const CurrentFolder here(elsewhere.path());
  Options options = r.options();
  options.vm_configs = "mine/my-vm.toml";
  const Loaded c(options);
  EXPECT_EQ(c.messages(), "");
  EXPECT_THAT(names(*c), ElementsAre("mine"));
}

TEST(VmSelection, PathsOfTheUserAreRelativeToTheGivenOrigin) {
  Repository r;
  Options options = r.options();
  options.vm_configs_origin = r.root() / "configs";
  options.vm_configs = "vms/v.toml";
  EXPECT_EQ(Loaded(options).messages(), "");
}

TEST(ConfigPath, AddsBoardsVmsAndImagesFromAnyFolder) {
  Repository r;
  TemporaryFolder elsewhere;
  write_file(elsewhere / "board/mine.toml", "platform = \"aarch64-generic\"\ndefault_vms = [\"outside\", \"v\"]\n");
  write_file(elsewhere / "vms/outside.toml", replaced(named("outside"), "kernel.bin", "image:own"));
  write_file(elsewhere / "images/own.toml", "");
  Options options = r.options("mine");
  EXPECT_THAT(Loaded(options).messages(), HasSubstr("there is no board 'mine'"));
  options.config_path = "/nonexistent:" + elsewhere.path().string();
  const Loaded c(options);
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->board().platform.name, "aarch64-dyn");
  EXPECT_THAT(names(*c), ElementsAre("outside", "v"));
  EXPECT_THAT(c->products(), ElementsAre("own"));
}

TEST(ConfigPath, AFolderOfTheUserComesBeforeTheTree) {
  Repository r;
  TemporaryFolder elsewhere;
  write_file(elsewhere / "board/b.toml", std::string(Repository::kBoard) + "log = \"Trace\"\n");
  Options options = r.options();
  options.config_path = elsewhere.path().string();
  EXPECT_EQ(Loaded(options)->board().log, "Trace");
}

/// Writes the files whose text a page shows: fenced blocks whose first line is "# FOLDER/NAME.toml". Returns how many.
usize write_files_of_page(const fs::path& page, const fs::path& folder) {
  std::istringstream lines(read_file(page));
  std::string line, name, text;
  usize files = 0;
  for (bool inside = false; std::getline(lines, line);) {
    line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
    if (!line.starts_with("```")) {
      if (inside && name.empty() && line.starts_with("# ") && line.ends_with(".toml")) name = line.substr(2);
      if (inside) text += line + "\n";
      continue;
    }
    if (inside && !name.empty()) {
      write_file(folder / name, text);
      ++files;
    }
    inside = !inside;
    name.clear();
    text.clear();
  }
  return files;
}

TEST(PortingGuide, ItsFilesAreABoardAndAGuest) {
  TemporaryFolder folder;
  ASSERT_EQ(write_files_of_page(source_folder() / "docs/porting.md", folder.path()), 2u);
  Options options;
  options.root = source_folder();
  options.board = "my-board";
  options.config_path = folder.path().string();
  options.images["tiny"] = (folder / "tiny.bin").string();  // the build makes it
  const Loaded c(options);
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->board().platform.name, "aarch64-dyn");
  EXPECT_THAT(names(*c), ElementsAre("my-guest"));
}

/// A folder of the user with a platform, and a board for it.
class OutsidePlatform : public ::testing::Test {
 protected:
  static constexpr std::string_view kDescription =
      "description = \"Lab machines.\"\ntargets = [\"aarch64-unknown-none-softfloat\", \"x86_64-unknown-none\"]\n"
      "features = [\"dyn-plat\", \"sdmmc\"]\nload_address = 0x8020_0000\n";
  OutsidePlatform() {
    platform(kDescription);
    write_file(folder_ / "platforms/lab/CMakeLists.txt", "");
    board("platform = \"lab\"\ntarget = \"aarch64-unknown-none-softfloat\"\nfeatures = [\"dyn-plat\"]\n");
    options_ = repository_.options("mine");
    options_.config_path = folder_.path().string();
  }
  void platform(std::string_view text) { write_file(folder_ / "platforms/lab/platform.toml", text); }
  void board(std::string_view text) { write_file(folder_ / "board/mine.toml", text); }

  Repository repository_;
  TemporaryFolder folder_;
  Options options_;
};

TEST_F(OutsidePlatform, IsWhatABoardIsBuiltWith) {
  const Loaded c(options_);
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->board().platform.name, "lab");
  EXPECT_EQ(c->board().target->arch, "aarch64");
  EXPECT_EQ(c->board().load_address, 0x8020'0000U);
  EXPECT_THAT(config_cmake(*c), HasSubstr("set(AXVISOR_PLATFORM \"lab\")\nset(AXVISOR_PLATFORM_DIR \"" +
                                          (folder_ / "platforms/lab").string() + "\")"));
  EXPECT_THAT(config_cmake(*c), HasSubstr("platforms/lab/platform.toml")) << "an edit of it must run CMake again";
}

TEST_F(OutsidePlatform, HasTheFeaturesItNames) {
  board("platform = \"lab\"\ntarget = \"aarch64-unknown-none-softfloat\"\nfeatures = [\"axstd/bus-mmio\"]\n");
  const Loaded c(options_);
  EXPECT_TRUE(c->board().has_feature("dyn-plat")) << "always on where it exists";
  EXPECT_THAT(c.messages(), HasSubstr("this board's platform is lab"));
}

TEST_F(OutsidePlatform, OfSeveralTargetsNeedsTheBoardsChoice) {
  board("platform = \"lab\"\n");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("platform 'lab' is for several targets"));
  board("platform = \"lab\"\ntarget = \"riscv64gc-unknown-none-elf\"\n");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("platform 'lab' is for another target"));
}

TEST_F(OutsidePlatform, MistakesOfItsDescriptionAreReported) {
  platform("description = \"x\"\ntargets = [\"x86_64-unknown-non\"]\nfeatures = [\"sdmc\"]\n");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("unknown target 'x86_64-unknown-non'"));
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("did you mean 'sdmmc'?"));
  platform(kDescription);
  fs::remove(folder_ / "platforms/lab/CMakeLists.txt");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("no CMakeLists.txt beside its description"));
}

TEST_F(OutsidePlatform, UnknownOnesAreErrorsWithTheKnownNames) {
  board("platform = \"lob\"\n");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("there is no platform 'lob'\n"));
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("did you mean 'lab'?"));
  board("platform = \"../board\"\n");
  EXPECT_THAT(Loaded(options_).messages(), HasSubstr("there is no platform '../board'"));
}

TEST(Board, MayBeAFileAnywhere) {
  Repository r;
  TemporaryFolder elsewhere;
  write_file(elsewhere / "odd.toml", Repository::kBoard);
  const Loaded c(r.options((elsewhere / "odd.toml").string()));
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->board().name, "odd");
}

TEST(Board, PlatformAndTargetFollowFromEachOther) {
  const Parsed by_target(kBoardSchema, "target = \"riscv64gc-unknown-none-elf\"\n");
  SourceStore sources;
  Diagnostics d;
  EXPECT_EQ(decode_board(*by_target.document, {}, sources, d).platform.name, "riscv64-qemu-virt");
  const Parsed by_platform(kBoardSchema, "platform = \"aarch64-generic\"\n");
  EXPECT_EQ(decode_board(*by_platform.document, {}, sources, d).target->triple, "aarch64-unknown-none-softfloat");
  EXPECT_EQ(decode_board(*by_platform.document, {}, sources, d).load_address, 0x4020'0000U);
  EXPECT_EQ(d.render(false), "");
}

TEST(Board, MapsCargoArguments) {
  const Parsed p(kBoardSchema,
                 "target = \"aarch64-unknown-none-softfloat\"\nbuild_args = [\"--parallel\", \"7\", \"--verbose\", \"--\", \"-d\", \"stats\"]\n"
                 "cargo_args = [\"-j2\", \"--jobs=3\", \"-j\", \"4\", \"-v\", \"--features\", \"ept-level-4,hv\", "
                 "\"--keep-going\"]\n");
  SourceStore sources;
  Diagnostics d;
  const Board board = decode_board(*p.document, {}, sources, d);
  EXPECT_EQ(d.render(false), "");
  EXPECT_THAT(board.build_args, ElementsAre("-j7", "-v", "-d", "stats", "-j2", "-j3", "-j4", "-v", "-k", "0"));
  EXPECT_TRUE(board.has_feature("ept-level-4"));
}

TEST(Board, FeaturesBringWhatTheyNeed) {
  const Parsed p(kBoardSchema, "target = \"aarch64-unknown-none-softfloat\"\nfeatures = [\"driver/rk3588-clk\"]\n");
  SourceStore sources;
  Diagnostics d;
  const Board board = decode_board(*p.document, {}, sources, d);
  for (const std::string_view name : {"rk3588-clk", "sdmmc", "fs", "dyn-plat", "hv", "irq", "smp"})
    EXPECT_TRUE(board.has_feature(name)) << name;
  EXPECT_FALSE(board.has_feature("ept-level-4"));
}

TEST(Board, EnvironmentIsKept) {
  const Parsed p(kBoardSchema, "target = \"aarch64-unknown-none-softfloat\"\n[env]\nB = \"2\"\nA = \"x y\"\n");
  SourceStore sources;
  Diagnostics d;
  EXPECT_THAT(decode_board(*p.document, {}, sources, d).env, ElementsAre("B=2", "A=x y"));
}

TEST(Ids, TakenOnesGiveWayWithoutStealingLaterOnes) {
  Repository r;
  const auto vm = [&r](const std::string& name, const std::string& id) {
    r.vm(name, replaced(named(name), "cpu_num", id + "cpu_num"));
  };
  vm("a", "id = 1\n");
  vm("b", "id = 1\n");
  vm("c", "id = 2\n");
  vm("d", "");
  r.board("b", std::string(Repository::kBoard) + "vm_configs = [\"a\", \"b\", \"c\", \"d\"]\n");
  const Loaded c(r.options());
  std::vector<u32> ids;
  for (const hv::VmConfig& config : c->vm_configs()) ids.push_back(config.id);
  EXPECT_THAT(ids, ElementsAre(1, 3, 2, 4));
  EXPECT_EQ(c.diagnostics.warnings(), 1U);
  EXPECT_TRUE(c.diagnostics.ok());
}

TEST(Images, AreEmbeddedOnceHoweverTheyAreNamed) {
  Repository r;
  r.vm("a", named("a"));
  r.vm("b",
       replaced(named("b"), "\"kernel.bin\"",
                "\"../vms/./kernel.bin\"\nramdisk_path = \"" + (r.root() / "configs/vms/kernel.bin").string() + "\""));
  r.board("b", std::string(Repository::kBoard) + "vm_configs = [\"a\", \"b\"]\n");
  const Loaded c(r.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->embedded().size(), 1U);
}

TEST(Images, ProductsComeFromTheCommandLineOrTheImageFolder) {
  Repository r;
  r.vm("v", replaced(Repository::kVm, "kernel.bin", "image:disk"));
  Options options = r.options();
  EXPECT_THAT(Loaded(options).messages(), HasSubstr("there is no image 'disk' to build"));
  options.images["disk"] = (r.root() / "configs/vms/kernel.bin").string();
  EXPECT_EQ(Loaded(options).messages(), "");
  EXPECT_EQ(Loaded(options)->embedded()[0].path, r.root() / "configs/vms/kernel.bin");
  options.images.clear();
  write_file(r.root() / "configs/images/disk.toml", "");
  options.image_dir = r.root() / "built";
  EXPECT_EQ(Loaded(options)->embedded()[0].path, r.root() / "built/disk");
}

TEST(Images, TheLockFileIsNoRecipe) {
  Repository r;
  r.vm("v", replaced(Repository::kVm, "kernel.bin", "image:lock"));
  write_file(r.root() / "configs/images/lock.toml", "");
  EXPECT_THAT(Loaded(r.options()).messages(), HasSubstr("there is no image 'lock' to build"));
}

TEST(Images, ANeededProductMustExistWhenItIsEmbedded) {
  Repository r;
  r.vm("v", replaced(Repository::kVm, "kernel.bin", "image:disk"));
  write_file(r.root() / "configs/images/disk.toml", "");
  Loaded unknown(r.options());
  require_image_files(*unknown, unknown.diagnostics);
  EXPECT_THAT(unknown.messages(), HasSubstr("nothing says where the built image 'disk' is"));
  Options options = r.options();
  options.image_dir = r.root() / "built";
  Loaded absent(options);
  require_image_files(*absent, absent.diagnostics);
  EXPECT_THAT(absent.messages(), HasSubstr("the built image 'disk' is missing or empty"));
}

TEST(Bios, EnableBiosFalseIgnoresThePath) {
  Repository r;
  r.vm("v", replaced(Repository::kVm, "kernel_load_addr",
                     "bios_path = \"none.bin\"\nbios_load_addr = 0x8000_8000\nenable_bios = false\nkernel_load_addr"));
  const Loaded c(r.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_FALSE(c->vm_configs()[0].bios.present());
}

TEST(Bios, WorksOnX86) {
  Repository r;
  r.board("b", "target = \"x86_64-unknown-none\"\ndefault_vms = [\"v\"]\n");
  r.vm("v",
       "[base]\nname = \"v\"\ncpu_num = 1\n"
       "[kernel]\nkernel_path = \"kernel.bin\"\nkernel_load_addr = 0x20_0000\nbios_path = \"kernel.bin\"\n"
       "bios_load_addr = 0x8000\nentry_point = 0x8000\nmemory_regions = [[0x0, 0x100_0000, 0x7, 0]]\n"
       "[devices]\npassthrough_ports = [[0x6000, 0x80]]\n");
  Loaded c(r.options());
  require_built_platform(*c, c.diagnostics);
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->vm_configs()[0].entry_point, Gpa(0x8000));
}

/// A VM for a PC whose kernel is `kernel`, without addresses.
struct PcVm {
  explicit PcVm(std::string_view kernel, std::string_view keys = {}, std::string_view base_keys = {}) {
    repository.board("b", "target = \"x86_64-unknown-none\"\nsmp = 4\ndefault_vms = [\"v\"]\n");
    repository.vm("v", "[base]\nname = \"v\"\ncpu_num = 1\n" + std::string(base_keys) +
                           "[kernel]\nkernel_path = \"kernel\"\nmemory_regions = [[0x0, 0x800_0000, 0x7, 0]]\n" +
                           std::string(keys));
    write_file(repository.root() / "configs/vms/kernel", kernel);
  }
  Repository repository;
};

TEST(Pc, ABzImageNeedsNoAddresses) {
  const PcVm pc(bzimage());
  const Loaded c(pc.repository.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_TRUE(c->vm_configs()[0].kernel_places_itself);
  EXPECT_THAT(vm_configs_header(*c), HasSubstr(".kernel_places_itself = true"));
  EXPECT_THAT(report(*c, c.diagnostics), HasSubstr("as the kernel's header says"));
}

TEST(Pc, ABzImageMayBeToldWhereToGo) {
  const PcVm pc(bzimage(), "kernel_load_addr = 0x20_0000\n");
  const Loaded c(pc.repository.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->vm_configs()[0].kernel.load_address, Gpa(0x20'0000));
  EXPECT_FALSE(c->vm_configs()[0].kernel_places_itself);
}

TEST(Pc, AnEntryPointThatTheHeaderSaysIsOnlyAWarning) {
  const PcVm pc(bzimage(), "kernel_load_addr = 0x20_0000\nentry_point = 0x8000\n");
  const Loaded c(pc.repository.options());
  EXPECT_TRUE(c.diagnostics.ok()) << c.messages();
  EXPECT_THAT(c.messages(), HasSubstr("the kernel's own header says this (bzImage): the key is not used"));
}

TEST(Pc, AKernelThatIsYetToBeFetchedMayBeAnything) {
  PcVm pc(bzimage());
  pc.repository.vm(
      "v",
      "[base]\nname = \"v\"\ncpu_num = 1\n[kernel]\nkernel_path = \"image:k\"\n"
      "kernel_load_addr = 0x20_0000\nentry_point = 0x8000\nmemory_regions = [[0x0, 0x800_0000, 0x7, 0]]\n");
  write_file(pc.repository.root() / "configs/images/k.toml", "");
  EXPECT_EQ(Loaded(pc.repository.options()).messages(), "");
}

TEST(Pc, AnElfKernelAndAFlatOneStartThroughMultiboot) {
  EXPECT_EQ(Loaded(PcVm(elf_kernel(0x40'0000, 0x1000)).repository.options()).messages(), "");
  EXPECT_EQ(
      Loaded(PcVm(elf_kernel(0x40'0000, 0x1000), "boot_protocol = \"multiboot\"\n").repository.options()).messages(),
      "");
  const PcVm flat("flat", "kernel_load_addr = 0x20_0000\nboot_protocol = \"multiboot\"\n");
  const Loaded c(flat.repository.options());
  EXPECT_EQ(c.messages(), "");
  EXPECT_EQ(c->vm_configs()[0].boot_protocol, hv::BootProtocol::Multiboot);
  EXPECT_EQ(c->vm_configs()[0].entry_point, Gpa(0x20'0000));
}

TEST(Pc, ApicIdsMayHaveGaps) {
  const PcVm pc(bzimage(), "", "phys_cpu_ids = [0x10]\n");
  EXPECT_EQ(Loaded(pc.repository.options()).messages(), "");
}

}  // namespace
}  // namespace ax::config::testing
