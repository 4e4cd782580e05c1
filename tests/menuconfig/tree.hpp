// A source tree with a board and its VM, for menuconfig to edit.
#pragma once

#include <gmock/gmock.h>

#include "tests/config/process.hpp"
#include "tools/menuconfig/model.hpp"

namespace ax::menuconfig::testing {

namespace fs = std::filesystem;
using config::testing::Finished;
using config::testing::has_program;
using config::testing::read_file;
using config::testing::run;
using config::testing::source_folder;
using config::testing::TemporaryFolder;
using config::testing::write_file;
using ::testing::HasSubstr;
using ::testing::Not;

inline constexpr std::string_view kBoardText =
    "# board: qemu-aarch64\n"
    "# Our laboratory board.\n"
    "target = \"aarch64-unknown-none-softfloat\"   # the toolchain\n"
    "features = [\n"
    "  \"ept-level-4\",  # needed by the big guest\n"
    "  \"fs\",\n"
    "]\n"
    "\n"
    "log = \"Info\"\n"
    "default_vms = [\"small\"]\n"
    "\n"
    "[env]\n"
    "WHO = \"us\"\n";

class Tree : public ::testing::Test {
 protected:
  Tree() {
    write(".build.toml", kBoardText);
    write("configs/board/qemu-aarch64.toml", kBoardText);
    write("configs/qemu/qemu-aarch64.toml", "args = [\"-nographic\"]\nto_bin = true\n");
    write("configs/vms/small.toml",
          "[base]\nname = \"small\"  # short\ncpu_num = 1\n\n[kernel]\nkernel_path = \"k.bin\"\nkernel_load_addr = 0x8020_0000\n"
          "memory_regions = [\n  [0x8000_0000, 0x1000_0000, 0x7, 0],  # RAM\n]\n");
    write("configs/vms/other.toml", "[base]\nname = \"other\"\ncpu_num = 1\n[kernel]\nkernel_path = \"k.bin\"\nmemory_regions = []\n");
    write("cmake/packages.txt", "");
  }
  fs::path path(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, std::string_view text) const { write_file(path(name), text); }
  std::string read(const std::string& name) const { return read_file(path(name)); }
  Places places() const { return {folder_.path(), {folder_ / "configs"}}; }

 private:
  TemporaryFolder folder_;
};

inline Row row_of(const Model& model, usize file, std::string_view path) {
  for (const Row& row : model.rows(file)) {
    if (row.path == path) return row;
  }
  ADD_FAILURE() << "no key " << path;
  return model.rows(file).front();
}

}  // namespace ax::menuconfig::testing
