#include "tools/app/qemu.hpp"

#include <fmt/format.h>

#include <array>

namespace ax::app {
namespace {

struct Machine {
  std::string_view arch;
  std::string_view bus;  ///< what virtio devices are attached to: ends their names
  std::vector<std::string_view> words;
  bool boots_elf;
  bool firmware_speaks;  ///< on the serial console, even without -nographic
};

const Machine& machine_of(Arch arch) {
  static const std::array<Machine, 3> kMachines{{
      {"x86_64", "pci", {"-machine", "q35"}, true, false},
      {"aarch64", "device", {"-cpu", "cortex-a72", "-machine", "virt"}, false, false},
      {"riscv64", "device", {"-machine", "virt", "-bios", "default"}, false, true},
  }};
  return kMachines[static_cast<usize>(arch)];
}

/// A file name inside an option's list, where a comma is written twice.
std::string in_list(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == ',' ? 2 : 1, c);
  return out;
}

class CommandWriter {
 public:
  CommandWriter(const Os& os, const QemuRequest& request) : os_(os), request_(request), machine_(machine_of(os.arch)) {}

  Words write() {
    const Qemu& q = os_.qemu;
    add({qemu_program(os_.arch), "-m", q.memory, "-smp", std::to_string(os_.smp)});
    for (const std::string_view word : machine_.words) words_.emplace_back(word);
    add({"-kernel", (machine_.boots_elf ? request_.elf : request_.bin).string()});
    add({"-append", fmt::format(";{};{}", q.args, q.envs)});
    if (q.blk) {
      add({"-device", device("virtio-blk", "drive=disk0"), "-drive",
           fmt::format("id=disk0,if=none,format=raw,file={}", in_list(q.disk_img))});
    }
    if (q.v9p) {
      add({"-fsdev", fmt::format("local,id=myid,path={},security_model=none", in_list(q.v9p_path)), "-device",
           device("virtio-9p", "fsdev=myid,mount_tag=rootfs")});
    }
    if (q.net) network();
    if (q.graphic) {
      add({"-device", device("virtio-gpu", ""), "-vga", "none", "-serial", "mon:stdio"});
    } else if (request_.quiet_firmware) {
      add({"-display", "none", "-serial", "mon:stdio"});
    } else {
      add({"-nographic"});
    }
    if (q.qemu_log) add({"-D", "qemu.log", "-d", "in_asm,int,mmu,pcall,cpu_reset,guest_errors"});
    const bool debug = q.debug || request_.debugger;
    if (debug) add({"-s", "-S"});
    if (request_.accelerator == Accelerator::Kvm && may_accelerate(os_, debug)) add({"-cpu", "host", "-accel", "kvm"});
    words_.insert(words_.end(), request_.extra.begin(), request_.extra.end());
    return std::move(words_);
  }

 private:
  void add(std::initializer_list<std::string> words) { words_.insert(words_.end(), words); }

  std::string device(std::string_view name, std::string_view properties) const {
    return fmt::format("{}-{}{}{}", name, machine_.bus, properties.empty() ? "" : ",", properties);
  }

  void network() {
    add({"-device", device("virtio-net", "netdev=net0"), "-netdev"});
    if (os_.qemu.tap) {
      add({"tap,id=net0,ifname=tap0,script=no,downscript=no"});
    } else {
      std::string user = "user,id=net0";
      for (const PortForward& port : os_.qemu.ports) {
        if (port.tcp) user += fmt::format(",hostfwd=tcp::{}-:{}", port.host, port.guest);
        if (port.udp) user += fmt::format(",hostfwd=udp::{}-:{}", port.host, port.guest);
      }
      add({user});
    }
    if (os_.qemu.net_dump) add({"-object", "filter-dump,id=dump0,netdev=net0,file=netdump.pcap"});
  }

  const Os& os_;
  const QemuRequest& request_;
  const Machine& machine_;
  Words words_;
};

}  // namespace

std::string_view arch_name(Arch arch) { return machine_of(arch).arch; }
std::string qemu_program(Arch arch) { return fmt::format("qemu-system-{}", arch_name(arch)); }

bool firmware_speaks(Arch arch) { return machine_of(arch).firmware_speaks; }

Words qemu_command(const Os& os, const QemuRequest& request) { return CommandWriter(os, request).write(); }

bool may_accelerate(const Os& os, bool debugger) { return os.arch == Arch::X86_64 && !os.qemu.debug && !debugger; }

Words kvm_probe_command(Arch arch) {
  Words words{qemu_program(arch)};
  for (const std::string_view word : machine_of(arch).words) words.emplace_back(word);
  for (const char* word :
       {"-cpu", "host", "-accel", "kvm", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"}) {
    words.emplace_back(word);
  }
  return words;
}

}  // namespace ax::app
