#include "tools/app/schema.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ax::app {
namespace {

constexpr u64 kMostCpus = 256;
constexpr u64 kLongestTest = 86'400;  // a day

constexpr Key kBuildKeys[] = {
    {.name = "compiler",
     .doc =
         "The compiler: `gcc`, `clang`, or the name or path of any other, with words before (`ccache gcc`) and options "
         "after it. Each language gets the driver that belongs to it: `gcc` compiles C, `g++` C++.",
     .default_doc = "required where there are targets"},
    {.name = "app",
     .doc = "A program that is ready made, instead of a target of type `exe`. With [os] it becomes part of the image, or, as `disk:/PATH`, is "
            "loaded from the disk: a static program for Linux.",
     .default_doc = "none"},
};

constexpr Choice kTypes[] = {
    {"exe", "the program; one per file"},
    {"static", "a static library, `NAME.a`"},
    {"dll", "a shared library, `NAME.so`; its name begins with `lib`"},
    {"object", "one relocatable object file of all the sources, `NAME.o`"},
};

constexpr Key kTargetKeys[] = {
    {.name = "name", .doc = "Name of the target and of the file that is made.", .required = true},
    {.name = "type", .doc = "What is made.", .required = true, .choices = kTypes},
    {.name = "src",
     .doc = "Where the sources are: a folder, searched with its subfolders for .c .cc .cpp .cxx .S .s, or one file. "
            "Relative "
            "to the description, as all paths here. Hidden folders, build folders and links to folders are left out.",
     .required = true},
    {.name = "src_only",
     .form = Form::List,
     .doc = "Only these sources of `src`. An entry is the end of a path or a part of one in whole names (`main.c`, "
            "`net/udp.c`, `net`), or a pattern with `*` and `?`. Where no whole name fits, any part of a path does.",
     .default_doc = "all"},
    {.name = "src_exclude",
     .form = Form::List,
     .doc = "Not these sources or folders of `src`; written like `src_only`.",
     .default_doc = "none"},
    {.name = "include_dir",
     .form = Form::TextOrList,
     .doc = "Folders of headers. Targets that depend on this one search them too.",
     .default_value = "./"},
    {.name = "cflags",
     .form = Form::Lines,
     .doc = "Options for the compiler. Words are split as a shell splits them; `pkg-config ...` in back-ticks is run "
            "and gives "
            "its words.",
     .default_doc = "none"},
    {.name = "archive", .doc = "The archiver of a static library.", .default_value = "ar"},
    {.name = "linker",
     .doc = "The program that links, with its first words. `rust-lld -flavor gnu`, for applications with [os], stands for "
            "LLVM's linker.",
     .default_doc = "the compiler; for C++ that of C++"},
    {.name = "ldflags",
     .form = Form::Lines,
     .doc = "Options for the linker, last on its command line. Of a static library: the operation of the archiver.",
     .default_doc = "none; `rcs` for a static library"},
    {.name = "deps",
     .form = Form::List,
     .doc = "Targets that this one uses: linked, with whatever they use themselves, and their headers are found.",
     .default_doc = "none"},
};

constexpr Choice kUlibs[] = {
    {"ruxlibc", "the small C library of the system"},
    {"ruxmusl", "musl"},
};

constexpr Key kOsKeys[] = {
    {.name = "name", .doc = "Name of the system; a label that `app check` and `--dry-run` show.", .default_doc = "none"},
    {.name = "services",
     .form = Form::List,
     .doc = "What the system has to offer; see the list below. What a service needs comes with it.",
     .default_doc = "none"},
    {.name = "ulib", .doc = "The C library.", .required = true, .choices = kUlibs},
    {.name = "develop",
     .form = Form::Flag,
     .doc = "Look with every build whether the system is stale. Here that always happens.",
     .default_value = "n"},
};

constexpr Choice kPlatforms[] = {
    {"x86_64-qemu-q35", "QEMU's PC"},
    {"aarch64-qemu-virt", "QEMU's Arm board"},
    {"riscv64-qemu-virt", "QEMU's RISC-V board"},
};
constexpr Choice kModes[] = {
    {"release", "optimised"},
    {"debug", "not optimised, for debuggers"},
};
constexpr Choice kLogs[] = {
    {"off", "nothing"},       {"error", "what stops the system"}, {"warn", "what somebody should look at"},
    {"info", "what happens"}, {"debug", "how it happens"},        {"trace", "every step"},
};
constexpr Choice kVerbosities[] = {
    {"", "a line for each step"},
    {"1", "its command; the system's build speaks too"},
    {"2", "also why each step is run, and the system's commands"},
};

constexpr Key kPlatformKeys[] = {
    {.name = "name", .doc = "The machine.", .default_value = "x86_64-qemu-q35", .choices = kPlatforms},
    {.name = "smp", .form = Form::Number, .doc = "Number of CPUs.", .default_value = "1", .min = 1, .max = kMostCpus},
    {.name = "mode", .doc = "How it is compiled.", .default_value = "release", .choices = kModes},
    {.name = "log", .doc = "The most detailed messages of the system.", .default_value = "warn", .choices = kLogs},
    {.name = "v", .doc = "How much the build says.", .default_doc = "little", .choices = kVerbosities},
};

constexpr Choice kNetDevices[] = {{"user", "a private network behind the user's"}, {"tap", "the host's device tap0"}};
constexpr Choice kAccelerators[] = {
    {"auto", "KVM where it really starts, else emulation"},
    {"kvm", "KVM"},
    {"tcg", "emulation"},
};

constexpr Key kQemuKeys[] = {
    {.name = "blk", .form = Form::Flag, .doc = "A virtio-blk disk with the content of `disk_img`.", .default_value = "n"},
    {.name = "net", .form = Form::Flag, .doc = "A virtio-net network device.", .default_value = "n"},
    {.name = "graphic",
     .form = Form::Flag,
     .doc = "A virtio-gpu display; the console shares the terminal with QEMU's monitor. Without: text only.",
     .default_value = "n"},
    {.name = "debug",
     .form = Form::Flag,
     .doc = "Wait for gdb on local port 1234 before the first instruction; without acceleration.",
     .default_value = "n"},
    {.name = "memory",
     .form = Form::Size,
     .doc = "Size of the memory: a number with K, M, G or T; without, MiB.",
     .default_value = "128M"},
    {.name = "disk_img",
     .doc = "File of the disk. Where `blk` is on and it is missing, an empty FAT32 disk of 64 MiB is made.",
     .default_value = "./disk_img"},
    {.name = "v9p", .form = Form::Flag, .doc = "A virtio-9p device that shares `v9p_path`.", .default_value = "n"},
    {.name = "v9p_path", .doc = "The folder of the host that is shared.", .default_value = "./"},
    {.name = "qemu_log", .form = Form::Flag, .doc = "QEMU writes what the machine executes to qemu.log.", .default_value = "n"},
    {.name = "net_dump",
     .form = Form::Flag,
     .doc = "Packets of the network device go to netdump.pcap too.",
     .default_value = "n"},
    {.name = "net_dev", .doc = "What the network device is connected to.", .default_value = "user", .choices = kNetDevices},
    {.name = "ip", .doc = "IPv4 address of the guest. Built into the system.", .default_value = "10.0.2.15"},
    {.name = "gw", .doc = "IPv4 address of the gateway. Built into the system.", .default_value = "10.0.2.2"},
    {.name = "args",
     .form = Form::TextOrList,
     .doc = "Arguments of the program, from argv[0] on: separated by commas, or a list.",
     .default_doc = "none"},
    {.name = "envs",
     .form = Form::TextOrList,
     .doc = "Environment of the program, NAME=VALUE: separated by commas, or a list.",
     .default_doc = "none"},
    {.name = "ports",
     .form = Form::List,
     .doc = "Ports of the host that lead to the guest where `net_dev` is user: `HOST:GUEST`, `HOST:GUEST/tcp`, "
            "`HOST:GUEST/udp`; without a protocol, both.",
     .default_doc = "[\"5555:5555\"]",
     .origin = Origin::Ours},
    {.name = "accel",
     .doc = "What executes the guest's instructions.",
     .default_value = "auto",
     .choices = kAccelerators,
     .origin = Origin::Ours},
};

constexpr Key kTestKeys[] = {
    {.name = "name", .doc = "Name of the test.", .required = true, .origin = Origin::Ours},
    {.name = "args",
     .form = Form::List,
     .doc = "Arguments of the program.",
     .default_doc = "none",
     .origin = Origin::Ours,
     .empty_elements = true},
    {.name = "input",
     .doc = "File that the program reads as its standard input.",
     .default_doc = "empty",
     .origin = Origin::Ours},
    {.name = "output",
     .doc = "File with exactly what the program must write to its standard output.",
     .default_doc = "anything",
     .origin = Origin::Ours},
    {.name = "success_regex",
     .form = Form::TextOrList,
     .doc = "Each of these must be found in the output (RE2 syntax, `^` and `$` at every line).",
     .default_doc = "none",
     .origin = Origin::Ours},
    {.name = "fail_regex",
     .form = Form::TextOrList,
     .doc = "None of these may be found in the output.",
     .default_doc = "none",
     .origin = Origin::Ours},
    {.name = "status",
     .form = Form::Number,
     .doc = "Exit status; 128 + N for signal N.",
     .default_value = "0",
     .max = 255,
     .origin = Origin::Ours},
    {.name = "timeout",
     .form = Form::Number,
     .doc = "Seconds that it may take.",
     .default_value = "60",
     .min = 1,
     .max = kLongestTest,
     .origin = Origin::Ours},
};

constexpr Key kPackageKeys[] = {
    {.name = "debian", .doc = "Name of the source package in Debian.", .required = true, .origin = Origin::Ours},
    {.name = "version",
     .doc = "The upstream version, without Debian's revision: `3.40.1`.",
     .required = true,
     .origin = Origin::Ours},
    {.name = "sha256",
     .doc = "SHA-256 of the package's original archive, NAME_VERSION.orig.tar.*.",
     .required = true,
     .origin = Origin::Ours},
    {.name = "files",
     .form = Form::List,
     .doc = "What is taken out of it. A file that is not in the archive is made there with ./configure and make.",
     .required = true,
     .origin = Origin::Ours},
    {.name = "folder",
     .doc = "Where the files go. A folder that is there and was not made of a package is taken as it is.",
     .required = true,
     .origin = Origin::Ours},
};

constexpr Table kTables[] = {
    {"build", "The compiler, or a program that is ready made.", kBuildKeys},
    {"targets", "One thing to be made of sources. There may be many, at most one of type `exe`.", kTargetKeys, true},
    {"os", "The system that the application runs on. Without this table it is a program for this machine.", kOsKeys},
    {"os.platform", "The machine that the system runs on.", kPlatformKeys},
    {"os.platform.qemu", "The emulated machine.", kQemuKeys},
    {"packages", "Sources of others, fetched before the first build from the mirror that this machine is set up for.", kPackageKeys,
     true},
    {"tests", "A run of the program on this machine, for `xtask app test`.", kTestKeys, true},
};

}  // namespace

const Key* Table::find(std::string_view key) const {
  const auto it = std::ranges::find(keys, key, &Key::name);
  return it == keys.end() ? nullptr : &*it;
}

std::span<const Table> all_tables() { return kTables; }

const Table& table_named(std::string_view name) {
  const auto it = std::ranges::find(kTables, name, &Table::name);
  if (it == std::end(kTables)) throw std::logic_error("no table " + std::string(name));
  return *it;
}

}  // namespace ax::app
