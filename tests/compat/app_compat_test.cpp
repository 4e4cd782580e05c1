// Applications as their users describe them. Ruxgo's own files are read as they are, with sources of ours in place of
// theirs; those in apps/ are ours, cover the same keys and forms, and are always there.
#include <fmt/format.h>
#include <algorithm>

#include "tests/app/support.hpp"
#include "tools/app/qemu.hpp"

namespace ax::app::testing {
namespace {

using config::Value;

fs::path own_folder() { return source_folder() / "tests/compat/apps"; }
fs::path ruxgo_folder() { return source_folder().parent_path() / "shared/compat/ruxgo"; }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

/// A copy of a description in a folder of its own, with a source for everything that it names.
class Copy {
 public:
  explicit Copy(const fs::path& original) {
    const std::string text = read_file(original);
    write_file(folder_ / "config_linux.toml", text);
    config::SourceStore sources;
    Diagnostics diagnostics;
    const auto root = config::parse_toml(sources.add("file", text), diagnostics);
    const Value::Member* targets = root->find("targets");
    if (targets == nullptr) return;
    for (const Value& target : targets->value.items) make_sources(target);
  }
  const fs::path& folder() const { return folder_.path(); }
  fs::path file() const { return folder_ / "config_linux.toml"; }

 private:
  void make_sources(const Value& target) {
    const auto text = [&](std::string_view key) {
      const Value::Member* member = target.find(key);
      return member == nullptr || member->value.kind != Value::Kind::String ? std::string() : member->value.text;
    };
    const fs::path src = folder() / text("src");
    const bool cxx = read_file(file()).find("clang++") != std::string::npos;
    const std::string name = text("name");
    const bool program = text("type") == "exe";
    const std::string code =
        program ? "int main(void) { return 0; }\n" : fmt::format("int {}_symbol __attribute__((weak)) = 1;\n", name);
    const Value::Member* only = target.find("src_only");
    if (src.has_extension()) {
      write_file(src, code);
    } else if (only != nullptr) {
      for (const Value& entry : only->value.items) write_file(src / fs::path(entry.text).relative_path(), code);
    } else {
      write_file(src / (name + (cxx ? "_source.cpp" : "_source.c")), code);
    }
    // What is excluded would break the program.
    const Value::Member* exclude = target.find("src_exclude");
    for (const Value& entry : exclude == nullptr ? std::vector<Value>() : exclude->value.items) {
      if (entry.text.ends_with(".c")) write_file(src / fs::path("/" + entry.text).relative_path(), "#error excluded\n");
    }
    const Value::Member* include = target.find("include_dir");
    if (include == nullptr) return;
    if (include->value.kind == Value::Kind::String) fs::create_directories(folder() / include->value.text);
    for (const Value& item : include->value.items) fs::create_directories(folder() / item.text);
  }

  TemporaryFolder folder_;
};

struct Loaded {
  explicit Loaded(const fs::path& file) {
    application = load_application(**sources.open(file, file.filename().string()), pkg_config_with(""), diagnostics);
  }

  config::SourceStore sources;
  Diagnostics diagnostics;
  Application application;
};

/// Everything short of running a program: checks, and shows the build and the machine.
void expect_usable(const fs::path& original) {
  const Copy copy(original);
  const Loaded loaded(copy.file());
  ASSERT_TRUE(loaded.diagnostics.ok()) << original << "\n" << loaded.diagnostics.render(false);
  const Finished shown = run("AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " app -br --dry-run " +
                             copy.folder().string());
  EXPECT_EQ(shown.status, 0) << original << shown.errors;
  if (loaded.application.os) {
    EXPECT_THAT(shown.output, ::testing::HasSubstr("\n" + qemu_program(loaded.application.os->arch) + " -m "));
  }
}

void expect_builds_and_runs(const fs::path& original) {
  const Copy copy(original);
  if (Loaded(copy.file()).application.os) return;
  const Finished result =
      run("AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " app run " + copy.folder().string());
  EXPECT_EQ(result.status, 0) << original << result.output << result.errors;
}

TEST(OwnApps, AreUsable) {
  const std::vector<std::string> names = names_in(own_folder());
  ASSERT_GE(names.size(), 10U);
  for (const std::string& name : names) expect_usable(own_folder() / (name + ".toml"));
}

TEST(OwnApps, BuildAndRun) {
  for (const std::string& name : names_in(own_folder())) expect_builds_and_runs(own_folder() / (name + ".toml"));
}

TEST(OwnApps, NameEveryKeyOfRuxgo) {
  std::string all;
  for (const std::string& name : names_in(own_folder())) all += read_file(own_folder() / (name + ".toml"));
  for (const Table& table : all_tables()) {
    for (const Key& key : table.keys) {
      const bool named = all.find(fmt::format("\n{} = ", key.name)) != std::string::npos;
      EXPECT_TRUE(named || key.origin == Origin::Ours) << key.name;
    }
  }
}

class RuxgoFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(ruxgo_folder())) GTEST_SKIP() << "Ruxgo's files are not beside the source tree: " << ruxgo_folder();
  }
};

TEST_F(RuxgoFiles, AreUsable) {
  const std::vector<std::string> names = names_in(ruxgo_folder());
  EXPECT_EQ(names.size(), 16U);
  for (const std::string& name : names) expect_usable(ruxgo_folder() / (name + ".toml"));
}

TEST_F(RuxgoFiles, BuildAndRunOnThisMachine) {
  for (const std::string& name : names_in(ruxgo_folder())) expect_builds_and_runs(ruxgo_folder() / (name + ".toml"));
}

TEST_F(RuxgoFiles, MeanWhatTheirAuthorsMeant) {
  const Copy redis(ruxgo_folder() / "redis-local.toml");
  const Loaded local(redis.file());
  const Target& server = *local.application.program();
  EXPECT_EQ(server.cflags, (Words{"-pedantic", "-DREDIS_STATIC=", "-std=c99", "-Wall", "-W",
                                  "-Wno-missing-field-initializers", "-O2", "-g", "-ggdb", "-Wno-format"}));
  EXPECT_EQ(local.application.targets[1].archiver, (Words{"ar", "rc"}));
  EXPECT_EQ(local.application.targets[2].cflags.back(), "-DHDR_MALLOC_INCLUDE=\"hdr_redis_malloc.h\"");
  const Copy ruxos(ruxgo_folder() / "redis-ruxos.toml");
  const Loaded machine(ruxos.file());
  EXPECT_EQ(join_words(qemu_command(*machine.application.os, {"r.elf", "r.bin"})),
            "qemu-system-x86_64 -m 128M -smp 1 -machine q35 -kernel r.elf -append ';./redis-server,/v9fs/redis.conf;'"
            " -device virtio-blk-pci,drive=disk0 -drive id=disk0,if=none,format=raw,file=./disk_img"
            " -fsdev local,id=myid,path=./,security_model=none -device virtio-9p-pci,fsdev=myid,mount_tag=rootfs"
            " -device virtio-net-pci,netdev=net0 -netdev user,id=net0,hostfwd=tcp::5555-:5555,hostfwd=udp::5555-:5555 "
            "-nographic");
}

}  // namespace
}  // namespace ax::app::testing
