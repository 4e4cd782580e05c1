// A new application to start from.
#pragma once

#include <filesystem>
#include <string>

namespace ax::xtask {

enum class AppLanguage { C, Cxx };

/// Makes the folder with a description, a program that says hello, and a test. Throws Failure(Usage) if it exists.
void make_application(const std::filesystem::path& folder, AppLanguage language);

}  // namespace ax::xtask
