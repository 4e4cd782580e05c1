// What a configuration becomes: texts of the files that the build reads. Same configuration, same bytes.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "tools/config/configuration.hpp"

namespace ax::config {

/// Variables for CMake. Changes with the board, the defaults and the choice of VMs, never with what is inside a VM
/// file.
std::string config_cmake(const Configuration& configuration);

/// include/board_config.hpp: constants of the board for C++. VM files never change it.
std::string board_config_header(const Configuration& configuration);

/// vm_configs.hpp: the VMs as constexpr data, `hv::generated::kVms`.
std::string vm_configs_header(const Configuration& configuration);

/// One VM as C++: its lists, then an initializer of `hv::VmConfig`. Images that are embedded are named by nobody.
std::string vm_config_source(const hv::VmConfig& config);

/// NAME.vm: the same for a hypervisor that runs (hypervisor/config/vm_description.hpp). Without `with_id` the hypervisor chooses the id.
/// Error: OutOfMemory (more than a description may have).
std::expected<std::vector<std::byte>, Error> vm_description(const hv::VmConfig& config, bool with_id, std::string_view arch);

/// report.txt: who owns what, for people.
std::string report(const Configuration& configuration, const Diagnostics& diagnostics);

/// vm_images.S: every distinct image file once. Error: a sentence for the user, when an image cannot be read or a
/// product is not there. The text changes when an image's content does, so that the object is assembled again.
std::expected<std::string, std::string> vm_images_assembly(const Configuration& configuration);

/// A Make rule "target: inputs", as -MD writes it.
std::string depfile(const std::string& target, const std::vector<std::filesystem::path>& inputs);

/// Every TOML file that was read.
std::vector<std::filesystem::path> configuration_inputs(const Configuration& configuration);
/// Every image file that is built in, each once.
std::vector<std::filesystem::path> image_inputs(const Configuration& configuration);

/// JSON Schema (draft-07) of one kind of file, for editors.
std::string json_schema(const FileSchema& schema);
/// The reference page in Markdown: all keys and features.
std::string reference_page();
/// The boards below `root` and on `config_path`, with what each needs, as JSON.
std::string boards_json(const Options& options, SourceStore& sources, Diagnostics& diagnostics);
/// The same list for people, from that JSON: name, target and what this version can do with it.
std::string boards_text(const std::string& json);

/// Writes a file unless it has that content already, creating folders on the way; so its time changes only when it
/// does. The file is replaced as a whole. Error: a sentence for the user.
std::expected<void, std::string> write_if_changed(const std::filesystem::path& path, std::string_view content);

}  // namespace ax::config
