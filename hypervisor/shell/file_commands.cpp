#include "hypervisor/shell/file_commands.hpp"

#include <algorithm>

#include "kernel/fs/calendar.hpp"

namespace hv::file_commands {
namespace {

using fs::Kind;
using fs::Location;
using fs::Node;
using fs::Path;

constexpr unsigned kMostDepth = 16;      // of directories that are copied or removed
constexpr usize kCopyBytes = 64_KiB;     // at once
constexpr u64 kMostShown = 64_KiB;       // of a file, on the console
constexpr usize kLongestLine = 150;

/// Single letters behind "-" in front of the other arguments. InvalidArgument: one that is not in `known`.
class Options {
 public:
  static Result<Options> take(Arguments& arguments, std::string_view known) {
    Options options;
    while (!arguments.empty() && arguments[0].size() > 1 && arguments[0][0] == '-') {
      for (const char c : arguments[0].substr(1)) {
        const usize at = known.find(c);
        if (at == std::string_view::npos) return fail(Error::InvalidArgument);
        options.bits_ |= 1u << at;
      }
      arguments = arguments.subspan(1);
    }
    options.known_ = known;
    return options;
  }
  bool has(char c) const { return (bits_ >> known_.find(c) & 1) != 0; }

 private:
  std::string_view known_;
  unsigned bits_ = 0;
};

/// One command at work.
class Work {
 public:
  Work(ShellEnvironment& environment, std::string_view command)
      : session(static_cast<FileShellEnvironment&>(environment).files()), out(environment.out()), command_(command) {}

  void complain(std::string_view what, Error error) {
    const std::string_view why = error == Error::Overlap ? "cannot go onto or into itself" : describe(error);
    print(out, "{}: {}: {}\n", command_, what, why);
  }
  /// Says what went wrong, if something did.
  bool good(std::string_view what, const Result<void>& result) {
    if (!result) complain(what, result.error());
    return result.has_value();
  }
  template <class Action>
  void with_path(std::string_view text, Action action) {
    const auto path = Path::make(session.directory, text);
    path ? action(*path) : complain(text, path.error());
  }
  Result<Location> find(const Path& path) { return session.tree.find(path); }
  bool is_directory(const Path& path) {
    const auto found = find(path);
    return found && found->node.kind == Kind::Directory;
  }

  FileSession& session;
  Sink& out;

 private:
  std::string_view command_;
};

/// The entry at one place of a directory.
class Nth final : public fs::DirectoryVisitor {
 public:
  explicit Nth(usize index) : left_(index) {}
  bool visit(std::string_view entry, const Node&) override {
    if (left_-- != 0) return true;
    for (const char c : entry) static_cast<void>(name.push_back(c));
    return false;
  }
  fs::Name name;

 private:
  usize left_;
};

/// Directories change while they are gone through, so that each entry is looked up anew. Nothing behind the last.
Result<fs::Name> entry_of(Location& directory, usize index) {
  Nth nth(index);
  TRY(directory.system->list(directory.node, nth));
  return nth.name;
}

// ---- looking ----------------------------------------------------------------------------------------------------------

char letter_of(Kind kind) { return kind == Kind::Directory ? 'd' : kind == Kind::File ? '-' : kind == Kind::Link ? 'l' : '?'; }

class Lister final : public fs::DirectoryVisitor {
 public:
  Lister(Sink& out, bool all, bool details) : out_(out), all_(all), details_(details) {}

  bool visit(std::string_view name, const Node& node) override {
    if (!all_ && name.starts_with('.')) return true;
    if (details_) {
      const fs::Date date = fs::date_of(node.changed / fs::kSecondsPerDay);
      const u64 minutes = node.changed / 60;
      print(out_, "{}{:12} {:04}-{:02}-{:02} {:02}:{:02} ", letter_of(node.kind), node.size, date.year, date.month, date.day, minutes / 60 % 24,
            minutes % 60);
    }
    print(out_, "{}{}\n", name, node.kind == Kind::Directory ? "/" : "");
    return true;
  }

