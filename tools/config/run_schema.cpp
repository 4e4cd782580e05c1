#include "tools/config/run_schema.hpp"

namespace ax::config {
namespace {

constexpr usize kLongText = 4096;

constexpr Key kSuccess{
    .name = "success_regex",
    .type = Type::StringList,
    .doc =
        "Regular expressions (RE2; ^ and $ at every line): when one of them is seen on the console, the run has "
        "succeeded and ends.",
    .default_value = "[]",
    .max_length = kLongText};
constexpr Key kFail{.name = "fail_regex",
                    .type = Type::StringList,
                    .doc = "Regular expressions: when one of them is seen, the run has failed, whatever else was seen.",
                    .default_value = "[]",
                    .max_length = kLongText};
constexpr Key kPrompt{.name = "shell_prefix",
                      .doc = "When this text appears, shell_init_cmd is typed, once.",
                      .default_doc = "nothing is typed",
                      .max_length = kLongText,
                      .may_be_empty = true,
                      .origin = Origin::AxVisorNewer};
constexpr Key kCommand{.name = "shell_init_cmd",
                       .doc = "What is typed at the prompt. Needs shell_prefix.",
                       .default_doc = "nothing",
                       .max_length = kLongText,
                       .may_be_empty = true,
                       .origin = Origin::AxVisorNewer};
constexpr Key kTimeout{.name = "timeout",
                       .type = Type::Integer,
                       .doc = "Seconds that the run may take; 0 is no limit.",
                       .default_value = "0",
                       .max = 1'000'000,
                       .origin = Origin::AxVisorNewer};

constexpr Choice kKernels[] = {
    {.text = "elf", .doc = "-kernel gets the ELF file."},
    {.text = "bin", .doc = "-kernel gets the flat binary."},
    {.text = "loader", .doc = "The flat binary is put into memory at load_address."},
    {.text = "iso", .doc = "A CD with GRUB boots the ELF file."},
    {.text = "none", .doc = "The arguments say what is booted."},
};
constexpr Choice kAccelerators[] = {
    {.text = "auto", .doc = "KVM where it works, else TCG."},
    {.text = "kvm", .doc = "KVM; where it does not work TCG, with a warning."},
    {.text = "tcg", .doc = "Emulation."},
};
constexpr Choice kVerdicts[] = {
    {.text = "pass", .doc = "The run must succeed."},
    {.text = "fail", .doc = "The run must fail, for the reason in fail_reason."},
};

constexpr Key kQemuKeys[] = {
    {.name = "args",
     .type = Type::StringList,
     .doc = "Arguments of QEMU, one word each. ${workspaceFolder} and ${env:VAR:-default} are replaced.",
     .default_value = "[]",
     .max_length = kLongText},
    {.name = "uefi", .type = Type::Boolean, .doc = "Whether UEFI firmware boots the image.", .default_value = "false"},
    {.name = "to_bin",
     .type = Type::Boolean,
     .doc = "Whether -kernel gets the flat axvisor.bin instead of the ELF file.",
     .default_value = "false"},
    kSuccess,
    kFail,
    kPrompt,
    kCommand,
    kTimeout,
    {.name = "machine", .doc = "Machine, as -machine takes it.", .default_doc = "that of `args`", .origin = Origin::Ours},
    {.name = "cpu", .doc = "CPU model, as -cpu takes it.", .default_doc = "that of `args`", .origin = Origin::Ours},
    {.name = "memory", .doc = "Memory, as -m takes it.", .default_doc = "that of `args`", .origin = Origin::Ours},
    {.name = "smp",
     .type = Type::Integer,
     .doc = "Number of CPUs.",
     .default_doc = "that of `args`",
     .min = 1,
     .max = 64,
     .origin = Origin::Ours},
    {.name = "gic_version",
     .type = Type::Integer,
     .doc = "Version of Arm's interrupt controller.",
     .default_doc = "that of `args`",
     .min = 2,
     .max = 4,
     .origin = Origin::Ours},
    {.name = "kernel",
     .doc = "How the image gets into the machine.",
     .default_doc = "bin with to_bin, else elf",
     .choices = kKernels,
     .origin = Origin::Ours},
    {.name = "load_address",
     .type = Type::Integer,
     .doc = "Where kernel = \"loader\" puts the image.",
     .unit = Unit::Address,
     .default_doc = "none",
     .origin = Origin::Ours},
    {.name = "emulator",
     .doc = "Another program than QEMU for the architecture: a path, or bochs.",
     .default_doc = "qemu-system-<arch>",
     .origin = Origin::Ours},
    {.name = "accel",
     .doc = "What executes the machine's instructions. KVM is tried before it is used; where it cannot run a hypervisor, TCG is.",
     .default_doc = "that of `args`, else tcg",
     .choices = kAccelerators,
     .origin = Origin::Ours},
    {.name = "expect_exit",
     .type = Type::Integer,
     .doc = "Exit status that the emulator must end with by itself.",
     .default_doc = "any",
     .max = 255,
     .origin = Origin::Ours},
    {.name = "verdict", .doc = "What the run must do.", .default_value = "pass", .choices = kVerdicts, .origin = Origin::Ours},
    {.name = "fail_reason",
     .doc = "Regular expression for the reason of a failure that is wanted: timeout, fail_regex or exit.",
     .default_doc = "none",
     .max_length = kLongText,
     .origin = Origin::Ours},
};
constexpr Section kQemuSections[] = {{"", "How QEMU is started, and what is a success.", kQemuKeys}};

constexpr Key kUbootKeys[] = {
    {.name = "serial",
     .doc = "Serial device of the board. ${env:VAR:-default} is replaced, here as everywhere.",
     .default_value = "/dev/ttyUSB0"},
    {.name = "baud_rate", .doc = "Speed of the serial line, as a string.", .default_value = "115200"},
    {.name = "dtb_file", .doc = "Device tree that goes into the FIT image.", .default_doc = "the one of U-Boot"},
    {.name = "kernel_load_addr", .doc = "Where the kernel is unpacked to, as U-Boot takes it.", .default_doc = "$kernel_addr_r"},
    {.name = "fit_load_addr", .doc = "Where the FIT image is loaded to.", .default_doc = "$kernel_comp_addr_r"},
    {.name = "board_reset_cmd", .doc = "Command of this machine that resets the board.", .default_doc = "none"},
    {.name = "board_power_off_cmd",
     .doc = "Command of this machine that switches the board off, at the end.",
     .default_doc = "none"},
    kSuccess,
    kFail,
    {.name = "uboot_cmd",
     .type = Type::StringList,
     .doc = "Commands for U-Boot before it boots the image.",
     .default_value = "[]",
     .max_length = kLongText},
    kPrompt,
    kCommand,
    kTimeout,
};
constexpr Key kNetKeys[] = {
    {.name = "interface", .doc = "Network interface of this machine that the board is connected to.", .default_doc = "none"},
    {.name = "board_ip", .doc = "IPv4 address of the board.", .default_doc = "by DHCP"},
    {.name = "gatewayip", .doc = "IPv4 address of the gateway.", .default_doc = "by DHCP"},
    {.name = "netmask", .doc = "IPv4 netmask.", .default_doc = "by DHCP"},
    {.name = "tftp_dir", .doc = "Folder of a TFTP server that runs already.", .default_doc = "the built-in server"},
};
constexpr Section kUbootSections[] = {{"", "How a board with U-Boot is reached.", kUbootKeys},
                                      {"net", "How it loads the image over the network.", kNetKeys}};

}  // namespace

const FileSchema kQemuSchema{"qemu", "QEMU", ".qemu-<arch>.toml", "How ./xtask qemu starts QEMU.", kQemuSections};
const FileSchema kUbootSchema{"uboot", "U-Boot", ".uboot.toml", "How ./xtask uboot reaches a board.", kUbootSections};

}  // namespace ax::config
