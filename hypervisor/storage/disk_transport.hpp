// How the machine's virtio disks are reached.
#pragma once

#if defined(__aarch64__)
#include "kernel/drivers/virtio_mmio.hpp"
namespace hv {
using DiskTransport = ax::drivers::VirtioMmio;
}
#else
#include "kernel/drivers/virtio_pci.hpp"
namespace hv {
using DiskTransport = ax::drivers::VirtioPci;
}
#endif
