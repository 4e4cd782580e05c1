// An I/O APIC (82093AA; its pins are global system interrupts).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::drivers {

/// Registers are mapped as device memory at VA = PA. Two registers make one access: the owner holds a lock.
class IoApic {
 public:
  constexpr IoApic() = default;
  constexpr IoApic(Hpa registers, u32 gsi_base) : base_(registers.value()), gsi_base_(gsi_base) {}

  /// Masks every pin.
  void init();

  u32 gsi_base() const { return gsi_base_; }
  u32 pins() const;
  bool owns(u32 gsi) const { return gsi >= gsi_base_ && gsi - gsi_base_ < pins(); }

  struct Route {
    u8 vector = 0;
    u8 destination = 0;  ///< APIC id
    bool active_low = false;
    bool level = false;
    bool masked = true;

    friend constexpr bool operator==(const Route&, const Route&) = default;
  };
  /// Where the interrupt of `gsi`, which this I/O APIC owns, goes.
  void set_route(u32 gsi, const Route& route);
  Route route(u32 gsi) const;
  void set_masked(u32 gsi, bool masked);

 private:
  u32 read(u32 index) const;
  void write(u32 index, u32 value) const;

  u64 base_ = 0;
  u32 gsi_base_ = 0;
};

}  // namespace ax::drivers
