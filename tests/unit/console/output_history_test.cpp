#include "hypervisor/console/output_history.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hv {
namespace {

void put(OutputHistory& history, std::string_view text) {
  for (const char c : text) history.put(c);
}

std::vector<std::string> last(const OutputHistory& history, usize lines, usize room = 200) {
  std::vector<std::string> result;
  std::vector<char> buffer(room);
  u64 at = history.start_of_last(lines);
  while (const auto line = history.next_line(at, buffer)) result.emplace_back(*line);
  return result;
}

using Lines = std::vector<std::string>;

TEST(OutputHistory, IsEmptyAtFirst) { EXPECT_EQ(last(OutputHistory(), 5), Lines{}); }

TEST(OutputHistory, GivesTheNewestLinesOldestFirst) {
  OutputHistory history;
  put(history, "one\ntwo\n\nfour\n");
  EXPECT_EQ(last(history, 1), Lines{"four"});
  EXPECT_EQ(last(history, 3), (Lines{"two", "", "four"}));
  EXPECT_EQ(last(history, 100), (Lines{"one", "two", "", "four"}));
}

TEST(OutputHistory, CountsAnUnfinishedLine) {
  OutputHistory history;
  put(history, "login\n~ # ");
  EXPECT_EQ(last(history, 1), Lines{"~ # "});
  EXPECT_EQ(last(history, 2), (Lines{"login", "~ # "}));
}

TEST(OutputHistory, CutsALineThatDoesNotFitTheBuffer) {
  OutputHistory history;
  put(history, "abcdef\nxyz\n");
  EXPECT_EQ(last(history, 2, 3), (Lines{"abc", "xyz"}));
}

TEST(OutputHistory, ForgetsTheOldestText) {
  OutputHistory history;
  put(history, "gone\n");
  put(history, std::string(OutputHistory::kSize - 3, 'x'));
  put(history, "\nz\n");
  const Lines lines = last(history, 10, OutputHistory::kSize);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], std::string(OutputHistory::kSize - 3, 'x'));
  EXPECT_EQ(lines[1], "z");
}

TEST(OutputHistory, GoesOnWithWhatIsLeftWhenItIsOverwrittenMeanwhile) {
  OutputHistory history;
  put(history, "old\n");
  u64 at = history.start_of_last(1);
  put(history, std::string(OutputHistory::kSize, 'x'));
  char buffer[4];
  EXPECT_EQ(history.next_line(at, buffer), "xxxx");
  EXPECT_FALSE(history.next_line(at, buffer));
}

}  // namespace
}  // namespace hv
