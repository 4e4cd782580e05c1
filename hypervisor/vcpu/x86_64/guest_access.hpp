// A guest's linear address space as its instructions see it: translated by its page tables, backed by RAM and devices.
#pragma once

#include <optional>
#include <span>

#include "hypervisor/vcpu/x86_64/emulate.hpp"
#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"

namespace hv {

/// What lies behind guest-physical addresses that are not RAM. Sizes 1, 2, 4 and 8, never across a page: an access that
/// crosses one comes byte by byte.
class GuestBus {
 public:
  virtual u64 mmio_read(Gpa address, u32 size) = 0;
  virtual void mmio_write(Gpa address, u32 size, u64 value) = 0;

 protected:
  ~GuestBus() = default;
};

/// Lives for one instruction, on the CPU of its vCPU.
class GuestAccess {
 public:
  GuestAccess(GuestMemory& memory, GuestBus& bus, const PagingState& state)
      : memory_(memory), bus_(bus), state_(state) {}

  /// Saves the walk for an instruction with one memory operand: `fault` is the guest-physical address of the access to
  /// it that the processor has translated, and that led here; `write`: it was a write.
  void know_operand(Gpa fault, bool write) {
    operand_ = fault;
    operand_writable_ = write;
  }

  /// As EmulationHost has them.
  EmulationHost::Value read(u64 linear, u32 size);
  EmulationHost::Status write(u64 linear, u32 size, u64 value);
  EmulationHost::Status check_write(u64 linear, u32 size);

  /// The bytes of the instruction at `linear`, at most bytes.size(); fewer if the next page cannot be fetched. Error:
  /// the fault of the first page.
  std::expected<usize, EmulationFault> fetch(u64 linear, std::span<u8> bytes);
  /// How the last instruction was fetched that lies in one page.
  const PageWalk& fetched() const { return fetched_; }

 private:
  /// The last translation of each kind of access.
  struct Translation {
    u64 linear_page = ~u64{0};
    Gpa page{};
  };

  std::expected<Gpa, EmulationFault> translate(u64 linear, PageAccess access);
  enum class Action : u8 { Read, Write, CheckWrite };
  EmulationHost::Status access(u64 linear, u32 size, Action action, u64& value);
  void access_physical(Gpa address, u32 size, Action action, u64& value);

  GuestMemory& memory_;
  GuestBus& bus_;
  PagingState state_;
  std::optional<Gpa> operand_{};
  bool operand_writable_ = false;
  Translation known_[3]{};
  PageWalk fetched_{};
};

}  // namespace hv
