// A PcHost that remembers what the machine asked for.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

class RecordingHost final : public PcHost {
 public:
  u64 now() override { return time; }
  void deadline_changed(unsigned vcpu) override { deadline_changes |= 1u << vcpu; }
  void board_deadline_changed(u64 deadline) override {
    board_deadline = deadline;
    deadline_changed(0);
  }
  void kick(unsigned vcpu) override { kicked |= 1u << vcpu; }
  void nmi(unsigned vcpu) override { ++nmis.at(vcpu); }
  void init(unsigned vcpu) override { events += "init" + std::to_string(vcpu) + " "; }
  void start(unsigned vcpu, u8 vector) override {
    events += "start" + std::to_string(vcpu) + ":" + std::to_string(vector) + " ";
  }
  void console_output(char character) override { output += character; }
  void power_off() override { events += "off "; }
  void reset() override { events += "reset "; }
  void debug_exit(u32 code) override { events += "exit:" + std::to_string(code) + " "; }
  void line_ended(u32 gsi) override { events += "eoi" + std::to_string(gsi) + " "; }

  u32 take_kicks() { return std::exchange(kicked, 0); }
  std::string take_events() { return std::exchange(events, {}); }

  u64 time = 0;
  u32 kicked = 0;
  u32 deadline_changes = 0;
  u64 board_deadline = kNoDeadline;
  std::array<unsigned, kMaxPcVcpus> nmis{};
  std::string events;
  std::string output;
};

}  // namespace hv
