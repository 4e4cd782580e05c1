// Translation of a virtual machine's addresses on x86: nested page tables of AMD SVM and extended page tables of Intel VMX.
#pragma once

#include <algorithm>
#include <atomic>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"
#include "kernel/mm/page_attributes.hpp"
#include "kernel/mm/page_table.hpp"

namespace ax::mm {

/// Which of the two formats the machine walks.
enum class NestedKind : u8 {
  Npt,  ///< AMD: the host's long-mode format, walked as user accesses (APM vol. 2 15.25)
  Ept,  ///< Intel: its own format (SDM vol. 3 29.3)
};

/// What the CPUs of this machine can do with nested tables; the same on all of them.
struct NestedCapabilities {
  NestedKind kind = NestedKind::Npt;
  unsigned physical_bits = 0;   ///< MAXPHYADDR: CPUID Fn8000_0008 EAX[7:0]
  bool gigabyte_leaves = false;
  bool accessed_dirty = false;  ///< EPT: the CPU would set accessed and dirty flags; NPT always does
};

/// Entries of either kind: one format decided at run time, because page-table code for each would be in the image twice.
/// Both translate 48 bits by four levels: NPT walks as the host does (APM vol. 2 15.25.3), and an EPT walk has at least four.
///
/// Accessed and dirty flags are set in advance: nobody looks at them, and the CPU need not store them.
class X86NestedFormat {
 public:
  using Address = Gpa;
  static constexpr unsigned kInputBits = 48;

  explicit constexpr X86NestedFormat(const NestedCapabilities& capabilities) : capabilities_(capabilities) {}

  constexpr const NestedCapabilities& capabilities() const { return capabilities_; }
  constexpr unsigned input_bits() const { return kInputBits; }
  constexpr unsigned output_bits() const { return std::min(capabilities_.physical_bits, kMaxPhysicalBits); }
  constexpr unsigned root_height() const { return 3; }
  constexpr unsigned largest_leaf_height() const { return capabilities_.gigabyte_leaves ? 2 : 1; }

  /// Neither format has write without read; execute without read is an option of EPT that nothing here needs.
  constexpr bool can_express(PageAttributes attributes) const { return attributes.read; }

  constexpr u64 leaf(Hpa address, PageAttributes attributes, unsigned height) const {
    return address.value() | (height == 0 ? 0 : kLargeLeaf) | (is_ept() ? ept_bits(attributes) : npt_bits(attributes));
  }
  constexpr u64 table(Hpa address) const {
    return address.value() | (is_ept() ? kEptRead | kEptWrite | kEptExecute | kEptAccessed
                                       : kNptPresent | kNptWrite | kNptUser | kNptAccessed);
  }

  constexpr bool is_valid(u64 entry) const { return (entry & present_bits()) != 0; }
  constexpr bool is_leaf(u64 entry, unsigned height) const { return height == 0 || (entry & kLargeLeaf) != 0; }
  constexpr Hpa output(u64 entry) const { return Hpa(entry & kAddressMask); }

  constexpr PageAttributes attributes(u64 leaf) const {
    if (is_ept()) {
      return {.read = (leaf & kEptRead) != 0,
              .write = (leaf & kEptWrite) != 0,
              .execute = (leaf & kEptExecute) != 0,
              .type = (leaf & kEptTypeMask) == kEptWriteBack ? MemoryType::Normal : MemoryType::Device};
    }
    return {.read = (leaf & kNptPresent) != 0,
            .write = (leaf & kNptWrite) != 0,
            .execute = (leaf & kNptNoExecute) == 0,
            .type = (leaf & kNptUncached) == 0 ? MemoryType::Normal : MemoryType::Device};
  }

  constexpr u64 broken(u64 entry) const { return entry & ~present_bits(); }

  /// Permissions change in place, in one store. A page is not used with two memory types at a time (SDM vol. 3 12.12.4,
  /// APM vol. 2 7.8.6).
  constexpr bool needs_break(u64 from, u64 to) const { return attributes(from).type != attributes(to).type; }

 private:
  static constexpr unsigned kMaxPhysicalBits = 52;
  static constexpr u64 kAddressMask = ((u64{1} << kMaxPhysicalBits) - 1) & ~(kPageSize - 1);
  static constexpr u64 kLargeLeaf = u64{1} << 7;

