#include "tools/menuconfig/terminal.hpp"

#include <curses.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <functional>
#include <sstream>

namespace ax::menuconfig {
namespace {

constexpr int kEscape = 27;
constexpr int kReturn = '\r';
constexpr int kDelete = 127;
constexpr int kControlU = 'u' - 'a' + 1;
constexpr int kHelpLines = 7;   ///< below the list
constexpr int kNameWidth = 24;  ///< column of the values
constexpr int kSmallestHeight = 12;
constexpr int kSmallestWidth = 40;

/// Starts ncurses and gives the terminal back, whatever happens.
class Screen {
 public:
  Screen() {
    std::setlocale(LC_ALL, "");
    ::setenv("ESCDELAY", "25", 0);
    initscr();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    curs_set(0);
  }
  ~Screen() { endwin(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
};

std::string cut(std::string_view text, int width) {
  if (width <= 0) return "";
  std::string out;
  for (const char c : text) out += c == '\n' || c == '\t' ? ' ' : c;
  const auto columns = static_cast<usize>(width);
  return out.size() <= columns ? out : out.substr(0, columns > 3 ? columns - 3 : columns) + (columns > 3 ? "..." : "");
}

std::vector<std::string> wrapped(const std::string& text, int width) {
  const usize columns = static_cast<usize>(std::max(width, 10));
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    while (line.size() > columns) {
      usize at = line.rfind(' ', columns);
      if (at == std::string::npos || at == 0) at = columns;
      out.push_back(line.substr(0, at));
      line.erase(0, at);
      line.erase(0, line.find_first_not_of(' '));
    }
    out.push_back(line);
  }
  return out;
}

void put(int y, int x, std::string_view text, attr_t attributes = A_NORMAL) {
  if (y < 0 || y >= LINES || x >= COLS) return;
  attron(attributes);
  mvaddstr(y, x, cut(text, COLS - x).c_str());
  attroff(attributes);
}

void fill(int y, attr_t attributes) {
  attron(attributes);
  mvhline(y, 0, ' ', COLS);
  attroff(attributes);
}

/// A box in the middle of the screen; draws its frame and says where the inside is.
struct Box {
  int y, x, height, width;

  Box(int wanted_height, int wanted_width, std::string_view title) {
    height = std::min(wanted_height, LINES - 2);
    width = std::min(wanted_width, COLS - 2);
    y = (LINES - height) / 2;
    x = (COLS - width) / 2;
    for (int line = 0; line < height; ++line) mvhline(y + line, x, ' ', width);
    mvhline(y, x, ACS_HLINE, width);
    mvhline(y + height - 1, x, ACS_HLINE, width);
    mvvline(y, x, ACS_VLINE, height);
    mvvline(y, x + width - 1, ACS_VLINE, height);
    mvaddch(y, x, ACS_ULCORNER);
    mvaddch(y, x + width - 1, ACS_URCORNER);
    mvaddch(y + height - 1, x, ACS_LLCORNER);
    mvaddch(y + height - 1, x + width - 1, ACS_LRCORNER);
    text(-1, 1, fmt::format(" {} ", title), A_BOLD);
  }
  void text(int line, int column, std::string_view text, attr_t attributes = A_NORMAL) const {
    if (line >= height - 2) return;
    attron(attributes);
    mvaddstr(y + 1 + line, x + 1 + column, cut(text, width - 3 - column).c_str());
    attroff(attributes);
  }
  int inside_height() const { return height - 2; }
};

class Editor {
 public:
  Editor(Model& model, usize file, std::vector<std::string>& saved) : model_(model), file_(file), saved_(saved) {}

  Outcome run() {
    for (;;) {
      draw();
      refresh();
      const int key = getch();
      message_.clear();
      if (key == 'q' || key == kEscape) {
        if (const auto outcome = leave()) return *outcome;
      } else {
        handle(key);
      }
    }
  }

 private:
  // ---- the list

  std::vector<Row> rows() const { return model_.rows(file_); }
  Row row() const { return rows()[selected_]; }

  struct Line {
    std::string heading;
    int row = -1;
  };

  std::vector<Line> lines() const {
    std::vector<Line> out;
    const std::vector<Row> all = rows();
    const config::Section* section = nullptr;
    for (usize i = 0; i < all.size(); ++i) {
      if (all[i].section != section) {
        section = all[i].section;
        out.push_back({section->name.empty() ? std::string(section->doc) : fmt::format("[{}] {}", section->name, section->doc), -1});
      }
      out.push_back({"", static_cast<int>(i)});
    }
    return out;
  }

