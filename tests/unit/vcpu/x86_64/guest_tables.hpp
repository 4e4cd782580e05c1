// A guest with RAM and page tables that a test writes entry by entry.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"
#include "tests/unit/mm/fake_ram.hpp"

namespace hv::test {

inline constexpr u64 kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80, kNx = u64{1} << 63;
inline constexpr u64 kRamSize = 2_MiB;

class GuestTables : public ::testing::Test {
 protected:
  GuestTables() { EXPECT_TRUE(memory.add({Gpa(0), kRamSize}, ram.at(0))); }

  template <class T = u64>
  void put(u64 at, T value) {
    std::memcpy(reinterpret_cast<void*>(ram.at(at).value()), &value, sizeof value);
  }
  template <class T = u64>
  T get(u64 at) const {
    T value;
    std::memcpy(&value, reinterpret_cast<const void*>(ram.at(at).value()), sizeof value);
    return value;
  }

  void use_long_mode() {
    state = {
        .cr0 = 0x8001'0001, .cr3 = 0x1000, .cr4 = 0x20, .efer = 0xd00, .privilege = 0, .physical_address_bits = 40};
  }
  /// Four levels at 0x1000, 0x2000, 0x3000, 0x4000 that map `linear` to `page`.
  void map(u64 linear, u64 page, u64 flags = kP | kW) {
    put(0x1000 + (linear >> 39 & 511) * 8, 0x2000 | kP | kW | kU);
    put(0x2000 + (linear >> 30 & 511) * 8, 0x3000 | kP | kW | kU);
    put(0x3000 + (linear >> 21 & 511) * 8, 0x4000 | kP | kW | kU);
    put(leaf(linear), page | flags);
  }
  static u64 leaf(u64 linear) { return 0x4000 + (linear >> 12 & 511) * 8; }

  ax::mm::FakeRam ram{kRamSize, 2_MiB};
  GuestMemory memory;
  PagingState state;
};

}  // namespace hv::test
