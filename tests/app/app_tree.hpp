// An application in a folder of its own, and the real xtask run on it.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/app/support.hpp"

namespace ax::app::testing {

using ::testing::HasSubstr;
using ::testing::Not;

class AppTree : public ::testing::Test {
 protected:
  static constexpr std::string_view kBuild = "[build]\ncompiler = \"gcc\"\n";

  fs::path path(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, std::string_view text) { write_file(path(name), text); }
  void describe(std::string_view targets) { write("config_linux.toml", std::string(kBuild) + std::string(targets)); }

  Finished xtask(const std::string& arguments) const {
    return run("cd " + config::testing::quoted(folder_.path()) + " && env -u CC -u CXX -u CFLAGS AXVISOR_ROOT=" +
               source_folder().string() + " " XTASK_PROGRAM " app " + arguments);
  }
  /// Builds, which must succeed; returns the descriptions of the steps that were run.
  std::string build(const std::string& options = "") {
    const Finished result = xtask("build " + options);
    EXPECT_EQ(result.status, 0) << result.errors;
    return result.errors;
  }
  Finished program(const std::string& arguments = "") { return xtask("run -q . " + arguments); }
  fs::path product(const std::string& name, const std::string& mode = "host-release") const {
    return path("app_build/" + mode + "/bin/" + name);
  }

 private:
  TemporaryFolder folder_;
};

inline std::string target(std::string_view name, std::string_view type, std::string_view src,
                          std::string_view more = "") {
  std::ostringstream out;
  out << "[[targets]]\nname = \"" << name << "\"\ntype = \"" << type << "\"\nsrc = \"" << src << "\"\n" << more << "\n";
  return out.str();
}

}  // namespace ax::app::testing
