// The machine's one console, shared by the host's log and the guests.
#pragma once

#include <string_view>

#include "hypervisor/console/output_history.hpp"
#include "kernel/base/format.hpp"
#include "kernel/base/static_vector.hpp"

namespace hv {

using namespace ax;

/// Merges the host's lines and the characters of several guests into one stream in which every line says whose it is: a
/// guest's line starts with "[name] ", and so does what follows a carriage return, so no guest can print a line that looks
/// like the host's. Host lines have no such prefix and always start in the first column. A guest's text is shown line by
/// line; an unfinished one, such as a prompt, when its owner calls flush().
///
/// Not locked: the owner serialises calls.
class ConsoleMux {
 public:
  explicit ConsoleMux(Sink& device) : device_(device) {}

  /// One guest's place in the stream. `name` and `history`, which may be missing, must outlive it.
  class Stream {
   public:
    explicit Stream(std::string_view name, OutputHistory* history = nullptr) : name_(name), history_(history) {}

   private:
    friend class ConsoleMux;
    static constexpr usize kLineSize = 240;

    std::string_view name_;
    OutputHistory* history_;
    StaticVector<char, kLineSize> line_{};  ///< not shown yet
    bool return_pending_ = false;  ///< a carriage return whose successor is not known yet
  };

  /// Text of the host, whole lines.
  void write_host(std::string_view text);
  /// The line that the host's user is typing. It is a line of the host's, and the only one that other text may interrupt: shows
  /// `more` behind what is there, or, when something else was written since, `whole` on a new line.
  void show_input(std::string_view whole, std::string_view more);
  /// The next character a guest sent to its UART.
  void put_guest(Stream& stream, char c);
  /// Shows what `stream` has written of an unfinished line.
  void flush(Stream& stream);
  /// Ends a line that `stream` left open, so that nothing is attributed to it any more.
  void close(Stream& stream);

 private:
  void take_over(Stream* stream);
  void begin_guest_line(const Stream& stream);

  Sink& device_;
  Stream input_{""};        ///< nameless: its line has no prefix
  Stream* open_ = nullptr;  ///< whose unfinished line the cursor is on
};

}  // namespace hv
