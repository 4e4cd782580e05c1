// The command line: ./xtask app ...
#include "tests/app/app_tree.hpp"

namespace ax::app::testing {
namespace {

class AppCommand : public AppTree {
 protected:
  void simple(std::string_view main =
                  "int main(int argc, char** argv) { for (int i = 1; i < argc; ++i) puts(argv[i]); return argc; }\n") {
    describe(target("p", "exe", "main.c", "cflags = \"-include stdio.h\"\n"));
    write("main.c", main);
  }
  std::string os_description(std::string_view qemu = "") {
    return "[os]\nservices = [\"alloc\", \"myfs\"]\nulib = \"ruxlibc\"\n[os.platform.qemu]\n" + std::string(qemu) +
           target("p", "exe", "main.c", "linker = \"rust-lld -flavor gnu\"\n");
  }
};

TEST_F(AppCommand, RunReturnsTheProgramsStatusAndPassesArguments) {
  simple();
  const Finished result = xtask("run -q -- 'a b' --version");
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.output, "a b\n--version\n");
  EXPECT_EQ(xtask("run -q --bin-args=x,y").status, 3);
}

TEST_F(AppCommand, RunPassesStandardInputAndSignals) {
  simple("int main(void) { char line[20]; if (!fgets(line, 20, stdin)) return 1; fputs(line, stdout); return 0; }\n");
  build();
  EXPECT_EQ(run("cd " + path("").string() + " && echo typed | " XTASK_PROGRAM " app -r").status, 0)
      << "stdin of the test is closed for run()";
  simple("#include <signal.h>\nint main(void) { raise(SIGTERM); return 0; }\n");
  build();
  EXPECT_EQ(run(std::string(XTASK_PROGRAM) + " app -r " + path("").string() + "; echo $?").output, "143\n");
}

TEST_F(AppCommand, RuxgosFlagsWorkAlsoJoined) {
  simple("int main(void) { return 7; }\n");
  const Finished early = xtask("-r");
  EXPECT_EQ(early.status, 2);
  EXPECT_THAT(early.errors, HasSubstr("could not find binary: " + product("p").string()));
  EXPECT_EQ(xtask("-b").status, 0);
  EXPECT_EQ(xtask("-r").status, 7);
  EXPECT_EQ(xtask("-cbr").status, 7);
  EXPECT_EQ(xtask("-c").status, 0);
  EXPECT_FALSE(fs::exists(path("app_build")));
  EXPECT_EQ(xtask("").status, 2) << "nothing was asked for";
  EXPECT_THAT(xtask("build -r").errors, HasSubstr("-r stands for a command, and 'build' is one already"));
}

TEST_F(AppCommand, CleanRemovesOnlyWhatABuildMade) {
  simple();
  write("app_build/mine.txt", "precious");
  EXPECT_EQ(xtask("clean").status, 2);
  EXPECT_TRUE(fs::exists(path("app_build/mine.txt")));
  fs::remove_all(path("app_build"));
  build();
  EXPECT_EQ(xtask("clean --dry-run").output, "rm -rf " + path("app_build").string() + "\n");
  EXPECT_EQ(xtask("clean").status, 0);
  EXPECT_FALSE(fs::exists(path("app_build")));
  EXPECT_TRUE(fs::exists(path("main.c")));
}

TEST_F(AppCommand, MistakesHaveTheirPlaceAndStatusTwo) {
  describe("[[target]]\n");
  const Finished result = xtask("check");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.errors, HasSubstr("config_linux.toml:3:3: error: unknown table 'target'\n    3 | [[target]]\n     "
                                       " |   ^~~~~~\n  fix: did you mean 'targets'?\n"));
  EXPECT_EQ(xtask("build nowhere").status, 2);
  EXPECT_THAT(xtask("build /").errors, HasSubstr("no config_linux.toml or app.toml in /"));
  write("app.toml", "");
  EXPECT_THAT(xtask("check").errors, HasSubstr("say which with --file"));
}

TEST_F(AppCommand, CheckAcceptsWhatIsRight) {
  simple();
  const Finished result = xtask("check");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.errors, HasSubstr("is right: 1 target\n"));
  EXPECT_FALSE(fs::exists(path("app_build")));
}

TEST_F(AppCommand, FilesForEditorsAreWrittenWithoutABuildToo) {
  simple();
  EXPECT_EQ(xtask("--gen-cc --gen-vsc").status, 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(path("compile_commands.json"))).size(), 1U);
  EXPECT_TRUE(nlohmann::json::parse(read_file(path(".vscode/c_cpp_properties.json"))).contains("configurations"));
  EXPECT_FALSE(fs::exists(path("app_build")));
}

