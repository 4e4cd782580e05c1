// Garbage in, diagnostics out: damaged files must never crash, hang or pass silently through a wrong position.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

constexpr auto kBudget = std::chrono::seconds(4);
constexpr usize kMinimumRuns = 200;  // even on a slow machine

class Mutator {
 public:
  explicit Mutator(u32 seed) : random_(seed) {}

  std::string mutate(std::string text, const std::vector<std::string>& corpus) {
    for (usize i = 0, n = 1 + below(4); i < n; ++i) step(text, corpus[below(corpus.size())]);
    return text;
  }
  usize below(usize limit) { return limit == 0 ? 0 : random_() % limit; }

 private:
  void step(std::string& text, const std::string& other) {
    static const std::vector<std::string> kTokens = {"[",
                                                     "]",
                                                     "[[",
                                                     "\"",
                                                     "'''",
                                                     "=",
                                                     "\n",
                                                     "{",
                                                     "}",
                                                     ",",
                                                     "0x",
                                                     "-1",
                                                     "9223372036854775807",
                                                     "9223372036854775808",
                                                     "nan",
                                                     "1979-05-27",
                                                     "true",
                                                     "\"\"",
                                                     "#",
                                                     "\xff",
                                                     "\0",
                                                     "a.b.c",
                                                     "[base]",
                                                     "1e9",
                                                     "0xffff_ffff_ffff",
                                                     "\\u0000",
                                                     "\xe5\xae\xa2"};
    const usize at = below(text.size() + 1);
    switch (below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 1: text.erase(at, below(20)); break;
      case 2: text.insert(at, kTokens[below(kTokens.size())]); break;
      case 3: text.insert(at, other.substr(below(other.size()), below(80))); break;
      case 4: text.resize(at); break;
      default: text.insert(at, text.substr(below(text.size() + 1), below(40))); break;
    }
  }

  std::mt19937 random_;
};

std::vector<std::string> corpus() {
  std::vector<std::string> out;
  for (const fs::path& folder :
       {fs::path(source_folder() / "configs/vms"), source_folder() / "configs/board", test_folder() / "bad",
        test_folder() / "bad/with", source_folder() / "tests/compat/files"}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".toml") out.push_back(read_file(entry.path()));
    }
  }
  std::ranges::sort(out);  // the order of a folder differs between machines
  return out;
}

/// What any diagnostic must satisfy: it points into its file.
void expect_sane(const Diagnostics& diagnostics, const std::string& input) {
  for (const Diagnostic& d : diagnostics.all()) {
    ASSERT_FALSE(d.text.empty());
    if (d.where.file == nullptr) continue;
    const auto lines = static_cast<usize>(std::ranges::count(d.where.file->text(), '\n')) + 1;
    ASSERT_LE(d.where.line, lines + 1) << input;
  }
  ASSERT_EQ(diagnostics.render(false).empty(), diagnostics.all().empty());
}

void read_as_everything(const std::string& text) {
  {
    Parsed p(kVmSchema, text);
    if (p.document) {
      const Vm vm(std::move(*p.document), "fuzz", p.diagnostics);
      check_vm_alone(vm, p.diagnostics);
    }
    expect_sane(p.diagnostics, text);
  }
  {
    Parsed p(kBoardSchema, text);
    if (p.document) decode_board(*p.document, {}, p.sources, p.diagnostics);
    expect_sane(p.diagnostics, text);
  }
  {
    Parsed p(kDefconfigSchema, text);
    if (p.document) decode_defconfig(*p.document);
    expect_sane(p.diagnostics, text);
  }
}

TEST(Robustness, SurvivesDamagedFiles) {
  const std::vector<std::string> seeds = corpus();
  ASSERT_GT(seeds.size(), 50U);
  Mutator mutator(1);
  const auto end = std::chrono::steady_clock::now() + kBudget;
  for (usize run = 0; run < kMinimumRuns || std::chrono::steady_clock::now() < end; ++run) {
    const std::string text = mutator.mutate(seeds[mutator.below(seeds.size())], seeds);
    ASSERT_NO_FATAL_FAILURE(read_as_everything(text)) << text;
  }
}

TEST(Robustness, SurvivesDeepNesting) {
  for (const std::string& open : {std::string("["), std::string("{a="), std::string("[[")}) {
    std::string text = "x = ";
    for (int i = 0; i < 100'000; ++i) text += i % 1000 == 999 && open != "{a=" ? open + "\n" : open;
    read_as_everything(text);
  }
}

TEST(Robustness, SurvivesDeepTables) {
  std::string name = "a";
  for (int i = 0; i < 1500; ++i) name += ".a";
  read_as_everything("[" + name + "]\n" + name + " = 1\n");
}

TEST(Robustness, SurvivesEmptyAndBinaryFiles) {
  read_as_everything("");
  read_as_everything(std::string(1000, '\0'));
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  read_as_everything(all);
  read_as_everything("\xef\xbb\xbf[base]\nname = \"with a byte order mark\"\n");
  read_as_everything("[base]\r\nname = \"dos\"\r\ncpu_num = 1\r\n");
}

}  // namespace
}  // namespace ax::config::testing
