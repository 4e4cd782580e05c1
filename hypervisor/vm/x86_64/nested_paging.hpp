// A VM's guest-physical address space: nested paging of SVM or VMX, and what tells CPUs to forget old translations.
#pragma once

#include <arch/nested_tlb.hpp>
#include <atomic>
#include <optional>

#include "hypervisor/vm/vm_frames.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/page_table.hpp"
#include "kernel/mm/x86_nested.hpp"

namespace hv {

/// Changed by the thread that creates or destroys the VM, while none of its vCPUs runs, and within set_tables_aside() by its vCPUs'
/// exits; read by the CPUs that run them. What is unmapped while they run is gone for another vCPU at its next entry.
class NestedPaging {
 public:
  /// `highest`: the last guest-physical address that must be reachable. `frames` outlives the object.
  /// Errors: OutOfRange (beyond 48 bits), OutOfMemory.
  static Result<NestedPaging> create(Gpa highest, const mm::NestedCapabilities& capabilities, VmFrames& frames);

  NestedPaging(NestedPaging&& other) noexcept;
  NestedPaging& operator=(NestedPaging&&) = delete;
  /// Starts a new epoch, then frees the tables. None of the VM's vCPUs is ever entered again.
  ~NestedPaging();

  /// Errors: those of mm::PageTable::map().
  Result<void> map(GpaRange range, Hpa target, mm::PageAttributes attributes);
  /// Takes back what map() did for the same range. Errors: those of mm::PageTable::remove().
  Result<void> unmap(GpaRange range);
  /// From now on map() makes do with `count` tables, at most TranslationTables::kMaxReserve, and it and unmap() may be called
  /// while vCPUs run, one at a time. Error: OutOfMemory.
  Result<void> set_tables_aside(usize count) { return source_.set_aside(count); }
  std::optional<mm::Translation> translate(Gpa address) const { return table_.translate(address); }

  /// For the VMCB's N_CR3.
  Hpa root() const { return table_.root(); }
  /// For the VMCS's EPT pointer.
  u64 ept_pointer() const { return mm::ept_pointer(table_.root(), table_.format().capabilities()); }
  /// Greater than 0, and grows with every invalidation. A vCPU that was entered in another epoch flushes first.
  u64 epoch() const { return epoch_.load(std::memory_order_acquire); }

 private:
  using Table = mm::PageTable<mm::X86NestedFormat, mm::X86NestedTlb<arch::NestedTlb>>;

  NestedPaging(const mm::NestedCapabilities& capabilities, Hpa root, u64 epoch, VmFrames& frames)
      : epoch_(epoch),
        table_(mm::X86NestedFormat(capabilities), mm::X86NestedTlb<arch::NestedTlb>(epoch_), root),
        source_(frames) {}

  std::atomic<u64> epoch_;
  Table table_;
  TranslationTables source_;
  bool owner_ = true;
};

}  // namespace hv
