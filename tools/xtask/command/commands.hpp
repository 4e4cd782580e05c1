// The declare functions behind the rows of the command table; one source file per command.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/xtask/command/command.hpp"

namespace ax::xtask {

Handler declare_setup(CLI::App& app);
Handler declare_defconfig(CLI::App& app);
Handler declare_config_list(CLI::App& app);
Handler declare_menuconfig(CLI::App& app);
Handler declare_build(CLI::App& app);
Handler declare_qemu(CLI::App& app);
Handler declare_test(CLI::App& app);
Handler declare_bench(CLI::App& app);
Handler declare_run(CLI::App& app);
Handler declare_image(CLI::App& app);
Handler declare_image_list(CLI::App& app);
Handler declare_image_download(CLI::App& app);
Handler declare_image_remove(CLI::App& app);
Handler declare_image_sync(CLI::App& app);
Handler declare_image_defconfig(CLI::App& app);
Handler declare_image_check(CLI::App& app);
Handler declare_image_import(CLI::App& app);
Handler declare_image_build(CLI::App& app);
Handler declare_image_resize(CLI::App& app);
Handler declare_image_fetch(CLI::App& app);
Handler declare_image_lock(CLI::App& app);
Handler declare_image_verify(CLI::App& app);
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
Handler declare_app_source(CLI::App& app);
Handler declare_clippy(CLI::App& app);
Handler declare_uboot(CLI::App& app);
Handler declare_board_list(CLI::App& app);
Handler declare_clean(CLI::App& app);
Handler declare_vmconfig(CLI::App& app);
Handler declare_vmconfig_schema(CLI::App& app);
Handler declare_vmconfig_check(CLI::App& app);
Handler declare_vmconfig_compile(CLI::App& app);
Handler declare_vmconfig_generate(CLI::App& app);
Handler declare_vmconfig_explain(CLI::App& app);
Handler declare_vmconfig_diff(CLI::App& app);
Handler declare_vmconfig_plot(CLI::App& app);
Handler declare_inspect_sections(CLI::App& app);
Handler declare_inspect_symbols(CLI::App& app);
Handler declare_inspect_hex(CLI::App& app);
Handler declare_inspect_size(CLI::App& app);
Handler declare_inspect_map(CLI::App& app);
Handler declare_devspace_start(CLI::App& app);
Handler declare_devspace_stop(CLI::App& app);
Handler declare_report(CLI::App& app);
Handler declare_completion(CLI::App& app);
Handler declare_help(CLI::App& app);

/// The file beside an image that says that it is not what its name promises, and why.
std::filesystem::path stand_in_mark(const std::filesystem::path& image);

/// Throws Failure(Skipped) where one of the images is a stand-in.
void skip_without_images(const std::vector<std::filesystem::path>& images);

/// docs/xtask.md.
std::string reference_page(const CLI::App& root);

/// The command's help page, headed by how it is called from the top.
std::string full_help(const CLI::App& app);

}  // namespace ax::xtask
