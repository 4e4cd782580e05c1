// What an emulated device is connected to: its interrupt line and the other end of its serial cable.
#pragma once

namespace hv {

/// Where the characters that a guest transmits go.
class ConsoleSink {
 public:
  virtual void put(char character) = 0;

 protected:
  ~ConsoleSink() = default;
};

/// The wire from a device to the interrupt controller. Called on changes only.
class InterruptLine {
 public:
  virtual void set(bool asserted) = 0;

 protected:
  ~InterruptLine() = default;
};

}  // namespace hv