  void draw() {
    erase();
    if (LINES < kSmallestHeight || COLS < kSmallestWidth) {
      put(0, 0, "The terminal is too small.");
      return;
    }
    draw_tabs();
    draw_list();
    draw_help();
    draw_status();
  }

  void draw_tabs() {
    fill(0, A_REVERSE);
    int x = 1;
    const auto& files = model_.files();
    // The page that is shown is always among those that fit.
    usize first = 0;
    for (usize i = 0, width = 0; i <= file_; ++i) {
      width += files[i].title.size() + 4;
      if (static_cast<int>(width) > COLS - 4) first = i;
    }
    for (usize i = first; i < files.size() && x < COLS; ++i) {
      const std::string title = fmt::format(" {}{} ", files[i].title, files[i].changed() ? "*" : "");
      put(0, x, title, i == file_ ? A_BOLD : A_REVERSE);
      x += static_cast<int>(title.size()) + 1;
    }
    const EditedFile& file = files[file_];
    put(1, 1, fmt::format("{}{}", file.shown, file.exists ? "" : "  (does not exist yet)"), A_DIM);
  }

  void draw_list() {
    const std::vector<Line> all = lines();
    const std::vector<Row> every = rows();
    const int height = LINES - kHelpLines - 4;
    int at = 0;
    for (usize i = 0; i < all.size(); ++i) {
      if (all[i].row == static_cast<int>(selected_)) at = static_cast<int>(i);
    }
    top_ = std::clamp(top_, std::max(0, at - height + 1), std::max(0, at - 1));
    for (int i = 0; i < height && top_ + i < static_cast<int>(all.size()); ++i) {
      const Line& line = all[static_cast<usize>(top_ + i)];
      const int y = 2 + i;
      if (line.row < 0) {
        put(y, 1, line.heading, A_BOLD | A_UNDERLINE);
        continue;
      }
      const Row& row = every[static_cast<usize>(line.row)];
      const bool current = line.row == static_cast<int>(selected_);
      if (current) fill(y, A_REVERSE);
      const attr_t attributes = current ? A_REVERSE : A_NORMAL;
      const bool set = model_.value(file_, row).has_value();
      put(y, 3, row.key->name, attributes | (set ? A_BOLD : A_NORMAL));
      put(y, 3 + kNameWidth, model_.shown_value(file_, row), attributes | (set ? A_NORMAL : A_DIM));
    }
  }

  void draw_help() {
    const int top = LINES - kHelpLines - 2;
    mvhline(top, 0, ACS_HLINE, COLS);
    const std::vector<std::string> text = wrapped(model_.help(row()), COLS - 2);
    for (int i = 0; i < kHelpLines - 1 && i < static_cast<int>(text.size()); ++i) put(top + 1 + i, 1, text[static_cast<usize>(i)]);
  }

  void draw_status() {
    std::string status = message_;
    if (status.empty()) {
      usize count = 0;
      std::string names;
      for (usize i = 0; i < model_.files().size(); ++i) {
        if (!model_.files()[i].changed()) continue;
        count += std::max<usize>(model_.changes(i).size(), 1);
        names += (names.empty() ? "" : ", ") + model_.files()[i].shown;
      }
      const std::vector<std::string> problems = model_.problems(file_);
      if (!problems.empty()) {
        status = "Problem: " + problems.front();
      } else {
        status = count == 0 ? "No changes" : fmt::format("{} change{} in {}", count, count == 1 ? "" : "s", names);
      }
    }
    put(LINES - 2, 1, status, A_BOLD);
    fill(LINES - 1, A_REVERSE);
    put(LINES - 1, 1, "Enter edit  Space toggle  c default  u/r undo, redo  / search  Tab file  ? help  s save  q quit", A_REVERSE);
  }

  // ---- keys

