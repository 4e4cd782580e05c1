#include "tools/app/sources.hpp"

#include "tests/app/support.hpp"

namespace ax::app::testing {
namespace {

class SourcesTest : public ::testing::Test {
 protected:
  SourcesTest() {
    for (const char* name :
         {"main.c", "domain.c", "net/udp.c", "net/tests/udp.c", "net/test_it.c", "x/a.cc", "x/a.cpp", "x/a.cxx",
          "x/s.S", "x/t.s", "x/header.h", "x/UPPER.C", ".git/hidden.c", "app_build/old.c", "sub/ruxgo_bld/old.c"}) {
      write_file(folder_ / name, "");
    }
  }
  std::vector<std::string> found(std::string src, std::vector<std::string> only = {},
                                 std::vector<std::string> exclude = {}) {
    SourceQuery query{folder_.path(), {std::move(src), {}}, {}, {}};
    for (std::string& entry : only) query.only.push_back({std::move(entry), {}});
    for (std::string& entry : exclude) query.exclude.push_back({std::move(entry), {}});
    std::vector<std::string> out;
    for (const Source& source : find_sources(query, diagnostics_))
      out.push_back(source.path.lexically_relative(folder_.path()).string());
    return out;
  }
  using List = std::vector<std::string>;
  TemporaryFolder folder_;
  Diagnostics diagnostics_;
};

TEST_F(SourcesTest, AreFoundEverywhereInOneOrderButInBuildFolders) {
  EXPECT_EQ(found("./"), (List{"domain.c", "main.c", "net/test_it.c", "net/tests/udp.c", "net/udp.c", "x/a.cc",
                               "x/a.cpp", "x/a.cxx", "x/s.S", "x/t.s"}));
}

TEST_F(SourcesTest, MayBeOneFile) { EXPECT_EQ(found("net/udp.c"), List{"net/udp.c"}); }

TEST_F(SourcesTest, AreChosenByWholeNames) {
  EXPECT_EQ(found("./", {"main.c"}), List{"main.c"}) << "not domain.c";
  EXPECT_EQ(found("./", {"/udp.c"}), (List{"net/tests/udp.c", "net/udp.c"}));
  EXPECT_EQ(found("./", {"net/udp.c"}), List{"net/udp.c"});
  EXPECT_EQ(found("net", {}, {"/tests"}), (List{"net/test_it.c", "net/udp.c"}));
}

TEST_F(SourcesTest, AreChosenByPatternsAndParts) {
  EXPECT_EQ(found("x", {"*.c?"}), List{"x/a.cc"});
  EXPECT_EQ(found("./", {}, {"test_", "x", "main"}), (List{"net/tests/udp.c", "net/udp.c"}))
      << "'test_' and 'main' fit no whole name";
  EXPECT_TRUE(diagnostics_.all().empty());
}

TEST_F(SourcesTest, AreNotExcludedByTheNameOfTheFolderThatIsSearched) {
  EXPECT_EQ(found("net", {}, {"tests", "test_it.c", "net/tests"}), List{"net/udp.c"});
}

}  // namespace
}  // namespace ax::app::testing