 private:
  Sink& out_;
  bool all_, details_;
};

/// Pages of text for a console: lines are not too long, and nothing in them moves the cursor.
class TextOut {
 public:
  explicit TextOut(Sink& out) : out_(out) {}
  void write(std::span<const char> text) {
    for (char c : text) {
      if (c == '\r') continue;
      if (c != '\n' && c != '\t' && (static_cast<u8>(c) < ' ' || c == 0x7f)) c = '?';
      out_.write({&c, 1});
      column_ = c == '\n' ? 0 : column_ + 1;
      if (column_ == kLongestLine) end_line();
    }
  }
  void end_line() {
    if (column_ != 0) out_.write("\n");
    column_ = 0;
  }

 private:
  Sink& out_;
  usize column_ = 0;
};

Result<void> show(Work& work, Location file) {
  TextOut text(work.out);
  std::array<char, 512> buffer;
  u64 offset = 0;
  while (offset < kMostShown) {
    const usize size = TRY(file.system->read(file.node, offset, std::as_writable_bytes(std::span(buffer))));
    if (size == 0) break;
    text.write(std::span(buffer).first(size));
    offset += size;
  }
  text.end_line();
  if (offset < file.node.size) print(work.out, "... {} bytes more\n", file.node.size - offset);
  return {};
}

// ---- changing ---------------------------------------------------------------------------------------------------------

/// Finds or makes a file that is to be written: anew, or at its end.
Result<Location> open(Work& work, const Path& path, bool anew, bool& is_new) {
  Location parent = TRY(work.session.tree.find_parent(path));
  is_new = false;
  auto found = work.find(path);
  if (found && found->node.kind == Kind::Directory) return fail(Error::IsDirectory);
  if (found) {
    if (anew) TRY(found->system->replace(found->node));
    return found;
  }
  if (found.error() != Error::NotFound) return found;
  is_new = true;
  return Location{parent.system, TRY(parent.system->create(parent.node, path.name(), Kind::File))};
}

/// What fails leaves the file as it was, or not there if it was not.
Result<void> finish(Work& work, const Path& path, Location& file, bool is_new, Result<void> written) {
  if (written) written = file.system->commit(file.node);
  if (written) return file.system->sync();
  file.system->abandon(file.node);
  if (is_new) static_cast<void>(work.session.tree.remove(path));
  return fail(written.error());
}

Result<void> copy_contents(Work& work, Location& from, Location& to) {
  const mm::Scratch scratch = TRY(mm::Scratch::create(work.session.heap, kCopyBytes));
  const std::span<std::byte> buffer = scratch.bytes();
  for (u64 offset = 0; offset < from.node.size;) {
    const usize size = TRY(from.system->read(from.node, offset, buffer));
    if (size == 0) return fail(Error::Truncated);
    TRY(to.system->write(to.node, offset, buffer.first(size)));
    offset += size;
  }
  return {};
}

Result<void> copy_file(Work& work, Location from, const Path& to) {
  if (from.node.kind != Kind::File) return fail(Error::NotSupported);
  bool is_new = false;
  Location file = TRY(open(work, to, true, is_new));
  return finish(work, to, file, is_new, copy_contents(work, from, file));
}

Result<void> copy(Work& work, const Path& from, const Path& to, bool directories, unsigned depth = 0) {
  Location source = TRY(work.find(from));
  if (source.node.kind != Kind::Directory) return copy_file(work, source, to);
  if (!directories) return fail(Error::IsDirectory);
  if (from.contains(to)) return fail(Error::Overlap);
  if (depth == kMostDepth) return fail(Error::OutOfRange);
  const auto made = work.session.tree.make_directory(to);
  if (!made && !work.is_directory(to)) return made;
  for (usize index = 0;; ++index) {
    const fs::Name name = TRY(entry_of(source, index));
    if (name.empty()) return {};
    const Path inner = TRY(Path::make(from, fs::text(name))), place = TRY(Path::make(to, fs::text(name)));
    TRY(copy(work, inner, place, true, depth + 1));
  }
}

Result<void> remove_all(Work& work, const Path& path, unsigned depth = 0) {
  Location here = TRY(work.find(path));
  if (work.session.tree.is_mount(path) || path.is_root()) return fail(Error::Busy);
  // A link is removed, not what it leads to.
  const Location parent = TRY(work.session.tree.find_parent(path));
  const Node entry = TRY(parent.system->find(parent.node, path.name()));
  if (entry.kind == Kind::Directory) {
    if (depth == kMostDepth) return fail(Error::OutOfRange);
    for (;;) {
      const fs::Name name = TRY(entry_of(here, 0));
      if (name.empty()) break;
      const Path inner = TRY(Path::make(path, fs::text(name)));
      TRY(remove_all(work, inner, depth + 1));
    }
  }
  return work.session.tree.remove(path);
}

Result<void> move(Work& work, const Path& from, const Path& to) {
  if (work.session.tree.is_mount(from) || from.is_root()) return fail(Error::Busy);
  Location source = TRY(work.find(from));
  if (!source.system->writable()) return fail(Error::ReadOnly);
  if (from.contains(to)) return fail(Error::Overlap);
  if (from.parent().text() == to.parent().text()) {
    const Location parent = TRY(work.session.tree.find_parent(from));
    const auto renamed = parent.system->rename(parent.node, from.name(), to.name());
    if (renamed) return parent.system->sync();
    if (renamed.error() != Error::NotSupported && renamed.error() != Error::AlreadyExists) return fail(renamed.error());
  }
  TRY(copy(work, from, to, true));
  return remove_all(work, from);
}

/// Calls `action(from, to)` for each argument but the last, which is where they go: itself, or into it if it is a directory.
template <class Action>
void each_to_last(Work& work, Arguments arguments, Action action) {
  const std::string_view last = arguments.back();
  work.with_path(last, [&](const Path& to) {
    const bool into = work.is_directory(to);
    if (!into && arguments.size() > 2) return work.complain(last, Error::NotDirectory);
    for (const std::string_view text : arguments.first(arguments.size() - 1)) {
      work.with_path(text, [&](const Path& from) {
        const auto place = into ? Path::make(to, from.name()) : Result<Path>(to);
        if (!place) return work.complain(text, place.error());
        if (place->text() == from.text()) return work.complain(text, Error::Overlap);
        work.good(text, action(from, *place));
      });
    }
  });
}

}  // namespace

Result<void> ls(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "ls");
  const Options options = TRY(Options::take(arguments, "la"));
  Lister lister(work.out, options.has('a'), options.has('l'));
  const std::string_view here[] = {"."};
  for (const std::string_view text : arguments.empty() ? Arguments(here) : arguments) {
    work.with_path(text, [&](const Path& path) {
      const auto found = work.find(path);
      if (!found) return work.complain(text, found.error());
      if (found->node.kind != Kind::Directory) return static_cast<void>(lister.visit(text, found->node));
      if (arguments.size() > 1) print(work.out, "{}:\n", text);
      work.good(text, work.session.tree.list(path, lister));
    });
  }
  return {};
}

