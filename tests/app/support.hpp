// What the tests of descriptions share.
#pragma once

#include <gmock/gmock.h>

#include "tests/config/process.hpp"
#include "tools/app/application.hpp"

namespace ax::app::testing {

namespace fs = std::filesystem;
using config::testing::Finished;
using config::testing::read_file;
using config::testing::run;
using config::testing::source_folder;
using config::testing::TemporaryFolder;
using config::testing::write_file;

/// A pkg-config that knows one library, whose options are given.
inline PkgConfig pkg_config_with(std::string output) {
  return [output = std::move(output)](const Words& command) -> std::expected<std::string, std::string> {
    if (command.size() == 3 && command[2] == "known") return output;
    return std::unexpected("no package " + command.back());
  };
}

/// A description from text in a folder with one C source, main.c.
class Described {
 public:
  /// `more` is another source beside main.c.
  explicit Described(std::string_view text, std::string_view more = "") {
    write_file(folder_ / "main.c", "int main(void) { return 0; }\n");
    if (!more.empty()) write_file(folder_ / more, "");
    write_file(folder_ / "app.toml", text);
    application =
        load_application(**sources_.open(folder_ / "app.toml", "app.toml"), pkg_config_with("-DKNOWN"), diagnostics);
  }
  std::string messages() const { return diagnostics.render(false); }
  const fs::path& folder() const { return folder_.path(); }

  Diagnostics diagnostics;
  Application application;

 private:
  TemporaryFolder folder_;
  config::SourceStore sources_;
};

inline constexpr std::string_view kProgram = "[[targets]]\nname = \"p\"\nsrc = \"./\"\ntype = \"exe\"\n";

}  // namespace ax::app::testing
