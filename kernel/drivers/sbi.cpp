#include "kernel/drivers/sbi.hpp"

#include <arch/sbi.hpp>

namespace ax::drivers {
namespace sbi {
namespace {

/// What calls answer (chapter 3).
constexpr i64 kSuccess = 0;
constexpr struct {
  i64 code;
  Error error;
} kErrors[] = {
    {-2, Error::NotSupported},    {-3, Error::InvalidArgument}, {-4, Error::PermissionDenied},
    {-5, Error::InvalidArgument}, {-6, Error::AlreadyExists},   {-7, Error::AlreadyExists},
};

/// Calls of the time before extensions (chapter 5), which firmware still has; the number is the extension's.
enum class Legacy : u32 { PutCharacter = 1, GetCharacter = 2, ShutDown = 8 };

enum Function : u32 {
  kProbe = 3,         // Base
  kSetTimer = 0,      // Time
  kSendIpi = 0,       // Ipi
  kRemoteSfence = 1,  // RemoteFence
  kHartStart = 0,     // HartState
  kSystemReset = 0,   // SystemReset
  kConsoleRead = 1,   // DebugConsole
  kConsoleWriteByte = 2,
};

constexpr u64 kOneHart = 1, kWholeSpace = ~u64{0};

arch::SbiAnswer call(Extension extension, u32 function, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0) {
  return arch::sbi_call(static_cast<u32>(extension), function, a, b, c, d);
}
i64 call(Legacy function, u64 argument = 0) { return arch::sbi_call(static_cast<u32>(function), 0, argument, 0, 0, 0).error; }

enum ResetType : u64 { kShutDown = 0, kColdReboot = 1 };

}  // namespace

bool has(Extension extension) {
  const arch::SbiAnswer answer = call(Extension::Base, kProbe, static_cast<u64>(extension));
  return answer.error == kSuccess && answer.value != 0;
}

Result<void> start_hart(u64 hart, Hpa entry, u64 context) {
  const i64 code = call(Extension::HartState, kHartStart, hart, entry.value(), context).error;
  if (code == kSuccess) return {};
  for (const auto& entry_of_table : kErrors) {
    if (entry_of_table.code == code) return fail(entry_of_table.error);
  }
  return fail(Error::BadState);
}

void send_interrupt(u64 hart) { call(Extension::Ipi, kSendIpi, kOneHart, hart); }
void flush_tlb(u64 hart) { call(Extension::RemoteFence, kRemoteSfence, kOneHart, hart, 0, kWholeSpace); }
void set_timer(u64 ticks) { call(Extension::Time, kSetTimer, ticks); }

void shut_down() {
  call(Extension::SystemReset, kSystemReset, kShutDown);
  call(Legacy::ShutDown);
}
void reboot() { call(Extension::SystemReset, kSystemReset, kColdReboot); }

}  // namespace sbi

void SbiConsole::init() { is_modern_ = sbi::has(sbi::Extension::DebugConsole); }

void SbiConsole::send(char c) {
  const u64 byte = static_cast<u8>(c);
  is_modern_ ? static_cast<void>(sbi::call(sbi::Extension::DebugConsole, sbi::kConsoleWriteByte, byte))
             : static_cast<void>(sbi::call(sbi::Legacy::PutCharacter, byte));
}

std::optional<char> SbiConsole::get() {
  if (!is_modern_) {
    const i64 answer = sbi::call(sbi::Legacy::GetCharacter);
    return answer < 0 ? std::nullopt : std::optional(static_cast<char>(answer));
  }
  // The buffer is given by physical address: this object lies in the image, where both addresses are the same.
  static char buffer;
  const arch::SbiAnswer answer = sbi::call(sbi::Extension::DebugConsole, sbi::kConsoleRead, 1, reinterpret_cast<u64>(&buffer));
  return answer.error == 0 && answer.value == 1 ? std::optional(buffer) : std::nullopt;
}

}  // namespace ax::drivers
