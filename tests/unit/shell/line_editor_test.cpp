#include "hypervisor/shell/line_editor.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hv {
namespace {

using Outcome = LineEditor::Outcome;

constexpr char kLeft[] = "\x1b[D", kRight[] = "\x1b[C", kUp[] = "\x1b[A", kDown[] = "\x1b[B", kDelete[] = "\x1b[3~";

class Terminal final : public Sink {
 public:
  void write(std::string_view piece) override { text += piece; }
  std::string text;
};

/// Types all of it; what became of the last character.
Outcome type(LineEditor& editor, std::string_view keys) {
  Outcome outcome = Outcome::Nothing;
  for (const char c : keys) outcome = editor.type(c);
  return outcome;
}

void submit(LineEditor& editor, std::string_view line) {
  type(editor, line);
  EXPECT_EQ(editor.type('\r'), Outcome::Submitted);
  EXPECT_EQ(editor.line(), line);
  editor.next();
}

TEST(LineEditor, CollectsALine) {
  LineEditor editor;
  EXPECT_EQ(type(editor, "vm list"), Outcome::Appended);
  EXPECT_EQ(editor.type('\n'), Outcome::Submitted);
  EXPECT_EQ(editor.line(), "vm list");
  editor.next();
  EXPECT_EQ(editor.line(), "");
}

TEST(LineEditor, InsertsAndErasesAtTheCursor) {
  LineEditor editor;
  type(editor, "vx list");
  for (int i = 0; i < 5; ++i) type(editor, kLeft);
  EXPECT_EQ(editor.type('\b'), Outcome::Changed);
  EXPECT_EQ(editor.type('m'), Outcome::Changed) << "in the middle of the line echoing is not enough";
  EXPECT_EQ(editor.line(), "vm list");
  type(editor, kRight);
  type(editor, kDelete);
  EXPECT_EQ(editor.line(), "vm ist");
}

TEST(LineEditor, GoesToEitherEndAndErasesTheStart) {
  LineEditor editor;
  type(editor, "one two\x01zero \x05!");
  EXPECT_EQ(editor.line(), "zero one two!");
  type(editor, "\x1b[D\x15");
  EXPECT_EQ(editor.line(), "!");
  type(editor, "\x1b[H(\x1b[F)");
  EXPECT_EQ(editor.line(), "(!)");
}

TEST(LineEditor, IgnoresWhatHasNothingToWorkOn) {
  LineEditor editor;
  for (const std::string_view keys : {"\b", "\x7f", kLeft, kRight, kUp, kDown, kDelete, "\x1b[5~", "\x1bx", "\x07"}) {
    EXPECT_EQ(type(editor, keys), Outcome::Nothing);
    EXPECT_EQ(editor.line(), "");
  }
}

TEST(LineEditor, KeepsALineWithinItsLimit) {
  LineEditor editor;
  type(editor, std::string(LineEditor::kMaxLine, 'a'));
  EXPECT_EQ(editor.type('b'), Outcome::Nothing);
  EXPECT_EQ(editor.line(), std::string(LineEditor::kMaxLine, 'a'));
}

TEST(LineEditor, GivesALineUp) {
  LineEditor editor;
  EXPECT_EQ(type(editor, "rm everything\x03"), Outcome::Abandoned);
  editor.next();
  EXPECT_EQ(type(editor, kUp), Outcome::Nothing) << "it is not remembered";
}

TEST(LineEditor, RemembersLinesOnce) {
  LineEditor editor;
  submit(editor, "first");
  submit(editor, "second");
  submit(editor, "second");
  submit(editor, "");
  type(editor, kUp);
  EXPECT_EQ(editor.line(), "second");
  type(editor, kUp);
  EXPECT_EQ(editor.line(), "first");
  EXPECT_EQ(type(editor, kUp), Outcome::Nothing) << "there is no older one";
  type(editor, kDown);
  EXPECT_EQ(editor.line(), "second");
  type(editor, kDown);
  EXPECT_EQ(editor.line(), "");
}

TEST(LineEditor, ForgetsTheOldestLine) {
  LineEditor editor;
  for (usize i = 0; i <= LineEditor::kHistory; ++i) submit(editor, "line " + std::to_string(i));
  for (usize i = 0; i < LineEditor::kHistory; ++i) type(editor, kUp);
  EXPECT_EQ(editor.line(), "line 1");
  EXPECT_EQ(type(editor, kUp), Outcome::Nothing);
}

TEST(LineEditor, ShowsTheLineWithTheCursorInItsPlace) {
  LineEditor editor;
  Terminal terminal;
  type(editor, "abc");
  editor.show(terminal, "> ");
  EXPECT_EQ(terminal.text, "\r> abc\x1b[K");
  type(editor, "\x1b[D\x1b[D");
  terminal.text.clear();
  editor.show(terminal, "> ");
  EXPECT_EQ(terminal.text, "\r> abc\x1b[K\x1b[2D");
}

}  // namespace
}  // namespace hv
