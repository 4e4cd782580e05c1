// How the machine's disk is found: one implementation per kind of bus.
#pragma once

#include "kernel/drivers/virtio.hpp"

namespace ax::uni {

/// The first virtio disk of the machine, its registers mapped; nullptr: there is none. Boot CPU, once.
drivers::VirtioTransport* find_disk();

/// That disk's interrupt calls `handler`, interrupts masked. Before the disk is started. Errors: its interrupt cannot be had, and it
/// has to be asked.
Result<void> attach_disk(void (*handler)());

}  // namespace ax::uni