  void handle(int key) {
    const usize last = rows().size() - 1;
    const usize page = static_cast<usize>(std::max(LINES - kHelpLines - 5, 1));
    switch (key) {
      case KEY_UP: case 'k': selected_ -= selected_ > 0 ? 1 : 0; break;
      case KEY_DOWN: case 'j': selected_ = std::min(selected_ + 1, last); break;
      case KEY_PPAGE: selected_ -= std::min(selected_, page); break;
      case KEY_NPAGE: selected_ = std::min(selected_ + page, last); break;
      case KEY_HOME: selected_ = 0; break;
      case KEY_END: selected_ = last; break;
      case '\t': case KEY_RIGHT: case 'l': show_file((file_ + 1) % model_.files().size()); break;
      case KEY_BTAB: case KEY_LEFT: case 'h': show_file((file_ + model_.files().size() - 1) % model_.files().size()); break;
      case kReturn: case '\n': case KEY_ENTER: edit(); break;
      case ' ': toggle(); break;
      case 'c': case KEY_DC: said(model_.unset(file_, row()), "back to the default"); break;
      case 'u': message_ = model_.undo() ? "undone" : "there is nothing to undo"; break;
      case 'r': message_ = model_.redo() ? "done again" : "there is nothing to do again"; break;
      case '/': ask_search(); break;
      case 'n': next_hit(); break;
      case '?': show_text(row().path, model_.help(row())); break;
      case 'd': show_changes(); break;
      case 's': save(false); break;
      case 'b': save(true); break;
      default: break;  // KEY_RESIZE too: everything is drawn anew
    }
  }

  void show_file(usize file) {
    file_ = file;
    selected_ = 0;
    top_ = 0;
  }

  void said(const std::expected<void, std::string>& result, std::string_view success) {
    message_ = result ? std::string(success) : result.error();
  }

  bool is_list() const {
    const config::Type type = row().key->type;
    return type != config::Type::Integer && type != config::Type::Boolean && type != config::Type::String;
  }

  void toggle() {
    if (row().key->type == config::Type::Boolean) {
      said(model_.toggle(file_, row()), "");
    } else {
      edit();
    }
  }

  void edit() {
    const Row here = row();
    const std::vector<Option> options = model_.options(file_, here);
    if (here.key->type == config::Type::Boolean) {
      toggle();
    } else if (!options.empty() && is_list()) {
      choose_several();
    } else if (is_list()) {
      edit_list();
    } else if (!options.empty() && !here.key->open_choices) {
      choose_one();
    } else {
      edit_text(here.path, model_.value(file_, here).value_or(""),
                [&](const std::string& text) { return model_.set(file_, here, text); });
    }
  }

  // ---- boxes

  /// Draws options with their descriptions; returns the height of the list.
  void draw_options(const Box& box, const std::vector<Option>& options, usize at, bool several) {
    const int height = std::max(box.inside_height() - 4, 1);
    const int first = std::max(0, static_cast<int>(at) - height + 1);
    for (int i = 0; i < height && first + i < static_cast<int>(options.size()); ++i) {
      const Option& o = options[static_cast<usize>(first + i)];
      const char mark = o.selected ? (several ? 'x' : '*') : o.note.starts_with("comes with") || o.note == "always on" ? '-' : ' ';
      std::string line = fmt::format("{}{}{} {}", several ? '[' : '(', mark, several ? ']' : ')', o.value);
      if (!o.note.empty()) line += fmt::format("  ({})", o.note);
      const bool current = first + i == static_cast<int>(at);
      box.text(i, 1, line, (current ? A_REVERSE : A_NORMAL) | (o.forbidden.empty() ? A_NORMAL : A_DIM));
    }
    const Option& here = options[at];
    const std::vector<std::string> doc = wrapped(here.forbidden.empty() ? here.doc : "Not possible: " + here.forbidden, box.width - 5);
    for (usize i = 0; i < doc.size() && i < 3; ++i) box.text(height + static_cast<int>(i), 1, doc[i], A_DIM);
  }

  static usize moved(int key, usize at, usize size) {
    if ((key == KEY_UP || key == 'k') && at > 0) return at - 1;
    if ((key == KEY_DOWN || key == 'j') && at + 1 < size) return at + 1;
    return at;
  }

  void choose_one() {
    const Row here = row();
    const std::vector<Option> options = model_.options(file_, here);
    const auto selected = std::ranges::find(options, true, &Option::selected);
    usize at = selected == options.end() ? 0 : static_cast<usize>(selected - options.begin());
    for (;;) {
      draw();
      const Box box(static_cast<int>(options.size()) + 7, 76, here.path);
      draw_options(box, options, at, false);
      box.text(box.inside_height() - 1, 1, "Enter choose  Esc cancel", A_BOLD);
      const int key = getch();
      if (key == kEscape || key == 'q') return;
      if (key == kReturn || key == '\n' || key == ' ') {
        said(options[at].forbidden.empty() ? model_.set(file_, here, options[at].value)
                                           : std::unexpected(fmt::format("{}: {}", options[at].value, options[at].forbidden)),
             "");
        return;
      }
      at = moved(key, at, options.size());
    }
  }

