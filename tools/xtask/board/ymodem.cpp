#include "tools/xtask/board/ymodem.hpp"

#include <algorithm>
#include <utility>

namespace ax::xtask {
namespace {

constexpr char kShortBlock = 0x01;  // SOH, 128 bytes
constexpr char kLongBlock = 0x02;   // STX, 1024 bytes
constexpr char kEndOfFile = 0x04;   // EOT
constexpr char kAck = 0x06;
constexpr char kNak = 0x15;
constexpr char kCancel = 0x18;
constexpr char kWantCrc = 'C';
constexpr char kFiller = 0x1a;
constexpr size_t kShort = 128;
constexpr size_t kLong = 1024;
constexpr int kRepeats = 10;

}  // namespace

std::uint16_t ymodem_crc(std::string_view data) {
  constexpr std::uint16_t kPolynomial = 0x1021;
  std::uint16_t crc = 0;
  for (const char c : data) {
    crc = static_cast<std::uint16_t>(crc ^ static_cast<unsigned char>(c) << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? crc << 1 ^ kPolynomial : crc << 1);
    }
  }
  return crc;
}

YmodemSender::YmodemSender(std::string name, std::string_view content) : name_(std::move(name)), content_(content) {}

std::string YmodemSender::packet(std::uint8_t number, std::string_view data, char filler) const {
  const size_t size = data.size() > kShort ? kLong : kShort;
  std::string body(data);
  body.resize(size, filler);
  const std::uint16_t crc = ymodem_crc(body);
  std::string result{size == kLong ? kLongBlock : kShortBlock, static_cast<char>(number), static_cast<char>(~number)};
  result += body;
  result += static_cast<char>(crc >> 8);
  result += static_cast<char>(crc & 0xff);
  return result;
}

std::string YmodemSender::name_packet() const {
  return packet(0, name_ + '\0' + std::to_string(content_.size()) + '\0', '\0');
}

void YmodemSender::fail(std::string reason) {
  state_ = State::Failed;
  failure_ = std::move(reason);
}

/// The packet after everything that is acknowledged.
std::string YmodemSender::next() {
  if (position_ < content_.size()) {
    phase_ = Phase::Data;
    const std::string_view block = content_.substr(position_, kLong);
    in_flight_ = block.size();
    return last_ = packet(++number_, block, kFiller);
  }
  phase_ = Phase::End;
  in_flight_ = 0;
  return last_ = std::string(1, kEndOfFile);
}

std::string YmodemSender::on_acknowledge() {
  repeats_ = 0;
  switch (phase_) {
    case Phase::Start: return {};
    case Phase::Name: phase_ = Phase::FirstData; return {};  // a C follows
    case Phase::FirstData: return {};
    case Phase::Data: position_ += in_flight_; return next();
    // Another C asks for the next file: an empty name says that there is none.
    case Phase::End: phase_ = Phase::Close; return last_ = {};
    case Phase::Close:
      // U-Boot acknowledges the end of the file twice before it asks for the next.
      state_ = last_.empty() ? State::Running : State::Done;
      return {};
  }
  return {};
}

std::string YmodemSender::receive(std::string_view bytes) {
  std::string answer;
  for (const char c : bytes) {
    if (state_ != State::Running) {
      break;
    }
    cancels_ = c == kCancel ? cancels_ + 1 : 0;
    if (cancels_ == 2) {
      fail("the board cancelled the transfer");
    } else if (c == kAck) {
      answer += on_acknowledge();
    } else if (c == kNak && phase_ != Phase::Start) {
      answer += repeat();
    } else if (c == kWantCrc && phase_ == Phase::Start) {
      phase_ = Phase::Name;
      answer += last_ = name_packet();
    } else if (c == kWantCrc && phase_ == Phase::FirstData) {
      answer += next();
    } else if (c == kWantCrc && phase_ == Phase::Close && last_.empty()) {
      answer += last_ = packet(0, {}, '\0');
    }
  }
  return answer;
}

std::chrono::milliseconds YmodemSender::patience() const {
  // U-Boot acknowledges the name without asking for data, as other receivers do.
  const bool optional = phase_ == Phase::FirstData || (phase_ == Phase::Close && last_.empty());
  return std::chrono::milliseconds(optional ? 300 : 3000);
}

std::string YmodemSender::repeat() {
  if (phase_ == Phase::FirstData) {
    return next();
  }
  if (phase_ == Phase::Close && last_.empty()) {
    state_ = State::Done;  // some receivers end with the file and ask for no other
    return {};
  }
  if (++repeats_ > kRepeats) {
    fail(phase_ == Phase::Start ? "the board does not ask for the file" : "the board does not acknowledge");
    return {};
  }
  return last_;
}

}  // namespace ax::xtask