TEST_F(AppCommand, TheFolderMayBeGivenAsRuxgoTakesIt) {
  write("sub/app.toml", std::string(kBuild) + target("p", "exe", "main.c"));
  write("sub/main.c", "int main(void) { return 6; }\n");
  EXPECT_EQ(xtask("--path sub -br").status, 6);
  EXPECT_EQ(xtask("--path sbu -br").status, 2);
}

TEST_F(AppCommand, TheDescriptionMayBeNamedInsteadOfItsFolder) {
  simple();
  EXPECT_EQ(xtask("run -q config_linux.toml").status, 1);
  EXPECT_EQ(xtask("clean config_linux.toml").status, 0);
  EXPECT_FALSE(fs::exists(path("app_build")));
}

TEST_F(AppCommand, AFolderThatCannotBeMadeIsSaidWithAWayOut) {
  simple();
  write("file", "");
  const Finished result = xtask("build --build-dir file/folder");
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.errors, HasSubstr("cannot make the folder " + path("file/folder").string() +
                                       ": Not a directory\nhint: --build-dir FOLDER builds elsewhere\n"));
}

TEST_F(AppCommand, AMissingCompilerIsSaidBeforeTheBuild) {
  write("config_linux.toml", "[build]\ncompiler = \"no-such-gcc\"\n" + target("p", "exe", "main.c"));
  write("main.c", "int main(void) { return 0; }\n");
  const Finished result = xtask("build");
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.errors, HasSubstr("the program 'no-such-gcc' is not installed"));
}

TEST_F(AppCommand, DryRunShowsTheCommandsAndDoesNothing) {
  simple();
  const std::string folder = path("app_build/host-release").string();
  EXPECT_EQ(xtask("run --dry-run -j 3 -- x").output, "cmake -G Ninja -S " + folder + "/project -B " + folder +
                                                         " -DCMAKE_BUILD_TYPE=Release\nninja -C " + folder +
                                                         " -j 3\n" + folder + "/bin/p x\n");
  EXPECT_FALSE(fs::exists(path("app_build")));
}

TEST_F(AppCommand, CompileCommandsAreValidInEveryMode) {
  describe(target("p", "exe", "main.c", "cflags = '''-DT='\"q\"' '-DD=$x' '''\n"));
  write("main.c", "int main(void) { return sizeof T; }\n");
  build("--gen-cc --gen-vsc");
  auto commands = nlohmann::json::parse(read_file(path("compile_commands.json")));
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_THAT(commands[0]["arguments"], ::testing::Contains("-DT=\"q\""));
  EXPECT_THAT(commands[0]["arguments"], ::testing::Contains("-DD=$x"));
  EXPECT_EQ(commands[0]["file"], path("main.c").string());
  EXPECT_TRUE(nlohmann::json::accept(read_file(path(".vscode/c_cpp_properties.json"))));
  EXPECT_TRUE(nlohmann::json::accept(read_file(path("app_build/host-release/compile_commands.json"))));
  describe(os_description());
  EXPECT_EQ(xtask("build --gen-cc").status, 1);
  commands = nlohmann::json::parse(read_file(path("compile_commands.json")));
  EXPECT_EQ(commands[0]["arguments"][1], "--target=x86_64-linux-musl");
}

TEST_F(AppCommand, AReadyMadeProgramIsRun) {
  write("tool.sh", "#!/bin/sh\nexit 12\n");
  ::chmod(path("tool.sh").c_str(), 0755);
  write("app.toml", "[build]\napp = \"tool.sh\"\n");
  EXPECT_EQ(xtask("run").status, 12);
}

