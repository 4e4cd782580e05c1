// The numbers of the flattened device tree format that reader and writer share (Devicetree Specification v0.4, chapter 5).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::fdt {

inline constexpr u32 kMagic = 0xd00dfeed;
inline constexpr u32 kVersion = 17;
inline constexpr u32 kLastCompatibleVersion = 16;

/// Byte offsets of the header's big-endian 32-bit fields.
enum HeaderField : u32 {
  kHeaderMagic = 0,
  kHeaderTotalSize = 4,
  kHeaderStructureOffset = 8,
  kHeaderStringsOffset = 12,
  kHeaderReservationsOffset = 16,
  kHeaderVersion = 20,
  kHeaderLastCompatibleVersion = 24,
  kHeaderBootCpu = 28,
  kHeaderStringsSize = 32,
  kHeaderStructureSize = 36,
};
inline constexpr u32 kHeaderSize = 40;

enum StructureToken : u32 {
  kTokenBeginNode = 1,
  kTokenEndNode = 2,
  kTokenProperty = 3,
  kTokenNop = 4,
  kTokenEnd = 9,
};
inline constexpr u32 kTokenSize = 4;
/// A property token, its length and the offset of its name.
inline constexpr u32 kPropertyHeaderSize = 12;
/// A reservation: 64-bit address and size.
inline constexpr u32 kReservationSize = 16;
inline constexpr u32 kReservationAlignment = 8;

/// GIC interrupt specifiers: `<type number flags>`.
inline constexpr u32 kGicCells = 3;
inline constexpr u32 kGicSpi = 0;
inline constexpr u32 kGicPpi = 1;
inline constexpr u32 kGicFirstPpi = 16;
inline constexpr u32 kGicFirstSpi = 32;
inline constexpr u32 kGicPpiCount = 16;
inline constexpr u32 kGicSpiCount = 988;
inline constexpr u32 kTriggerEdgeMask = 0x3;   ///< rising 1, falling 2
inline constexpr u32 kTriggerEdgeRising = 0x1;
inline constexpr u32 kTriggerLevelHigh = 0x4;
inline constexpr u32 kTriggerLevelLow = 0x8;

}  // namespace ax::fdt
