// What an edit rebuilds: exactly what depends on it. The board and its VMs are in a folder outside the tree.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/build/include_graph.hpp"
#include "tests/build/source_tree.hpp"

namespace ax::build_test {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

using Texts = std::set<std::string>;

constexpr std::string_view kBoard = R"(schema = 1
platform = "lab"
features = ["ept-level-4", "dyn-plat"]
log = "Info"
to_bin = true
smp = 2
vm_configs = []
)";

constexpr std::string_view kPlatform = R"(description = "The lab's machines: as aarch64-dyn, with a mark."
targets = ["aarch64-unknown-none-softfloat"]
features = ["dyn-plat", "axstd/bus-mmio"]
)";
constexpr std::string_view kPlatformLists = R"(add_subdirectory(${PROJECT_SOURCE_DIR}/platforms/aarch64-dyn aarch64-dyn)
target_sources(platform_aarch64_dyn PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/mark.cpp)
)";
constexpr std::string_view kPlatformSource =
    "extern \"C\" [[gnu::used, gnu::retain, gnu::visibility(\"default\")]] const char lab_mark[] = \"made in the lab\";\n";

/// A VM with a megabyte-aligned RAM of 16 MiB.
std::string vm_text(std::string_view name, std::string_view kernel, std::string_view address) {
  return fmt::format(R"(schema = 1
[base]
name = "{0}"
vm_type = 1
cpu_num = 1
[kernel]
kernel_path = "{1}"
image_location = "memory"
kernel_load_addr = {2}
entry_point = {2}
memory_regions = [[{2}, 0x0100_0000, 0x7, 0]]
[devices]
interrupt_mode = "emulated"
)", name, kernel, address);
}

constexpr const char* kBuiltVm = "../lab/vms/built.toml";  ///< its kernel is the guest that this build makes
constexpr const char* kPlainVm = "../lab/vms/plain.toml";  ///< its kernel is a file
constexpr const char* kPlainImage = "../lab/vms/plain.bin";
constexpr const char* kOtherImage = "../lab/vms/other.bin";
constexpr const char* kBoardFile = "../lab/board/lab.toml";

const std::string kGenerate = "Generating the VM configuration of axvisor";
const std::string kEmbed = "Embedding the guest images of axvisor";
const std::string kEmbedBootTest = "Embedding the guest images of boot_tiny";
const std::string kLink = "Linking CXX executable axvisor";
const std::string kVmObject = "CMakeFiles/axvisor.dir/hypervisor/config/static_vm_configs.cpp.obj";
const std::string kImagesObject = "CMakeFiles/axvisor.dir/generated/vm_images.S.obj";

/// The median would do on an idle machine; the best of some runs is what the build system needs when others compute too.
double best_seconds(int runs, const std::function<void()>& action) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    action();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// One tree, built completely once. Every case begins with everything current and leaves whatever it likes.
class Rebuild : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<Shared>();
    const SourceTree& tree = shared_->tree;
    // One boot image stands for all; the others would only be built, and the Linux ones fetched.
    tree.write("tests/boot/boards.cmake", "axvisor_add_image(boot_tiny VMS ${vms}/tiny.toml)\n");
    tree.write("../lab/platforms/lab/platform.toml", kPlatform);
    tree.write("../lab/platforms/lab/CMakeLists.txt", kPlatformLists);
    tree.write("../lab/platforms/lab/mark.cpp", kPlatformSource);
    tree.write(kBoardFile, kBoard);
    tree.write(kBuiltVm, vm_text("built", "image:tiny", "0x8000_0000"));
    tree.write(kPlainVm, vm_text("plain", "plain.bin", "0x9000_0000"));
    tree.write(kPlainImage, "first content");
    tree.write(kOtherImage, "another image");
    const fs::path lab = tree.path("../lab").lexically_normal();
    const Result configured = shared_->folder.configure("qemu-aarch64", {"-DAXVISOR_BOARD=lab"},
        {{"CXXFLAGS", "-DFROM_ENVIRONMENT"},
         {"LDFLAGS", "-DFROM_ENVIRONMENT"},
         {"AXVISOR_CONFIG_PATH", lab.string()},
         {"AXVISOR_VM_CONFIGS", (lab / "vms/built.toml").string() + ":" + (lab / "vms/plain.toml").string()}});
    ASSERT_EQ(configured.status, 0) << configured.output;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  void SetUp() override {
    const Steps steps = folder().build();
    ASSERT_EQ(steps.status, 0) << steps.output;
  }

  static const SourceTree& tree() { return shared_->tree; }
  static const BuildFolder& folder() { return shared_->folder; }
  static std::string product(const char* name) { return xtask::read_file(folder().path() / name); }

  /// Builds `axvisor` after an edit.
  static Steps build() {
    const Steps steps = folder().build({"axvisor"});
    EXPECT_EQ(steps.status, 0) << steps.output;
    EXPECT_TRUE(folder().plan({"axvisor"}).nothing_to_do()) << "one build was not enough";
    return steps;
  }

  /// After a TemporaryEdit: its file is as old as before, so that CMake does not run by itself.
  static void configure_again() {
    const Result result = run({AXVISOR_CMAKE, folder().path().string()});
    ASSERT_EQ(result.status, 0) << result.output;
  }

 private:
  struct Shared {
    xtask::TemporaryFolder scratch;
    SourceTree tree{scratch.path() / "tree"};
    BuildFolder folder{tree, tree.path("build/lab")};
  };
  static std::unique_ptr<Shared> shared_;
};

