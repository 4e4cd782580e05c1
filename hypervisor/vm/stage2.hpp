// A VM's guest-physical address space: stage-2 translation, and the VMID that names it in the TLBs.
#pragma once

#include <arch/tlb.hpp>
#include <optional>

#include "hypervisor/vm/vm_frames.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/arm_stage2.hpp"
#include "kernel/mm/page_table.hpp"

namespace hv {

/// Changed by the thread that creates or destroys the VM, while none of its vCPUs runs, and within set_tables_aside() by its vCPUs'
/// exits; read by the CPUs that run them.
class Stage2 {
 public:
  /// `highest`: the last guest-physical address that must be reachable. `pa_range`: ID_AA64MMFR0_EL1.PARange. `max_levels`:
  /// upper bound of the walk, 3 or 4 (feature ept-level-4). `vmid`: not 0, and of no other VM. `frames` outlives the object.
  /// Errors: OutOfRange (the CPU translates fewer address bits), NotSupported, OutOfMemory.
  static Result<Stage2> create(Gpa highest, unsigned pa_range, unsigned max_levels, u8 vmid, VmFrames& frames);

  Stage2(Stage2&& other) noexcept;
  Stage2& operator=(Stage2&&) = delete;
  /// Removes the VM's translations from all TLBs, then frees the tables.
  ~Stage2();

  /// Errors: those of mm::PageTable::map().
  Result<void> map(GpaRange range, Hpa target, mm::PageAttributes attributes);
  /// Takes back what map() did for the same range. Errors: those of mm::PageTable::remove().
  Result<void> unmap(GpaRange range);
  /// From now on map() makes do with `count` tables, at most TranslationTables::kMaxReserve, and it and unmap() may be called
  /// while vCPUs run, one at a time. Error: OutOfMemory.
  Result<void> set_tables_aside(usize count) { return source_.set_aside(count); }
  std::optional<mm::Translation> translate(Gpa address) const { return table_.translate(address); }

  /// For VTCR_EL2 and VTTBR_EL2 while this VM runs.
  u64 vtcr() const { return table_.format().geometry().vtcr(kVmidBits); }
  u64 vttbr() const { return mm::ArmStage2Tlb<arch::Tlb>::vttbr(table_.root(), vmid_); }
  unsigned start_level() const { return table_.format().geometry().start_level(); }

 private:
  using Table = mm::PageTable<mm::ArmStage2Format, mm::ArmStage2Tlb<arch::Tlb>>;
  static constexpr unsigned kVmidBits = 8;  ///< every CPU has these

  Stage2(const Table& table, u8 vmid, VmFrames& frames) : table_(table), source_(frames), vmid_(vmid) {}

  Table table_;
  TranslationTables source_;
  u8 vmid_;
  bool owner_ = true;
};

}  // namespace hv