  void choose_several() {
    const Row here = row();
    usize at = 0;
    for (;;) {
      const std::vector<Option> options = model_.options(file_, here);
      if (options.empty()) return;
      at = std::min(at, options.size() - 1);
      draw();
      const Box box(static_cast<int>(options.size()) + 7, 76, here.path);
      draw_options(box, options, at, true);
      box.text(box.inside_height() - 1, 1, "Space choose  a another  Esc back", A_BOLD);
      const int key = getch();
      message_.clear();
      if (key == kEscape || key == 'q' || key == kReturn || key == '\n') return;
      if (key == ' ') said(model_.toggle(file_, here, options[at].value), "");
      if (key == 'u') message_ = model_.undo() ? "undone" : "there is nothing to undo";
      if (key == 'a') edit_text(here.path, "", [&](const std::string& text) { return model_.toggle(file_, here, text); });
      at = moved(key, at, options.size());
    }
  }

  void edit_list() {
    const Row here = row();
    usize at = 0;
    for (;;) {
      std::vector<std::string> items = model_.items(file_, here);
      at = items.empty() ? 0 : std::min(at, items.size() - 1);
      draw();
      const Box box(static_cast<int>(items.size()) + 6, 76, here.path);
      for (usize i = 0; i < items.size(); ++i) box.text(static_cast<int>(i), 1, items[i], i == at ? A_REVERSE : A_NORMAL);
      if (items.empty()) box.text(0, 1, "(empty)", A_DIM);
      box.text(box.inside_height() - 2, 1, describe_type(*here.key), A_DIM);
      box.text(box.inside_height() - 1, 1, "Enter edit  a add  x remove  Esc back", A_BOLD);
      const int key = getch();
      message_.clear();
      if (key == kEscape || key == 'q') return;
      const auto replace = [&](usize index, const std::string& text) {
        std::vector<std::string> changed = items;
        if (index == changed.size()) changed.emplace_back();
        changed[index] = text;
        return model_.set_items(file_, here, changed);
      };
      if (key == 'a') {
        edit_text(here.path, "", [&](const std::string& text) { return replace(items.size(), text); });
        at = items.size();
      } else if ((key == kReturn || key == '\n') && !items.empty()) {
        edit_text(here.path, items[at], [&](const std::string& text) { return replace(at, text); });
      } else if (key == 'x' && !items.empty()) {
        items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
        said(model_.set_items(file_, here, items), "");
      } else if (key == 'u') {
        message_ = model_.undo() ? "undone" : "there is nothing to undo";
      }
      at = moved(key, at, std::max<usize>(items.size(), 1));
    }
  }

  /// One line of text until `accept` takes it, or Escape. Returns whether it was taken.
  bool edit_text(const std::string& title, std::string text, const std::function<std::expected<void, std::string>(const std::string&)>& accept) {
    std::string error;
    for (;;) {
      draw();
      const Box box(7, 76, title);
      const int width = box.width - 4;
      const usize first = text.size() >= static_cast<usize>(width) ? text.size() - static_cast<usize>(width) + 1 : 0;
      box.text(0, 1, text.substr(first), A_UNDERLINE);
      const std::vector<std::string> below = wrapped(error.empty() ? describe_type(*row().key) : error, width);
      for (usize i = 0; i < below.size() && i < 2; ++i) box.text(1 + static_cast<int>(i), 1, below[i], error.empty() ? A_DIM : A_BOLD);
      box.text(box.inside_height() - 1, 1, "Enter accept  Ctrl-U empty  Esc cancel", A_BOLD);
      curs_set(1);
      move(box.y + 1, box.x + 2 + static_cast<int>(text.size() - first));
      const int key = getch();
      curs_set(0);
      if (key == kEscape) return false;
      if (key == kReturn || key == '\n' || key == KEY_ENTER) {
        const auto result = accept(text);
        if (result) return true;
        error = result.error();
      } else if (key == KEY_BACKSPACE || key == kDelete || key == '\b') {
        // A whole character of UTF-8.
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
        if (!text.empty()) text.pop_back();
      } else if (key == kControlU) {
        text.clear();
      } else if (key >= ' ' && key < 256 && key != kDelete) {
        text += static_cast<char>(key);
      }
    }
  }