std::unique_ptr<Rebuild::Shared> Rebuild::shared_;

TEST_F(Rebuild, BuildsBoardPlatformAndVmsOfAnotherFolder) {
  EXPECT_THAT(product("generated/include/board_config.hpp"), HasSubstr("kName = \"lab\""));
  EXPECT_THAT(product("generated/report.txt"), HasSubstr("plain"));
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("first content"));
  EXPECT_THAT(product("axvisor"), HasSubstr("made in the lab"));
}

TEST_F(Rebuild, NothingToDoAfterABuild) {
  constexpr double kGenerousBound = 1.0;
  EXPECT_TRUE(folder().plan().nothing_to_do()) << folder().plan().output;
  const double seconds = best_seconds(5, [] { folder().plan(); });
  fmt::print("ninja -n with nothing to do: {:.3f} s\n", seconds);
  EXPECT_LT(seconds, kGenerousBound);
}

TEST_F(Rebuild, VmEditCostsOneSmallCompilationAndALink) {
  constexpr double kGenerousBound = 15.0;
  tree().replace(kBuiltVm, "0x0100_0000", "0x0200_0000");
  Steps steps;
  const double seconds = best_seconds(1, [&] { steps = build(); });
  fmt::print("a VM edit becomes a new image: {:.3f} s\n", seconds);
  EXPECT_LT(seconds, kGenerousBound);
  EXPECT_THAT(steps.compiled(), UnorderedElementsAre(kVmObject)) << steps.output;
  EXPECT_THAT(steps.others(), UnorderedElementsAre(kGenerate, kEmbed, kLink)) << steps.output;
  tree().replace(kBuiltVm, "0x0200_0000", "0x0100_0000");
}

TEST_F(Rebuild, VmCommentRebuildsNothing) {
  tree().replace(kBuiltVm, "[base]", "# a comment\n[base]");
  const Steps steps = build();
  EXPECT_THAT(steps.compiled(), IsEmpty()) << steps.output;
  EXPECT_THAT(steps.others(), Contains(kGenerate)) << steps.output;
  EXPECT_THAT(steps.others(), testing::Not(Contains(kLink))) << steps.output;
}

TEST_F(Rebuild, VmThatNoLongerUsesABuiltGuestRunsCMake) {
  tree().replace(kBuiltVm, "image:tiny", "other.bin");
  const Steps without = build();
  EXPECT_TRUE(without.cmake_ran()) << without.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("another image"));
  tree().replace(kBuiltVm, "other.bin", "image:tiny");
  const Steps with = build();
  EXPECT_TRUE(with.cmake_ran()) << with.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("tiny: hello from a guest"));
}

TEST_F(Rebuild, VmThatNamesAnotherFileDoesNotRunCMake) {
  tree().replace(kPlainVm, "plain.bin", "other.bin");
  const Steps steps = build();
  EXPECT_FALSE(steps.cmake_ran()) << steps.output;
  EXPECT_THAT(steps.compiled(), Contains(kImagesObject)) << steps.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("another image"));
  tree().replace(kPlainVm, "other.bin", "plain.bin");
}

