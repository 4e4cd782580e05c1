// The service `poll`: poll() and ppoll().
#include <algorithm>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/wait_for_files.hpp"

namespace ax::uni {
namespace {

struct PolledFile {
  i32 descriptor;
  std::uint16_t wanted, ready;
};

i64 poll_until(PolledFile* files, u64 count, u64 deadline) {
  if (count > kMaxDescriptors) return kInvalid;
  return wait_for_files(deadline, [&](bool& polled) {
    i64 found = 0;
    for (PolledFile& file : std::span(files, count)) {
      file.ready = file.descriptor < 0
                       ? std::uint16_t{0}
                       : static_cast<std::uint16_t>(ready_now(static_cast<u64>(file.descriptor), file.wanted, polled));
      found += file.ready != 0;
    }
    return found;
  });
}

i64 poll(PolledFile* files, u64 count, const TimeSpec* time, const u64* mask) {
  if (time != nullptr && !time->is_right()) return kInvalid;
  const u64 deadline = deadline_after(time);
  const SignalMaskWhileWaiting masked(mask);
  return poll_until(files, count, deadline);
}

[[maybe_unused]] i64 poll_milliseconds(PolledFile* files, u64 count, i32 milliseconds) {
  const TimeSpec time{milliseconds / 1000, i64{milliseconds % 1000} * 1'000'000};
  return poll_until(files, count, deadline_after(milliseconds < 0 ? nullptr : &time));
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_ppoll, system_call<poll>},
#ifdef AX_NR_poll
    {AX_NR_poll, system_call<poll_milliseconds>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_poll{"poll", ax::uni::kCalls, nullptr};