  void show_text(const std::string& title, const std::string& text) {
    int top = 0;
    for (;;) {
      draw();
      const int width = std::min(100, COLS - 2);
      const std::vector<std::string> all = wrapped(text, width - 4);
      const Box box(static_cast<int>(all.size()) + 4, width, title);
      const int height = box.inside_height() - 1;
      const int last = std::max(0, static_cast<int>(all.size()) - height);
      top = std::clamp(top, 0, last);
      for (int i = 0; i < height && top + i < static_cast<int>(all.size()); ++i) box.text(i, 1, all[static_cast<usize>(top + i)]);
      box.text(box.inside_height() - 1, 1, last > 0 ? "Up, Down scroll  any other key: back" : "any key: back", A_BOLD);
      const int key = getch();
      if (key == KEY_DOWN || key == 'j') {
        ++top;
      } else if (key == KEY_UP || key == 'k') {
        --top;
      } else if (key != KEY_RESIZE) {
        return;
      }
    }
  }

  std::string change_text() const {
    std::string out;
    for (usize i = 0; i < model_.files().size(); ++i) {
      const EditedFile& file = model_.files()[i];
      if (!file.changed()) continue;
      out += fmt::format("{}{}\n", file.shown, file.exists ? "" : " (new)");
      for (const Change& c : model_.changes(i)) {
        out += fmt::format("  {}: {} -> {}\n", c.path, c.before.empty() ? "(absent)" : c.before, c.after.empty() ? "(absent)" : c.after);
      }
      for (const std::string& problem : model_.problems(i)) out += fmt::format("  PROBLEM: {}\n", problem);
    }
    return out;
  }

  void show_changes() { show_text("Changes", model_.changed() ? change_text() : "There are none."); }

  // ---- search

  void ask_search() {
    edit_text("Search", query_, [&](const std::string& text) -> std::expected<void, std::string> {
      query_ = text;
      hits_ = model_.search(text);
      if (hits_.empty()) return std::unexpected("nothing was found: try a part of a key, a value or a description");
      hit_ = 0;
      go_to_hit();
      return {};
    });
  }

  void go_to_hit() {
    show_file(hits_[hit_].file);
    selected_ = hits_[hit_].row;
    message_ = fmt::format("{} of {} for '{}'; n: next", hit_ + 1, hits_.size(), query_);
  }

  void next_hit() {
    if (hits_.empty()) {
      ask_search();
      return;
    }
    hit_ = (hit_ + 1) % hits_.size();
    go_to_hit();
  }

  // ---- the end

  bool save(bool backup) {
    if (!model_.changed()) {
      message_ = "there is nothing to save";
      return true;
    }
    const auto written = model_.save(backup);
    if (!written) {
      message_ = written.error();
      return false;
    }
    saved_.insert(saved_.end(), written->begin(), written->end());
    message_ = fmt::format("saved {}", fmt::join(*written, ", "));
    return true;
  }

  std::optional<Outcome> leave() {
    if (!model_.changed()) return saved_.empty() ? Outcome::Unchanged : Outcome::Saved;
    const std::vector<std::string> text = wrapped(change_text(), 72);
    for (;;) {
      draw();
      const Box box(static_cast<int>(text.size()) + 5, 76, "Save the changes?");
      const int height = box.inside_height() - 2;
      for (int i = 0; i < height && i < static_cast<int>(text.size()); ++i) box.text(i, 1, text[static_cast<usize>(i)]);
      box.text(box.inside_height() - 1, 1, "s save  b save, keep a backup  x discard  Esc go on", A_BOLD);
      const int key = getch();
      if (key == kEscape || key == 'q') return std::nullopt;
      if (key == 'x') return Outcome::Discarded;
      if (key == 's' || key == 'b') return save(key == 'b') ? std::optional(Outcome::Saved) : std::nullopt;
    }
  }

  Model& model_;
  usize file_;
  std::vector<std::string>& saved_;
  usize selected_ = 0;
  int top_ = 0;
  std::string message_;
  std::string query_;
  std::vector<SearchHit> hits_;
  usize hit_ = 0;
};

}  // namespace

Outcome edit_on_terminal(Model& model, usize file, std::vector<std::string>& saved) {
  const Screen screen;
  return Editor(model, file, saved).run();
}

}  // namespace ax::menuconfig
