// Where the partitions of a disk are: GPT (UEFI 2.10, chapter 5) and MBR.
#pragma once

#include "kernel/base/static_vector.hpp"
#include "kernel/block/device.hpp"

namespace ax::block {

inline constexpr usize kMaxPartitions = 16;

/// [first, first + sectors) lies inside the disk.
struct PartitionRange {
  u32 number = 0;  ///< from 1 on: its place in the table
  u64 first = 0;
  u64 sectors = 0;
};
using PartitionTable = StaticVector<PartitionRange, kMaxPartitions>;

/// The partitions of `disk`, at most kMaxPartitions; none if it has no table. A GPT is believed if its checksums are right,
/// the one at the disk's end if the first is not. Of an MBR, the primary and the logical partitions are listed. Entries that do
/// not lie inside the disk are left out. Errors: those of Device::read(), Malformed (a protective MBR without a GPT).
Result<PartitionTable> read_partitions(Device& disk);

}  // namespace ax::block
