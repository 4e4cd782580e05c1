#include "hypervisor/console/console.hpp"

#include <utility>

namespace hv {
namespace {

// Terminals act on these; anything else below space would only confuse a log.
constexpr bool is_passed_through(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x20 || c == '\t' || c == '\b' || c == '\a' || c == '\x1b';
}

}  // namespace

void ConsoleMux::begin_guest_line(const Stream& stream) {
  if (&stream == &input_) return;
  device_.write("[");
  device_.write(stream.name_);
  device_.write("] ");
}

void ConsoleMux::take_over(Stream* stream) {
  if (open_ == stream) return;
  if (open_ != nullptr) device_.write("\n");
  open_ = stream;
  if (stream != nullptr) begin_guest_line(*stream);
}

void ConsoleMux::write_host(std::string_view text) {
  take_over(nullptr);
  device_.write(text);
}

void ConsoleMux::show_input(std::string_view whole, std::string_view more) {
  const bool interrupted = open_ != &input_;
  take_over(&input_);
  device_.write(interrupted ? whole : more);
}

void ConsoleMux::put_guest(Stream& stream, char c) {
  if (c == '\r') {
    stream.return_pending_ = true;
    return;
  }
  const bool returned = std::exchange(stream.return_pending_, false);
  if (stream.history_ != nullptr && (c == '\n' || is_passed_through(c))) stream.history_->put(c);
  if (c == '\n') {
    flush(stream);
    take_over(&stream);
    device_.write("\n");
    open_ = nullptr;
    return;
  }
  if (!is_passed_through(c)) return;
  if (returned) {
    flush(stream);
    if (open_ == &stream) {
      device_.write("\r");
      begin_guest_line(stream);
    }
  }
  if (open_ == &stream) return device_.write({&c, 1});
  if (stream.line_.full()) flush(stream);
  static_cast<void>(stream.line_.push_back(c));
}

void ConsoleMux::flush(Stream& stream) {
  if (stream.line_.empty()) return;
  take_over(&stream);
  device_.write({stream.line_.begin(), stream.line_.size()});
  stream.line_.clear();
}

void ConsoleMux::close(Stream& stream) {
  flush(stream);
  if (open_ == &stream) take_over(nullptr);
  stream.return_pending_ = false;
}

}  // namespace hv