  // Long-mode page-table entries (APM vol. 2 5.3.3, 5.4). PAT entry 3 (PWT and PCD set) is uncacheable, as after reset.
  static constexpr u64 kNptPresent = u64{1} << 0;
  static constexpr u64 kNptWrite = u64{1} << 1;
  static constexpr u64 kNptUser = u64{1} << 2;
  static constexpr u64 kNptUncached = u64{3} << 3;
  static constexpr u64 kNptAccessed = u64{1} << 5;
  static constexpr u64 kNptDirty = u64{1} << 6;
  static constexpr u64 kNptNoExecute = u64{1} << 63;

  // EPT entries (SDM vol. 3 tables 29-2 to 29-6). The guest's PAT still has its say: "ignore PAT" stays 0.
  static constexpr u64 kEptRead = u64{1} << 0;
  static constexpr u64 kEptWrite = u64{1} << 1;
  static constexpr u64 kEptExecute = u64{1} << 2;
  static constexpr u64 kEptTypeMask = u64{7} << 3;
  static constexpr u64 kEptWriteBack = u64{6} << 3;
  static constexpr u64 kEptAccessed = u64{1} << 8;
  static constexpr u64 kEptDirty = u64{1} << 9;

  constexpr bool is_ept() const { return capabilities_.kind == NestedKind::Ept; }
  constexpr u64 present_bits() const { return is_ept() ? kEptRead | kEptWrite | kEptExecute : kNptPresent; }

  static constexpr u64 npt_bits(PageAttributes a) {
    return (a.read ? kNptPresent : 0) | (a.write ? kNptWrite : 0) | (a.execute ? 0 : kNptNoExecute) |
           (a.type == MemoryType::Device ? kNptUncached : 0) | kNptUser | kNptAccessed | kNptDirty;
  }
  static constexpr u64 ept_bits(PageAttributes a) {
    return (a.read ? kEptRead : 0) | (a.write ? kEptWrite : 0) | (a.execute ? kEptExecute : 0) |
           (a.type == MemoryType::Device ? 0 : kEptWriteBack) | kEptAccessed | kEptDirty;
  }

  NestedCapabilities capabilities_;
};
static_assert(PageTableFormat<X86NestedFormat>);

/// The VMCS's EPT pointer for a root table (SDM vol. 3 25.6.11): write-back walks of four levels.
constexpr u64 ept_pointer(Hpa root, const NestedCapabilities& capabilities) {
  constexpr u64 kWriteBack = 6;
  constexpr u64 kWalkLengthMinusOne = u64{3} << 3;
  constexpr u64 kAccessedDirty = u64{1} << 6;
  return root.value() | kWriteBack | kWalkLengthMinusOne | (capabilities.accessed_dirty ? kAccessedDirty : 0);
}

/// TLB maintenance of one VM's nested tables. No CPU can drop another CPU's translations: an invalidation starts a new epoch,
/// and a vCPU that was last entered in an older one flushes before its next entry: by TLB_CONTROL or a new ASID (APM vol. 2
/// 15.16), by INVEPT (SDM vol. 3 29.4.3). The tables of a VM change only while none of its vCPUs is in its guest, so by the
/// time of an entry nothing stale is used. Entries that become valid need nothing: neither CPU caches invalid ones.
template <class Arch>
class X86NestedTlb {
 public:
  using Address = Gpa;

  /// `epoch` outlives the object. It starts at a value no vCPU has seen (they start at 0).
  explicit constexpr X86NestedTlb(std::atomic<u64>& epoch) : epoch_(&epoch) {}

  /// x86 stores become visible in order (APM vol. 2 7.2): only the compiler has to keep it.
  void order_table_stores() { Arch::order_stores(); }
  void publish() { Arch::order_stores(); }
  void begin_invalidation() { Arch::order_stores(); }
  void invalidate(Gpa) {}
  void invalidate_all() {}
  void end_invalidation() { Arch::start_epoch(*epoch_); }

 private:
  std::atomic<u64>* epoch_;
};

}  // namespace ax::mm
