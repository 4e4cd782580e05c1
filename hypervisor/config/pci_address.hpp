// A PCI function as people write it: "0000:00:03.0".
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// As many as one VM can have.
inline constexpr unsigned kMaxPciFunctions = 8;

/// Segment (domain), bus, device, function.
struct PciAddress {
  u16 segment = 0;
  u8 bus = 0;
  u8 device = 0;    ///< 0..31
  u8 function = 0;  ///< 0..7
  friend constexpr bool operator==(const PciAddress&, const PciAddress&) = default;
};

/// "SSSS:BB:DD.F", or without the segment, in hexadecimal. Nothing for any other text.
constexpr std::optional<PciAddress> parse_pci_address(std::string_view text) {
  const auto take = [&text](usize digits, u32 limit) -> std::optional<u32> {
    if (text.size() < digits) return std::nullopt;
    u32 value = 0;
    for (usize i = 0; i < digits; ++i) {
      const char c = text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
      const bool letter = c >= 'a' && c <= 'f';
      if (!letter && (c < '0' || c > '9')) return std::nullopt;
      value = value * 16 + static_cast<u32>(letter ? c - 'a' + 10 : c - '0');
    }
    text.remove_prefix(digits);
    return value < limit ? std::optional(value) : std::nullopt;
  };
  const auto skip = [&text](char c) {
    const bool there = text.starts_with(c);
    if (there) text.remove_prefix(1);
    return there;
  };
  constexpr usize kWithSegment = sizeof("0000:00:00.0") - 1;
  u32 segment = 0;
  if (text.size() == kWithSegment) {
    const auto digits = take(4, 0x1'0000);
    if (!digits || !skip(':')) return std::nullopt;
    segment = *digits;
  }
  const auto bus = take(2, 0x100);
  const bool colon = skip(':');
  const auto device = take(2, 0x20);
  const bool point = skip('.');
  const auto function = take(1, 8);
  if (!bus || !colon || !device || !point || !function || !text.empty()) return std::nullopt;
  return PciAddress{static_cast<u16>(segment), static_cast<u8>(*bus), static_cast<u8>(*device), static_cast<u8>(*function)};
}

}  // namespace hv
