// What editors and debuggers are given: CMake's file API, compile commands for clangd, VS Code's tasks and launches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/build/source_tree.hpp"

namespace ax::build_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

const fs::path kSource = AXVISOR_SOURCE_DIR;

Json json_file(const std::string& name) { return Json::parse(xtask::read_file(kSource / name)); }

/// The first reply file of CMake's file API whose name starts with `kind`.
Json reply(const fs::path& build, const std::string& kind) {
  for (const fs::directory_entry& entry : fs::directory_iterator(build / ".cmake/api/v1/reply")) {
    if (entry.path().filename().string().starts_with(kind)) {
      return Json::parse(xtask::read_file(entry.path()));
    }
  }
  ADD_FAILURE() << "no reply " << kind;
  return Json::object();
}

Result clangd(const fs::path& file, const fs::path& commands) {
  return run({"clangd-19", "--check=" + file.string(), "--compile-commands-dir=" + commands.string(), "--check-locations=0"}, {},
             kSource);
}

TEST(Ide, FindsEveryTargetOfABoardAndItsCommands) {
  const xtask::TemporaryFolder scratch;
  const SourceTree tree(scratch.path() / "tree");
  const BuildFolder folder(tree, tree.path("build/ide"));
  xtask::write_file(folder.path() / ".cmake/api/v1/query/codemodel-v2", "");
  const Result result =
      folder.configure("qemu-aarch64", {"-DAXVISOR_VM_CONFIGS=" + tree.path("tests/boot/vms/tiny.toml").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const Json model = reply(folder.path(), "codemodel-v2");
  std::set<std::string> targets;
  for (const Json& target : model.at("configurations").at(0).at("targets")) {
    targets.insert(target.at("name"));
  }
  for (const char* name : {"axvisor", "qemu", "qemu-gdb", "hypervisor_main"}) {
    EXPECT_TRUE(targets.contains(name)) << name;
  }
  const Result kernel = clangd(tree.path("hypervisor/main/vm_manager.cpp"), folder.path());
  EXPECT_EQ(kernel.status, 0) << kernel.output;
  EXPECT_THAT(kernel.output, HasSubstr("aarch64"));
}

TEST(Ide, ClangdUnderstandsHostCode) {
  const Result host = clangd(kSource / "tests/xtask/suggest_test.cpp", AXVISOR_HOST_BUILD_DIR);
  EXPECT_EQ(host.status, 0) << host.output;
}

TEST(Ide, LaunchesNameTasksAndPresetsThatExist) {
  const Json task_file = json_file(".vscode/tasks.json");
  const Json preset_file = json_file("CMakePresets.json");
  const Json launch_file = json_file(".vscode/launch.json");
  std::set<std::string> tasks;
  for (const Json& task : task_file.at("tasks")) {
    tasks.insert(task.at("label"));
  }
  std::set<std::string> presets;
  for (const Json& preset : preset_file.at("configurePresets")) {
    presets.insert(preset.at("name"));
  }
  EXPECT_FALSE(tasks.empty());
  ASSERT_FALSE(launch_file.at("configurations").empty());
  for (const Json& launch : launch_file.at("configurations")) {
    const std::string program = launch.at("program");
    const std::string below = program.substr(std::string("${workspaceFolder}/build/").size());
    EXPECT_TRUE(presets.contains(below.substr(0, below.find('/')))) << program;
    EXPECT_TRUE(!launch.contains("preLaunchTask") || tasks.contains(launch.at("preLaunchTask"))) << launch.at("name");
  }
}

}  // namespace
}  // namespace ax::build_test
