// The part of QEMU's firmware configuration device that says how large the machine is.
#pragma once

#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// Small systems and test suites for QEMU's PCs ask it how many CPUs to wait for and how much RAM there is, without a look
/// at its signature. Offers these items through the selector and data ports (QEMU docs/specs/fw_cfg), no files and no
/// DMA; other items, and what is behind the end of one, read as zeros. Context: under the VM's device lock.
class VFirmwareConfig {
 public:
  static constexpr u16 kPort = 0x510;  ///< the selector, 16 bits; one byte of data at the next port
  static constexpr unsigned kPorts = 2;

  /// `ram` in bytes.
  VFirmwareConfig(u64 ram, unsigned vcpus) : ram_(ram), vcpus_(vcpus) {}

  void power_on() { select(0); }
  void select(u16 item);
  u8 read_data();

 private:
  u64 ram_;
  unsigned vcpus_;
  u64 left_ = 0;  ///< of the selected item, its next byte lowest
};

}  // namespace hv
