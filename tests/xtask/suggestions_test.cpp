// Slips of the pen, over the whole command table: every wrong command, option, file and value is refused with what was probably meant
// or with what is expected. A new option fails here until it is said what a wrong value of it is answered with.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "tests/xtask/support.hpp"
#include "tools/xtask/command/command.hpp"

namespace ax::xtask {
namespace {

using test::ProgramResult;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr std::array kGlobalOptions{"--verbose", "--quiet", "--dry-run", "--yes", "--no-install"};

/// Two letters in the middle change places, as typing does it.
std::string slip(std::string word) {
  for (size_t i = word.size() / 2; i > 0; --i) {
    if (word[i] != word[i - 1] && word[i] != '-' && word[i - 1] != '-') {
      std::swap(word[i], word[i - 1]);
      return word;
    }
  }
  return word + word.back();
}

struct Wrong {
  std::string value;
  std::string answer;  ///< part of what is said
};

struct OptionCase {
  Words command;
  std::string option;  ///< "--build-config", or the name of a positional
  std::string type;    ///< as the help shows it
  bool positional = false;

  std::string key() const { return fmt::format("{} {}", fmt::join(command, " "), option); }
};

/// What is written, or made where it is not there: any name is right.
constexpr std::array kOutputs{"--output",  "--log",       "--record",  "--junit", "--sarif",         "--plot",
                              "--depfile", "--build-dir", "--bin-dir", "--cache", "--local-storage", "--output-dir"};

/// Any text is right: names that are given here, words for people, addresses.
constexpr std::array kTexts{"--define", "--bin-args", "--cmdline", "--name", "--description",
                            "app init NAME", "image ls PATTERN", "app source PACKAGE", "app source VERSION",
                            // Read by name when a sub-command runs, whose own option is tried.
                            "image --registry",
                            // What is absent is what it asks for.
                            "run --needs",
                            // Files that may be made after the VM's own, or that an image brings.
                            "vmconfig generate --kernel", "vmconfig generate --ramdisk", "vmconfig generate --dtb"};

/// By the option, for those of one command; else by the option's name; else by its type.
const std::map<std::string, Wrong>& wrong_values() {
  static const std::map<std::string, Wrong> values{
      {"FILE", {"naer.toml", "did you mean 'near.toml'?"}},
      {"FILES", {"naer.toml", "did you mean 'near.toml'?"}},
      {"FOLDER", {"foldre", "did you mean 'folder'?"}},
      {"DIR", {"foldre", "did you mean 'folder'?"}},
      {"REGEX", {"(", "is not a regular expression: missing ): ("}},
      {"ADDRESS", {"0x80g0", "is no address"}},
      {"BYTES", {"many", "many"}},
      {"BOARD", {"qemu-aarhc64", "did you mean 'qemu-aarch64'?"}},
      {"--board", {"qemu-aarhc64", "did you mean 'qemu-aarch64'?"}},
      {"PRESET", {"qemu-aarhc64", "did you mean 'qemu-aarch64'?"}},
      {"TARGET", {"x86_64-unkown-none", "did you mean 'x86_64-unknown-none'?"}},
      {"ARCH", {"aarhc64", "did you mean 'aarch64'?"}},
      {"I/N", {"4/3", "expected I/N with 1 <= I <= N"}},
      {"--set", {"tmieout=1", "did you mean 'timeout'?"}},
      {"build --set", {"smpp=1", "did you mean 'smp'?"}},
      {"SHELL", {"bahs", "did you mean 'bash'?"}},
      {"COMMAND", {"biuld", "did you mean 'build'?"}},
      {"PAGE", {"biuld", "did you mean 'build'?"}},
      {"LIBRARY", {"fmtt", "did you mean 'fmt'?"}},
      {"KEY", {"entry_piont", "did you mean 'entry_point'?"}},
      {"--guest", {"linxu", "did you mean 'linux'?"}},
      {"--packages", {"kenrel", "did you mean 'kernel'?"}},
      {"--targets", {"hsot", "did you mean 'host'?"}},
      {"--checks", {"fromat", "did you mean 'format'?"}},
      {"--since", {"no-such-revision", "--since no-such-revision: "}},
      {"report --build-dir", {"foldre", "did you mean 'folder'?"}},
      {"uboot --board", {"lba", "did you mean 'lab'?"}},
      {"app source SHA256", {"12ab", "'12ab' is no SHA-256"}},
      {"image fetch NAME", {"image-noe", "did you mean 'image-one'?"}},
      {"image verify NAME", {"image-noe", "did you mean 'image-one'?"}},
      {"image download NAME", {"image-noe", "did you mean 'image-one'?"}},
      {"image pull NAME", {"image-noe", "did you mean 'image-one'?"}},
      {"image rm NAME", {"image-noe", "did you mean 'image-one'?"}},
      {"image import SOURCE", {"foldre", "did you mean 'folder'?"}},
      {"image import NAME", {"a/b", "'a/b' is not the name of an image: expected NAME or NAME:VERSION"}},
      {"image import --tag", {"lastet", "did you mean 'latest'?"}},
      {"image build RECIPE", {"disk-noe", "did you mean 'disk-one'?"}},
      {"image build --kernel", {"naer.toml", "did you mean 'near.toml'?"}},
      {"image build --ramdisk", {"image:image-noe", "did you mean 'image-one'?"}},
      {"image build --dtb", {"naer.toml", "did you mean 'near.toml'?"}},
      {"image build --bios", {"naer.toml", "did you mean 'near.toml'?"}},
      {"image resize DISK", {"naer.toml", "did you mean 'near.toml'?"}},
      {"image resize SIZE", {"many", "'many' is no size of a disk as in 512M"}},
      {"image check DISK", {"naer.toml", "did you mean 'near.toml'?"}},
      {"--registry", {"naer.toml", "did you mean 'near.toml'?"}},
      {"image fetch --together", {"image-noe", "did you mean 'image-one'?"}},
      {"--auto-sync-threshold", {"many", "'many' is no number of seconds"}},
      {"image lock NAME", {"image-noe", "did you mean 'image-one'?"}},
  };
  return values;
}

/// What must be there so that the option is looked at; "@" is where its value goes, if not at the end.
const std::map<std::string, Words>& companions() {
  static const std::map<std::string, Words> words{
      {"image download NAME", {"--local-storage", "storage", "--offline"}},
      {"image pull NAME", {"--local-storage", "storage", "--offline"}},
      {"image rm NAME", {"--local-storage", "storage", "--offline"}},
      {"image import SOURCE", {"--local-storage", "storage", "@", "mine"}},
      {"image import NAME", {"--local-storage", "storage", "folder"}},
      {"image import --arch", {"folder", "mine"}},
      {"image import --tag", {"--local-storage", "storage", "layout", "mine"}},
      {"image import --registry", {"folder", "mine"}},
      {"image download --registry", {"image-one"}},
      {"image pull --registry", {"image-one"}},
      {"image rm --registry", {"image-one"}},
      {"image build --kernel", {"--config", "disk-vm.toml"}},
      {"image build --ramdisk", {"--config", "disk-vm.toml", "--kernel", "near.toml"}},
      {"image build --dtb", {"--config", "disk-vm.toml", "--kernel", "near.toml", "--ramdisk", "near.toml"}},
      {"image build --bios", {"--config", "disk-vm.toml", "--kernel", "near.toml", "--ramdisk", "near.toml", "--dtb", "near.toml"}},
      {"image resize DISK", {"@", "1M"}},
      {"image resize SIZE", {"near.toml"}},
      {"image fetch --together", {"image-one"}},
      {"run --set", {"--config", "near.toml"}},
      {"image verify NAME", {"@", "near.toml"}},
      {"vmconfig check --board", {"near.toml"}},
      {"vmconfig compile --board", {"near.toml"}},
      {"vmconfig diff FILES", {"near.toml"}},
      {"image verify FILE", {"image-one"}},
      {"app source SHA256", {"musl", "1.2.3"}},
      {"uboot --set", {"--uboot-config", "near-board.toml"}},
  };
  return words;
}

template <class Names>
bool contains(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != std::end(names);
}

/// "x:{a,b}": a choice, "INT:INT in [1 - 64]": a range, as the option's own checks say it.
std::optional<Wrong> from_checks(const std::string& type) {
  const size_t list = type.find(":{");
  if (list != std::string::npos) {
    const std::string first = type.substr(list + 2, type.find_first_of(",}", list + 2) - list - 2);
    return Wrong{slip(first), fmt::format("did you mean '{}'?", first)};
  }
  const size_t range = type.find(" in [");
  if (range != std::string::npos) {
    return Wrong{"many", "many not in range "};
  }
  if (type == "INT" || type == "UINT") {
    return Wrong{"many", "many"};
  }
  return std::nullopt;
}

std::optional<Wrong> wrong_value(const OptionCase& option) {
  for (const std::string& name : {option.key(), option.option, option.type}) {
    if (const auto found = wrong_values().find(name); found != wrong_values().end()) {
      return found->second;
    }
    if (name == option.option) {
      if (const auto wrong = from_checks(option.type)) {
        return wrong;
      }
    }
  }
  return std::nullopt;
}

class SuggestionsTest : public ::testing::Test {
 protected:
  SuggestionsTest() {
    tree_.write("near.toml", "");
    tree_.write("near-board.toml", "serial = \"/dev/null\"\n");
    tree_.write("folder/CMakeLists.txt", "");
    tree_.write("configs/defconfig.toml", "");
    tree_.write("configs/uboot/lab.toml", "serial = \"/dev/null\"\n");
    tree_.write("configs/images/image-one.toml",
                "kind = \"debian-kernel\"\nsummary = \"s\"\narchitecture = \"arm64\"\npackage = \"p\"\nfile = \"f\"\n");
    tree_.write("configs/images/lock.toml", "");
    tree_.write("storage/images.toml",
                "[[images]]\nname = \"image-one\"\nversion = \"v1\"\ndescription = \"one\"\narch = \"aarch64\"\n"
                "sha256 = \"" +
                    std::string(64, '0') + "\"\nurl = \"http://127.0.0.1:1/x.tar.gz\"\n");
    tree_.write("storage/image-one.tar.gz", "");
    tree_.write("configs/disks/disk-one.toml", "kind = \"disk\"\n[[partitions]]\nsize = \"1M\"\n");
    tree_.write("disk-vm.toml",
                "[base]\n[kernel]\nimage_location = \"fs\"\nkernel_path = \"k\"\nramdisk_path = \"r\"\ndtb_path = \"d\"\nbios_path = \"b\"\n");
    tree_.write("layout/oci-layout", "{}");
    tree_.write("layout/index.json",
                "{\"manifests\": [{\"annotations\": {\"org.opencontainers.image.ref.name\": \"latest\"}}, {}]}");
    tree_.write("platforms/aarch64-dyn/CMakeLists.txt", "");
    tree_.write("build/pc/CMakeCache.txt", "CMAKE_TOOLCHAIN_FILE:FILEPATH=/t/x86_64-unknown-none.cmake\n");
    tree_.write("cmake/AxvisorDependencies.cmake",
                "axvisor_dependency(fmt\n  TARGET fmt::fmt PACKAGE x\n  URL "
                "https://example.org/fmt/fmt/archive/refs/tags/9.1.0.tar.gz\n");
    tree_.write(".devspace/overrides.cmake", "set(FETCHCONTENT_SOURCE_DIR_FMT \"/fmt\")  # fmt\n");
  }

