// Checks of option values. They run while the command line is read: a wrong value is refused before anything is done, with the
// nearest right one.
#pragma once

#include <CLI/CLI.hpp>

namespace ax::xtask {

/// A file that is there. Paths are relative to the current folder, as for all of these.
CLI::Validator existing_file();

/// A folder that is there. The word may as well be a misspelt subcommand of `parent`, which must outlive this.
CLI::Validator existing_folder(const CLI::App* parent = nullptr);

/// A number as these files write addresses, underscores included; for transform(), which takes them out.
CLI::Validator address();

/// An RE2 expression.
CLI::Validator expression();

}  // namespace ax::xtask