/// Without network and cache the tiny guest stands in for the kernel, tests say that they were skipped, and nothing is linked
/// again while that lasts.
TEST_F(Rebuild, ImageThatCannotBeFetchedHasAStandIn) {
  const fs::path images = tree().path("../images").lexically_normal();
  const EnvironmentChanges offline{{"AXVISOR_OFFLINE", "1"}, {"AXVISOR_CACHE", tree().path("../no-cache").string()}};
  const std::string lists = tree().read("tests/boot/boards.cmake");
  const std::string vm = tree().read(kBuiltVm);
  tree().write("tests/boot/boards.cmake", lists + "axvisor_boot_test(fetched IMAGE axvisor RUN tiny.toml)\n");
  tree().replace(kBuiltVm, "\"image:tiny\"", "\"image:debian-arm64\"\nramdisk_path = \"image:debian-arm64-initramfs\"");
  ASSERT_EQ(run({AXVISOR_CMAKE, "-DAXVISOR_IMAGE_DIR=" + images.string(), folder().path().string()}).status, 0);
  const Steps steps = folder().build({"axvisor"}, offline);
  ASSERT_EQ(steps.status, 0) << steps.output;
  const size_t warning = steps.output.find("the built-in tiny guest stands in");
  EXPECT_NE(warning, std::string::npos) << steps.output;
  EXPECT_EQ(steps.output.find("stands in", warning + 40), std::string::npos) << "one warning is enough:\n" << steps.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("tiny: hello from a guest"));

  const Steps again = folder().build({"axvisor"}, offline);
  EXPECT_THAT(again.output, HasSubstr("stands in")) << "each build tries, or says that it does not";
  EXPECT_THAT(again.others(), testing::Not(Contains(kLink)));
  const Result test = run({"ctest", "--test-dir", folder().path().string(), "-R", "boot.fetched"});
  EXPECT_THAT(test.output, testing::ContainsRegex("boot.fetched \\.+\\*\\*\\*Skipped")) << test.output;
  EXPECT_EQ(test.status, 0);

  tree().write("tests/boot/boards.cmake", lists);
  tree().write(kBuiltVm, vm);
  ASSERT_EQ(run({AXVISOR_CMAKE, "-UAXVISOR_IMAGE_DIR", folder().path().string()}).status, 0);
}

TEST_F(Rebuild, EditedImageFileIsEmbeddedAgain) {
  tree().write(kPlainImage, "second content");
  const Steps steps = build();
  EXPECT_THAT(steps.compiled(), UnorderedElementsAre(kImagesObject)) << steps.output;
  EXPECT_THAT(steps.others(), UnorderedElementsAre(kEmbed, kLink)) << steps.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("second content"));
  tree().write(kPlainImage, "first content");
}

TEST_F(Rebuild, GuestSourceRebuildsTheGuestAndTheImagesThatEmbedIt) {
  tree().replace("tests/guests/aarch64/tiny.cpp", "hello from a guest", "greetings from a guest");
  const Steps steps = folder().build();
  EXPECT_EQ(steps.status, 0) << steps.output;
  EXPECT_THAT(steps.compiled(), UnorderedElementsAre("tests/guests/CMakeFiles/guest-tiny.dir/aarch64/tiny.cpp.obj", kImagesObject,
                                                     "tests/boot/CMakeFiles/boot_tiny.dir/__/__/generated/boot_tiny/vm_images.S.obj"))
      << steps.output;
  EXPECT_THAT(steps.others(), UnorderedElementsAre("Linking CXX executable tests/guests/tiny.elf", "Guest tiny.bin", kEmbed,
                                                   kEmbedBootTest, kLink, "Linking CXX executable images/boot_tiny"))
      << steps.output;
  EXPECT_THAT(product("axvisor.bin"), HasSubstr("greetings from a guest"));
  tree().replace("tests/guests/aarch64/tiny.cpp", "greetings from a guest", "hello from a guest");
}

TEST_F(Rebuild, HeaderRebuildsItsUsersOnly) {
  for (const char* header : {"platforms/aarch64-dyn/exceptions.hpp", "kernel/fdt/reader.hpp", "hypervisor/config/vm_config.hpp"}) {
    const TemporaryEdit edit(tree(), header, "#pragma once", "#pragma once\n");
    const Texts users = objects_using(folder().path(), tree().path(header));
    const Steps steps = folder().plan();
    EXPECT_THAT(users, testing::Not(IsEmpty())) << header;
    EXPECT_EQ(steps.compiled(), users) << header;
    EXPECT_THAT(steps.others(), Contains(kLink)) << header;
    EXPECT_THAT(steps.others(), Each(StartsWith("Linking"))) << header;
  }
}

TEST_F(Rebuild, LinkerScriptLinksImagesOnly) {
  const TemporaryEdit edit(tree(), "platforms/aarch64-dyn/axvisor.ld", "SECTIONS", "/* edited */ SECTIONS");
  const Steps steps = folder().plan();
  EXPECT_THAT(steps.compiled(), IsEmpty()) << steps.output;
  EXPECT_THAT(steps.others(), UnorderedElementsAre(kLink, "Linking CXX executable images/boot_tiny", "Linking CXX executable images/platform_selftest"))
      << steps.output;
}

TEST_F(Rebuild, GuestLinkerScriptLinksTheGuest) {
  const TemporaryEdit edit(tree(), "tests/guests/guest.ld", "SECTIONS", "/* edited */ SECTIONS");
  const Steps steps = folder().plan({"guest-tiny"});
  EXPECT_THAT(steps.compiled(), IsEmpty()) << steps.output;
  EXPECT_THAT(steps.others(), UnorderedElementsAre("Linking CXX executable tests/guests/tiny.elf")) << steps.output;
}

