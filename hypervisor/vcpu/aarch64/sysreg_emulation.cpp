#include "hypervisor/vcpu/aarch64/sysreg_emulation.hpp"

#include <algorithm>

#include "hypervisor/vcpu/aarch64/id_registers.hpp"

namespace hv {
namespace {

using Outcome = SystemRegisterOutcome;
using Kind = SystemRegisterOutcome::Kind;

constexpr Outcome kUndefined{Kind::Undefined, 0};
constexpr Outcome kDone{Kind::Done, 0};
constexpr Outcome value_of(u64 value) { return {Kind::Value, value}; }

using Read = Outcome (*)(const AccessContext&, u32 encoding);
using Write = Outcome (*)(const AccessContext&, u32 encoding, u64 value);

/// A register, or system instruction (a write). No handler: undefined in that direction.
struct Row {
  u32 encoding;
  Read read;
  Write write;
};

Outcome read_zero(const AccessContext&, u32) { return value_of(0); }
Outcome ignore_write(const AccessContext&, u32, u64) { return kDone; }

// ---- debug ----------------------------------------------------------------------------------------------------------

DebugRegisters& debug(const AccessContext& context) { return context.host.debug_registers(context.vcpu); }

constexpr u64 kOslsrImplemented = 1u << 3;  ///< OSLM = 0b10
constexpr u64 kOslsrLocked = 1u << 1;
constexpr u64 kOslarLock = 1u << 0;
constexpr u64 kClaimTags = 0xff;

Outcome read_os_lock_status(const AccessContext& context, u32) {
  return value_of(kOslsrImplemented | (debug(context).os_locked ? kOslsrLocked : 0));
}

Outcome write_os_lock(const AccessContext& context, u32, u64 value) {
  debug(context).os_locked = (value & kOslarLock) != 0;
  return kDone;
}

Outcome read_debug_control(const AccessContext& context, u32) { return value_of(debug(context).mdscr_el1); }

Outcome write_debug_control(const AccessContext& context, u32, u64 value) {
  debug(context).mdscr_el1 = static_cast<u32>(value);
  return kDone;
}

/// DBGCLAIMSET_EL1 reads as the tags that exist, not as those that are set.
Outcome read_claim_tags_implemented(const AccessContext&, u32) { return value_of(kClaimTags); }
Outcome read_claim_tags(const AccessContext& context, u32) { return value_of(debug(context).claim_tags); }

Outcome set_claim_tags(const AccessContext& context, u32, u64 value) {
  debug(context).claim_tags |= static_cast<u8>(value & kClaimTags);
  return kDone;
}

Outcome clear_claim_tags(const AccessContext& context, u32, u64 value) {
  debug(context).claim_tags &= static_cast<u8>(~value & kClaimTags);
  return kDone;
}

// ---- physical timer -------------------------------------------------------------------------------------------------

PhysicalTimer& timer(const AccessContext& context) { return context.host.physical_timer(context.vcpu); }

constexpr u64 kTimerEnable = 1u << 0;
constexpr u64 kTimerMask = 1u << 1;
constexpr u64 kTimerStatus = 1u << 2;
constexpr u64 kTimerWritable = kTimerEnable | kTimerMask;

Outcome read_timer_control(const AccessContext& context, u32) {
  PhysicalTimer& source = timer(context);
  u64 control = source.control() & kTimerWritable;
  if ((control & kTimerEnable) != 0 && source.counter() >= source.compare()) control |= kTimerStatus;
  return value_of(control);
}

Outcome write_timer_control(const AccessContext& context, u32, u64 value) {
  timer(context).set(value & kTimerWritable, timer(context).compare());
  return kDone;
}

Outcome read_timer_compare(const AccessContext& context, u32) { return value_of(timer(context).compare()); }

Outcome write_timer_compare(const AccessContext& context, u32, u64 value) {
  timer(context).set(timer(context).control() & kTimerWritable, value);
  return kDone;
}

Outcome read_counter(const AccessContext& context, u32) { return value_of(timer(context).counter()); }

/// CNTP_TVAL_EL0: the low 32 bits of the distance to the compare value.
Outcome read_timer_value(const AccessContext& context, u32) {
  return value_of(static_cast<u32>(timer(context).compare() - timer(context).counter()));
}

Outcome write_timer_value(const AccessContext& context, u32 encoding, u64 value) {
  const i64 distance = static_cast<i32>(static_cast<u32>(value));
  return write_timer_compare(context, encoding, timer(context).counter() + static_cast<u64>(distance));
}

// ---- GICv3 CPU interface --------------------------------------------------------------------------------------------

constexpr u64 kSystemRegistersOnly = 0x7;  ///< ICC_SRE_EL1: SRE, DFB and DIB, all of them fixed
constexpr u64 kIntidMask = 0xff'ffff;

bool has_cpu_interface(const AccessContext& context) { return context.host.gic_version() >= 3; }

template <SgiRegister kWhich>
Outcome send_sgi(const AccessContext& context, u32, u64 value) {
  if (!has_cpu_interface(context)) return kUndefined;
  context.host.send_sgi(context.vcpu, kWhich, value);
  return kDone;
}

Outcome deactivate(const AccessContext& context, u32, u64 value) {
  if (!has_cpu_interface(context)) return kUndefined;
  context.host.deactivate(context.vcpu, static_cast<u32>(value & kIntidMask));
  return kDone;
}

Outcome read_system_register_enable(const AccessContext& context, u32) {
  return has_cpu_interface(context) ? value_of(kSystemRegistersOnly) : kUndefined;
}

Outcome write_system_register_enable(const AccessContext& context, u32, u64) {
  return has_cpu_interface(context) ? kDone : kUndefined;
}

// ---- the rest -------------------------------------------------------------------------------------------------------

Outcome maintain_by_set_and_way(const AccessContext&, u32, u64) { return {Kind::CleanInvalidateAll, 0}; }

Outcome read_id_register(const AccessContext& context, u32 encoding) {
  return value_of(guest_id_value(encoding, context.host.read_host_id_register(encoding), context.host.gic_version()));
}

constexpr Row read_only(u32 encoding, Read read) { return {encoding, read, nullptr}; }
constexpr Row write_only(u32 encoding, Write write) { return {encoding, nullptr, write}; }
constexpr Row read_as_zero(u32 encoding) { return {encoding, read_zero, ignore_write}; }

/// One of the registers of breakpoint or watchpoint `n`.
constexpr u32 debug_value(u32 n) { return system_register(2, 0, 0, n, 4); }
constexpr u32 debug_control(u32 n) { return system_register(2, 0, 0, n, 5); }
constexpr u32 watch_value(u32 n) { return system_register(2, 0, 0, n, 6); }
constexpr u32 watch_control(u32 n) { return system_register(2, 0, 0, n, 7); }
static_assert(kGuestBreakpoints == 2 && kGuestWatchpoints == 2, "rows below");

/// Sorted by encoding.
constexpr Row kRegisters[] = {
    // DC by set and way, trapped by HCR_EL2.TSW.
    write_only(system_register(1, 0, 7, 6, 2), maintain_by_set_and_way),   // DC ISW
    write_only(system_register(1, 0, 7, 10, 2), maintain_by_set_and_way),  // DC CSW
    write_only(system_register(1, 0, 7, 14, 2), maintain_by_set_and_way),  // DC CISW
    // Debug, trapped by MDCR_EL2.TDA, TDOSA and TDRA.
    read_as_zero(system_register(2, 0, 0, 0, 2)),                          // OSDTRRX_EL1
    read_as_zero(debug_value(0)),
    read_as_zero(debug_control(0)),
    read_as_zero(watch_value(0)),
    read_as_zero(watch_control(0)),
    read_as_zero(debug_value(1)),
    read_as_zero(debug_control(1)),
    read_as_zero(watch_value(1)),
    read_as_zero(watch_control(1)),
    read_as_zero(system_register(2, 0, 0, 2, 0)),                          // MDCCINT_EL1
    {system_register(2, 0, 0, 2, 2), read_debug_control, write_debug_control},  // MDSCR_EL1
    read_as_zero(system_register(2, 0, 0, 3, 2)),                          // OSDTRTX_EL1
    read_as_zero(system_register(2, 0, 0, 6, 2)),                          // OSECCR_EL1
    read_only(system_register(2, 0, 1, 0, 0), read_zero),                  // MDRAR_EL1: no debug ROM
    write_only(system_register(2, 0, 1, 0, 4), write_os_lock),             // OSLAR_EL1
    read_only(system_register(2, 0, 1, 1, 4), read_os_lock_status),        // OSLSR_EL1
    read_as_zero(system_register(2, 0, 1, 3, 4)),                          // OSDLR_EL1
    read_as_zero(system_register(2, 0, 1, 4, 4)),                          // DBGPRCR_EL1
    {system_register(2, 0, 7, 8, 6), read_claim_tags_implemented, set_claim_tags},  // DBGCLAIMSET_EL1
    {system_register(2, 0, 7, 9, 6), read_claim_tags, clear_claim_tags},   // DBGCLAIMCLR_EL1
    read_only(system_register(2, 0, 7, 14, 6), read_zero),                 // DBGAUTHSTATUS_EL1: no external debugger
    read_only(system_register(2, 3, 0, 1, 0), read_zero),                  // MDCCSR_EL0
    read_as_zero(system_register(2, 3, 0, 4, 0)),                          // DBGDTR_EL0
    read_as_zero(system_register(2, 3, 0, 5, 0)),                          // DBGDTRRX_EL0, DBGDTRTX_EL0
    // HCR_EL2.TACR.
    read_as_zero(system_register(3, 0, 1, 0, 1)),                          // ACTLR_EL1
    // GICv3, trapped by HCR_EL2.IMO and FMO or by ICH_HCR_EL2.
    write_only(system_register(3, 0, 12, 11, 1), deactivate),              // ICC_DIR_EL1
    write_only(system_register(3, 0, 12, 11, 5), send_sgi<SgiRegister::Sgi1r>),
    write_only(system_register(3, 0, 12, 11, 6), send_sgi<SgiRegister::Asgi1r>),
    write_only(system_register(3, 0, 12, 11, 7), send_sgi<SgiRegister::Sgi0r>),
    {system_register(3, 0, 12, 12, 5), read_system_register_enable, write_system_register_enable},  // ICC_SRE_EL1
    // CNTHCTL_EL2.EL1PCTEN and EL1PCEN.
    read_only(system_register(3, 3, 14, 0, 1), read_counter),                    // CNTPCT_EL0
    {system_register(3, 3, 14, 2, 0), read_timer_value, write_timer_value},      // CNTP_TVAL_EL0
    {system_register(3, 3, 14, 2, 1), read_timer_control, write_timer_control},  // CNTP_CTL_EL0
    {system_register(3, 3, 14, 2, 2), read_timer_compare, write_timer_compare},  // CNTP_CVAL_EL0
};
static_assert(std::ranges::is_sorted(kRegisters, {}, &Row::encoding));

/// HCR_EL2.TID3.
constexpr Row kIdRegister = read_only(0, read_id_register);

const Row* find(u32 encoding) {
  if (is_id_register(encoding)) return &kIdRegister;
  const Row* row = std::ranges::lower_bound(kRegisters, encoding, {}, &Row::encoding);
  return row != std::end(kRegisters) && row->encoding == encoding ? row : nullptr;
}

}  // namespace

SystemRegisterOutcome emulate_system_register(const AccessContext& context, SystemRegisterAccess access, u64 value) {
  const u32 encoding = access.encoding();
  const Row* row = find(encoding);
  if (row == nullptr) return kUndefined;
  if (access.is_read()) return row->read != nullptr ? row->read(context, encoding) : kUndefined;
  return row->write != nullptr ? row->write(context, encoding, value) : kUndefined;
}

}  // namespace hv
