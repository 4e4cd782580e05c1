// The service `clock`: CLOCK_REALTIME is the machine's clock, read once at the start; without it the program's start is 1970.
#include "unikernel/core/wall_clock.hpp"

#include "unikernel/core/program.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/time.hpp"

namespace ax::uni {
namespace {

void start() {
  const u64 now = read_wall_clock();
  if (now == 0) stop_program("the service rtc needs a clock of the day, and this machine has none that can be read");
  set_wall_clock(now - monotonic_now());
}

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_clock{"clock", {}, ax::uni::start};
