// The declare functions behind the rows of the command table; one source file per command.
#pragma once

#include <string>

#include "tools/xtask/command/command.hpp"

namespace ax::xtask {

Handler declare_setup(CLI::App& app);
Handler declare_defconfig(CLI::App& app);
Handler declare_build(CLI::App& app);
Handler declare_qemu(CLI::App& app);
Handler declare_test(CLI::App& app);
Handler declare_run(CLI::App& app);
Handler declare_image_list(CLI::App& app);
Handler declare_image_fetch(CLI::App& app);
Handler declare_image_lock(CLI::App& app);
Handler declare_app(CLI::App& app);
Handler declare_app_build(CLI::App& app);
Handler declare_app_run(CLI::App& app);
Handler declare_app_test(CLI::App& app);
Handler declare_app_check(CLI::App& app);
Handler declare_app_gdb(CLI::App& app);
Handler declare_app_init(CLI::App& app);
Handler declare_app_clean(CLI::App& app);
Handler declare_app_pkg(CLI::App& app);
Handler declare_app_config(CLI::App& app);
Handler declare_clean(CLI::App& app);
Handler declare_help(CLI::App& app);

/// The command's help page, headed by how it is called from the top.
std::string full_help(const CLI::App& app);

}  // namespace ax::xtask
