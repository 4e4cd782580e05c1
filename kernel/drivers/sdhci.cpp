#include "kernel/drivers/sdhci.hpp"

#include <algorithm>
#include <arch/cache.hpp>
#include <arch/mmio.hpp>
#include <cstring>
#include <utility>

namespace ax::drivers {
namespace {

using block::Request;

/// Table 2-1, by words.
enum Register : u32 {
  kBlocks = 0x04,    ///< size, and count in the upper half
  kArgument = 0x08,
  kCommand = 0x0c,   ///< transfer mode, and in the upper half the command, which is given by writing it
  kResponse = 0x10,  ///< four words
  kEndResponse = 0x1c,  ///< of the command that ends a transfer of many blocks
  kPresentState = 0x24,
  kHostControl = 0x28,   ///< and power
  kClockControl = 0x2c,  ///< and the data timeout and resets
  kStatus = 0x30,        ///< what happened, errors in the upper half; what is written as 1 is forgotten
  kStatusEnable = 0x34,
  kSignalEnable = 0x38,
  kCapabilities = 0x40,
  kAdmaAddress = 0x58,
  kAdmaAddressHigh = 0x5c,
  kVersion = 0xfc,  ///< in the upper half
};

enum TransferMode : u32 { kDma = 1 << 0, kCountBlocks = 1 << 1, kStopAtEnd = 1 << 2, kFromCard = 1 << 4, kManyBlocks = 1 << 5 };
enum PresentState : u32 { kCommandBusy = 1 << 0, kDataBusy = 1 << 1, kCardInserted = 1 << 16, kCardStable = 1 << 17, kMayWrite = 1 << 19 };
enum HostControl : u32 { kFourLines = 1 << 1, kAdma2 = 2 << 3, kPowerOn = 1 << 8, k3V3 = 7 << 9 };
enum ClockControl : u32 { kClockRuns = 1 << 0, kClockStable = 1 << 1, kClockToCard = 1 << 2, kResetAll = 1 << 24, kResetLines = 6 << 24 };
constexpr u32 kLongestTimeout = 14 << 16;
enum Status : u32 { kCommandDone = 1 << 0, kTransferDone = 1 << 1, kCardRemoved = 1 << 7, kErrors = 0xffff'8000 };
enum Capability : u32 { kHasAdma2 = 1 << 19, kHas3V3 = 1 << 24 };
constexpr u32 kBaseClockShift = 8, kVersion3 = 2;

/// ADMA2 descriptors, 1.13.3.
struct Descriptor {
  u16 attributes, size;
  u32 address;
};
enum Attribute : u16 { kValid = 1 << 0, kLast = 1 << 1, kTransfer = 2 << 4 };
constexpr u32 kDescriptorBytes = 32_KiB;

// The kinds of responses (2.2.6).
constexpr u32 kNone = 0, kR2 = 0x09, kR3 = 0x02, kR1 = 0x1a, kR1b = 0x1b, kData = 0x20;

constexpr u64 kMilliseconds = 1000, kCommandTime = 100 * kMilliseconds, kPowerUpTime = 1000 * kMilliseconds;
constexpr u32 kIdentificationKhz = 400, kTransferKhz = 25'000;

// Of the card.
constexpr u32 kCheckPattern = 0x1aa;  ///< 2.7 to 3.6 V, and any bits
constexpr u32 kVoltages = 0x00ff'8000, kHighCapacity = 1 << 30, kPoweredUp = u32{1} << 31;
constexpr u32 kR1Errors = 0xfdff'e008, kR6Errors = 0xe000, kOutOfRange = u32{1} << 31;
constexpr u32 kFourBits = 2;

void order() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace

struct Sdhci::Command {
  u8 index;
  u8 response;
  u32 errors = 0;  ///< bits of the response

