// Which nodes of the host's device tree a VM gets, and the registers and interrupts that come with them. Plain logic.
#pragma once

#include <span>
#include <string_view>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/bitmap.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

/// What the selection remembers of one host node. The caller provides one per node of the host's tree.
struct NodeRecord {
  u32 offset = 0;   ///< of the node in its tree
  u32 phandle = 0;  ///< 0 = none
  u16 parent = 0;   ///< index of its record; the root is its own parent
  u16 flags = 0;
};

/// INTIDs below this exist on a GIC without extended ranges.
inline constexpr usize kInterruptLimit = 1020;

/// What has to be mapped and routed for the selected devices; GPA = HPA and guest INTID = host INTID.
struct PassthroughResources {
  static constexpr usize kMaxRanges = 512;
  StaticVector<HpaRange, kMaxRanges> mmio{};    ///< device registers; sorted, disjoint, to the byte
  StaticVector<HpaRange, 32> memory{};          ///< reserved RAM of the devices (`memory-region`), normal memory
  StaticVector<Hpa, 64> virtio{};               ///< registers of virtio devices among them, which must be reset to be quiet
  Bitmap<kInterruptLimit> interrupts{};         ///< SPIs
  Bitmap<kInterruptLimit> edge_triggered{};     ///< the SPIs among them that are edge-triggered
};

/// Something the user should know: a literal, and the path it is about.
struct SelectionNote {
  std::string_view what{};
  std::string_view path{};
};

/// The result of select_devices().
struct DeviceSelection {
  const fdt::Fdt* host = nullptr;
  std::span<const NodeRecord> nodes{};  ///< in document order
  usize gic = 0;                        ///< index of the interrupt controller's record; 0 = none
  u32 gic_phandle = 0;                  ///< the host's, or one that is free in its tree
  u32 free_phandle = 0;                 ///< this and all above it are unused in the host's tree
  PassthroughResources resources{};
  StaticVector<SelectionNote, 16> notes{};

  /// Whether node `index` belongs into the guest's tree: a selected device, what it refers to, or an ancestor.
  bool includes(usize index) const;
  /// Index of the node with that phandle; the number of nodes when there is none.
  usize find_phandle(u32 phandle) const;
  /// Whether `property` of node `index` refers to a node that the guest's tree does not have, so that it must be left out.
  bool dangles(usize index, const fdt::Property& property) const;
};

/// What is not free any more.
struct OtherOwners {
  std::span<const std::string_view> paths{};  ///< devices that other VMs' configurations name
  std::span<const HpaRange> pages{};          ///< registers that other VMs have already
};

/// Decides what `config` gets of `host`, the tree that `machine` was discovered from.
///
/// A device is named by path and comes with its descendants; "/" means everything that is enabled. What others name (with its
/// descendants) is never given, nor is a device with registers on a page that another VM has; the wildcard leaves out what
/// shares a page with a device that others name, too. Whatever the devices refer to by phandle comes along, then their ancestors. Never given away: CPUs, RAM, interrupt controllers, timers, PSCI, the console, IOMMUs, PCI host bridges, nodes
/// with per-CPU interrupts, and every device that shares a page with the console, the interrupt controller or RAM; an
/// excluded node (with its descendants) is not given even when a device refers to it. Properties that would refer to
/// something left out are dropped when the tree is written.
///
/// A device that does DMA (bus_masters.hpp; whatever has `iommus`, `dma-coherent` or `#dma-cells`) is given only where the
/// configuration allows it: the wildcard and references leave it out, and to name it is an error.
///
/// `scratch` holds the records and must live as long as `selection`. Errors: OutOfMemory (scratch or resource lists too
/// small), PermissionDenied (the last note says why). Names that are not found, or are the host's, are notes.
Result<void> select_devices(const fdt::Fdt& host, const MachineInfo& machine, const VmConfig& config,
                            const OtherOwners& others, std::span<NodeRecord> scratch, DeviceSelection& selection);

}  // namespace hv
