#include "unikernel/core/calls.hpp"

#include <atomic>

#include "kernel/log/log.hpp"
#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/errno.hpp"

namespace ax::uni {
namespace {

/// Linux has no number from here on.
constexpr usize kNumbers = 452;

constinit SystemCall calls[kNumbers] = {};
constinit std::atomic<u8> reported[kNumbers / 8 + 1] = {};
constinit AfterCall after_call = nullptr;

// No pointers: in an image that can be anywhere each of them is three words.
constexpr u16 kNumbersOfNames[] = {
#define AX_CALL(number, name) number,
#include "call_names.inc"
#undef AX_CALL
};
constexpr char kNames[] =
#define AX_CALL(number, name) name "\0"
#include "call_names.inc"
#undef AX_CALL
    ;

/// Once for each number: a program that asks in a loop is not drowned in its own reports.
[[gnu::cold, gnu::noinline]] i64 refuse(u64 number) {
  const u64 place = number < kNumbers ? number : kNumbers;
  const u8 mark = static_cast<u8>(1u << (place % 8));
  if ((reported[place / 8].fetch_or(mark) & mark) == 0) {
    log::print_line("unikernel: system call {} ({}) is not there: none of the services in the image answers it", number,
                    call_name(number));
  }
  return kNoSystemCall;
}

}  // namespace

void install_calls(std::span<const ax_service* const> services) {
  for (const ax_service* service : services) {
    for (const NumberedCall& call : service->calls) calls[call.number] = call.call;
  }
}

void install_missing_calls(std::span<const NumberedCall> more) {
  for (const NumberedCall& call : more) {
    if (calls[call.number] == nullptr) calls[call.number] = call.call;
  }
}

std::string_view call_name(u64 number) {
  const char* name = kNames;
  for (const u16 named : kNumbersOfNames) {
    const std::string_view text(name);
    if (named == number) return text;
    name += text.size() + 1;
  }
  return "no name";
}

void set_after_call(AfterCall hook) { after_call = hook; }

}  // namespace ax::uni

ax::i64 ax_system_call(ax::u64 a, ax::u64 b, ax::u64 c, ax::u64 d, ax::u64 e, ax::u64 f, ax::u64 number) {
  using namespace ax::uni;
  const SystemCall call = number < kNumbers ? calls[number] : nullptr;
  if (call == nullptr) return refuse(number);
  const ax::i64 result = call(a, b, c, d, e, f);
  return after_call == nullptr ? result : after_call(result);
}
