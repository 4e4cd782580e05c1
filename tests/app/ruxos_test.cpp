// A RuxOS tree as the provider of the system: its commands word by word, and a build with recording tools in their place.
#include "tools/app/ruxos.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/app/app_tree.hpp"
#include "tools/app/os_build.hpp"

namespace ax::app::testing {
namespace {

using ::testing::AllOf;

/// A folder that looks like a release.
class Tree {
 public:
  explicit Tree(bool with_ruxlibc) {
    if (with_ruxlibc) {
      write_file(folder_ / "ulib/ruxlibc/c/printf.c", "int printf_of_ruxos;\n");
      write_file(folder_ / "ulib/ruxlibc/c/env.c", "int env_of_ruxos;\n");
      write_file(folder_ / "ulib/ruxlibc/include/stdio.h", "#pragma once\n");
    }
    write_file(folder_ / "ulib/ruxmusl/Cargo.toml", "");
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

std::string os(std::string_view services, std::string_view ulib, std::string_view platform, std::string_view qemu = "") {
  return fmt::format(
      "[build]\ncompiler = \"gcc\"\n[os]\nservices = [{}]\nulib = \"{}\"\n[os.platform]\n{}\n[os.platform.qemu]\n{}\n{}",
      services, ulib, platform, qemu, kProgram);
}

/// Every command of the build, with the paths of this run named.
std::string commands(const Described& app, const Tree& tree) {
  EXPECT_TRUE(app.diagnostics.ok()) << app.messages();
  const auto provider = ruxos_provider(app.application, tree.path(), "/b");
  std::string out = provider ? "" : provider.error();
  const std::vector<OsStep> steps = provider ? plan_os_build(app.application, *provider, "/b").steps : std::vector<OsStep>();
  for (const OsStep& step : steps) {
    for (const auto& [name, value] : step.environment) out += name + "=" + value + " ";
    out += join_words(step.command) + "\n";
  }
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (usize at = out.find(from); at != std::string::npos; at = out.find(from)) out.replace(at, from.size(), to);
  };
  replace(tree.path().string(), "/ruxos");
  replace(app.folder().string(), "/app");
  return out;
}

TEST(RuxosTest, BuildsRelease003AsRuxgoDoes) {
  const Described app(os("\"alloc\",\"paging\",\"net\",\"rtc\"", "ruxlibc", "smp = 4\nlog = \"info\"\nv = \"1\"", "net = \"y\""));
  EXPECT_EQ(commands(app, Tree(true)),
            "RUX_ARCH=x86_64 RUX_PLATFORM=x86_64-qemu-q35 RUX_SMP=4 RUX_MODE=release RUX_LOG=info "
            "RUX_TARGET=x86_64-unknown-none RUX_IP=10.0.2.15 RUX_GW=10.0.2.2 cargo build --target x86_64-unknown-none "
            "--target-dir /b/target --release -p ruxlibc -v --features 'ruxfeat/log-level-info ruxfeat/bus-pci ruxfeat/rtc "
            "ruxlibc/smp ruxlibc/alloc ruxlibc/paging ruxlibc/net ruxlibc/fd'\n"
            "x86_64-linux-musl-gcc -nostdinc -fno-builtin -ffreestanding -Wall -isystem/ruxos/ulib/ruxlibc/include "
            "-DRUX_CONFIG_SMP -DRUX_CONFIG_ALLOC -DRUX_CONFIG_PAGING -DRUX_CONFIG_NET -DRUX_CONFIG_FD -DRUX_CONFIG_INFO -O3 "
            "-mno-sse -o /b/objects/libc/env.c.o -c /ruxos/ulib/ruxlibc/c/env.c\n"
            "x86_64-linux-musl-gcc -nostdinc -fno-builtin -ffreestanding -Wall -isystem/ruxos/ulib/ruxlibc/include "
            "-DRUX_CONFIG_SMP -DRUX_CONFIG_ALLOC -DRUX_CONFIG_PAGING -DRUX_CONFIG_NET -DRUX_CONFIG_FD -DRUX_CONFIG_INFO -O3 "
            "-mno-sse -o /b/objects/libc/printf.c.o -c /ruxos/ulib/ruxlibc/c/printf.c\n"
            "x86_64-linux-musl-ar rcs /b/bin/libc.a /b/objects/libc/env.c.o /b/objects/libc/printf.c.o\n"
            "x86_64-linux-musl-gcc -nostdinc -fno-builtin -ffreestanding -Wall -isystem/ruxos/ulib/ruxlibc/include "
            "-DRUX_CONFIG_SMP -DRUX_CONFIG_ALLOC -DRUX_CONFIG_PAGING -DRUX_CONFIG_NET -DRUX_CONFIG_FD -DRUX_CONFIG_INFO -O3 "
            "-mno-sse -I/app/ -o /b/objects/p/main.c.o -c /app/main.c\n"
            "rust-lld -flavor gnu -nostdlib -static -no-pie --gc-sections "
            "-T/ruxos/modules/ruxhal/linker_x86_64-qemu-q35.lds --no-relax /b/bin/libc.a "
            "/b/target/x86_64-unknown-none/release/libruxlibc.a /b/objects/p/main.c.o -o /b/bin/p.elf\n"
            "rust-objcopy --binary-architecture=x86_64 /b/bin/p.elf --strip-all -O binary /b/bin/p.bin\n");
}

TEST(RuxosTest, BuildsMuslAndShares9p) {
  const Described app(
      os("\"fs\",\"virtio-9p\",\"irq\"", "ruxmusl", "name = \"aarch64-qemu-virt\"\nmode = \"debug\"", "v9p = \"y\""));
  const std::string text = commands(app, Tree(true));
  EXPECT_THAT(text,
              HasSubstr("RUX_TARGET=aarch64-unknown-none-softfloat RUX_IP=10.0.2.15 RUX_GW=10.0.2.2 "
                        "RUX_9P_ADDR=127.0.0.1:564 RUX_ANAME_9P=./ RUX_PROTOCOL_9P=9P2000.L RUX_MUSL=y cargo build "
                        "--target aarch64-unknown-none-softfloat --target-dir /b/target -p ruxmusl --features "
                        "'ruxfeat/log-level-warn ruxfeat/virtio-9p ruxfeat/tls ruxmusl/fs ruxmusl/irq ruxmusl/fd ruxmusl/musl "
                        "ruxmusl/fp_simd'\n"));
  EXPECT_THAT(text, HasSubstr("/ruxos/ulib/ruxmusl/musl-1.2.3/configure --prefix=./install --exec-prefix=./ "
                              "--syslibdir=./install/lib --disable-warnings --disable-shared ARCH=aarch64 "
                              "CC=aarch64-linux-musl-gcc\nmake -j\nmake install\n"));
  EXPECT_THAT(text, HasSubstr("aarch64-linux-musl-gcc -nostdinc -fno-builtin -ffreestanding -Wall "
                              "-isystem/b/ruxmusl/install/include -I/app/ -o"));
  EXPECT_THAT(text, HasSubstr("linker_aarch64-qemu-virt.lds /b/ruxmusl/install/lib/libc.a "
                              "/b/target/aarch64-unknown-none-softfloat/debug/libruxmusl.a /b/objects"));
}

TEST(RuxosTest, KnowsWhatLaterReleasesChanged) {
  const Tree later(false);
  const std::string text = commands(Described(os("\"net\"", "ruxmusl", "name = \"aarch64-qemu-virt\"", "net = true")), later);
  EXPECT_THAT(text, HasSubstr("cargo build --target aarch64-unknown-none --target-dir /b/target --release -p ruxmusl --features "
                              "'axlog/log-level-warn ruxfeat/tls ruxmusl/net ruxmusl/fd ruxmusl/musl ruxmusl/fp_simd "
                              "ruxmusl/multitask ruxmusl/fs ruxmusl/paging ruxmusl/alloc ruxmusl/sched_rr'\n"));
  EXPECT_THAT(commands(Described(os("", "ruxmusl", "")), later), HasSubstr(" -O3 -mno-red-zone -I/app/"));
  EXPECT_EQ(commands(Described(os("", "ruxlibc", "")), later),
            "RuxOS after 0.1.0 in /ruxos has no ruxlibc any more: use ulib = \"ruxmusl\", or release 0.0.3");
  EXPECT_THAT(commands(Described(os("", "ruxmusl", "name = \"riscv64-qemu-virt\"")), later),
              HasSubstr("-march=rv64gc -mabi=lp64d -mcmodel=medany"));
  const TemporaryFolder nothing;
  EXPECT_EQ(ruxos_release(nothing.path()).error(),
            nothing.path().string() + " is no source tree of RuxOS: it has no ulib/ruxmusl");
}

/// The whole build, run by Ninja, with tools that write down what they were told and make what they would make.
class RuxosBuild : public AppTree {
 protected:
  void SetUp() override {
    write("config_linux.toml", os("\"alloc\"", "ruxlibc", ""));
    write("main.c", "#include \"value.h\"\nint main(void) { return VALUE; }\n");
    write("value.h", "#define VALUE 1\n");
    tool("cargo",
         "mkdir -p \"$5/$3/release\" && cat \"$PWD/version\" >\"$5/new\" && mkdir -p modules/ruxhal\n"
         "f=$5/$3/release/libruxlibc.a; s=modules/ruxhal/linker_$RUX_PLATFORM.lds\n"
         "cmp -s $5/new $f || { cp $5/new $f; cp $5/new $s; }\n");
    tool("x86_64-linux-musl-gcc", "exec gcc \"$@\"\n");
    tool("x86_64-linux-musl-ar", "exec ar \"$@\"\n");
    tool("rust-lld", "for last; do :; done; echo elf >\"$last\"\n");
    tool("rust-objcopy", "for last; do :; done; echo bin >\"$last\"\n");
    write("ruxos/ulib/ruxlibc/c/a.c", "int a;\n");
    write("ruxos/ulib/ruxlibc/include/a.h", "");
    write("ruxos/version", "1\n");
  }
  void tool(const std::string& name, const std::string& script) {
    write("tools/" + name, "#!/bin/sh\necho \"" + name + "\" >>" + path("log").string() + "\n" + script);
    ::chmod(path("tools/" + name).c_str(), 0755);
  }
  Finished build_os(const std::string& arguments = "build") {
    fs::remove(path("log"));
    write("log", "");
    return run("cd " + path("").string() + " && RUXOS_DIR=ruxos PATH=" + path("tools").string() + ":$PATH AXVISOR_ROOT=" +
               source_folder().string() + " " XTASK_PROGRAM " app " + arguments + " -f config_linux.toml");
  }
  std::string log() { return read_file(path("log")); }
};

TEST_F(RuxosBuild, RunsEveryStepAndRepeatsWhatChanged) {
  const Finished first = build_os();
  ASSERT_EQ(first.status, 0) << first.errors << first.output;
  EXPECT_EQ(read_file(path("app_build/x86_64-qemu-q35-release/bin/p.bin")), "bin\n");
  EXPECT_EQ(build_os().status, 0);
  EXPECT_EQ(log(), "cargo\n") << "Cargo alone knows whether the system is stale";
  write("value.h", "#define VALUE 2\n");
  EXPECT_EQ(build_os().status, 0);
  EXPECT_THAT(log(), HasSubstr("x86_64-linux-musl-gcc\n"));
  EXPECT_THAT(log(), HasSubstr("rust-lld\nrust-objcopy\n"));
  write("ruxos/version", "2\n");
  EXPECT_EQ(build_os().status, 0);
  EXPECT_EQ(log(), "cargo\nrust-lld\nrust-objcopy\n") << "another system is linked";
}

/// 128 KiB are the most that one argument of a shell may have.
TEST_F(RuxosBuild, ALibraryMayHaveManyFiles) {
  const std::string folder = std::string(200, 'd') + "/" + std::string(200, 'e');
  constexpr int kFiles = 300;
  for (int i = 0; i < kFiles; ++i) write(fmt::format("many/{}/f {}.c", folder, i), "");
  tool("x86_64-linux-musl-gcc", "previous=; for word; do case $previous in -o|-MF) : >\"$word\";; esac; previous=$word; done\n");
  write("config_linux.toml", os("\"alloc\"", "ruxlibc", "") + "deps = [\"many\", \"one\"]\n" + target("many", "static", "many") +
                                 target("one", "object", "many"));
  tool("rust-lld", "for last; do :; done; case $* in *' -r '*) for w; do case $w in @*) wc -w <\"${w#@}\" >" +
                       path("count").string() +
                       ";; esac; done;; esac; for w; do [ \"$p\" = -o ] && echo x >\"$w\"; p=$w; done\n");
  const Finished result = build_os("build -q -j 8");
  EXPECT_EQ(result.status, 0) << result.errors.substr(0, 2000);
  EXPECT_EQ(std::stoi(run("ar t " + path("app_build/x86_64-qemu-q35-release/bin/many.a").string() + " | wc -l").output), kFiles);
  EXPECT_EQ(std::stoi(read_file(path("count"))), 2 * kFiles) << "each name has a blank";
}

TEST_F(RuxosBuild, SpeaksAsMuchAsTheDescriptionWants) {
  const auto says = [&](const std::string& verbosity, const std::string& arguments) {
    write("config_linux.toml", os("\"alloc\"", "ruxlibc", "v = \"" + verbosity + "\""));
    write("value.h", "#define VALUE 1 // " + verbosity + arguments + "\n");
    const Finished result = build_os(arguments);
    EXPECT_EQ(result.status, 0) << result.errors;
    return result.errors;
  };
  EXPECT_THAT(says("", "build"), AllOf(Not(HasSubstr(" -c ")), Not(HasSubstr("explain"))));
  EXPECT_THAT(says("1", "build"), AllOf(HasSubstr(" -c " + path("main.c").string()), Not(HasSubstr("explain"))));
  EXPECT_THAT(says("2", "build"), AllOf(HasSubstr(" -c " + path("main.c").string()), HasSubstr("explain: ")));
  EXPECT_EQ(says("2", "build -q"), "");
}

TEST_F(RuxosBuild, AFailedLinkIsNotTakenForDone) {
  ASSERT_EQ(build_os().status, 0);
  write("main.c", "int main(void) { return 0; }\n");
  tool("rust-lld", "exit 1\n");
  EXPECT_EQ(build_os().status, 1);
  EXPECT_EQ(build_os().status, 1) << "the old program must not be taken for the new one";
}

TEST_F(RuxosBuild, AnotherPlatformIsCompiledAnew) {
  ASSERT_EQ(build_os().status, 0);
  write("config_linux.toml", os("\"alloc\"", "ruxlibc", "name = \"aarch64-qemu-virt\""));
  tool("aarch64-linux-musl-gcc", "previous=; for word; do case $previous in -o|-MF) : >$word;; esac; previous=$word; done\n");
  tool("aarch64-linux-musl-ar", "exec ar \"$@\"\n");
  const Finished other = build_os();
  EXPECT_EQ(other.status, 0) << other.errors;
  EXPECT_THAT(log(), HasSubstr("aarch64-linux-musl-gcc\naarch64-linux-musl-gcc\n")) << "the C library and the program";
  EXPECT_TRUE(fs::exists(path("app_build/aarch64-qemu-virt-release")) && fs::exists(path("app_build/x86_64-qemu-q35-release")));
}

TEST_F(RuxosBuild, WhatOnlyTheMachineUsesRebuildsNothing) {
  ASSERT_EQ(build_os().status, 0);
  write("config_linux.toml", os("\"alloc\"", "ruxlibc", "", "args = \"a,b\"\nmemory = \"256M\"\ngraphic = \"y\""));
  EXPECT_EQ(build_os().status, 0);
  EXPECT_EQ(log(), "cargo\n");
}

TEST_F(RuxosBuild, OtherServicesCompileEverythingThatKnowsThem) {
  ASSERT_EQ(build_os().status, 0);
  write("config_linux.toml", os("\"alloc\",\"multitask\"", "ruxlibc", ""));
  EXPECT_EQ(build_os().status, 0);
  EXPECT_THAT(log(), HasSubstr("x86_64-linux-musl-gcc\nx86_64-linux-musl-gcc\n")) << "the C library and the program";
}

TEST_F(RuxosBuild, SaysOnceWhatIsMissing) {
  for (const char* name : {"rust-lld", "rust-objcopy"}) fs::remove(path(std::string("tools/") + name));
  const Finished result =
      run("cd " + path("").string() +
          " && mkdir bare && ln -s $(command -v cmake) $(command -v ninja) bare/ && "
          "RUXOS_DIR=ruxos PATH=" +
          path("bare").string() + " AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " app build");
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.errors, HasSubstr("cannot be built: cargo, x86_64-linux-musl-gcc, x86_64-linux-musl-ar, rust-lld, "
                                       "rust-objcopy are not installed"));
}

TEST_F(RuxosBuild, ShowsEverythingWithoutAnyOfIt) {
  const Finished shown = build_os("run --dry-run --accel tcg");
  EXPECT_EQ(shown.status, 0) << shown.errors;
  EXPECT_THAT(shown.output, HasSubstr("# system = RuxOS 0.0.3 in " + path("ruxos").string() + "\n"));
  EXPECT_THAT(shown.output, HasSubstr("cd " + path("ruxos").string() + "\nRUX_ARCH=x86_64 "));
  EXPECT_THAT(shown.output, HasSubstr("\nqemu-system-x86_64 -m 128M"));
  EXPECT_EQ(log(), "");
}

TEST_F(RuxosBuild, APortOfAnotherProgramIsSaidBeforeTheMachineStarts) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const unsigned port = ntohs(address.sin_port);
  tool("qemu-system-x86_64", "echo started\n");
  const auto run_with = [&](const std::string& ports) {
    write("config_linux.toml", os("\"net\"", "ruxlibc", "", "net = \"y\"\nports = [\"" + ports + "\"]"));
    return build_os("run --accel tcg -q");
  };
  const Finished taken = run_with(fmt::format("{}:80/tcp", port));
  EXPECT_EQ(taken.status, 4);
  EXPECT_THAT(taken.errors, HasSubstr(fmt::format("another program has the port {}/tcp of this machine", port)));
  EXPECT_THAT(taken.errors, HasSubstr("or \"0:80\" for one that is free"));
  EXPECT_EQ(run_with("0:80").output, "started\n");
  EXPECT_EQ(run_with(fmt::format("{}:80/udp", port)).output, "started\n");
  ::close(fd);
}

TEST_F(RuxosBuild, StartsAReadyMadeProgramFromTheSharedFolder) {
  write("busybox", "x");
  write("config_linux.toml",
        "[build]\ncompiler = \"gcc\"\napp = \"./busybox\"\n[os]\nservices = [\"virtio-9p\"]\nulib = \"ruxmusl\"\n"
        "[os.platform.qemu]\nv9p = \"y\"\nv9p_path = \"./rootfs\"\n");
  const std::string text = build_os("build --dry-run").output;
  const std::string folder = path("app_build/x86_64-qemu-q35-release").string();
  EXPECT_THAT(text, Not(HasSubstr("--disable-shared")));
  EXPECT_THAT(text, HasSubstr("-o " + folder + "/objects/loader.c.o -c " + folder + "/loader.c\n"));
  EXPECT_THAT(text, HasSubstr("cp " + folder + "/ruxmusl/lib/libc.so " + path("rootfs/lib/ld-musl-x86_64.so.1").string() +
                              "\ncp " + path("busybox").string() + " " + path("rootfs/bin/busybox").string() + "\n"));
}

}  // namespace
}  // namespace ax::app::testing
