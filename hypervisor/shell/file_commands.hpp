// The shell's commands for files.
#pragma once

#include "hypervisor/shell/command_table.hpp"
#include "kernel/fs/tree.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

/// What the file commands work on.
struct FileSession {
  fs::Tree& tree;
  mm::ObjectAllocator& heap;
  fs::Path directory{};  ///< where relative paths begin
};

/// The environment of a shell that has them.
class FileShellEnvironment : public ShellEnvironment {
 public:
  virtual FileSession& files() = 0;

 protected:
  ~FileShellEnvironment() = default;
};

/// `environment` is a FileShellEnvironment. What goes wrong with one file is said, and the others are dealt with.
namespace file_commands {
Result<void> ls(ShellEnvironment& environment, Arguments arguments);
Result<void> cat(ShellEnvironment& environment, Arguments arguments);
Result<void> echo(ShellEnvironment& environment, Arguments arguments);
Result<void> mkdir(ShellEnvironment& environment, Arguments arguments);
Result<void> rm(ShellEnvironment& environment, Arguments arguments);
Result<void> cd(ShellEnvironment& environment, Arguments arguments);
Result<void> pwd(ShellEnvironment& environment, Arguments arguments);
Result<void> touch(ShellEnvironment& environment, Arguments arguments);
Result<void> cp(ShellEnvironment& environment, Arguments arguments);
Result<void> mv(ShellEnvironment& environment, Arguments arguments);
Result<void> df(ShellEnvironment& environment, Arguments arguments);
Result<void> mount(ShellEnvironment& environment, Arguments arguments);
}  // namespace file_commands

inline constexpr u8 kManyFiles = ShellCommand::kAnyNumber;
inline constexpr ShellCommand kFileCommands[] = {
    {.name = "ls", .usage = "[-l] [-a] [PATH...]", .help = "Lists directories.", .run = file_commands::ls, .most = kManyFiles},
    {.name = "cat", .usage = "FILE...", .help = "Shows text files.", .run = file_commands::cat, .fewest = 1, .most = kManyFiles},
    {.name = "echo",
     .usage = "[-n] [TEXT...] [> FILE | >> FILE]",
     .help = "Says something, or writes it to a file, or to its end.",
     .run = file_commands::echo,
     .most = kManyFiles},
    {.name = "mkdir",
     .usage = "[-p] DIRECTORY...",
     .help = "Makes directories; with -p those above, too, and it does not matter if they exist.",
     .run = file_commands::mkdir,
     .fewest = 1,
     .most = kManyFiles},
    {.name = "rm",
     .usage = "[-r] [-f] [-d] PATH...",
     .help = "Removes files; -d empty directories, -r whole ones; -f says nothing of what is not there.",
     .run = file_commands::rm,
     .fewest = 1,
     .most = kManyFiles},
    {.name = "cd", .usage = "[DIRECTORY]", .help = "Relative paths begin there; without DIRECTORY at /.", .run = file_commands::cd, .most = 1},
    {.name = "pwd", .help = "Says where relative paths begin.", .run = file_commands::pwd},
    {.name = "touch",
     .usage = "FILE...",
     .help = "Makes empty files, and gives others the time of now.",
     .run = file_commands::touch,
     .fewest = 1,
     .most = kManyFiles},
    {.name = "cp",
     .usage = "[-r] FROM... TO",
     .help = "Copies files, with -r directories.",
     .run = file_commands::cp,
     .fewest = 2,
     .most = kManyFiles},
    {.name = "mv",
     .usage = "FROM... TO",
     .help = "Renames, or copies and then removes.",
     .run = file_commands::mv,
     .fewest = 2,
     .most = kManyFiles},
    {.name = "df", .help = "Says how full the file systems are.", .run = file_commands::df},
    {.name = "mount", .help = "Says which file systems there are.", .run = file_commands::mount},
};

}  // namespace hv
