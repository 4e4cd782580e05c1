#include "hypervisor/shell/shell.hpp"

#include "hypervisor/main/hypervisor.hpp"
#include "kernel/log/log.hpp"

namespace hv {

Shell::Shell(Hypervisor& owner) : hypervisor(owner), files_{owner.disks().tree(), owner.heap()} {}

void Shell::open() {
  if (open_) return;
  open_ = true;
  log::print_line("axvisor: console: input goes to the shell; 'help' lists its commands, Ctrl-] and a digit leave it");
  show({});
}

void Shell::close() {
  if (open_) hypervisor.console().write_lines({});
  open_ = false;
}

// Something may have been written behind the cursor: then the whole line is shown again.
void Shell::show(std::string_view more) {
  constexpr usize kEscapeSequences = 16;
  // Where relative paths begin, unless that is the root or too long to leave room.
  std::array<char, 64> prompt_text;
  BufferSink prompt(prompt_text.data(), prompt_text.size());
  const std::string_view directory = files_.directory.text();
  const bool tells = directory.size() > 1 && directory.size() < prompt_text.size() - kPrompt.size();
  print(prompt, "{}:{}$ ", kPrompt, tells ? directory : std::string_view());
  std::array<char, prompt_text.size() + LineEditor::kMaxLine + kEscapeSequences> whole;
  BufferSink sink(whole.data(), whole.size());
  editor_.show(sink, prompt.view());
  hypervisor.console().show_input(sink.view(), more.empty() ? sink.view() : more);
}

void Shell::type(char c) {
  switch (editor_.type(c)) {
    case LineEditor::Outcome::Nothing: return;
    case LineEditor::Outcome::Appended: return show({&c, 1});
    case LineEditor::Outcome::Changed: return show({});
    case LineEditor::Outcome::Submitted:
      hypervisor.console().write_lines({});  // ends the input line
      run_command(shell_commands(), editor_.line(), *this);
      break;
    case LineEditor::Outcome::Abandoned: hypervisor.console().write_lines({}); break;
  }
  editor_.next();
  if (open_) show({});
}

void Shell::write(std::string_view text) {
  for (const char c : text) {
    const bool ends = c == '\n';
    if (!ends && size_ < answer_.size() - 1) answer_[size_++] = c;
    if (!ends) continue;
    answer_[size_++] = '\n';
    hypervisor.console().write_lines({answer_.data(), size_});
    size_ = 0;
  }
}

}  // namespace hv
