// An interrupt line that counts its rises.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "hypervisor/device/wires.hpp"

namespace hv {

class RecordingLine final : public InterruptLine {
 public:
  void set(bool value) override {
    EXPECT_NE(value, asserted) << "reported without a change";
    asserted = value;
    rises += value ? 1 : 0;
  }
  unsigned take_rises() { return std::exchange(rises, 0); }

  bool asserted = false;
  unsigned rises = 0;
};

}  // namespace hv
