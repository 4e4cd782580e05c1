#include <array>

#include "tools/xtask/command/commands.hpp"

namespace ax::xtask {
namespace {

constexpr std::array kSetupExamples{
    Example{"setup", "install whatever is missing, after asking"},
    Example{"setup --yes", "the same without asking"},
    Example{"setup --dry-run", "show the apt-get command"},
};
constexpr std::array kDefconfigExamples{
    Example{"defconfig qemu-aarch64", "build for QEMU's virt machine from now on"},
};
constexpr std::array kMenuconfigExamples{
    Example{"menuconfig", "the board and its virtual machines, on the whole terminal"},
    Example{"menuconfig qemu", "start at the file that says how QEMU is started"},
    Example{"menuconfig --file my-vm.toml", "one file of any kind"},
    Example{"menuconfig --web", "the same in a browser"},
};
constexpr std::array kBuildExamples{
    Example{"build", "build for the chosen board"},
    Example{"build --debug --bin-dir /tmp/out", "unoptimised and checked; copy the products"},
    Example{"build --vmconfigs a.toml --vmconfigs b.toml", "with these two virtual machines"},
    Example{"build --set log=Debug --set env.MARK=1", "with two keys of the board replaced"},
    Example{"build --all-boards", "every board, each in its own folder"},
};
constexpr std::array kConfigListExamples{
    Example{"config ls", "the boards and virtual machines of this tree"},
    Example{"config ls --json", "the same for a program"},
};
constexpr std::array kConfigCommands{
    Command{"ls", "List boards and virtual machines", "", kConfigListExamples, &declare_config_list},
};
constexpr std::array kQemuExamples{
    Example{"qemu", "build and boot the board's default guests (Ctrl-A x quits)"},
    Example{"qemu --vmconfigs my-vm.toml --smp 2", "boot one VM on a machine with two CPUs"},
    Example{"qemu --gdb", "wait for a debugger on localhost:1234"},
    Example{"qemu --set accel=auto --set memory=4G", "try KVM, with more memory"},
    Example{"qemu --record boot.cast", "keep the session for asciinema"},
    Example{"qemu --dtb-dump", "the machine's device tree"},
    Example{"qemu --dry-run", "show the commands"},
};
constexpr std::array kTestExamples{
    Example{"test", "unit tests, then boot tests in QEMU"},
    Example{"test --preset host -R Fdt", "only the host tests whose names match"},
    Example{"test -L linux", "only tests with this label"},
    Example{"test --shard 2/3 --junit results.xml", "the second third, for continuous integration"},
};
constexpr std::array kBenchExamples{
    Example{"bench", "what exits of guests cost on both architectures, beside what was recorded last"},
    Example{"bench --json --board qemu-aarch64", "one architecture, for programs"},
    Example{"bench --record", "take today's values for right: history, docs/performance.md, the plot"},
};
constexpr std::array kRunExamples{
    Example{"run --config boot.toml --elf axvisor --bin axvisor.bin", "run a boot test's configuration"},
    Example{"run --config boot.toml --elf axvisor --set gic_version=2", "the same with one key changed"},
};
constexpr std::array kImageExamples{
    Example{"image ls", "everything that can be had, and what is here already"},
    Example{"image -R https://example.org/registry.toml sync", "another registry"},
};
constexpr std::array kImageListExamples{
    Example{"image ls", "recipes of this tree, the registry's images, imported ones"},
    Example{"image ls 'qemu_.*linux' -v", "those whose names match, every version"},
    Example{"image ls --json", "for programs"},
};
constexpr std::array kImageDownloadExamples{
    Example{"image download qemu_aarch64_linux", "the newest version, into the local storage"},
    Example{"image download a:v0.0.22 b -o images", "two images into the folder images"},
    Example{"image download a --no-extract --offline", "only the archive, only if it is here"},
};
constexpr std::array kImageRemoveExamples{
    Example{"image rm qemu_aarch64_linux", "its archive and its folder"},
    Example{"image rm qemu_aarch64_linux --all", "of every version"},
};
constexpr std::array kImageSyncExamples{Example{"image sync", "fetch the registry and what it includes"}};
constexpr std::array kImageDefconfigExamples{Example{"image defconfig", "write .image.toml with the defaults"}};
constexpr std::array kImageCheckExamples{
    Example{"image check", "every archive of the local storage"},
    Example{"image check disk.img", "the partition table and the file systems of a disk"},
};
constexpr std::array kImageBuildExamples{
    Example{"image build --config configs/vms/linux-aarch64-qemu-smp1.toml", "everything that this VM file names as image:NAME"},
    Example{"image build guests-aarch64 -o disk.img", "the disk of configs/disks/guests-aarch64.toml"},
    Example{"image build --config my-vm.toml --kernel image:debian-arm64 --ramdisk initrd", "a disk for a VM with image_location = \"fs\""},
};
constexpr std::array kImageResizeExamples{Example{"image resize disk.img 512M", "the last partition gets what is more"}};
constexpr std::array kImageImportExamples{
    Example{"image import guest.tar.xz my_guest:v1 --arch aarch64", "an archive"},
    Example{"image import build/out my_guest", "a folder"},
    Example{"image import layout my_guest --tag latest", "an image of an OCI layout"},
};
constexpr std::array kImageFetchExamples{
    Example{"image fetch debian-arm64", "put Debian's kernel into the cache, print its path"},
    Example{"image fetch debian-arm64-initramfs --output initrd", "write it to a file"},
};
constexpr std::array kImageVerifyExamples{
    Example{"image verify debian-arm64 build/images/debian-arm64", "the kernel is the one in Debian's package"},
};
constexpr std::array kImageLockExamples{
    Example{"image lock", "compare the locked versions with the mirror's"},
    Example{"image lock --update", "pin what the mirror has now"},
};
constexpr std::array kUbootExamples{
    Example{"uboot", "build, boot the board of .uboot.toml (Ctrl-A x leaves)"},
    Example{"uboot --board lab-rk3588 --vmconfigs my-vm.toml", "a board with a profile, with one VM"},
    Example{"uboot --bin axvisor.bin --set transfer=ymodem", "an image that is there, over the serial line"},
};
constexpr std::array kBoardListExamples{Example{"board ls", "the profiles, their serial lines, and who uses them"}};
constexpr std::array kBoardCommands{
    Command{"ls", "List the board profiles and who uses them", "", kBoardListExamples, &declare_board_list},
};
constexpr std::array kClippyExamples{
    Example{"clippy", "check everything, stop at the first failure"},
    Example{"clippy --continue-on-error --sarif lint.sarif", "check everything, write a report"},
    Example{"clippy --packages kernel,tools --targets host", "a part of it"},
    Example{"clippy --checks format --fix --allow-dirty", "format the lines that changed"},
};
constexpr std::string_view kClippyDescription =
    "clang-tidy and cppcheck judge what each target and feature set compiles, clang-format the lines that changed, shellcheck\n"
    "the scripts. Ends with a table and a line 'N passed, N failed, N not run'.";
constexpr std::array kCleanExamples{
    Example{"clean", "remove the build folders of the chosen board"},
    Example{"clean --target aarch64-unknown-none-softfloat", "of every board with this target"},
    Example{"clean --all", "the whole build folder, xtask included"},
};
constexpr std::array kHelpExamples{
    Example{"help qemu", "the same as qemu --help"},
    Example{"help --markdown >docs/xtask.md", "renew the reference page"},
};
constexpr std::array kCompletionExamples{
    Example{"completion bash >~/.local/share/bash-completion/completions/xtask", "for bash, from the next shell on"},
    Example{"completion zsh >~/.zsh/xtask.zsh", "for zsh: source it in ~/.zshrc"},
    Example{"completion fish >~/.config/fish/completions/xtask.fish", "for fish"},
};
constexpr std::array kReportExamples{
    Example{"report", "pack what a bug report needs about the chosen board's last build and run"},
    Example{"report --add my-vm.toml -o bug.tar.gz", "with a file more"},
};

constexpr std::array kVmConfigExamples{Example{"vmconfig", "write .vmconfig-schema.json for editors"}};
constexpr std::array kVmSchemaExamples{Example{"vmconfig schema -o vm.schema.json", "the JSON Schema of VM files"}};
constexpr std::array kVmCheckExamples{
    Example{"vmconfig check my-vm.toml", "say everything that is wrong with it"},
    Example{"vmconfig check -b qemu-aarch64 a.toml b.toml", "also what they take from each other"},
};
constexpr std::array kVmCompileExamples{
    Example{"vmconfig compile my-vm.toml", "write my-vm.vm, for the disk of a machine with the chosen board's hypervisor"},
    Example{"vmconfig compile -b qemu-x86_64 a.toml b.toml -o disk/guest/vm_default", "two that run together, for another board"},
};
constexpr std::array kVmGenerateExamples{
    Example{"vmconfig generate", "answer some questions (on a terminal)"},
    Example{"vmconfig generate -g linux -n web -c 2 --memory 256 -O web.toml", "a Linux guest with two vCPUs"},
    Example{"vmconfig generate -k rtos.bin -l 0x80200000 -O rtos.toml", "a flat image"},
};
constexpr std::array kVmExplainExamples{
    Example{"vmconfig explain kernel.memory_regions", "what the key means and takes"},
    Example{"vmconfig explain smp", "wherever it may stand"},
};
constexpr std::array kVmDiffExamples{Example{"vmconfig diff a.toml b.toml", "what differs in value; status 1 if anything does"}};
constexpr std::array kVmPlotExamples{
    Example{"vmconfig plot -o vms.svg", "who owns what of the chosen board"},
    Example{"vmconfig plot -b qemu-aarch64 a.toml b.toml -o vms.html", "of two VMs on another one"},
};
constexpr std::array kVmConfigCommands{
    Command{"schema", "Write the JSON Schema of VM files", "An editor finds it by a first line '#:schema PATH'.",
            kVmSchemaExamples, &declare_vmconfig_schema},
    Command{"check", "Check configuration files", "", kVmCheckExamples, &declare_vmconfig_check},
    Command{"compile", "Check VM files and write descriptions for a hypervisor that runs",
            "It reads /guest/vm_default/*.vm on its disk when it starts, and any with 'vm create' in its shell.", kVmCompileExamples,
            &declare_vmconfig_compile},
    Command{"generate", "Write a VM file", "Without --guest and --kernel, on a terminal, it asks.", kVmGenerateExamples,
            &declare_vmconfig_generate},
    Command{"explain", "Explain a key of any configuration file", "", kVmExplainExamples, &declare_vmconfig_explain},
    Command{"diff", "Compare two files by their values", "", kVmDiffExamples, &declare_vmconfig_diff},
    Command{"plot", "Draw memory, CPUs, devices and interrupts by owner", "", kVmPlotExamples, &declare_vmconfig_plot},
};

constexpr std::array kSectionsExamples{Example{"inspect sections", "the sections of the chosen board's image, as objdump -h"}};
constexpr std::array kSymbolsExamples{
    Example{"inspect symbols --match 'main|enable'", "addresses of functions, as nm"},
    Example{"inspect symbols --by-size --json", "the largest first, for a program"},
};
constexpr std::array kHexExamples{Example{"inspect hex --length 64", "the head of axvisor.bin, as hexdump -C"}};
constexpr std::array kSizeExamples{Example{"inspect size", "how much is code, constants, data"}};
constexpr std::array kMapExamples{Example{"inspect map --top 3", "what lies where in memory"}};
constexpr std::array kInspectCommands{
    Command{"sections", "List the sections of an image", "", kSectionsExamples, &declare_inspect_sections},
    Command{"symbols", "List the symbols of an image", "", kSymbolsExamples, &declare_inspect_symbols},
    Command{"hex", "Show bytes of an image", "", kHexExamples, &declare_inspect_hex},
    Command{"size", "Say how large an image is, and why", "", kSizeExamples, &declare_inspect_size},
    Command{"map", "Show an image as it lies in memory", "", kMapExamples, &declare_inspect_map},
};

constexpr std::array kDevStartExamples{
    Example{"devspace start", "the libraries, and which of them are local"},
    Example{"devspace start fmt", "clone it into modules/fmt and build that"},
    Example{"devspace start fmt --path ../fmt", "build a source tree that is there already"},
};
constexpr std::array kDevStopExamples{
    Example{"devspace stop", "the released libraries again; checkouts without own work are removed"}};
constexpr std::array kDevspaceCommands{
    Command{"start", "Build a library from a local checkout", "", kDevStartExamples, &declare_devspace_start},
    Command{"stop", "Build the released library again", "", kDevStopExamples, &declare_devspace_stop},
};

constexpr std::array kImageCommands{
    Command{"ls", "List recipes, the registry's images and imported ones",
            "PATTERN is a regular expression, or a part of the name. With -v each version has a line of its own.", kImageListExamples,
            &declare_image_list},
    Command{"download", "Download images of the registry and unpack them",
            "Without a version the one released last. Into NAME[-VERSION]/ of the local storage, or of --output; an archive that is there\n"
            "and whole is not fetched again, one that broke off is continued.",
            kImageDownloadExamples, &declare_image_download},
    Command{"pull", "The same as download", "", kImageDownloadExamples, &declare_image_download},
    Command{"rm", "Remove downloaded or imported images", "", kImageRemoveExamples, &declare_image_remove},
    Command{"sync", "Fetch the registry anew", "", kImageSyncExamples, &declare_image_sync},
    Command{"defconfig", "Write .image.toml with the defaults",
            "An existing .image.toml is kept as .image.toml.backup_YYYYmmdd_HHMMSS (UTC).", kImageDefconfigExamples,
            &declare_image_defconfig},
    Command{"build", "Make the images of a VM file, or a disk from a recipe",
            "A recipe (a file, or a name in configs/disks) makes a disk: GPT or MBR, ext4 and FAT32, from folders, without root, the same\n"
            "bytes every time. A VM file (--config): its kernel, ramdisk, ... in a folder; with image_location = \"fs\" a disk that has them\n"
            "where the file says.",
            kImageBuildExamples, &declare_image_build},
    Command{"resize", "Give a disk with ext4 another size", "", kImageResizeExamples, &declare_image_resize},
    Command{"check", "Compare what is here with its checksums, or check disks", "", kImageCheckExamples, &declare_image_check},
    Command{"import", "Add an image of your own to the local storage",
            "SOURCE is an archive, a Debian package, an OCI image layout (a folder, or a tar file), another folder, a file, or the\n"
            "address of one. The image is then listed, downloaded and removed like one of the registry.",
            kImageImportExamples, &declare_image_import},
    Command{"fetch", "Fetch or build one image",
            "Versions come from configs/images/lock.toml. Packages are taken from this machine's configured Debian mirror\n"
            "through its signed index, without touching the system's package state, and kept in $AXVISOR_CACHE\n"
            "(~/.cache/axvisor).",
            kImageFetchExamples, &declare_image_fetch},
    Command{"verify", "Compare a fetched kernel with the lock file", "", kImageVerifyExamples, &declare_image_verify},
    Command{"lock", "Compare or update the locked versions", "", kImageLockExamples, &declare_image_lock},
};

constexpr std::array kAppExamples{
    Example{"app init hello --c", "a new program in the folder hello"},
    Example{"app run hello", "build it and run it; its exit status is returned"},
    Example{"app run hello -- one two", "with two arguments"},
    Example{"app check hello", "say everything that is wrong in its description"},
    Example{"app test hello", "run the tests that its description has"},
    Example{"app -br --dry-run hello", "show every command, run none"},
    Example{"app -cbr hello", "the same from a clean start, in Ruxgo's spelling"},
};
constexpr std::array kAppBuildExamples{
    Example{"app build configs/apps/hello-c", "build it in configs/apps/hello-c/app_build"},
    Example{"app build --dry-run", "show the commands"},
};
constexpr std::array kAppRunExamples{
    Example{"app run hello -- one two", "with two arguments"},
    Example{"app run --bin-args=one,two", "the same in Ruxgo's spelling"},
};
constexpr std::array kAppTestExamples{Example{"app test hello --junit results.xml", "for continuous integration"}};
constexpr std::array kAppCheckExamples{Example{"app check hello", "say everything that is wrong, build nothing"}};
constexpr std::array kAppGdbExamples{Example{"app gdb hello", "a debug build under gdb"}};
constexpr std::array kAppInitExamples{Example{"app init hello --cpp", "a program in C++"}};
constexpr std::array kAppCleanExamples{Example{"app clean hello", "remove hello/app_build"}};

constexpr std::array kAppPkgExamples{Example{"app pkg", "what to use instead"}};
constexpr std::array kAppSourceExamples{Example{"app source musl 1.2.3 7d5b0b6062521e4627e099e4c9dc8248d32a30285e959b7eecaa780cf8cfd4a4",
                                                "version and SHA-256 of the original archive"}};
constexpr std::array kAppConfigExamples{Example{"app config", "what to use instead"}};

constexpr std::array kAppCommands{
    Command{"build", "Build the application", "", kAppBuildExamples, &declare_app_build},
    Command{"run",
            "Build the application and run it",
            "The exit status is the program's.",
            kAppRunExamples,
            &declare_app_run,
            {},
            true},
    Command{"test", "Build the application and run its [[tests]]", "Ends with a line 'N passed, N failed'.", kAppTestExamples,
            &declare_app_test},
    Command{"check", "Check the description", "Everything that is wrong, with file, line, column and what to write instead.",
            kAppCheckExamples, &declare_app_check},
    Command{"gdb",
            "Build for debugging and start gdb; with [os], QEMU waits for it",
            "",
            kAppGdbExamples,
            &declare_app_gdb,
            {},
            true},
    Command{"init", "Make a new application", "", kAppInitExamples, &declare_app_init},
    Command{"clean", "Remove what was built", "", kAppCleanExamples, &declare_app_clean},
    Command{"pkg", "Not here: says what to use instead of Ruxgo's", "", kAppPkgExamples, &declare_app_pkg},
    Command{"source", "Fetch the archive of a Debian source package into the cache",
            "Prints where it is. The C library of [os] comes this way.", kAppSourceExamples, &declare_app_source},
    Command{"config", "Not here: says what to use instead of Ruxgo's", "", kAppConfigExamples, &declare_app_config},
};

constexpr std::array kCommands{
    Command{"setup", "Install the packages that building and testing need",
            "The list is cmake/packages.txt. As root without a terminal it goes ahead; on a terminal it asks.", kSetupExamples,
            &declare_setup},
    Command{"defconfig", "Choose a board: copy its configuration to .build.toml",
            "An existing .build.toml is kept as .build.toml.backup_YYYYmmdd_HHMMSS (UTC).", kDefconfigExamples,
            &declare_defconfig},
    Command{"config", "Look at what can be configured", "", {}, nullptr, kConfigCommands},
    Command{
        "menuconfig", "Edit board, virtual machines, QEMU and U-Boot settings in a full-screen menu",
        "Edits .build.toml, the VM files that it names, .qemu-<arch>.toml and .uboot.toml; those that do not exist are made "
        "when\n"
        "they are saved. Comments and order of the files stay. --web serves a page on 127.0.0.1 only; its address has the token\n"
        "that opens it. Ends with status 1 when changes were thrown away.",
        kMenuconfigExamples, &declare_menuconfig},
    Command{"build", "Build the hypervisor image for the chosen board",
            "Uses .build.toml (see defconfig), or the board qemu-aarch64 without one. AXVISOR_VM_CONFIGS and AXVISOR_SMP\n"
            "stand for --vmconfigs and --smp where those are not given. A .build.toml may also be ostool's, with [system.Cargo]\n"
            "or [system.Custom]; keys that only Cargo knows are reported and not used.",
            kBuildExamples, &declare_build},
    Command{
        "qemu", "Build, then boot in QEMU with the console on this terminal",
        "QEMU's configuration is --qemu-config, else qemu-<arch>.toml, .qemu-<arch>.toml, qemu.toml or .qemu.toml of the root\n"
        "folder, else configs/qemu/qemu-<arch>.toml. --set takes keys of the board's file and of this one. The console of the\n"
        "last run is kept as last-run.log in the build folder.\n"
        "Every key goes to the guest; Ctrl-A x ends QEMU, Ctrl-A c reaches its monitor.",
        kQemuExamples, &declare_qemu},
    Command{"test", "Build and run the tests of the host and of QEMU", "Ends with a line 'N passed, N failed' (', N skipped').",
            kTestExamples, &declare_test},
    Command{
        "bench", "Measure what exits cost, in exact instructions",
        "Boots the benchmark guests under exact instruction counting: two runs agree to the instruction. A row that costs more\n"
        "than 2% above its last recorded value is a failure, as is one above its limit in tests/bench.",
        kBenchExamples, &declare_bench},
    Command{"run", "Run an emulator with a console script, as ctest does",
            "The configuration's keys: args, uefi, to_bin, success_regex, fail_regex, shell_prefix, shell_init_cmd,\n"
            "timeout, [[steps]], expect_exit, verdict, fail_reason, machine, cpu, memory, smp, gic_version, kernel,\n"
            "load_address, emulator (another QEMU, or bochs), accel (auto, kvm, tcg). Variables: ${workspaceFolder}, ${elf}, "
            "${bin}, ${env:VAR:-default}, ${nonce},\n"
            "${nonce*N}, and those of --define.",
            kRunExamples, &declare_run},
    Command{"image", "Fetch, build and pin guest images", "Settings are in .image.toml: docs/images.md.", kImageExamples, &declare_image,
            kImageCommands},
    Command{"app", "Build and run C and C++ applications described in TOML",
            "An application is a folder with a config_linux.toml or app.toml: docs/apps.md teaches them, docs/app-reference.md\n"
            "has every key. Ruxgo's flags may be joined: -cbr cleans, builds, runs.",
            kAppExamples, &declare_app, kAppCommands, true},
    Command{"uboot", "Build, then boot a board through U-Boot on a serial line",
            "Makes a FIT image, loads it by TFTP (built-in server) or YMODEM, starts it and judges the console: docs/boards.md.\n"
            "The board's file is --uboot-config, a profile (--board), or .uboot.toml. --set takes keys of this file, as\n"
            "baud_rate=9600 or net.board_ip=192.168.1.20, and keys of the board's.",
            kUbootExamples, &declare_uboot},
    Command{"board", "Boards on serial lines", "", {}, nullptr, kBoardCommands},
    Command{"clippy", "Check how the sources read, over all targets and features", kClippyDescription, kClippyExamples,
            &declare_clippy},
    Command{"lint", "The same as clippy", kClippyDescription, kClippyExamples, &declare_clippy},
    Command{"clean", "Remove build folders", "", kCleanExamples, &declare_clean},
    Command{"vmconfig", "Write, check, compile, explain, compare and draw VM files", "", kVmConfigExamples, &declare_vmconfig,
            kVmConfigCommands},
    Command{"inspect", "Look into an image", "", {}, nullptr, kInspectCommands},
    Command{"devspace", "Work on the libraries of the host tools", "", {}, nullptr, kDevspaceCommands},
    Command{"report", "Pack versions, configuration, logs and build id for a bug report", "", kReportExamples, &declare_report},
    Command{"completion", "Print a completion script for a shell", "", kCompletionExamples, &declare_completion},
    Command{"help", "Explain a command", "", kHelpExamples, &declare_help},
};

}  // namespace

std::span<const Command> command_table() { return kCommands; }

}  // namespace ax::xtask
