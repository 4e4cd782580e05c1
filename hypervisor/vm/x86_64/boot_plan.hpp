// How an x86 guest begins: what lies in its memory, and the state of its first vCPU. One loader per kernel format.
#pragma once

#include <expected>
#include <span>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/vcpu/x86_64/start_state.hpp"
#include "hypervisor/vm/boot_layout.hpp"
#include "kernel/base/static_vector.hpp"

namespace hv {

/// Bytes that go into the guest's memory.
struct BootPiece {
  Gpa to{};
  std::span<const std::byte> bytes{};
};

/// Segments of an ELF file, a RAM disk, a BIOS, the boot area and the BIOS data area.
inline constexpr usize kMaxElfSegments = 16;
inline constexpr usize kMaxBootPieces = kMaxElfSegments + 4;

struct BootPlan {
  StaticVector<BootPiece, kMaxBootPieces> pieces{};  ///< do not overlap; all other RAM is zero
  StartState start{};                                ///< of vCPU 0; the others wait for a start-up IPI
};

/// Where the structures of all boot protocols go, each at its place: low memory that no kernel is linked at. The
/// loaders build it in `BootRequest::scratch`.
namespace boot_area {
inline constexpr Gpa kBase{0x1'0000};
inline constexpr usize kInformation = 0;  ///< boot_params, hvm_start_info or multiboot_info with its tables
inline constexpr usize kGdt = 0x1000;
inline constexpr usize kPageTables = 0x2000;  ///< PML4, page directory pointers, four page directories
inline constexpr usize kCommandLine = 0x8000;
inline constexpr usize kSize = 0xa000;
inline constexpr usize kMaxCommandLine = kSize - kCommandLine - 1;
inline constexpr usize kScratchSize = kSize + sizeof(u16);  ///< the rest is the word at kBiosBaseMemory
}  // namespace boot_area

struct BootRequest {
  const VmConfig& config;
  std::span<const GpaRange> ram;  ///< the VM's memory at its final addresses, sorted
  std::span<const std::byte> kernel;
  std::span<const std::byte> ramdisk{};  ///< empty: none
  std::span<const std::byte> bios{};     ///< empty: none
  Gpa rsdp{};                            ///< ACPI tables; 0: none
  std::span<std::byte> scratch;          ///< boot_area::kScratchSize bytes of zeros; outlives the plan
};

/// In the BIOS data area, 16 bits: KiB of RAM from address 0 on. Kernels that place something in low memory look there.
inline constexpr Gpa kBiosBaseMemory{0x413};

/// Decides everything. Images may be damaged or hostile: an image that cannot be started is an error with a text for
/// the user, as the end of the sentence "VM x: ...". The pieces refer to the images and to `scratch`.
std::expected<BootPlan, LayoutError> plan_x86_boot(const BootRequest& request);

}  // namespace hv
