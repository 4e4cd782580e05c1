// YMODEM with 1 KiB blocks: a file over a serial line, for boards without a network (U-Boot's loady).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

/// CRC-16/XMODEM: polynomial 0x1021, from 0.
std::uint16_t ymodem_crc(std::string_view data);

/// The sender as a state machine: what the receiver sent goes in, what it shall get comes out.
class YmodemSender {
 public:
  enum class State : std::uint8_t { Running, Done, Failed };

  YmodemSender(std::string name, std::string_view content);

  /// Takes bytes of the receiver; returns bytes to send. Bytes without a meaning, a console's text, are skipped.
  std::string receive(std::string_view bytes);
  /// How long to wait for the receiver before repeat().
  std::chrono::milliseconds patience() const;
  /// Nothing came for that long: what to send again, or nothing after too many times (then failed).
  std::string repeat();

  State state() const { return state_; }
  size_t acknowledged() const { return position_; }
  const std::string& failure() const { return failure_; }

 private:
  enum class Phase : std::uint8_t { Start, Name, FirstData, Data, End, Close };

  std::string packet(std::uint8_t number, std::string_view data, char filler) const;
  std::string name_packet() const;
  std::string next();
  std::string on_acknowledge();
  void fail(std::string reason);

  std::string name_;
  std::string_view content_;
  Phase phase_ = Phase::Start;
  State state_ = State::Running;
  std::string last_;
  std::uint8_t number_ = 0;
  size_t position_ = 0;    ///< acknowledged bytes
  size_t in_flight_ = 0;   ///< bytes of the block that awaits its acknowledgement
  int repeats_ = 0;
  int cancels_ = 0;
  std::string failure_;
};

}  // namespace ax::xtask