  void expect_refused(const Words& words, const std::string& answer) { check(words, tree_.xtask(words), answer); }

  /// The same in this process, for what is refused before any command begins.
  void expect_not_understood(const Words& words, const std::string& answer) {
    ::testing::internal::CaptureStderr();
    const int status = run_command_line(words);
    check(words, {status, ::testing::internal::GetCapturedStderr()}, answer);
  }

  void check(const Words& words, const ProgramResult& result, const std::string& answer) {
    EXPECT_EQ(result.status, 2) << fmt::format("{}\n{}", fmt::join(words, " "), result.output);
    EXPECT_THAT(result.output, HasSubstr(answer)) << fmt::format("{}", fmt::join(words, " "));
  }

  test::ScratchTree tree_;
};

void for_each_command(std::span<const Command> commands, const Words& parents,
                      const std::function<void(const Command&, const Words&)>& action) {
  for (const Command& command : commands) {
    Words words = parents;
    words.emplace_back(command.name);
    action(command, words);
    for_each_command(command.children, words, action);
  }
}

/// Every option and positional of the table that takes a value.
std::vector<OptionCase> options_with_values() {
  std::vector<OptionCase> cases;
  for_each_command(command_table(), {}, [&](const Command& command, const Words& words) {
    if (command.declare == nullptr) {
      return;
    }
    CLI::App app;
    const Handler keeps_values = command.declare(app);
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_expected_max() == 0) {
        continue;
      }
      const bool positional = option->get_positional();
      cases.push_back({words, positional ? option->get_name(true, false) : option->get_name(false, true), option->get_type_name(),
                       positional});
      std::string& name = cases.back().option;
      name = name.substr(name.rfind(',') + 1);
    }
  });
  return cases;
}

