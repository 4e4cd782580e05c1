#include "hypervisor/console/console.hpp"

namespace hv {
namespace {

// Terminals act on these; anything else below space would only confuse a log.
constexpr bool is_passed_through(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x20 || c == '\t' || c == '\b' || c == '\a' || c == '\x1b';
}

}  // namespace

void ConsoleMux::begin_guest_line(const Stream& stream) {
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

void ConsoleMux::put_guest(Stream& stream, char c) {
  if (c == '\n') {
    take_over(&stream);
    device_.write("\n");
    open_ = nullptr;
    stream.return_pending_ = false;
    return;
  }
  if (c == '\r') {
    stream.return_pending_ = true;
    return;
  }
  if (!is_passed_through(c)) return;
  const bool return_first = stream.return_pending_ && open_ == &stream;
  stream.return_pending_ = false;
  take_over(&stream);
  if (return_first) {
    device_.write("\r");
    begin_guest_line(stream);
  }
  device_.write({&c, 1});
}

void ConsoleMux::close(Stream& stream) {
  if (open_ == &stream) take_over(nullptr);
  stream.return_pending_ = false;
}

}  // namespace hv
