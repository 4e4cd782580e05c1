// Events that a guest is to take at its next entry, and what becomes of two at once.
#pragma once

#include <optional>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {

using namespace ax;

/// An interrupt or exception as SVM and VMX both encode it (APM vol. 2 15.20, SDM vol. 3 25.8.3), the error code above
/// it.
class Event {
 public:
  enum class Type : u8 {
    Interrupt = 0,
    Nmi = 2,
    Exception = 3,
    SoftwareInterrupt = 4,
    PrivilegedException = 5,
    SoftwareException = 6
  };

  constexpr Event() = default;
  explicit constexpr Event(u64 encoded) : encoded_(encoded) {}
  static constexpr Event of(Type type, u8 vector, std::optional<u32> error_code = {}) {
    return Event(kValid | u64{static_cast<u8>(type)} << kTypeShift | vector |
                 (error_code ? kHasErrorCode | u64{*error_code} << kErrorCodeShift : 0));
  }

  constexpr bool valid() const { return (encoded_ & kValid) != 0; }
  constexpr u8 vector() const { return encoded_ & 0xff; }
  constexpr Type type() const { return static_cast<Type>(encoded_ >> kTypeShift & 7); }
  constexpr bool has_error_code() const { return (encoded_ & kHasErrorCode) != 0; }
  constexpr u32 error_code() const { return static_cast<u32>(encoded_ >> kErrorCodeShift); }
  constexpr u64 encoded() const { return encoded_; }

  /// Of an event whose delivery was cut short: whether it is lost unless it is injected again. One that an instruction
  /// causes comes again by itself, because RIP is still at the instruction.
  constexpr bool must_be_repeated() const {
    if (!valid() || type() == Type::SoftwareInterrupt || type() == Type::SoftwareException ||
        type() == Type::PrivilegedException)
      return false;
    return type() != Type::Exception || (vector() != x86::Vector::kBreakpoint && vector() != x86::Vector::kOverflow);
  }

 private:
  static constexpr u64 kValid = u64{1} << 31;
  static constexpr u64 kHasErrorCode = u64{1} << 11;
  static constexpr unsigned kTypeShift = 8;
  static constexpr unsigned kErrorCodeShift = 32;

  u64 encoded_ = 0;
};

/// The exception that `second` becomes when it arises in the delivery of `first` (SDM vol. 3 table 6-5). Nothing:
/// shutdown.
constexpr std::optional<Event> combine(Event first, Event second) {
  constexpr u32 kContributory = 1 << 0 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13;  // #DE #TS #NP #SS #GP
  const auto is_contributory = [](Event e) { return e.vector() < 32 && (kContributory >> e.vector() & 1) != 0; };
  const auto is_page_fault = [](Event e) { return e.vector() == x86::Vector::kPageFault; };
  if (!first.valid() || first.type() != Event::Type::Exception) return second;
  const bool second_counts = is_contributory(second) || is_page_fault(second);
  if (first.vector() == x86::Vector::kDoubleFault && second_counts) return std::nullopt;
  const bool doubled = (is_contributory(first) && is_contributory(second)) || (is_page_fault(first) && second_counts);
  return doubled ? Event::of(Event::Type::Exception, x86::Vector::kDoubleFault, 0) : second;
}

}  // namespace hv
