// One board with its VMs: everything that a build is made from, found, read and checked.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/config/board.hpp"
#include "tools/config/vm.hpp"

namespace ax::config {

/// What the caller chose. Relative paths are relative to the current folder unless said otherwise.
struct Options {
  std::filesystem::path root;               ///< the repository: configs/ is below it
  std::string board;                        ///< a name, or the path of a file
  std::string vm_configs;                   ///< list of paths or names, separated by ':'; empty: the board decides
  std::filesystem::path vm_configs_origin;  ///< folder that `vm_configs` is relative to; empty: the current one
  bool among_others = false;  ///< the machine has other VMs, too: whom the files name is not known
  std::optional<u32> smp{};
  std::string config_path;                    ///< list of folders with board/, vms/, images/, separated by ':'
  std::map<std::string, std::string> images;  ///< NAME -> file, for image:NAME
  std::filesystem::path image_dir;            ///< where other products NAME are; empty: not known
};

/// One distinct image inside the hypervisor. Images that several VMs name are embedded once.
struct EmbeddedImage {
  std::string product;         ///< NAME, or empty for a file
  std::filesystem::path path;  ///< absolute; empty for a product whose place is not known
};

/// Where a setting came from, for the report.
enum class SettingOrigin : u8 { Machine, Defconfig, Board, CommandLine };

/// A loaded configuration. Complete only when the diagnostics it was loaded with hold no error.
class Configuration {
 public:
  /// Most CPUs when nothing says how many: what the per-CPU tables are sized for.
  static constexpr u32 kDefaultMaxCpus = 16;

  static std::unique_ptr<Configuration> load(const Options& options, SourceStore& sources, Diagnostics& diagnostics);

  const Options& options() const { return options_; }
  const Board& board() const { return board_; }
  const Defconfig& defconfig() const { return defconfig_; }
  const std::vector<std::unique_ptr<Vm>>& vms() const { return vms_; }
  /// The VMs as the hypervisor sees them; the views end with this object.
  std::vector<hv::VmConfig> vm_configs() const;
  const std::vector<EmbeddedImage>& embedded() const { return embedded_; }
  /// Absent: as many as the machine has.
  std::optional<u32> smp() const { return smp_; }
  SettingOrigin smp_origin() const { return smp_origin_; }
  /// Files whose change can change the board: CMake has to run again.
  const std::vector<std::filesystem::path>& board_inputs() const { return board_inputs_; }
  const std::vector<std::filesystem::path>& vm_files() const { return vm_files_; }
  const std::vector<std::filesystem::path>& recipes() const { return recipes_; }
  /// Names of the products that the VMs use, each once.
  std::vector<std::string> products() const;
  /// How a file is named inside outputs: relative to the repository, or without its folders.
  std::string portable_name(const std::filesystem::path& file) const;

 private:
  explicit Configuration(const Options& options);

  void load_defconfig(SourceStore& sources, Diagnostics& diagnostics);
  void load_board(SourceStore& sources, Diagnostics& diagnostics);
  void choose_smp();
  void load_vms(SourceStore& sources, Diagnostics& diagnostics);
  void load_vm(const std::string& text, Position where, const std::vector<std::filesystem::path>& origins,
               SourceStore& sources, Diagnostics& diagnostics);
  void assign_ids(Diagnostics& diagnostics);
  void resolve_images(Diagnostics& diagnostics);
  void resolve_product(ImageReference& image, Diagnostics& diagnostics);
  void resolve_file(ImageReference& image, Diagnostics& diagnostics);
  void embed(ImageReference& image);
  void check_rules(Diagnostics& diagnostics);
  std::string display(const std::filesystem::path& path) const;
  std::vector<std::string> known(std::string_view folder) const;
  std::optional<std::filesystem::path> find(std::string_view folder, const std::string& name) const;

  Options options_;
  std::vector<std::filesystem::path> folders_;  ///< with board/, vms/, images/, most important first
  std::deque<Document> documents_;
  Defconfig defconfig_{};
  Board board_{};
  std::vector<std::unique_ptr<Vm>> vms_;
  std::vector<EmbeddedImage> embedded_;
  std::optional<u32> smp_{};
  SettingOrigin smp_origin_ = SettingOrigin::Machine;
  std::vector<std::filesystem::path> board_inputs_;
  std::vector<std::filesystem::path> vm_files_;
  std::vector<std::filesystem::path> recipes_;
};

/// Refuses a board whose platform this version has no code for: the last check before anything is generated.
void require_built_platform(const Configuration& configuration, Diagnostics& diagnostics);

/// Demands that every image to embed is a file by now, products included.
void require_image_files(const Configuration& configuration, Diagnostics& diagnostics);

/// Checks VM by VM, without a board: what `axconfig check` does.
void check_vm_alone(const Vm& vm, Diagnostics& diagnostics);

/// Checks one file by itself, of whichever kind its keys say it is. `display` is its name in messages.
void check_file(const std::filesystem::path& path, const std::string& display, const PlatformFolders& platforms,
                SourceStore& sources, Diagnostics& diagnostics);

/// Splits a list of paths at ':'; empty parts are dropped.
std::vector<std::string> split_paths(std::string_view list);

}  // namespace ax::config