TEST_F(AppCommand, AnOsBuildSaysWhatIsMissingAndShowsEverything) {
  describe(os_description());
  write("main.c", "int main(void) { return 0; }\n");
  const Finished refused = xtask("build");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(
      refused.errors,
      HasSubstr("the unikernel cannot offer every service of the description: 'myfs' needs file systems of programs"));
  EXPECT_THAT(refused.errors, HasSubstr("remove the services, or name a RuxOS source tree in RUXOS_DIR"));
  describe("[os]\nservices = [\"alloc\"]\nulib = \"ruxlibc\"\n" + target("p", "exe", "more"));
  write("more/part.cpp", "int main() { return 0; }\n");
  const Finished cxx = xtask("build");
  EXPECT_EQ(cxx.status, 1);
  EXPECT_THAT(cxx.errors, HasSubstr("sources in C++ need services that the description does not name: 'fp_simd' (its headers have"));
  EXPECT_THAT(cxx.errors, HasSubstr("add them to 'services' in [os]"));
  const Finished with_cxx = xtask("build --dry-run");
  EXPECT_THAT(with_cxx.output, HasSubstr(" --quiet unikernel unikernel_cxx\n"));
  EXPECT_THAT(with_cxx.output, HasSubstr(" -nostdinc++ -isystem "));
  EXPECT_THAT(with_cxx.output, HasSubstr("/cxx/lib/libc++.a"));
  describe(os_description());
  const Finished shown = xtask("run --dry-run --accel tcg");
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.output, HasSubstr("# 'rust-lld -flavor gnu' is ld.lld-19\n"));
  EXPECT_THAT(shown.output, HasSubstr("# 'x86_64-linux-musl-gcc' is clang-19 --target=x86_64-linux-musl --sysroot="));
  EXPECT_THAT(shown.output, HasSubstr("# ip = 10.0.2.15\n"));
  EXPECT_THAT(shown.output,
              HasSubstr("\nqemu-system-x86_64 -m 128M -smp 1 -machine q35 -kernel " +
                        path("app_build/x86_64-qemu-q35-release/bin/p.elf").string() + " -append ';;' -display none -serial mon:stdio\n"));
  EXPECT_THAT(xtask("-r --dry-run --accel kvm").output, HasSubstr("-serial mon:stdio -cpu host -accel kvm\n"));
  EXPECT_THAT(xtask("gdb --dry-run").output, HasSubstr("-serial mon:stdio -s -S\n"));
  EXPECT_EQ(xtask("-r").status, 2);
  EXPECT_FALSE(fs::exists(path("app_build")));
}

/// Whether KVM works depends on the machine; that something is chosen, and what, does not.
TEST_F(AppCommand, TheAcceleratorIsProbed) {
  describe(os_description());
  write("main.c", "int main(void) { return 0; }\n");
  write("bin/qemu-system-x86_64", "#!/bin/sh\nread line\nexit 0\n");
  ::chmod(path("bin/qemu-system-x86_64").c_str(), 0755);
  const std::string command = "cd " + path("").string() + " && PATH=" + path("bin").string() +
                              ":$PATH AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " app -r --dry-run";
  const bool usable = ::access("/dev/kvm", R_OK | W_OK) == 0;
  EXPECT_EQ(run(command).output.find("-accel kvm") != std::string::npos, usable);
  write("bin/qemu-system-x86_64", "#!/bin/sh\nkill -ABRT $$\n");
  EXPECT_THAT(run(command).output, Not(HasSubstr("-accel")));
}

TEST_F(AppCommand, TestsAreJudged) {
  simple(
      "int main(int argc, char** argv) { (void)argv; char line[20] = \"\"; if (fgets(line, 20, stdin)) fputs(line, "
      "stdout); puts(\"done\"); return argc - 1; }\n");
  write("in.txt", "input\n");
  write("out.txt", "input\ndone\n");
  const std::string good = target("p", "exe", "main.c", "cflags = \"-include stdio.h\"\n") +
                           "[[tests]]\nname = \"exact\"\ninput = \"in.txt\"\noutput = \"out.txt\"\n[[tests]]\nname = "
                           "\"status\"\nargs = [\"a\", \"b\"]\nstatus = 2\n"
                           "[[tests]]\nname = \"regex\"\nsuccess_regex = [\"^done$\"]\nfail_regex = \"panic\"\n";
  describe(good);
  const Finished passed = xtask("test");
  EXPECT_EQ(passed.status, 0) << passed.errors;
  EXPECT_THAT(passed.output, HasSubstr("3 passed, 0 failed\n"));
  describe(good +
           "[[tests]]\nname = \"wrong status\"\nargs = [\"a\"]\n[[tests]]\nname = \"wrong <text>\"\noutput = "
           "\"in.txt\"\n[[tests]]\nname = \"found\"\nfail_regex = \"do.e\"\n"
           "[[tests]]\nname = \"not found\"\nsuccess_regex = \"^one$\"\n");
  const Finished failed = xtask("test --junit results.xml");
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.output, HasSubstr("3 passed, 4 failed\n"));
  for (const char* text : {"wrong status: its exit status is 1, not 0", "found: its output has 'do.e'",
                           "not found: its output does not have '^one$'", "wrong <text>: its output is not that of "}) {
    EXPECT_THAT(failed.errors, HasSubstr(text));
  }
  const std::string junit = read_file(path("results.xml"));
  EXPECT_THAT(junit, HasSubstr("tests=\"7\" failures=\"4\""));
  EXPECT_THAT(junit, HasSubstr("<testcase name=\"wrong &lt;text&gt;\""));
  EXPECT_THAT(xtask("test -R exa").output, HasSubstr("1 passed, 0 failed\n"));
}

