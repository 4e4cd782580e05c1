#include "tools/config/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/config/machine_checks.hpp"
#include "tools/config/suggest.hpp"

namespace ax::config {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kExtension = ".toml";
// Lies among the recipes of images, but is none.
constexpr std::string_view kImageLock = "lock";

/// Image sizes for the shared rules, looked up by the text that both sides view.
class HostFacts {
 public:
  HostFacts(const std::vector<const Vm*>& vms, u32 cpus, bool pc) : vms_(vms), cpus_(cpus), pc_(pc) {}

  u64 image_size(const hv::Image& image) const {
    for (const Vm* vm : vms_) {
      for (const ImageReference& reference : vm->images()) {
        if (reference.text.data() == image.path.data()) return reference.size;
      }
    }
    return 0;
  }
  u32 cpu_count() const { return cpus_; }
  bool is_pc() const { return pc_; }
  std::optional<hv::KernelFormat> format_of(const hv::Image& image) const {
    for (const Vm* vm : vms_) {
      if (vm->kernel() && vm->config().kernel.path.data() == image.path.data()) return vm->kernel()->format;
    }
    return std::nullopt;
  }

 private:
  const std::vector<const Vm*>& vms_;
  u32 cpus_;
  bool pc_;
};

/// Turns violations of the shared rules into diagnostics.
class ViolationReporter {
 public:
  ViolationReporter(const std::vector<const Vm*>& vms, std::span<const hv::VmConfig> configs, Diagnostics& diagnostics)
      : vms_(vms), configs_(configs), diagnostics_(diagnostics) {}

  void operator()(const hv::Violation& v) const {
    if (is_echo(v)) return;
    const Position where = vms_[v.where.vm]->where(v.where);
    const std::string text = written([&](Sink& sink) { hv::describe(sink, v, configs_); });
    Diagnostic& d = hv::is_error(v.rule) ? diagnostics_.error(where, text) : diagnostics_.warning(where, text);
    if (v.has_other) {
      d.note(vms_[v.other.vm]->where(v.other), written([&](Sink& sink) { hv::describe_other(sink, v, configs_); }));
    }
    d.fix(std::string(hv::fix_for(v.rule)));
  }

 private:
  /// Whether the rule only fails because a value it reads was reported as wrong already.
  bool is_echo(const hv::Violation& v) const {
    if (!vms_[v.where.vm]->valid(v.where)) return true;
    if (v.has_other && !vms_[v.other.vm]->valid(v.other)) return true;
    return std::ranges::any_of(hv::also_reads(v.rule), [&](hv::ConfigKey key) {
      return !vms_[v.where.vm]->valid({v.where.vm, key}) ||
             (v.has_other && !vms_[v.other.vm]->valid({v.other.vm, key}));
    });
  }

  template <class Write>
  static std::string written(Write&& write) {
    char buffer[2048];
    BufferSink sink(buffer, sizeof buffer);
    write(sink);
    return std::string(sink.view());
  }

  const std::vector<const Vm*>& vms_;
  std::span<const hv::VmConfig> configs_;
  Diagnostics& diagnostics_;
};

/// Whether only all VMs of a machine together can break the rule.
bool is_about_others(hv::Rule rule) { return rule == hv::Rule::StartAfterUnknown || rule == hv::Rule::SharedAlone; }

void run_rules(const std::vector<const Vm*>& vms, u32 cpus, bool pc, bool among_others, Diagnostics& diagnostics) {
  std::vector<hv::VmConfig> configs;
  for (const Vm* vm : vms) configs.push_back(vm->config());
  const ViolationReporter report(vms, configs, diagnostics);
  hv::check(std::span<const hv::VmConfig>(configs), HostFacts(vms, cpus, pc), [&](const hv::Violation& violation) {
    if (!among_others || !is_about_others(violation.rule)) report(violation);
  });
}

bool is_path(const std::string& text) { return text.find('/') != std::string::npos || text.ends_with(kExtension); }

}  // namespace

namespace {

/// The kind of file, from the keys that only one kind has.
const FileSchema& schema_of(const Value& root) {
  if (root.find("base") != nullptr || root.find("kernel") != nullptr || root.find("devices") != nullptr) return kVmSchema;
  if (root.find("targets") != nullptr) return kPlatformSchema;
  if (root.find("task-stack-size") != nullptr || root.find("ticks-per-sec") != nullptr) return kDefconfigSchema;
  return kBoardSchema;
}

}  // namespace

