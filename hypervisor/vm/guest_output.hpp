// What a guest's serial port sends to: the machine's one console, under the guest's name.
#pragma once

#include <atomic>

#include "hypervisor/console/guest_console.hpp"
#include "hypervisor/device/wires.hpp"

namespace hv {

/// Any CPU, any context.
class GuestOutput final : public ConsoleSink {
 public:
  /// `name` and `history` must outlive it.
  GuestOutput(GuestConsole& console, std::string_view name, OutputHistory* history) : console_(console), stream_(name, history) {}

  void put(char c) override {
    unshown_.store(c != '\n', std::memory_order_relaxed);
    console_.put(stream_, c);
  }
  /// Shows an unfinished line. Cheap when there is none.
  void flush() {
    if (unshown_.exchange(false, std::memory_order_relaxed)) console_.flush(stream_);
  }
  /// Nothing is attributed to the guest any more.
  void close() { console_.close(stream_); }

 private:
  GuestConsole& console_;
  ConsoleMux::Stream stream_;
  std::atomic<bool> unshown_{false};
};

}  // namespace hv
