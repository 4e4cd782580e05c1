#include "tools/xtask/app/app_guest.hpp"

#include <fmt/format.h>

#include <charconv>

#include "tools/app/disk_image.hpp"
#include "tools/app/qemu.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// What a guest's machine looks like, per architecture.
struct GuestMachine {
  std::string_view board;
  u64 memory_base;
  u64 load_offset;               ///< of the image in its memory; 0: the ELF file says where
  u64 identity_base;             ///< of the memory of a guest with a disk
  std::string_view more_memory;  ///< such a guest's other regions, as the VM's file has them
  std::string_view disk;         ///< the line of the VM's file that gives it the disk
  std::string_view disk_device;  ///< QEMU's, with the place that `disk` names
  std::vector<std::string_view> qemu;
};

// A disk knows nothing of a guest's addresses: the guest's memory is where it seems to be, at the end of the machine's. On a PC
// the image is linked to addresses above 2 MiB, which are the guest's up to the hypervisor's image at 16 MiB. What lies in the
// first MiB no disk is told of.
constexpr u64 kMostMemory = u64{1} << 30, kLeastMemory = u64{32} << 20;
constexpr std::string_view kPcMemory = "[0x0, 0x10_0000, 0x7, 0], [0x20_0000, 0xe0_0000, 0x7, 1], ";

const GuestMachine& machine_of(app::Arch arch) {
  static const GuestMachine kArm{"qemu-aarch64",
                                 0x4000'0000,
                                 0x20'0000,
                                 0x6000'0000,
                                 "",
                                 "passthrough_devices = [[\"/virtio_mmio@a003e00\"]]",
                                 "virtio-blk-device,drive=disk0",
                                 {"-machine", "virt,virtualization=on,gic-version=3", "-cpu", "cortex-a72"}};
  static const GuestMachine kPc{"qemu-x86_64",
                                0,
                                0,
                                0x2000'0000,
                                kPcMemory,
                                "passthrough_pci = [\"0000:00:03.0\"]",
                                "virtio-blk-pci,drive=disk0,addr=3",
                                {"-machine", "q35", "-cpu", "max"}};
  if (arch == app::Arch::Riscv64) {
    throw Failure(ExitCode::Usage, "--hypervisor: there is no hypervisor for riscv64", "run the application without it");
  }
  return arch == app::Arch::Aarch64 ? kArm : kPc;
}

u64 memory_bytes(const std::string& text) {
  u64 number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<usize>(text.data() + text.size() - end));
  const unsigned shift = unit == "G" || unit == "g" ? 30 : unit == "K" || unit == "k" ? 10 : 20;
  const u64 bytes = error == std::errc() ? (number << shift) & ~u64{0x1f'ffff} : 0;
  if (bytes < kLeastMemory || bytes > kMostMemory) {
    throw Failure(ExitCode::Usage, fmt::format("--hypervisor: a guest has 32M to 1G of memory, not '{}'", text),
                  "correct 'memory'");
  }
  return bytes;
}

/// Text inside a TOML string.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string guest_name(const app::OsBuild& plan) { return plan.elf.stem().string(); }

std::string guest_description(const app::Os& os, const app::OsBuild& plan) {
  const GuestMachine& machine = machine_of(os.arch);
  const app::Qemu& q = os.qemu;
  if (q.net || q.v9p || q.graphic) {
    throw Failure(ExitCode::Usage, "--hypervisor: of the machine's devices a guest has the console and the disk",
                  "switch net, v9p and graphic off");
  }
  const u64 base = q.blk ? machine.identity_base : machine.memory_base;
  std::string text = fmt::format(
      "# Made by `xtask app run --hypervisor`, which overwrites it.\n"
      "schema = 1\n\n[base]\nid = 1\nname = {}\nvm_type = 1\ncpu_num = {}\n\n[kernel]\nkernel_path = {}\n",
      toml_text(guest_name(plan)), os.smp, toml_text((machine.load_offset != 0 ? plan.bin : plan.elf).string()));
  if (machine.load_offset != 0) {
    text += fmt::format("kernel_load_addr = {:#x}\n", base + machine.load_offset);
  }
  text += fmt::format("cmdline = {}\nmemory_regions = [{}[{:#x}, {:#x}, 0x7, {}]]\n\n[devices]\ninterrupt_mode = \"emulated\"\n",
                      toml_text(fmt::format(";{};{}", q.args, q.envs)), q.blk ? machine.more_memory : "", base,
                      memory_bytes(q.memory), q.blk ? 1 : 0);
  if (q.blk) {
    text += fmt::format("{}\nallow_unprotected_dma = true\n", machine.disk);
  }
  return text;
}

Argv prepare_guest(const Context& context, const LoadedApp& loaded, const app::OsBuild& plan, const app::Os& os) {
  const GuestMachine& machine = machine_of(os.arch);
  if (os.arch == app::Arch::X86_64 && os.qemu.blk && loaded.application().app) {
    throw Failure(ExitCode::Usage,
                  "--hypervisor: on a PC a guest with a disk has 2 MiB to 16 MiB for its image, and that of a ready-made "
                  "program begins at 32 MiB",
                  "run it without --hypervisor, or without blk");
  }
  const fs::path file = loaded.build_folder() / "guest.toml";
  const std::string text = guest_description(os, plan);
  const fs::path folder = context.root / "build" / fmt::format("app-{}", machine.board);
  const Argv build{fs::read_symlink("/proc/self/exe").string(),
                   "build",
                   "-q",
                   "--build-config",
                   (context.root / "configs/board" / fmt::format("{}.toml", machine.board)).string(),
                   "--vmconfigs",
                   file.string(),
                   "--build-dir",
                   folder.string()};
  const bool is_arm = machine.load_offset != 0;
  Argv command{app::qemu_program(os.arch)};
  command.insert(command.end(), machine.qemu.begin(), machine.qemu.end());
  const u64 memory = memory_bytes(os.qemu.memory);
  for (const std::string& word :
       {std::string("-smp"), std::to_string(std::max<u64>(os.smp, 2)), std::string("-m"),
        fmt::format("{}M", ((memory >> 20) * 2 + 1024)), std::string("-nic"), std::string("none"), std::string("-accel"),
        std::string("tcg"), std::string("-display"), std::string("none"), std::string("-serial"), std::string("mon:stdio"),
        std::string("-kernel"), (folder / (is_arm ? "axvisor.bin" : "axvisor")).string()}) {
    command.push_back(word);
  }
  if (os.qemu.blk) {
    const fs::path disk = loaded.application().folder / os.qemu.disk_img;
    command.insert(command.end(),
                   {"-device", std::string(machine.disk_device), "-drive", "id=disk0,if=none,format=raw,file=" + disk.string()});
  }
  if (context.dry_run) {
    print_out(fmt::format("# {}\n{}\n{}\n", file.string(), text, format_command(build)));
    return command;
  }
  if (os.qemu.blk) {
    if (const auto made = app::make_disk_image(loaded.application().folder / os.qemu.disk_img); !made) {
      throw Failure(ExitCode::Failure, made.error());
    }
  }
  write_file_if_changed(file, text);
  context.console.step("building the hypervisor with the guest " + guest_name(plan));
  if (const int status = run_command({.argv = build, .folder = context.root}); status != 0) {
    throw Failure(ExitCode::Failure, "the hypervisor with this guest cannot be built: see above");
  }
  return command;
}

}  // namespace ax::xtask