Result<void> cat(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "cat");
  for (const std::string_view text : arguments) {
    work.with_path(text, [&](const Path& path) {
      const auto found = work.find(path);
      found ? static_cast<void>(work.good(text, show(work, *found))) : work.complain(text, found.error());
    });
  }
  return {};
}

Result<void> echo(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "echo");
  const bool no_newline = !arguments.empty() && arguments[0] == "-n";
  if (no_newline) arguments = arguments.subspan(1);
  const auto arrow = std::ranges::find_if(arguments, [](std::string_view word) { return word.starts_with('>'); });
  std::array<char, 256> buffer;
  BufferSink text(buffer.data(), buffer.size());
  for (auto word = arguments.begin(); word != arrow; ++word) print(text, "{}{}", word == arguments.begin() ? "" : " ", *word);
  if (!no_newline || arrow == arguments.end()) text.write("\n");
  if (arrow == arguments.end()) {
    work.out.write(text.view());
    return {};
  }
  // The name may stand right behind the arrow.
  std::string_view name = *arrow;
  const bool at_end = name.starts_with(">>");
  name.remove_prefix(at_end ? 2 : 1);
  if (name.empty() == (arrow + 1 == arguments.end()) || arguments.end() - arrow > 2) return fail(Error::InvalidArgument);
  if (name.empty()) name = arrow[1];
  work.with_path(name, [&](const Path& path) {
    bool is_new = false;
    auto file = open(work, path, !at_end, is_new);
    if (!file) return work.complain(name, file.error());
    const auto written = file->system->write(file->node, file->node.size, std::as_bytes(std::span(text.view())));
    work.good(name, finish(work, path, *file, is_new, written));
  });
  return {};
}

