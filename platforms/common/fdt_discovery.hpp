// What every platform with a device tree reads out of it in the same way. Plain logic, no hardware access.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/common/ranges.hpp"
#include "platforms/machine_info.hpp"

namespace ax::platform {

/// What a report says about a discovery. All texts are literals.
struct DiscoveryFindings {
  std::string_view reason{};                      ///< why it failed; names what is missing
  StaticVector<std::string_view, 16> warnings{};  ///< what was left out or assumed; later ones are dropped when full
};

/// Room for the device paths that MachineInfo refers to.
inline constexpr usize kDiscoveryNamesSize = 512;

/// Bytes of the device tree that begins with `header`, fdt::kHeaderSize bytes; 0: there is none, or it is a wild pointer. Boot protocols
/// allow 2 MiB.
u64 device_tree_size(std::span<const std::byte> header);

/// A serial port that a platform has a driver for.
struct ConsoleModel {
  std::string_view compatible;
  ConsoleInfo::Kind kind;
  u8 register_shift = 0;  ///< 16550: where the node does not say it
  u8 register_width = 1;
};

/// The steps that platforms have in common; each derives its own discovery from it. Everything found goes to `machine`, whose
/// texts refer to the tree's blob and to `names`. Any context, also before the MMU is on.
class FdtDiscovery {
 protected:
  FdtDiscovery(const fdt::Fdt& tree, Hpa fdt_address, MachineInfo& machine, std::span<char> names, DiscoveryFindings& findings)
      : tree_(tree), fdt_address_(fdt_address), machine_(machine), names_(names), findings_(findings) {}
  ~FdtDiscovery() = default;

  /// A failure that the report explains with `reason`.
  std::unexpected<Error> stop(Error error, std::string_view reason) {
    findings_.reason = reason;
    return fail(error);
  }
  void warn(std::string_view text) { (void)findings_.warnings.push_back(text); }

  /// Model, command line, and the tree itself.
  void find_texts();

  /// The boot CPU, then every enabled one of /cpus that can be started. A CPU's number is its `reg` under `id_mask`.
  void find_cpus(u64 boot_id, u64 id_mask);
  /// Why the CPU of an enabled node cannot be started; empty: it can.
  virtual std::string_view cannot_start(fdt::Node cpu) const = 0;

  /// RAM in whole pages, sorted and disjoint. Error: NotFound, or the reader's for an unreadable entry.
  Result<void> find_memory();
  /// What nobody may allocate, sorted and disjoint, and the initrd as a module. Errors: OutOfMemory (more ranges than
  /// MachineInfo holds), Malformed, or the reader's.
  Result<void> find_reserved();

  /// The console of /chosen, else the first port of `models`.
  void find_console(std::span<const ConsoleModel> models);
  /// The number that the platform's interrupt controller knows an interrupt by; 0: it is none of its.
  virtual u32 interrupt_number(const fdt::Interrupt& interrupt) const = 0;

  /// A node's path, kept in `names`.
  std::string_view keep_path(fdt::Node node);

  const fdt::Fdt& tree_;
  Hpa fdt_address_;
  MachineInfo& machine_;

 private:
  void add_cpu(u64 id);
  Result<void> reserve(HpaRange range);
  Result<void> reserve_node(fdt::Node node, const fdt::Ancestors& above);
  Result<void> find_initrd();
  bool use_console(fdt::Node node, std::span<const ConsoleModel> models);

  std::span<char> names_;
  DiscoveryFindings& findings_;
};

inline HpaRange to_range(fdt::Region region) { return {Hpa(region.address), region.size}; }

}  // namespace ax::platform
