// Which programs compile and link: the description names one, each language needs its own.
#pragma once

#include <string>
#include <string_view>

#include "tools/app/words.hpp"

namespace ax::app {

/// What `compiler` stands for.
struct Compiler {
  Words launcher;   ///< "ccache"
  std::string c;    ///< program for C and assembly
  std::string cxx;  ///< program for C++
  Words options;    ///< for every compilation and link

  /// The whole command for one language.
  Words command(bool for_cxx) const;
};

/// gcc and g++, clang and clang++, cc and c++ belong together, whatever stands before (`aarch64-linux-gnu-`) and after
/// (`-12`); another name is used for both languages.
Compiler compiler_of(const Words& words);

/// The LLVM linker as RuxOS files name it: `rust-lld -flavor gnu`.
bool is_rust_lld(const Words& linker);

/// `words` (options of a compiler or linker) with the relative paths in them made absolute in `folder`, because the
/// build runs elsewhere: arguments of -I, -L, -include and their like, and words that are existing files.
Words with_absolute_paths(const Words& words, const std::string& folder);

/// Without -c and the options for dependency files, which the build gives itself.
Words without_build_options(const Words& cflags);

/// Splits off the folders of -I, in order.
Words take_include_folders(Words& cflags);

}  // namespace ax::app