  u32 value() const { return u32{index} << 24 | u32{response} << 16; }
};

u32 Sdhci::read(u32 offset) const { return arch::mmio_read32(base_ + offset); }
void Sdhci::write(u32 offset, u32 value) const { arch::mmio_write32(base_ + offset, value); }

/// A controller that is gone reads as ones.
Result<void> Sdhci::wait(u32 offset, u32 mask, u32 value, u64 microseconds) {
  const u64 end = clock_->microseconds() + microseconds;
  while ((read(offset) & mask) != value) {
    if (clock_->microseconds() >= end) return fail(Error::TimedOut);
    clock_->relax();
  }
  return {};
}

// ---- commands ---------------------------------------------------------------------------------------------------------

void Sdhci::issue(const Command& command, u32 argument) {
  write(kStatus, ~u32{0});
  write(kArgument, argument);
  write(kCommand, command.value());
}

Result<Sdhci::Response> Sdhci::run(const Command& command, u32 argument) {
  const u32 busy = command.response == kR1b ? kCommandBusy | kDataBusy : kCommandBusy;
  TRY(wait(kPresentState, busy, 0, kCommandTime));
  issue(command, argument);
  const u32 awaited = command.response == kR1b ? kTransferDone : kCommandDone;
  const u64 end = clock_->microseconds() + kCommandTime;
  for (;;) {
    const u32 status = read(kStatus);
    if ((status & kErrors) != 0) {
      // The lines must be usable for the next command (3.10.1).
      write(kClockControl, read(kClockControl) | kResetLines);
      TRY(wait(kClockControl, kResetLines, 0, kCommandTime));
      return fail(Error::DeviceFailure);
    }
    if ((status & awaited) != 0) break;
    if (clock_->microseconds() >= end) return fail(Error::TimedOut);
    clock_->relax();
  }
  Response response{};
  for (u32 i = 0; i < response.size(); ++i) response[i] = read(kResponse + i * sizeof(u32));
  return (response[0] & command.errors) == 0 ? Result<Response>(response) : fail(Error::DeviceFailure);
}

Result<Sdhci::Response> Sdhci::run_application(const Command& command, u32 argument) {
  TRY(run({.index = 55, .response = kR1}, card_address_));
  return run(command, argument);
}

// ---- starting ---------------------------------------------------------------------------------------------------------

Result<Sdhci> Sdhci::create(Hpa registers, std::span<std::byte> memory, block::Clock& clock) {
  if (reinterpret_cast<u64>(memory.data()) + memory.size() > kReach) return fail(Error::NotSupported);
  Sdhci device(registers, memory, clock);
  TRY(device.reset());
  return device;
}

Result<void> Sdhci::reset() {
  running_ = false;
  const auto started = start_controller();
  // The controller does nothing any more, or it is not there.
  finish(Request::State::Failed);
  TRY(started);
  TRY(start_card());
  running_ = true;
  return {};
}

Result<void> Sdhci::start_controller() {
  write(kClockControl, kResetAll);
  TRY(wait(kClockControl, kResetAll, 0, kCommandTime));
  if ((~read(kCapabilities) & (kHasAdma2 | kHas3V3)) != 0) return fail(Error::NotSupported);
  write(kSignalEnable, 0);
  write(kStatusEnable, ~u32{0});
  // An empty slot is never stable on some controllers.
  static_cast<void>(wait(kPresentState, kCardStable, kCardStable, kCommandTime));
  if ((read(kPresentState) & kCardInserted) != 0) return {};
  return fail(sectors_ == 0 ? Error::NotFound : Error::DeviceFailure);
}

/// The slowest step that is not faster (2.2.14): powers of two, which all versions have.
Result<void> Sdhci::set_clock(u32 most_khz) {
  const u32 capabilities = read(kCapabilities);
  const bool wide = (read(kVersion) >> 16 & 0xff) >= kVersion3;
  const u32 said = capabilities >> kBaseClockShift & (wide ? 0xff : 0x3f), base = (said != 0 ? said : 0xff) * 1000;
  u32 divider = 0;  // halves of it
  while ((divider == 0 ? base : base / (2 * divider)) > most_khz && divider < (wide ? 512 : 128)) divider = std::max(1u, divider * 2);
  write(kClockControl, 0);
  const u32 value = kLongestTimeout | (divider & 0xff) << 8 | (divider >> 8) << 6 | kClockRuns;
  write(kClockControl, value);
  TRY(wait(kClockControl, kClockStable, kClockStable, kCommandTime));
  write(kClockControl, value | kClockToCard);
  return {};
}

/// 4.8.2 of the card's specification, and its figure 4-2.
Result<void> Sdhci::start_card() {
  write(kHostControl, kAdma2 | k3V3);
  write(kHostControl, kAdma2 | k3V3 | kPowerOn);
  TRY(set_clock(kIdentificationKhz));
  // 74 clocks and the time that the supply needs.
  const u64 ready = clock_->microseconds() + kMilliseconds;
  while (clock_->microseconds() < ready) clock_->relax();
  card_address_ = 0;
  TRY(run({.index = 0, .response = kNone}));
  TRY(power_card_up());
  TRY(identify());
  TRY(run({.index = 7, .response = kR1b, .errors = kR1Errors}, card_address_));
  TRY(run_application({.index = 6, .response = kR1, .errors = kR1Errors}, kFourBits));
  write(kHostControl, read(kHostControl) | kFourLines);
  TRY(run({.index = 16, .response = kR1, .errors = kR1Errors}, block::kSectorSize));
  return set_clock(kTransferKhz);
}

Result<void> Sdhci::power_card_up() {
  // A card from before version 2 does not answer, and is no high-capacity one.
  const auto checked = run({.index = 8, .response = kR1}, kCheckPattern);
  if (checked && ((*checked)[0] & 0xfff) != kCheckPattern) return fail(Error::NotSupported);
  const u32 argument = kVoltages | (checked ? kHighCapacity : 0);
  const u64 end = clock_->microseconds() + kPowerUpTime;
  for (;;) {
    const auto answer = run_application({.index = 41, .response = kR3}, argument);
    if (!answer) return fail(answer.error() == Error::DeviceFailure ? Error::NotSupported : answer.error());  // not for SD memory
    const u32 conditions = (*answer)[0];
    if ((conditions & kPoweredUp) != 0) {
      by_sectors_ = (conditions & kHighCapacity) != 0;
      return (conditions & kVoltages) != 0 ? Result<void>() : fail(Error::NotSupported);
    }
    if (clock_->microseconds() >= end) return fail(Error::TimedOut);
    clock_->relax();
  }
}

Result<void> Sdhci::identify() {
  Response identity = TRY(run({.index = 2, .response = kR2}));
  identity.back() &= 0x00ff'ffff;
  const bool is_first = sectors_ == 0;
  if (!is_first && identity != identity_) return fail(Error::DeviceFailure);
  identity_ = identity;
  card_address_ = TRY(run({.index = 3, .response = kR1, .errors = kR6Errors}))[0] & 0xffff'0000;
  return is_first ? describe() : Result<void>();
}

/// The register CSD, 5.3. Its bits 127 to 8 are the response's 119 to 0.
Result<void> Sdhci::describe() {
  const Response csd = TRY(run({.index = 9, .response = kR2}, card_address_));
  const auto field = [&](u32 low, u32 width) {
    const u32 at = low - 8;
    const u64 pair = csd[at / 32] | (at / 32 + 1 < csd.size() ? u64{csd[at / 32 + 1]} << 32 : 0);
    return static_cast<u32>(pair >> at % 32) & ((u32{1} << width) - 1);
  };
  constexpr u32 kStructure = 126, kBlockSize = 80, kSize = 62, kSizeMultiplier = 47, kLargeSize = 48, kProtected = 12;
  constexpr u32 kLargeUnit = 10, kSectorShift = 9, kLargestBlock = 11;
  const u32 structure = field(kStructure, 2), block_size = field(kBlockSize, 4);
  if (structure > 1) return fail(Error::NotSupported);
  if ((structure == 1) != by_sectors_ || block_size < kSectorShift || block_size > kLargestBlock) return fail(Error::Malformed);
  if (by_sectors_)
    sectors_ = u64{field(kLargeSize, 22) + 1} << kLargeUnit;
  else
    sectors_ = u64{field(kSize, 12) + 1} << (field(kSizeMultiplier, 3) + 2 + block_size - kSectorShift);
  writable_ = field(kProtected, 2) == 0 && (read(kPresentState) & kMayWrite) != 0;
  return {};
}

// ---- transfers --------------------------------------------------------------------------------------------------------

void Sdhci::finish(Request::State state) {
  if (Request* request = std::exchange(request_, nullptr)) request->state.store(state, std::memory_order_release);
}

Result<void> Sdhci::submit(Request& request) {
  if (!running_) return fail(Error::BadState);
  if (request_ != nullptr) return fail(Error::Busy);
  if (request.operation == Request::Operation::Flush || request.size == 0) {
    request.state.store(Request::State::Done, std::memory_order_release);  // the end of a write is that of the card's work
    return {};
  }
  const u64 address = reinterpret_cast<u64>(request.data);
  if (request.size > max_transfer() || address % kAlignment != 0 || address + request.size > kReach) return fail(Error::InvalidArgument);
  const u32 count = (request.size + kDescriptorBytes - 1) / kDescriptorBytes;
  for (u32 i = 0; i < count; ++i) {
    const u32 at = i * kDescriptorBytes, size = std::min(request.size - at, kDescriptorBytes);
    const Descriptor d{static_cast<u16>(kValid | kTransfer | (i + 1 == count ? kLast : 0)), static_cast<u16>(size), static_cast<u32>(address + at)};
    std::memcpy(memory_ + i * sizeof d, &d, sizeof d);
  }
  // Controllers on a chip may not see the caches.
  arch::clean_data_cache(reinterpret_cast<u64>(memory_), count * sizeof(Descriptor));
  arch::clean_invalidate_data_cache(address, request.size);
  order();
  request_ = &request;

  const bool reads = request.operation == Request::Operation::Read, many = request.size > block::kSectorSize;
  write(kAdmaAddress, static_cast<u32>(reinterpret_cast<u64>(memory_)));
  write(kAdmaAddressHigh, 0);
  write(kBlocks, request.size / block::kSectorSize << 16 | block::kSectorSize);
  write(kStatus, ~u32{0});
  write(kArgument, static_cast<u32>(by_sectors_ ? request.sector : request.sector * block::kSectorSize));
  const Command command{.index = static_cast<u8>((reads ? 17 : 24) + many), .response = kR1 | kData};
  const u32 mode = kDma | kCountBlocks | u32{reads} * kFromCard | u32{many} * (kManyBlocks | kStopAtEnd);
  write(kCommand, command.value() | mode);
  return {};
}

void Sdhci::settle() {
  if (request_ == nullptr) return;
  const u32 status = read(kStatus);
  if ((status & (kErrors | kCardRemoved)) != 0 || (read(kPresentState) & kCardInserted) == 0) return finish(Request::State::Failed);
  if ((status & kTransferDone) == 0) return;
  const bool reads = request_->operation == Request::Operation::Read;
  // The card's opinion of the command, and of what it wrote in the response to the one that ended it.
  const u32 opinion = read(kResponse) | (reads || request_->size == block::kSectorSize ? 0 : read(kEndResponse) & ~kOutOfRange);
  if (reads) arch::clean_invalidate_data_cache(reinterpret_cast<u64>(request_->data), request_->size);
  finish((opinion & kR1Errors) == 0 ? Request::State::Done : Request::State::Failed);
}

}  // namespace ax::drivers
