// A bus of registers that remember what was written, plus what a test adds to them.
#pragma once

#include <arch/mmio.hpp>
#include <functional>
#include <map>
#include <vector>

namespace ax::test {

struct Access {
  u64 address = 0;
  unsigned bytes = 0;
  u64 value = 0;
  friend bool operator==(const Access&, const Access&) = default;
};

class FakeBus : public arch::fake::Bus {
 public:
  FakeBus() { arch::fake::bus = this; }
  ~FakeBus() override { arch::fake::bus = nullptr; }

  u64 read(u64 address, unsigned bytes) override {
    reads.push_back({address, bytes, 0});
    if (const auto hook = on_read.find(address); hook != on_read.end()) return hook->second();
    const auto found = values.find(address);
    return found == values.end() ? 0 : found->second;
  }
  void write(u64 address, unsigned bytes, u64 value) override {
    writes.push_back({address, bytes, value});
    values[address] = value;
  }

  /// Values written to `address`, in order.
  std::vector<u64> written(u64 address) const {
    std::vector<u64> result;
    for (const Access& access : writes) {
      if (access.address == address) result.push_back(access.value);
    }
    return result;
  }
  /// Position of the first write to `address`, or the number of writes.
  usize first_write(u64 address) const {
    for (usize i = 0; i < writes.size(); ++i) {
      if (writes[i].address == address) return i;
    }
    return writes.size();
  }

  std::map<u64, u64> values;                           ///< what reads return
  std::map<u64, std::function<u64()>> on_read;         ///< for registers that change by themselves
  std::vector<Access> reads;
  std::vector<Access> writes;
};

}  // namespace ax::test
