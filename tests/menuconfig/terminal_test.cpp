// The real program on a real terminal: tmux is the terminal, its screen is what a user sees.
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/menuconfig/tree.hpp"

namespace ax::menuconfig::testing {
namespace {

constexpr std::chrono::seconds kPatience{40};

class Terminal : public Tree {
 protected:
  void SetUp() override {
    if (!has_program("tmux")) GTEST_SKIP() << "the package tmux is not installed";
  }
  void TearDown() override { tmux("kill-server"); }

  void start(const std::string& arguments = "", int width = 110, int height = 34) {
    const std::string command = "cd " + path("").string() + " && LANG=C.UTF-8 AXVISOR_ROOT=" + path("").string() +
                                " " XTASK_PROGRAM " menuconfig " + arguments + "; echo finished with \\$?; cat";
    ASSERT_EQ(tmux("-f /dev/null new-session -d -x " + std::to_string(width) + " -y " + std::to_string(height) + " \"" + command + "\"").status, 0);
  }
  /// Keys as tmux names them: "Enter", "Down", "x".
  void keys(const std::string& names) { tmux("send-keys " + names); }
  std::string screen() { return tmux("capture-pane -p").output; }
  /// Waits until the screen has the text.
  bool shows(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (screen().find(text) != std::string::npos) return true;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "never on the screen: " << text << "\n" << screen();
    return false;
  }
  Finished tmux(const std::string& arguments) { return run("env -u TMUX tmux -S " + path("tmux").string() + " " + arguments); }
};

TEST_F(Terminal, ShowsFilesKeysValuesAndHelp) {
  start();
  ASSERT_TRUE(shows("q quit"));
  const std::string text = screen();
  for (const char* part : {"Board", "VM small", "QEMU", "U-Boot", ".build.toml", "target", "aarch64-unknown-none-softfloat", "ept-level-4, fs",
                           "[false]", "No changes", "Value: a number, 1 to 1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  keys("Tab");
  EXPECT_TRUE(shows("configs/vms/small.toml"));
  keys("q");
  EXPECT_TRUE(shows("finished with 0"));
}

TEST_F(Terminal, EditsTogglesAndSaves) {
  start();
  ASSERT_TRUE(shows("q quit"));
  // Search goes to the key; a number is typed.
  keys("/ s m p Space m o s t Enter");
  ASSERT_TRUE(shows("for 'smp most'"));
  keys("Enter");
  ASSERT_TRUE(shows("Ctrl-U empty"));
  keys("0 Enter");
  ASSERT_TRUE(shows("outside its range: 1 to 64")) << "only valid values";
  keys("C-u 8 Enter");
  ASSERT_TRUE(shows("1 change in .build.toml"));
  // A list of known values.
  keys("/ C-u o p t i o n a l Space p a r t s Enter");
  ASSERT_TRUE(shows("for 'optional parts'"));
  keys("Enter");
  ASSERT_TRUE(shows("[x] ept-level-4"));
  ASSERT_TRUE(shows("[-] irq  (always on)"));
  for (int i = 0; i < 3; ++i) keys("Down");
  keys("Space");
  ASSERT_TRUE(shows("[ ] ept-level-4"));
  keys("Escape");
  ASSERT_TRUE(shows("2 changes in .build.toml"));
  keys("q");
  ASSERT_TRUE(shows("Save the changes?"));
  ASSERT_TRUE(shows("smp: (absent) -> 8"));
  keys("b");
  ASSERT_TRUE(shows("finished with 0"));
  const std::string text = read(".build.toml");
  EXPECT_THAT(text, HasSubstr("# Our laboratory board.\n"));
  EXPECT_THAT(text, HasSubstr("\nsmp = 8\n"));
  EXPECT_THAT(text, HasSubstr("features = [\n  \"fs\",\n]\n"));
  EXPECT_THAT(run("cat " + path("").string() + ".build.toml.backup_*").output, HasSubstr("ept-level-4"));
}

TEST_F(Terminal, ChoicesBooleansUndoAndDefaults) {
  start();
  ASSERT_TRUE(shows("q quit"));
  keys("/ d e t a i l e d Enter");
  ASSERT_TRUE(shows("for 'detailed'"));
  keys("Enter");
  ASSERT_TRUE(shows("(*) Info"));
  keys("Down Enter");
  ASSERT_TRUE(shows("1 change in .build.toml"));
  keys("c");
  ASSERT_TRUE(shows("back to the default"));
  keys("u u");
  ASSERT_TRUE(shows("undone"));
  keys("j");
  ASSERT_TRUE(shows("No changes"));
  keys("/ C-u f l a t Enter");
  ASSERT_TRUE(shows("for 'flat'"));
  keys("Space");
  ASSERT_TRUE(shows("1 change in .build.toml"));
  keys("q");
  ASSERT_TRUE(shows("to_bin: (absent) -> true"));
  keys("x");
  ASSERT_TRUE(shows("the changes were thrown away"));
  ASSERT_TRUE(shows("finished with 1"));
  EXPECT_EQ(read(".build.toml"), kBoardText);
}

TEST_F(Terminal, EditsRowsOfMemory) {
  start("--file configs/vms/small.toml");
  ASSERT_TRUE(shows("q quit"));
  EXPECT_THAT(screen(), Not(HasSubstr(" Board ")));
  keys("/ m e m o r y _ r e g i o n s Enter");
  ASSERT_TRUE(shows("for 'memory_regions'"));
  keys("Enter a");
  ASSERT_TRUE(shows("Ctrl-U empty"));
  keys("-l '[0x9000_0000, 0x1000, 0x7, 9]'");
  keys("Enter");
  ASSERT_TRUE(shows("has no value 9"));
  keys("BSpace BSpace 1 ] Enter");
  ASSERT_TRUE(shows("0x1000, 0x7, 1]"));
  keys("Escape");
  ASSERT_TRUE(shows("1 change in configs/vms/small.toml"));
  keys("s");
  ASSERT_TRUE(shows("saved configs/vms/small.toml"));
  keys("q");
  ASSERT_TRUE(shows("finished with 0"));
  EXPECT_THAT(read("configs/vms/small.toml"),
              HasSubstr("memory_regions = [\n  [0x8000_0000, 0x1000_0000, 0x7, 0],  # RAM\n  [0x9000_0000, 0x1000, 0x7, 1],\n]\n"));
}

TEST_F(Terminal, SurvivesAnyWindowSize) {
  start("qemu");
  ASSERT_TRUE(shows(".qemu-aarch64.toml  (does not exist yet)"));
  for (const char* size : {"-x 30 -y 5", "-x 300 -y 90", "-x 45 -y 13"}) {
    tmux(std::string("resize-window ") + size);
    ASSERT_TRUE(shows(std::string(size) == "-x 30 -y 5" ? "too small" : "args"));
    keys("? x");
  }
  tmux("resize-window -x 110 -y 34");
  ASSERT_TRUE(shows("q quit"));
  keys("q");
  ASSERT_TRUE(shows("finished with 0"));
}

TEST(TerminalCommand, NeedsATerminal) {
  const Finished result = run("AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " menuconfig");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.errors, HasSubstr("menuconfig needs a terminal"));
}

}  // namespace
}  // namespace ax::menuconfig::testing
