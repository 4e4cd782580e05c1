// An application for this machine as a CMake project.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/app/application.hpp"

namespace ax::app {

struct GeneratedFile {
  std::filesystem::path path;  ///< relative to the project's folder
  std::string text;
};

/// Name of the file that says which compilers there are: when it changes, CMake has to start afresh.
inline constexpr std::string_view kCompilerFile = "compiler.cmake";

/// The project, to be put in `folder` (absolute). Same application, same bytes. Everything is made in `bin` of the
/// build folder; one target per folder below `targets`.
std::vector<GeneratedFile> cmake_project(const Application& app, const std::filesystem::path& folder);

/// The file that a target becomes: "hello", "libfoo.so".
std::string product_name(const Target& target);
/// The CMake target that makes it.
std::string cmake_target(const Target& target);

/// The folders that are searched for headers, in order.
std::vector<std::filesystem::path> include_folders(const Application& app, const Target& target);

}  // namespace ax::app
