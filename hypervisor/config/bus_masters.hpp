// Which nodes of a device tree can write to memory by themselves. A tree does not say so: names and models do.
#pragma once

#include <algorithm>
#include <string_view>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Generic names (Devicetree Specification 2.2.2), and those that device trees use in their place.
inline constexpr std::string_view kBusMasterNames[] = {
    "crypto", "dma",  "dma-controller", "dma-apbh", "ethernet", "gpu",         "isp", "mmc",  "nvme", "pci",
    "pcie",   "sata", "sdhci",          "ufs",      "usb",      "video-codec", "vpu", "vop",  "virtio_mmio",
};

/// Models (`compatible`) whose nodes have other names.
inline constexpr std::string_view kBusMasterModels[] = {
    "virtio,mmio", "arm,pl330", "arm,pl080", "arm,pl081", "arm,pl111", "snps,dwmac", "snps,dwc2", "snps,dwc3",
    "generic-ahci", "generic-ehci", "generic-ohci", "generic-xhci", "qemu,fw-cfg-mmio",
};

/// Whether the last node of `path` is called like a device that does DMA. The unit address does not count.
constexpr bool is_bus_master_name(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.find('@'));
  return std::ranges::find(kBusMasterNames, name) != std::end(kBusMasterNames);
}

}  // namespace hv