TEST_F(SuggestionsTest, EveryCommand) {
  for_each_command(command_table(), {}, [&](const Command& command, Words words) {
    words.back() = slip(words.back());
    expect_not_understood(words, fmt::format("did you mean '{}'?", command.name));
  });
}

TEST_F(SuggestionsTest, EveryOption) {
  for_each_command(command_table(), {}, [&](const Command& command, Words words) {
    if (command.declare == nullptr || command.summary.starts_with("Not here")) {  // one answer, whatever follows
      return;
    }
    CLI::App app;
    const Handler keeps_values = command.declare(app);
    Words names(kGlobalOptions.begin(), kGlobalOptions.end());
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.push_back("--" + name);
      }
    }
    for (const std::string& name : names) {
      const std::string wrong = slip(name);
      if (contains(names, wrong)) {
        continue;
      }
      Words line = words;
      line.push_back(wrong);
      expect_not_understood(line, fmt::format("unknown option '{}'; did you mean '--", wrong));
    }
  });
}

TEST_F(SuggestionsTest, EveryFileAndValue) {
  for (const OptionCase& option : options_with_values()) {
    const bool special = wrong_values().contains(option.key());
    if (!special && (contains(kOutputs, option.option) || contains(kTexts, option.option) || contains(kTexts, option.key()))) {
      continue;
    }
    const std::optional<Wrong> wrong = wrong_value(option);
    ASSERT_TRUE(wrong.has_value()) << option.key() << " (" << option.type
                                   << "): say above what a wrong value of it is answered with";
    Words line = option.command;
    if (const auto found = companions().find(option.key()); found != companions().end()) {
      line.insert(line.end(), found->second.begin(), found->second.end());
    }
    if (const auto place = std::ranges::find(line, "@"); place != line.end()) {
      *place = wrong->value;
    } else {
      if (!option.positional) {
        line.push_back(option.option);
      }
      line.push_back(wrong->value);
    }
    expect_refused(line, wrong->answer);
  }
}

TEST_F(SuggestionsTest, SayWhereHelpIsWhereNothingIsNear) {
  expect_refused({"xyzzy"}, "hint: ./xtask --help lists the commands");
  expect_refused({"build", "--xyzzy"}, "hint: ./xtask build --help explains the command");
  expect_refused({"vmconfig", "plot", "--xyzzy"}, "hint: ./xtask vmconfig plot --help explains the command");
  expect_refused({"clean", "surplus"}, "unknown argument 'surplus'");
  expect_refused({"run"}, "hint: ./xtask run --help explains the command");
}

}  // namespace
}  // namespace ax::xtask
