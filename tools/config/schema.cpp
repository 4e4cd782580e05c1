#include "tools/config/schema.hpp"

#include <algorithm>

#include "hypervisor/config/checks.hpp"

namespace ax::config {
namespace {

using std::string_view;

// Every file may say which version of these tables it was written for.
constexpr Key kSchemaKey{
    .name = "schema",
    .type = Type::Integer,
    .doc = "Version of the file format. Files without it are read as version 1.",
    .default_value = "1",
    .min = 1,
    .max = 1,
    .origin = Origin::Ours,
};

constexpr u64 kMaxSmp = 64;  // one bit per CPU in phys_cpu_sets

// ---- defconfig.toml

constexpr Key kDefconfigKeys[] = {
    kSchemaKey,
    {.name = "task-stack-size",
     .type = Type::Integer,
     .doc = "Stack of one host thread.",
     .unit = Unit::Bytes,
     .default_value = "0x40000",
     .min = 0x4000,
     .max = 0x100'0000},
    {.name = "ticks-per-sec",
     .type = Type::Integer,
     .doc = "Default time slice of a vCPU that shares its CPU, as slices per second.",
     .unit = Unit::Hertz,
     .default_value = "1000",
     .min = 1,
     .max = 100'000},
    {.name = "smp",
     .type = Type::Integer,
     .doc = "Most CPUs that are brought up; also the number of CPUs that the emulator is started with. A board's `smp` "
            "and "
            "AXVISOR_SMP come first.",
     .default_doc = "all CPUs that the machine has, up to 16",
     .min = 1,
     .max = kMaxSmp},
};

constexpr Section kDefconfigSections[] = {{"", "Values for every board.", kDefconfigKeys}};

// ---- board/*.toml

constexpr Choice kTargets[] = {
    {.text = "aarch64-unknown-none-softfloat", .doc = "64-bit Arm, entered at EL2."},
    {.text = "x86_64-unknown-none", .doc = "64-bit x86 with VMX or SVM."},
    {.text = "riscv64gc-unknown-none-elf", .doc = "64-bit RISC-V: unikernel only."},
};

constexpr string_view kAarch64Aliases[] = {"aarch64-generic"};
constexpr Choice kPlatforms[] = {
    {.text = "aarch64-dyn", .doc = "Any Arm machine that hands over a device tree.", .aliases = kAarch64Aliases},
    {.text = "x86-qemu-q35", .doc = "QEMU's q35 and PCs like it."},
    {.text = "riscv64-qemu-virt", .doc = "QEMU's RISC-V virt machine: unikernel only."},
};

constexpr string_view kErrorAliases[] = {"error"}, kWarnAliases[] = {"warn"}, kInfoAliases[] = {"info"},
                      kDebugAliases[] = {"debug"}, kTraceAliases[] = {"trace"};
constexpr Choice kLogLevels[] = {
    {.text = "Error", .number = 0, .doc = "What stops a VM or the host.", .aliases = kErrorAliases},
    {.text = "Warn", .number = 1, .doc = "What somebody should look at.", .aliases = kWarnAliases},
    {.text = "Info", .number = 2, .doc = "What happens at boot and to VMs.", .aliases = kInfoAliases},
    {.text = "Debug", .number = 3, .doc = "How it happens.", .aliases = kDebugAliases},
    {.text = "Trace", .number = 4, .doc = "Every step.", .aliases = kTraceAliases},
};

constexpr Key kBoardKeys[] = {
    kSchemaKey,
    {.name = "target",
     .type = Type::String,
     .doc = "Target triple: picks the toolchain file in cmake/toolchains.",
     .default_doc = "the target of `platform`",
     .choices = kTargets},
    {.name = "platform",
     .type = Type::String,
     .doc = "Machine family: the library in platforms/ that the image is built with. Others than these come from a "
            "platforms/NAME/platform.toml, in the tree or on AXVISOR_CONFIG_PATH.",
     .default_doc = "the platform of `target`",
     .choices = kPlatforms,
     .open_choices = true,
     .origin = Origin::Ours},
    {.name = "features",
     .type = Type::StringList,
     .doc = "Optional parts of the hypervisor, by name. The list of features below says what each one does.",
     .default_value = "[]"},
    {.name = "log",
     .type = Type::String,
     .doc = "Most detailed log level that is compiled in.",
     .default_value = "Info",
     .choices = kLogLevels},
    {.name = "smp",
     .type = Type::Integer,
     .doc = "Most CPUs that are brought up. AXVISOR_SMP comes first.",
     .default_doc = "`smp` of defconfig.toml",
     .min = 1,
     .max = kMaxSmp},
    {.name = "to_bin",
     .type = Type::Boolean,
     .doc = "Whether a flat axvisor.bin is made beside the ELF file.",
     .default_value = "false"},
    {.name = "load_address",
     .type = Type::Integer,
     .doc = "Where the ELF file is linked, and loaded by loaders that obey it. A multiple of 2 MiB. The image itself runs "
            "anywhere.",
     .unit = Unit::Address,
     .default_doc = "0x4020_0000 on aarch64, 0x100_0000 on x86_64, 0x8020_0000 on riscv64",
     .max = hv::kAddressLimit - 1,
     .origin = Origin::Ours},
    {.name = "vm_configs",
     .type = Type::StringList,
     .doc = "VM files that are built in, relative to the repository, in boot order. AXVISOR_VM_CONFIGS comes first.",
     .default_value = "[]"},
    {.name = "default_vms",
     .type = Type::StringList,
     .doc = "VMs that are built in when neither AXVISOR_VM_CONFIGS nor `vm_configs` names any: names from configs/vms, "
            "or paths.",
     .default_value = "[]",
     .origin = Origin::Ours},
    {.name = "power_off_when_idle",
     .type = Type::Boolean,
     .doc = "Whether the machine is powered off when the last VM has stopped.",
     .default_value = "true",
     .origin = Origin::Ours},
    {.name = "cargo_args",
     .type = Type::StringList,
     .doc = "Arguments for AxVisor's build tool. Those with a meaning here (--features, -j, -v, --keep-going) are "
            "mapped, the rest "
            "is reported.",
     .default_value = "[]"},
    {.name = "pre_build_cmds",
     .type = Type::StringList,
     .doc =
         "Commands for sh, run in the repository before anything is compiled. ${workspaceFolder} is the repository. They run in "
         "every build, or, with `pre_build_outputs`, when one of those is missing or the board's file has changed.",
     .default_value = "[]"},
    {.name = "pre_build_outputs",
     .type = Type::StringList,
     .doc = "Files that `pre_build_cmds` make, relative to the repository.",
     .default_value = "[]",
     .origin = Origin::Ours},
    {.name = "post_build_cmds",
     .type = Type::StringList,
     .doc = "Commands for sh, run in the repository whenever the image was linked, with its path in KERNEL_ELF.",
     .default_value = "[]"},
    {.name = "post_build_outputs",
     .type = Type::StringList,
     .doc = "Files that `post_build_cmds` make, relative to the repository.",
     .default_value = "[]",
     .origin = Origin::Ours},
    {.name = "build_args",
     .type = Type::StringList,
     .doc = "Arguments for every build of the board: \"-j4\", \"--verbose\", and after \"--\" any of Ninja's.",
     .default_value = "[]",
     .origin = Origin::Ours},
};

constexpr Section kBoardSections[] = {
    {"", "How the hypervisor is built for one machine.", kBoardKeys},
    {.name = "env",
     .doc = "Environment variables that configuring and building run with, NAME = \"value\".",
     .keys = {},
     .free_form = true},
};

// ---- platforms/NAME/platform.toml

constexpr Key kPlatformKeys[] = {
    kSchemaKey,
    {.name = "description",
     .type = Type::String,
     .doc = "The machines that it is for, in a sentence.",
     .required = true,
     .origin = Origin::Ours},
    {.name = "targets",
     .type = Type::StringList,
     .doc = "Target triples that it can be built for. A board of a platform with several says which in `target`.",
     .required = true,
     .origin = Origin::Ours},
    {.name = "features",
     .type = Type::StringList,
     .doc = "Features that exist on some platforms only, and on this one.",
     .default_value = "[]",
     .origin = Origin::Ours},
    {.name = "load_address",
     .type = Type::Integer,
     .doc = "Where images are linked, unless a board says otherwise. A multiple of 2 MiB.",
     .unit = Unit::Address,
     .default_doc = "that of the first target",
     .max = hv::kAddressLimit - 1,
     .origin = Origin::Ours},
};

constexpr Section kPlatformSections[] = {
    {"", "A folder with this file and a CMakeLists.txt adds a platform without a change to the tree.", kPlatformKeys}};

// ---- vms/*.toml

constexpr Choice kVmTypes[] = {
    {.text = "HostVM", .number = 0, .doc = "Manages the machine."},
    {.text = "RTOS", .number = 1, .doc = "Real-time or small system."},
    {.text = "Linux", .number = 2, .doc = "Linux."},
};

constexpr Choice kCrashPolicies[] = {
    {.text = "halt", .number = 0, .doc = "The VM stays stopped, its state can be looked at."},
    {.text = "restart", .number = 1, .doc = "The VM starts again, after a delay that grows with every crash in a row."},
    {.text = "shutdown", .number = 2, .doc = "The VM is taken down and its memory freed."},
};

constexpr Choice kStartPolicies[] = {
    {.text = "auto", .number = 0, .doc = "The hypervisor, as soon as it runs."},
    {.text = "manual", .number = 1, .doc = "A command of the shell: `vm start`."},
};

constexpr Key kBaseKeys[] = {
    {.name = "id",
     .type = Type::Integer,
     .doc = "Number of the VM. A number that is taken gives way to the next free one, with a warning.",
     .default_doc = "the next free number, from 1",
     .max = 0xffff},
    {.name = "name",
     .type = Type::String,
     .doc = "Name of the VM: marks its console lines and names it in commands.",
     .required = true,
     .max_length = 63},
    {.name = "vm_type",
     .type = Type::Integer,
     .doc = "What runs in it. A label for the report.",
     .default_value = "1",
     .max = 0xff,
     .choices = kVmTypes,
     .open_choices = true},
    {.name = "cpu_num",
     .type = Type::Integer,
     .doc = "Number of vCPUs.",
     .required = true,
     .min = 1,
     .max = hv::kMaxConfiguredVcpus},
    {.name = "phys_cpu_ids",
     .type = Type::IntegerList,
     .doc = "Per vCPU, the physical CPU that it runs on: MPIDR affinity on Arm, APIC id on x86. CPUs may be shared. With "
            "phys_cpu_sets: the one that it begins on.",
     .unit = Unit::CpuId,
     .default_value = "[]",
     .default_doc = "any CPU"},
    {.name = "phys_cpu_sets",
     .type = Type::IntegerList,
     .doc = "Per vCPU, the CPUs that it may run on, as a mask: bit N stands for CPU N in boot order. It moves between them "
            "as they are free.",
     .unit = Unit::CpuMask,
     .default_value = "[]",
     .default_doc = "any CPU"},
    {.name = "exclusive",
     .type = Type::Boolean,
     .doc = "Whether no other VM may run on the CPUs named by this one. VMs that name no CPU keep off them.",
     .default_value = "false",
     .origin = Origin::Ours},
    {.name = "priority",
     .type = Type::Integer,
     .doc = "How urgent its vCPUs are: one that is ready preempts all with a lower priority at once, and these wait until it "
            "waits. The host's own work goes before all of them.",
     .default_value = "3",
     .max = hv::kMaxPriority,
     .origin = Origin::Ours},
    {.name = "time_slice_us",
     .type = Type::Integer,
     .doc = "Longest turn of a vCPU, in microseconds, when others of the same priority wait for the CPU.",
     .default_doc = "1 second / ticks-per-sec",
     .min = hv::kMinTimeSliceUs,
     .max = hv::kMaxTimeSliceUs,
     .origin = Origin::Ours},
    {.name = "budget_us",
     .type = Type::Integer,
     .doc = "How long each vCPU may run in a period (period_us), in microseconds; then it waits for the next one, even if the "
            "CPU is idle. At most the period.",
     .default_doc = "no limit",
     .min = hv::kMinBudgetUs,
     .max = hv::kMaxPeriodUs,
     .origin = Origin::Ours},
    {.name = "period_us",
     .type = Type::Integer,
     .doc = "After how many microseconds the budget is full again. Only with budget_us.",
     .default_doc = "100000 (100 ms)",
     .min = hv::kMinPeriodUs,
     .max = hv::kMaxPeriodUs,
     .origin = Origin::Ours},
    {.name = "on_crash",
     .type = Type::String,
     .doc = "What happens when the guest does what no guest may do.",
     .default_value = "halt",
     .choices = kCrashPolicies,
     .origin = Origin::Ours},
    {.name = "watchdog_ms",
     .type = Type::Integer,
     .doc = "Gives the VM a watchdog: a guest that does not feed it for so many milliseconds is stopped as if it had crashed. It runs from "
            "the VM's start and cannot be stopped, so the time must be enough to boot. Arm: an SBSA watchdog (Linux: sbsa_gwdt); PC: one "
            "that the ACPI table WDAT describes (wdat_wdt).",
     .default_doc = "no watchdog",
     .min = 10,
     .max = 3'600'000,
     .origin = Origin::Ours},
    {.name = "start",
     .type = Type::String,
     .doc = "Who starts the VM the first time.",
     .default_value = "auto",
     .choices = kStartPolicies,
     .origin = Origin::Ours},
    {.name = "start_after",
     .type = Type::StringList,
     .doc = "Names of VMs that must have been started before this one is: their first instruction comes first. One that could not be "
            "started holds nobody back; one that is started by hand does until then. Without it VMs start in the order in which the "
            "board lists them.",
     .default_value = "[]",
     .origin = Origin::Ours},
};

constexpr Choice kImageLocations[] = {
    {.text = "memory",
     .number = 0,
     .doc = "The images are built into the hypervisor; paths are relative to this file."},
    {.text = "fs", .number = 1, .doc = "The images are read from a disk of the machine. Needs the feature fs."},
    {.text = "module",
     .number = 2,
     .doc = "The boot loader passes them; the path is a module's name, on Arm `initrd` for what it passes as a RAM disk."},
};

constexpr Choice kBootProtocols[] = {
    {.text = "direct",
     .number = 0,
     .doc = "The hypervisor enters the kernel as its format wants: arm64 Image or flat binary; on x86 bzImage, or ELF "
            "with a PVH note or a Multiboot header."},
    {.text = "multiboot",
     .number = 1,
     .doc =
         "x86 only: an ELF file or a flat binary is entered in 32-bit protected mode, with Multiboot 1 information."},
    {.text = "uefi",
     .doc = "UEFI firmware starts the kernel.",
     .not_built = "guests under UEFI firmware are not built yet"},
};

constexpr Choice kMapTypes[] = {
    {.text = "alloc", .number = 0, .doc = "any free host memory, mapped at the base"},
    {.text = "identical", .number = 1, .doc = "host memory at the same address if it is free, else moved"},
    {.text = "reserved", .number = 2, .doc = "host memory at the same address that the host never uses"},
};

constexpr Column kMemoryColumns[] = {
    {.name = "base", .unit = Unit::Address, .doc = "guest-physical address"},
    {.name = "size", .unit = Unit::Bytes, .doc = "bytes"},
    {.name = "flags",
     .unit = Unit::Flags,
     .max = 0x1f,
     .doc = "1 read, 2 write, 4 execute, 8 user (no meaning), 16 device; what they forbid is a synchronous external abort on "
            "Arm, a general-protection fault on x86"},
    {.name = "map_type", .choices = kMapTypes, .doc = "where the memory comes from"},
    {.name = "shared",
     .type = Type::String,
     .required = false,
     .doc = "name of memory that all VMs have which say it, each at its own base and with its own flags; none is told that it is RAM"},
};

constexpr Key kKernelKeys[] = {
    {.name = "kernel_path",
     .type = Type::String,
     .doc =
         "Kernel image: a path relative to this file, or `image:NAME` for a build product of configs/images/NAME.toml.",
     .required = true},
    {.name = "kernel_load_addr",
     .type = Type::Integer,
     .doc =
         "Where the kernel is put. Needed by a flat binary and an arm64 Image; a bzImage may be told, an ELF file not.",
     .unit = Unit::Address,
     .default_doc = "what the kernel's header says (bzImage, ELF)"},
    {.name = "entry_point",
     .type = Type::Integer,
     .doc = "First instruction of the boot CPU. A bzImage or ELF kernel says it itself, unless a BIOS runs before it.",
     .unit = Unit::Address,
     .default_doc = "kernel_load_addr"},
    {.name = "image_location",
     .type = Type::String,
     .doc = "Where the images come from: \"memory\", files of the building machine, which are built in; \"fs\", absolute paths on a disk of the "
            "machine; \"module\", names of what the boot loader passes. \"image:NAME\" is built in, whatever this says.",
     .default_value = "memory",
     .choices = kImageLocations},
    {.name = "cmdline",
     .type = Type::String,
     .doc = "Kernel command line. Multiboot kernels that take the first word for their own name want it here, too.",
     .default_value = "",
     .max_length = 2047,
     .may_be_empty = true,
     .origin = Origin::AxVisorNewer},
    {.name = "dtb_path",
     .type = Type::String,
     .doc = "Device tree for the guest.",
     .default_doc = "one is generated from the machine's"},
    {.name = "dtb_load_addr",
     .type = Type::Integer,
     .doc = "Where the device tree is put.",
     .unit = Unit::Address,
     .default_doc = "chosen by the hypervisor"},
    {.name = "ramdisk_path", .type = Type::String, .doc = "Initial RAM disk.", .default_doc = "none"},
    {.name = "ramdisk_load_addr",
     .type = Type::Integer,
     .doc = "Where the RAM disk is put.",
     .unit = Unit::Address,
     .default_doc = "chosen by the hypervisor"},
    {.name = "bios_path",
     .type = Type::String,
     .doc = "Code that runs before the kernel, from 16-bit real mode on, at entry_point. x86 only.",
     .default_doc = "none"},
    {.name = "bios_load_addr",
     .type = Type::Integer,
     .doc = "Where that code is put. Required with bios_path.",
     .unit = Unit::Address},
    {.name = "enable_bios",
     .type = Type::Boolean,
     .doc = "Whether the VM starts through bios_path; false ignores that key.",
     .default_doc = "true when bios_path is given",
     .origin = Origin::AxVisorNewer},
    {.name = "boot_protocol",
     .type = Type::String,
     .doc = "How the kernel is started.",
     .default_value = "direct",
     .choices = kBootProtocols,
     .origin = Origin::AxVisorNewer},
    {.name = "uefi_firmware_path",
     .type = Type::String,
     .doc = "UEFI firmware for the guest.",
     .origin = Origin::AxVisorNewer,
     .not_built = "guests under UEFI firmware are not built yet"},
    {.name = "disk_path",
     .type = Type::String,
     .doc = "Disk image for the guest.",
     .not_built = "emulated disks are not built yet"},
    {.name = "kernel_sha256",
     .type = Type::String,
     .doc = "SHA-256 of the kernel, 64 hexadecimal digits: another file is not started. For images that come from elsewhere.",
     .default_doc = "not checked",
     .origin = Origin::Ours},
    {.name = "dtb_sha256",
     .type = Type::String,
     .doc = "SHA-256 of the device tree, 64 hexadecimal digits: another file is not started. For images that come from elsewhere.",
     .default_doc = "not checked",
     .origin = Origin::Ours},
    {.name = "ramdisk_sha256",
     .type = Type::String,
     .doc = "SHA-256 of the RAM disk, 64 hexadecimal digits: another file is not started. For images that come from elsewhere.",
     .default_doc = "not checked",
     .origin = Origin::Ours},
    {.name = "bios_sha256",
     .type = Type::String,
     .doc = "SHA-256 of the BIOS, 64 hexadecimal digits: another file is not started. For images that come from elsewhere.",
     .default_doc = "not checked",
     .origin = Origin::Ours},
    {.name = "strict",
     .type = Type::Boolean,
     .doc = "Whether an identical region that cannot be had at its address is an error instead of a move.",
     .default_value = "false",
     .origin = Origin::Ours},
    {.name = "memory_regions",
     .type = Type::Rows,
     .doc = "The VM's memory.",
     .required = true,
     .columns = kMemoryColumns},
};

constexpr string_view kNoIrqAliases[] = {"no", "none"}, kEmulatedAliases[] = {"emu"}, kPassthroughAliases[] = {"pt"};
constexpr Choice kInterruptModes[] = {
    {.text = "no_irq", .number = 0, .doc = "The guest gets no interrupts.", .aliases = kNoIrqAliases},
    {.text = "emulated",
     .number = 1,
     .doc = "The guest sees an emulated interrupt controller.",
     .aliases = kEmulatedAliases},
    {.text = "passthrough",
     .number = 2,
     .doc = "Interrupts of devices that belong to the VM reach it as directly as the machine allows.",
     .aliases = kPassthroughAliases},
};

constexpr Choice kAddressSpacePolicies[] = {
    {.text = "virtualized", .doc = "The guest reaches its memory and devices, and nothing else."},
    {.text = "passthrough",
     .doc = "Everything that is not emulated is mapped one to one.",
     .not_built = "a guest never gets the whole address space; list ranges in passthrough_addresses"},
};

constexpr Column kPassthroughColumns[] = {
    {.name = "name", .type = Type::String, .doc = "device-tree path, or a free name for a range"},
    {.name = "base_gpa", .unit = Unit::Address, .required = false, .doc = "where the guest sees it"},
    {.name = "base_hpa", .unit = Unit::Address, .required = false, .doc = "where the machine has it"},
    {.name = "length", .unit = Unit::Bytes, .required = false, .doc = "bytes"},
    {.name = "irq",
     .required = false,
     .max = 0xffff'ffff,
     .doc = "the machine's interrupt, 0 = none (Arm: INTID; x86: global system interrupt, which is also the guest's)"},
};

constexpr Column kRangeColumns[] = {
    {.name = "base", .unit = Unit::Address, .doc = "guest and host address"},
    {.name = "length", .unit = Unit::Bytes, .doc = "bytes"},
};

constexpr Column kPortColumns[] = {
    {.name = "base", .unit = Unit::Address, .max = 0xffff, .doc = "first port"},
    {.name = "length", .max = 0x1'0000, .doc = "number of ports"},
};

constexpr string_view kNoVirtio = "virtio devices are not built yet";
constexpr Choice kEmulatedTypes[] = {
    {.text = "dummy", .number = 0x0, .doc = "Placeholder.", .not_built = "a dummy device does nothing"},
    {.text = "interrupt-controller",
     .number = 0x1,
     .doc = "The platform's interrupt controller (Arm: GIC distributor; x86: I/O APIC)."},
    {.text = "console", .number = 0x2, .doc = "Serial console (Arm: PL011; x86: 16550 at port 0x3f8)."},
    {.text = "fw-cfg", .number = 0x3, .doc = "Firmware configuration.", .not_built = "FwCfg is not built yet"},
    {.text = "ivc-channel",
     .number = 0xa,
     .doc = "Channel between VMs.",
     .not_built = "IVC channels are not built yet"},
    {.text = "gic-redistributor", .number = 0x20, .doc = "GICv3 redistributors; arguments: count, stride, first CPU."},
    {.text = "gic-distributor", .number = 0x21, .doc = "GICv3 distributor."},
    {.text = "gic-its", .number = 0x22, .doc = "GICv3 ITS.", .not_built = "the ITS is not built yet"},
    {.text = "x86-io-apic", .number = 0x23, .doc = "I/O APIC, at 0xfec0_0000."},
    {.text = "x86-pit", .number = 0x24, .doc = "8254 timer, at port 0x40."},
    {.text = "loongarch-pch-pic", .number = 0x25, .doc = "PCH-PIC.", .not_built = "LoongArch is not supported"},
    {.text = "riscv-plic", .number = 0x30, .doc = "PLIC.", .not_built = "the hypervisor does not run on riscv64"},
    {.text = "virtio-blk", .number = 0xe1, .doc = "Block device.", .not_built = kNoVirtio},
    {.text = "virtio-net", .number = 0xe2, .doc = "Network card.", .not_built = kNoVirtio},
    {.text = "virtio-console", .number = 0xe3, .doc = "Console.", .not_built = kNoVirtio},
};

constexpr Column kEmulatedColumns[] = {
    {.name = "name", .type = Type::String, .doc = "free name for the report"},
    {.name = "base_gpa", .unit = Unit::Address, .doc = "where the guest sees it"},
    {.name = "length", .unit = Unit::Bytes, .doc = "bytes"},
    {.name = "irq", .max = 0xffff'ffff, .doc = "guest interrupt number, 0 = none"},
    {.name = "type", .unit = Unit::Flags, .choices = kEmulatedTypes, .doc = "kind of device"},
    {.name = "config", .type = Type::IntegerList, .required = false, .doc = "arguments of that kind"},
};

constexpr Key kDeviceKeys[] = {
    {.name = "interrupt_mode",
     .type = Type::String,
     .doc = "How interrupts reach the guest.",
     .default_value = "no_irq",
     .choices = kInterruptModes},
    {.name = "passthrough_devices",
     .type = Type::Rows,
     .doc = "Devices of the machine that belong to this VM: [\"/device/tree/path\"] or a range. \"/\" stands for "
            "everything that no "
            "VM names; the first VM with it wins.",
     .default_value = "[]",
     .columns = kPassthroughColumns},
    {.name = "passthrough_addresses",
     .type = Type::Rows,
     .doc = "Address ranges that are passed through one to one.",
     .default_value = "[]",
     .columns = kRangeColumns},
    {.name = "passthrough_ports",
     .type = Type::Rows,
     .doc = "I/O ports that are passed through. x86 only.",
     .default_value = "[]",
     .columns = kPortColumns,
     .origin = Origin::AxVisorNewer},
    {.name = "passthrough_pci",
     .type = Type::StringList,
     .doc = "PCI functions of the machine that belong to this VM, as \"0000:00:03.0\", all behind one host bridge. Their configuration "
            "space is mediated.",
     .default_value = "[]",
     .origin = Origin::Ours},
    {.name = "allow_unprotected_dma",
     .type = Type::Boolean,
     .doc = "Whether the VM may have devices that write to memory by themselves although no IOMMU confines them: such a guest can "
            "overwrite everything. Its memory must be identical or reserved. Without it, \"/\" leaves such devices out.",
     .default_value = "false",
     .origin = Origin::Ours},
    {.name = "excluded_devices",
     .type = Type::PathLists,
     .doc = "Device-tree paths that the guest must not see, although a path in passthrough_devices covers them.",
     .default_value = "[]"},
    {.name = "emu_devices",
     .type = Type::Rows,
     .doc = "Devices that the hypervisor emulates, besides those that every VM gets.",
     .default_value = "[]",
     .columns = kEmulatedColumns},
    {.name = "address_space_policy",
     .type = Type::String,
     .doc = "What the guest sees where nothing is mapped.",
     .default_value = "virtualized",
     .choices = kAddressSpacePolicies,
     .origin = Origin::AxVisorNewer},
};

constexpr Key kVmTopKeys[] = {kSchemaKey};

constexpr Section kVmSections[] = {
    {"", "The file as a whole.", kVmTopKeys},
    {"base", "Identity and CPUs.", kBaseKeys, true},
    {"kernel", "Memory and images.", kKernelKeys, true},
    {"devices", "Devices and interrupts.", kDeviceKeys},
};

}  // namespace

constexpr FileSchema kDefconfigSchema{"defconfig", "Defaults", "configs/defconfig.toml", "Defaults for every board.",
                                      kDefconfigSections};
constexpr FileSchema kBoardSchema{"board", "Board", "configs/board/*.toml",
                                  "A board: the machine that the hypervisor is built for, and the VMs that it starts.",
                                  kBoardSections};
constexpr FileSchema kPlatformSchema{"platform", "Platform", "platforms/NAME/platform.toml",
                                     "A machine family that is not built in.", kPlatformSections};
constexpr FileSchema kVmSchema{"vm", "Virtual machine", "configs/vms/*.toml",
                               "A virtual machine: its CPUs, memory, images and devices.", kVmSections};

const Section* FileSchema::find(std::string_view section) const {
  const auto it = std::ranges::find(sections, section, &Section::name);
  return it == sections.end() ? nullptr : &*it;
}

const Key* FileSchema::find_key(std::string_view path) const {
  const usize dot = path.find('.');
  const Section* section = find(dot == std::string_view::npos ? "" : path.substr(0, dot));
  if (section == nullptr) return nullptr;
  const std::string_view name = dot == std::string_view::npos ? path : path.substr(dot + 1);
  const auto it = std::ranges::find(section->keys, name, &Key::name);
  return it == section->keys.end() ? nullptr : &*it;
}

std::span<const FileSchema* const> all_schemas() {
  static constexpr const FileSchema* kAll[] = {&kDefconfigSchema, &kBoardSchema, &kPlatformSchema, &kVmSchema};
  return kAll;
}

}  // namespace ax::config
