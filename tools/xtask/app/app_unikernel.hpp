// Machines that run a program on the unikernel: their consoles carry the program's output and its exit status.
#pragma once

#include <filesystem>
#include <string>

#include "tools/app/application.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

/// The program has no services that are not there. Throws Failure(Failure) that names all that are missing.
void require_unikernel_services(const app::Application& application);

/// Runs the machine with this terminal as its console and returns the program's exit status. Addresses in the report of a crash
/// get the names of functions and lines out of `elf`.
int run_unikernel(const Context& context, const app::Application& application, const Argv& command, const std::filesystem::path& elf);

/// What the console of a machine that has ended showed: the text for people, and the program's exit status (nothing where
/// the machine ended without one).
struct MachineEnd {
  std::string output;
  std::optional<int> status;
};
MachineEnd read_console(const app::Application& application, std::string_view text, const std::filesystem::path& elf);

}  // namespace ax::xtask