void check_file(const fs::path& path, const std::string& display, const PlatformFolders& platforms, SourceStore& sources,
                Diagnostics& diagnostics) {
  const auto file = sources.open(path, display);
  if (!file) {
    diagnostics.error({}, fmt::format("{}: {}", display, file.error()));
    return;
  }
  std::optional<Value> root = parse_toml(**file, diagnostics);
  if (!root) return;
  const FileSchema& schema = schema_of(*root);
  Document document(**file, schema, std::move(*root), diagnostics);
  if (&schema == &kBoardSchema) decode_board(document, platforms, sources, diagnostics);
  if (&schema == &kVmSchema) check_vm_alone(Vm(std::move(document), display, diagnostics), diagnostics);
}

std::vector<std::string> split_paths(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const usize end = std::min(list.find(':'), list.size());
    if (end != 0) out.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

Configuration::Configuration(const Options& options) : options_(options) {
  for (const std::string& folder : split_paths(options.config_path)) folders_.emplace_back(folder);
  folders_.push_back(options.root / "configs");
}

std::unique_ptr<Configuration> Configuration::load(const Options& options, SourceStore& sources,
                                                   Diagnostics& diagnostics) {
  std::unique_ptr<Configuration> c(new Configuration(options));
  c->load_defconfig(sources, diagnostics);
  c->load_board(sources, diagnostics);
  c->choose_smp();
  c->load_vms(sources, diagnostics);
  c->assign_ids(diagnostics);
  c->resolve_images(diagnostics);
  for (const auto& vm : c->vms_) {
    if (c->board_.target != nullptr) check_machine(c->board_, *vm, diagnostics);
  }
  c->check_rules(diagnostics);
  return c;
}

std::string Configuration::display(const fs::path& path) const {
  std::error_code error;
  const fs::path relative = fs::absolute(path, error).lexically_normal().lexically_relative(fs::current_path(error));
  const bool inside = !relative.empty() && *relative.begin() != "..";
  return inside ? relative.string() : path.lexically_normal().string();
}

std::string Configuration::portable_name(const fs::path& file) const {
  std::error_code error;
  const fs::path relative =
      fs::weakly_canonical(file, error).lexically_relative(fs::weakly_canonical(options_.root, error));
  const bool inside = !relative.empty() && *relative.begin() != "..";
  return inside ? relative.generic_string() : file.filename().string();
}

std::vector<std::string> Configuration::known(std::string_view folder) const {
  std::set<std::string> names;
  for (const fs::path& base : folders_) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(base / folder, error)) {
      const std::string name = entry.path().stem().string();
      const bool lock = folder == "images" && name == kImageLock;
      if (entry.path().extension() == kExtension && !lock) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

std::optional<fs::path> Configuration::find(std::string_view folder, const std::string& name) const {
  for (const fs::path& base : folders_) {
    for (const std::string& file : {name, name + std::string(kExtension)}) {
      std::error_code error;
      if (fs::is_regular_file(base / folder / file, error)) return base / folder / file;
    }
  }
  return std::nullopt;
}

void Configuration::load_defconfig(SourceStore& sources, Diagnostics& diagnostics) {
  const fs::path path = options_.root / "configs" / "defconfig.toml";
  const auto file = sources.open(path, display(path));
  if (!file) {
    diagnostics.error({}, fmt::format("{}: {}", display(path), file.error())).fix("--root must name the repository");
    return;
  }
  board_inputs_.push_back((*file)->path());
  if (std::optional<Document> doc = load_document(**file, kDefconfigSchema, diagnostics)) {
    defconfig_ = decode_defconfig(documents_.emplace_back(std::move(*doc)));
  }
}

void Configuration::load_board(SourceStore& sources, Diagnostics& diagnostics) {
  const bool given_path = is_path(options_.board);
  const std::optional<fs::path> path = given_path ? fs::path(options_.board) : find("board", options_.board);
  if (!path) {
    const std::vector<std::string> names = known("board");
    const std::string_view instead = instead_of_hypervisor(options_.board);
    diagnostics.error({}, fmt::format("there is no board '{}'", options_.board))
        .fix(instead.empty() ? did_you_mean(options_.board, names, fmt::format("known boards: {}", join(names))) : std::string(instead));
    return;
  }
  const std::string shown = given_path ? options_.board : display(*path);
  const auto file = sources.open(*path, shown);
  if (!file) {
    diagnostics.error({}, fmt::format("board {}: {}", shown, file.error()));
    return;
  }
  board_inputs_.push_back((*file)->path());
  if (std::optional<Document> doc = load_document(**file, kBoardSchema, diagnostics)) {
    std::vector<fs::path> homes = folders_;
    homes.push_back(options_.root);
    board_ = decode_board(documents_.emplace_back(std::move(*doc)), PlatformFolders(std::move(homes)), sources, diagnostics);
    if (!board_.platform.folder.empty()) board_inputs_.push_back(board_.platform.folder / "platform.toml");
  }
}

void Configuration::choose_smp() {
  struct Candidate {
    std::optional<u32> value;
    SettingOrigin origin;
  };
  for (const Candidate& c :
       {Candidate{options_.smp, SettingOrigin::CommandLine}, Candidate{board_.smp, SettingOrigin::Board},
        Candidate{defconfig_.smp, SettingOrigin::Defconfig}}) {
    if (!c.value) continue;
    smp_ = c.value;
    smp_origin_ = c.origin;
    return;
  }
}

void Configuration::load_vms(SourceStore& sources, Diagnostics& diagnostics) {
  const std::vector<std::string> chosen = split_paths(options_.vm_configs);
  if (!chosen.empty()) {
    const fs::path origin = options_.vm_configs_origin.empty() ? fs::current_path() : options_.vm_configs_origin;
    for (const std::string& text : chosen) load_vm(text, {}, {origin}, sources, diagnostics);
    return;
  }
  const std::vector<VmName>& named = board_.vm_configs.empty() ? board_.default_vms : board_.vm_configs;
  for (const VmName& vm : named) {
    if (!vm.text.empty()) load_vm(vm.text, vm.where, {options_.root}, sources, diagnostics);
  }
}

void Configuration::load_vm(const std::string& text, Position where, const std::vector<fs::path>& origins,
                            SourceStore& sources, Diagnostics& diagnostics) {
  std::optional<fs::path> path;
  for (const fs::path& origin : origins) {
    std::error_code error;
    if (!path && fs::exists(origin / text, error)) path = origin / text;
  }
  if (!path) path = find("vms", text);
  if (!path) {
    const std::vector<std::string> names = known("vms");
    const std::string wanted = fs::path(text).stem().string();
    const std::string_view chooser = where.file == nullptr ? " (named by --vm-configs or AXVISOR_VM_CONFIGS)" : "";
    diagnostics.error(where, fmt::format("there is no VM file '{}'{}", text, chooser))
        .fix(did_you_mean(wanted, names, fmt::format("known VMs: {}", join(names))));
    return;
  }
  const bool from_command_line = where.file == nullptr;
  const std::string shown = from_command_line && is_path(text) ? text : display(*path);
  const auto file = sources.open(*path, shown);
  if (!file) {
    diagnostics.error(where, fmt::format("VM file {}: {}", shown, file.error()));
    return;
  }
  if (std::ranges::find(vm_files_, (*file)->path()) != vm_files_.end()) {
    diagnostics.error(where, fmt::format("VM file {} is listed twice", shown))
        .fix("copy it and give the copy another name");
    return;
  }
  vm_files_.push_back((*file)->path());
  std::optional<Document> doc = load_document(**file, kVmSchema, diagnostics);
  if (doc) vms_.push_back(std::make_unique<Vm>(std::move(*doc), portable_name((*file)->path()), diagnostics));
}

void Configuration::assign_ids(Diagnostics& diagnostics) {
  std::vector<const Vm*> all;
  for (const auto& vm : vms_) all.push_back(vm.get());
  const std::vector<hv::VmConfig> configs = vm_configs();
  std::set<u32> used;
  std::vector<usize> waiting;
  for (u32 i = 0; i < vms_.size(); ++i) {
    if (!vms_[i]->has_id() || !used.insert(configs[i].id).second) waiting.push_back(i);
  }
  u32 next = 1;
  for (const usize i : waiting) {
    while (used.contains(next)) ++next;
    used.insert(next);
    if (vms_[i]->has_id()) {
      const auto owner = std::ranges::find(configs, configs[i].id, &hv::VmConfig::id);
      const auto first = static_cast<u32>(owner - configs.begin());
      ViolationReporter(all, configs, diagnostics)({hv::Rule::IdTaken,
                                                    {static_cast<u32>(i), hv::ConfigKey::Id},
                                                    {first, hv::ConfigKey::Id},
                                                    true,
                                                    configs[i].id,
                                                    next});
    }
    vms_[i]->set_id(next);
  }
}

void Configuration::resolve_images(Diagnostics& diagnostics) {
  for (const auto& vm : vms_) {
    for (ImageReference& image : vm->images()) {
      if (image.source == ImageSource::Product) resolve_product(image, diagnostics);
      if (image.source == ImageSource::File) resolve_file(image, diagnostics);
      if (image.embedded()) embed(image);
      if (image.size == 0 && !image.path.empty()) {
        if (image.key == hv::ConfigKey::KernelPath) vm->set_kernel(inspect_kernel(image.path));
        image.size = image.key == hv::ConfigKey::KernelPath && vm->kernel() ? vm->kernel()->memory_size : 0;
        std::error_code error;
        const u64 bytes = fs::file_size(image.path, error);
        if (image.size == 0 && !error) image.size = bytes;
      }
    }
  }
}

void Configuration::resolve_product(ImageReference& image, Diagnostics& diagnostics) {
  const std::string& name = image.product;
  const std::optional<fs::path> recipe =
      name == kImageLock ? std::nullopt : find("images", name + std::string(kExtension));
  if (recipe && std::ranges::find(recipes_, fs::weakly_canonical(*recipe)) == recipes_.end()) {
    recipes_.push_back(fs::weakly_canonical(*recipe));
  }
  if (const auto given = options_.images.find(name); given != options_.images.end()) {
    image.path = fs::absolute(given->second).lexically_normal();
  } else if (!recipe) {
    std::vector<std::string> names = known("images");
    for (const auto& [key, path] : options_.images) names.push_back(key);
    const std::string all =
        names.empty() ? "write configs/images/NAME.toml" : fmt::format("known images: {}; one of a registry needs a recipe (docs/images.md)", join(names));
    diagnostics.error(image.where, fmt::format("there is no image '{}' to build", name))
        .fix(did_you_mean(name, names, all));
  } else if (!options_.image_dir.empty()) {
    image.path = fs::absolute(options_.image_dir / name).lexically_normal();
  }
}

void Configuration::resolve_file(ImageReference& image, Diagnostics& diagnostics) {
  std::error_code error;
  image.path = image.path.lexically_normal();
  const fs::file_status status = fs::status(image.path, error);
  if (!fs::exists(status)) {
    const bool of_application = image.text.find("app_build/") != std::string::npos;
    diagnostics.error(image.where, fmt::format("image file '{}' does not exist", image.text))
        .fix(of_application ? "./xtask image build --config with this file builds the application that it is a part of"
                            : fmt::format("put it at {} (paths are relative to the file that names them)", display(image.path)));
  } else if (!fs::is_regular_file(status)) {
    diagnostics.error(image.where, fmt::format("image file '{}' is not a regular file", image.text));
  } else if (fs::file_size(image.path, error) == 0) {
    diagnostics.error(image.where, fmt::format("image file '{}' is empty", image.text));
  }
}

void Configuration::embed(ImageReference& image) {
  std::error_code error;
  const fs::path canonical = image.path.empty() ? fs::path() : fs::weakly_canonical(image.path, error);
  for (usize i = 0; i < embedded_.size(); ++i) {
    const bool same_product = !image.product.empty() && embedded_[i].product == image.product;
    const bool same_file = image.product.empty() && embedded_[i].product.empty() && embedded_[i].path == canonical;
    if (same_product || same_file) image.index = i;
  }
  if (image.index) return;
  image.index = embedded_.size();
  embedded_.push_back({image.product, canonical});
}

void Configuration::check_rules(Diagnostics& diagnostics) {
  std::vector<const Vm*> all;
  for (const auto& vm : vms_) all.push_back(vm.get());
  run_rules(all, smp_.value_or(0), board_.target != nullptr && board_.target->arch == "x86_64",
            options_.among_others, diagnostics);
}

std::vector<hv::VmConfig> Configuration::vm_configs() const {
  std::vector<hv::VmConfig> out;
  for (const auto& vm : vms_) out.push_back(vm->config());
  return out;
}

std::vector<std::string> Configuration::products() const {
  std::vector<std::string> out;
  for (const EmbeddedImage& image : embedded_) {
    if (!image.product.empty()) out.push_back(image.product);
  }
  return out;
}

void require_built_platform(const Configuration& configuration, Diagnostics& diagnostics) {
  const Board& board = configuration.board();
  if (board.target == nullptr || board.target->built) return;
  const Document& doc = *board.document;
  diagnostics
      .error(
          doc.where(doc.has("target") ? "target" : "platform"),
          fmt::format("the hypervisor does not run on {} (platform {})", board.target->arch, board.platform.name))
      .fix(std::string(instead_of_hypervisor(board.target->arch)));
}

void require_image_files(const Configuration& configuration, Diagnostics& diagnostics) {
  for (const auto& vm : configuration.vms()) {
    for (const ImageReference& image : vm->images()) {
      if (image.source != ImageSource::Product) continue;  // files were checked when they were resolved
      std::error_code error;
      if (image.path.empty()) {
        diagnostics.error(image.where, fmt::format("nothing says where the built image '{}' is", image.product))
            .fix(fmt::format("give --image {}=PATH or --image-dir DIR", image.product));
      } else if (!fs::is_regular_file(image.path, error) || fs::file_size(image.path, error) == 0) {
        diagnostics.error(image.where, fmt::format("the built image '{}' is missing or empty", image.product))
            .fix(fmt::format("build {} first", image.path.string()));
      }
    }
  }
}

void check_vm_alone(const Vm& vm, Diagnostics& diagnostics) { run_rules({&vm}, 0, false, false, diagnostics); }

}  // namespace ax::config