Result<void> mkdir(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "mkdir");
  const Options options = TRY(Options::take(arguments, "p"));
  if (arguments.empty()) return fail(Error::InvalidArgument);
  for (const std::string_view text : arguments) {
    work.with_path(text, [&](const Path& path) {
      if (!options.has('p')) return static_cast<void>(work.good(text, work.session.tree.make_directory(path)));
      for (usize end = 1; end != std::string_view::npos;) {
        end = path.text().find('/', end + 1);
        const auto part = Path::make(Path(), path.text().substr(0, end));
        if (part && !work.is_directory(*part) && !work.good(text, work.session.tree.make_directory(*part))) return;
      }
    });
  }
  return {};
}

Result<void> rm(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "rm");
  const Options options = TRY(Options::take(arguments, "rfd"));
  if (arguments.empty()) return fail(Error::InvalidArgument);
  for (const std::string_view text : arguments) {
    work.with_path(text, [&](const Path& path) {
      const bool directory = work.is_directory(path);
      if (directory && !options.has('r') && !options.has('d')) return work.complain(text, Error::IsDirectory);
      const auto removed = options.has('r') ? remove_all(work, path) : work.session.tree.remove(path);
      if (!removed && removed.error() == Error::NotFound && options.has('f')) return;
      work.good(text, removed);
    });
  }
  return {};
}

Result<void> cd(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "cd");
  const std::string_view text = arguments.empty() ? std::string_view("/") : arguments[0];
  work.with_path(text, [&](const Path& path) {
    const auto found = work.find(path);
    if (!found && !path.is_root()) return work.complain(text, found.error());
    if (found && found->node.kind != Kind::Directory) return work.complain(text, Error::NotDirectory);
    work.session.directory = path;
  });
  return {};
}

Result<void> pwd(ShellEnvironment& environment, Arguments) {
  Work work(environment, "pwd");
  print(work.out, "{}\n", work.session.directory.text());
  return {};
}

Result<void> touch(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "touch");
  for (const std::string_view text : arguments) {
    work.with_path(text, [&](const Path& path) {
      bool is_new = false;
      auto file = open(work, path, false, is_new);
      if (!file) return work.complain(text, file.error());
      if (!file->system->writable()) return work.complain(text, Error::ReadOnly);
      file->node.uncommitted = true;  // committing writes the time
      work.good(text, finish(work, path, *file, is_new, {}));
    });
  }
  return {};
}

Result<void> cp(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "cp");
  const Options options = TRY(Options::take(arguments, "r"));
  if (arguments.size() < 2) return fail(Error::InvalidArgument);
  each_to_last(work, arguments, [&](const Path& from, const Path& to) { return copy(work, from, to, options.has('r')); });
  return {};
}

Result<void> mv(ShellEnvironment& environment, Arguments arguments) {
  Work work(environment, "mv");
  each_to_last(work, arguments, [&](const Path& from, const Path& to) { return move(work, from, to); });
  return {};
}

Result<void> df(ShellEnvironment& environment, Arguments) {
  Work work(environment, "df");
  print(work.out, "{:8} {:6} {:12} {:12} {}\n", "device", "type", "KiB", "free KiB", "at");
  for (const fs::Mount& mount : work.session.tree.mounts()) {
    const auto usage = mount.system->usage();
    if (!usage) {
      work.complain(fs::text(mount.device), usage.error());
      continue;
    }
    print(work.out, "{:8} {:6} {:12} {:12} /{}\n", fs::text(mount.device), mount.system->type(), usage->total >> 10, usage->free >> 10,
          fs::text(mount.at));
  }
  return {};
}

Result<void> mount(ShellEnvironment& environment, Arguments) {
  Work work(environment, "mount");
  for (const fs::Mount& mount : work.session.tree.mounts()) {
    const std::string_view remark = mount.system->remark();
    print(work.out, "{} on /{}: {}, {}{}{}\n", fs::text(mount.device), fs::text(mount.at), mount.system->type(),
          mount.system->writable() ? "read and write" : "read only", remark.empty() ? "" : "; ", remark);
  }
  if (work.session.tree.mounts().empty()) print(work.out, "no file system is mounted\n");
  return {};
}

}  // namespace hv::file_commands