TEST_F(Rebuild, FlagOfOneLibraryRebuildsThatLibrary) {
  const std::string library = "axvisor_kernel_library(kernel_fdt";
  {
    const TemporaryEdit edit(tree(), "kernel/fdt/CMakeLists.txt", library, "add_compile_definitions(EDITED)\n" + library);
    ASSERT_TRUE(folder().regenerate().cmake_ran());
    const Steps steps = folder().plan();
    EXPECT_EQ(steps.compiled(), objects_below(folder().path(), tree().path("kernel/fdt"))) << steps.output;
    EXPECT_THAT(steps.others(), Contains(kLink));
  }
  configure_again();
  EXPECT_TRUE(folder().plan({"axvisor"}).nothing_to_do()) << folder().plan({"axvisor"}).output;
}

TEST_F(Rebuild, FlagOfTheToolchainRebuildsAllTargetCode) {
  {
    const TemporaryEdit edit(tree(), "cmake/toolchains/aarch64-unknown-none-softfloat.cmake", "-fPIE", "-DEDITED -fPIE");
    const Steps regenerated = folder().regenerate();
    ASSERT_TRUE(regenerated.cmake_ran()) << regenerated.output;
    EXPECT_EQ(folder().plan().compiled(), all_objects(folder().path()));
  }
  configure_again();
  EXPECT_TRUE(folder().plan({"axvisor"}).nothing_to_do()) << folder().plan({"axvisor"}).output;
}

TEST_F(Rebuild, FlagsOfTheEnvironmentDoNotReachTargetCode) {
  configure_again();  // CMake keeps the environment's flags in the cache at first, where the next run finds them
  EXPECT_THAT(product("build.ninja"), testing::Not(HasSubstr("FROM_ENVIRONMENT")));
}

TEST_F(Rebuild, OwnFlagsComeAfterTheToolchains) {
  ASSERT_EQ(run({AXVISOR_CMAKE, "-DCMAKE_CXX_FLAGS=-DMY_OWN_FLAG", folder().path().string()}).status, 0);
  EXPECT_THAT(product("compile_commands.json"), testing::ContainsRegex("-fno-use-cxa-atexit -DMY_OWN_FLAG"));
  ASSERT_EQ(run({AXVISOR_CMAKE, "-DCMAKE_CXX_FLAGS=", folder().path().string()}).status, 0);
}

TEST_F(Rebuild, RemovedProductIsMadeAgain) {
  for (const char* name : {"axvisor.bin", "axvisor.map", "generated/vm_images.S"}) {
    fs::remove(folder().path() / name);
    build();
    EXPECT_TRUE(fs::exists(folder().path() / name)) << name;
  }
}

TEST_F(Rebuild, CompileCommandsServeTargetHostAndTests) {
  std::map<fs::path, std::string> first_command;  // clangd takes a file's first entry
  for (const auto& entry : nlohmann::json::parse(tree().read("compile_commands.json"))) {
    const fs::path file = entry.at("file").get<std::string>();
    const fs::path root = file.string().starts_with(tree().root().string()) ? tree().root() : fs::path(AXVISOR_SOURCE_DIR);
    first_command.emplace(file.lexically_relative(root), entry.at("command").get<std::string>());
  }
  EXPECT_THAT(first_command["kernel/log/log.cpp"], HasSubstr("--target=aarch64-none-elf"));
  EXPECT_THAT(first_command["hypervisor/main/hypervisor.cpp"], HasSubstr("build/lab/generated/include"));
  EXPECT_THAT(first_command["tools/axconfig/main.cpp"], HasSubstr("-std=gnu++"));
  EXPECT_THAT(first_command["tests/build/rebuild_test.cpp"], HasSubstr("-std=gnu++"));
}

// The last one: to take this edit back costs nearly a whole build.
TEST_F(Rebuild, BoardEditRunsCMakeAndRebuildsTheUsersOfBoardConfig) {
  tree().replace(kBoardFile, "Info", "Debug");
  const Steps regenerated = folder().regenerate();
  EXPECT_TRUE(regenerated.cmake_ran()) << regenerated.output;
  ASSERT_EQ(folder().build({"axvisor-config", "axvisor-images", "boot_tiny-config", "boot_tiny-images"}).status, 0);
  const Texts users = objects_using(folder().path(), folder().path() / "generated/include/board_config.hpp");
  EXPECT_LT(users.size(), all_objects(folder().path()).size()) << "the test needs a file that does not depend on the board";
  EXPECT_EQ(folder().plan().compiled(), users);
}

}  // namespace
}  // namespace ax::build_test
