#include "unikernel/core/program.hpp"

#include <atomic>

#include "kernel/drivers/uart.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace ax::uni {
namespace {

constinit std::atomic<void (*)(bool)> end_hook{nullptr};

}  // namespace

void set_end_hook(void (*hook)(bool crashed)) { end_hook.store(hook, std::memory_order_relaxed); }

void end_program(unsigned status) {
  if (const auto hook = end_hook.exchange(nullptr)) hook(status == kCrashStatus);
  class Text final : public Sink {
   public:
    void write(std::string_view text) override {
      for (const char c : text) {
        if (size_ < sizeof text_) text_[size_++] = c;
      }
    }
    std::string_view text() const { return {text_, size_}; }

   private:
    char text_[48];
    usize size_ = 0;
  } text;
  print(text, "\033_unikernel-exit={}\033\\", status & 0xff);
  if (drivers::Uart* console = platform::console_uart()) {
    const log::ConsoleGuard guard;
    console->write(text.text());
  }
  platform::power_off();
}

void stop_program(std::string_view message) {
  log::print_line("unikernel: {}", message);
  end_program(kSystemFailureStatus);
}

}  // namespace ax::uni
