// Every mistake has its exact text: bad/NAME.toml must produce bad/NAME.expected.
//
// A VM file is built into the board tests/config/tree/configs/board/test.toml. Its first line may say what comes with
// it:
//   # run: board=NAME vms=FILE:FILE smp=N
#include <fmt/format.h>

#include <set>
#include <sstream>

#include "tests/config/expected_texts.hpp"

namespace ax::config::testing {
namespace {

fs::path bad_folder() { return test_folder() / "bad"; }

/// Loads a case as its name and first line say.
Options options_of(const std::string& name) {
  Options options;
  options.root = test_folder() / "tree";
  const bool is_board = name.starts_with("board-");
  options.board = is_board ? name + ".toml" : "test";
  if (is_board) return options;
  std::istringstream first_line(read_file(bad_folder() / (name + ".toml")).substr(0, 200));
  std::string line, word;
  std::getline(first_line, line);
  std::istringstream words(line.starts_with("# run: ") ? line.substr(7) : "");
  while (words >> word) {
    if (word.starts_with("board=")) options.board = word.substr(6);
    if (word.starts_with("smp=")) options.smp = static_cast<u32>(std::stoul(word.substr(4)));
    if (word.starts_with("vms=")) options.vm_configs = word.substr(4) + ":";
  }
  options.vm_configs += name + ".toml";
  return options;
}

std::string messages_of(const std::string& name) {
  const CurrentFolder here(bad_folder());
  if (name.starts_with("defconfig-")) {
    SourceStore sources;
    Diagnostics diagnostics;
    load_document(**sources.open(name + ".toml", name + ".toml"), kDefconfigSchema, diagnostics);
    return diagnostics.render(false);
  }
  Loaded loaded(options_of(name));
  require_built_platform(*loaded, loaded.diagnostics);
  return loaded.messages();
}

class Messages : public ::testing::TestWithParam<std::string> {};

TEST_P(Messages, AreExact) { expect_messages(bad_folder(), GetParam(), messages_of(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Bad, Messages, ::testing::ValuesIn(cases_in(bad_folder())), case_name);

/// Real sizes of the images, which lie beside the files of bad/.
struct FileFacts : hv::NoFacts {
  explicit FileFacts(u32 count) : cpus(count) {}
  u64 image_size(const hv::Image& image) const {
    std::error_code error;
    const auto size = fs::file_size(bad_folder() / image.path, error);
    return error ? 0 : size;
  }
  u32 cpu_count() const { return cpus; }
  u32 cpus;
};

TEST(MessagesTogether, CoverEveryRule) {
  std::set<hv::Rule> seen = {
      hv::Rule::NameEmpty, hv::Rule::CpuCountOutOfRange,  // the schema refuses these first; ChecksTest has them
      hv::Rule::IdTaken,  // the host tool has given out another id by then: id-taken.toml
  };
  for (const std::string& name : cases_in(bad_folder())) {
    if (name.starts_with("defconfig-") || name.starts_with("board-")) continue;
    const CurrentFolder here(bad_folder());
    const Options options = options_of(name);
    const Loaded loaded(options);
    const std::vector<hv::VmConfig> vms = loaded->vm_configs();
    hv::check(std::span<const hv::VmConfig>(vms), FileFacts{options.smp.value_or(0)},
              [&](const hv::Violation& v) { seen.insert(v.rule); });
  }
  for (u8 rule = 0; rule <= static_cast<u8>(hv::Rule::EmulatedOverlap); ++rule) {
    EXPECT_TRUE(seen.contains(static_cast<hv::Rule>(rule)))
        << "no file in tests/config/bad breaks rule number " << int{rule};
  }
}

}  // namespace
}  // namespace ax::config::testing