/// A report that cannot be read is worse than none.
TEST_F(AppCommand, AReportIsXmlWhateverAProgramPrints) {
  simple(R"(int main(void) {
  fputs("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 [\xff\xc3( \xc0\x80 \xed\xa0\x80 \xef\xbf\xbe \xf4\x90\x80\x80 \001 & <]]>\xe2\x82", stdout);
  return 0;
})");
  describe(target("p", "exe", "main.c", "cflags = \"-include stdio.h\"\n") + "[[tests]]\nname = \"bytes\"\n");
  EXPECT_EQ(xtask("test --junit results.xml").status, 0);
  EXPECT_THAT(read_file(path("results.xml")), HasSubstr("<system-out>é € 😀 [?"
                                                        "?( ?? ??? ??? ???? ? &amp; &lt;]]&gt;?"
                                                        "?</system-out>"));
}

TEST_F(AppCommand, ATestThatHangsIsEnded) {
  simple("#include <unistd.h>\nint main(void) { puts(\"waiting\"); fflush(stdout); for (;;) pause(); }\n");
  describe(target("p", "exe", "main.c", "cflags = \"-include stdio.h\"\n") +
           "[[tests]]\nname = \"slow\"\ntimeout = 1\n");
  const Finished result = xtask("test");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, HasSubstr("slow: it took longer than 1 s"));
  EXPECT_THAT(result.errors, HasSubstr("waiting"));
}

TEST_F(AppCommand, InitMakesApplicationsThatWork) {
  for (const char* language : {"--c", "--cpp"}) {
    const std::string name = std::string("new-1.0+") + (language + 2);
    EXPECT_EQ(xtask("init " + name + "/ " + language).status, 0);
    EXPECT_THAT(xtask("run -q " + name).output, HasSubstr("Hello from " + name + "!\n"));
    EXPECT_THAT(xtask("test " + name).output, HasSubstr("1 passed, 0 failed"));
    EXPECT_THAT(xtask("init " + name).errors, HasSubstr(name + " already exists"));
  }
  EXPECT_EQ(xtask("init both --c --cpp").status, 2);
  EXPECT_EQ(xtask("init 'a b'").status, 2);
}

TEST_F(AppCommand, GdbStartsTheDebugBuild) {
  simple();
  const Finished shown = xtask("gdb --dry-run -- x");
  EXPECT_THAT(shown.output, ::testing::ContainsRegex("\ngdb(-multiarch)? --args "));
  EXPECT_THAT(shown.output, HasSubstr(" --args " + product("p", "host-debug").string() + " x\n"));
  EXPECT_THAT(shown.output, HasSubstr("-DCMAKE_BUILD_TYPE=Debug"));
}

/// To make SQLite's amalgamation takes longer than to compile it.
TEST_F(AppCommand, FilesOfAPackageAreMadeOnceForAllApplications) {
  write("s/part-1.0/configure", "#!/bin/sh\necho configured >>" + path("log").string() + "\n");
  ::chmod(path("s/part-1.0/configure").c_str(), 0755);
  write("s/part-1.0/Makefile", "part.c:\n\techo 'int main(void) { return 5; }' >$@\n");
  const Finished packed = run("cd " + path("s").string() + " && tar cf a.tar part-1.0 && sha256sum a.tar");
  const std::string sha256 = packed.output.substr(0, 64);
  fs::create_directories(path("cache/sha256"));
  fs::rename(path("s/a.tar"), path("cache/sha256/" + sha256));
  const std::string description = "[build]\ncompiler = \"gcc\"\n[[packages]]\ndebian = \"part\"\nversion = \"1.0\"\nsha256 = \"" +
                                  sha256 + "\"\nfiles = [\"part.c\"]\nfolder = \"part\"\n" + target("p", "exe", "part");
  for (const char* name : {"one", "two"}) {
    write(std::string(name) + "/app.toml", description);
    const Finished result =
        run("AXVISOR_OFFLINE=1 AXVISOR_CACHE=" + path("cache").string() + " AXVISOR_ROOT=" + source_folder().string() +
            " " XTASK_PROGRAM " app run " + path(name).string());
    EXPECT_EQ(result.status, 5) << result.errors;
  }
  EXPECT_EQ(read_file(path("log")), "configured\n");
}

TEST_F(AppCommand, RuxgosOtherCommandsSayWhatToUseInstead) {
  EXPECT_THAT(xtask("pkg -l").errors, HasSubstr("there is no index of packages"));
  EXPECT_THAT(xtask("config default_compiler gcc").errors, HasSubstr("there are no personal defaults"));
}

}  // namespace
}  // namespace ax::app::testing
