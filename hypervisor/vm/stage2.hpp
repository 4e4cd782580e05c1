// A VM's guest-physical address space: stage-2 translation, and the VMID that names it in the TLBs.
#pragma once

#include <arch/tlb.hpp>
#include <optional>

#include "hypervisor/vm/vm_frames.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/arm_stage2.hpp"
#include "kernel/mm/page_table.hpp"

namespace hv {

/// Changed only by the thread that creates or destroys the VM, while none of its vCPUs runs; read by the CPUs that run them.
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
  Result<void> unmap(GpaRange range);
  std::optional<mm::Translation> translate(Gpa address) const { return table_.translate(address); }

  /// For VTCR_EL2 and VTTBR_EL2 while this VM runs.
  u64 vtcr() const { return table_.format().geometry().vtcr(kVmidBits); }
  u64 vttbr() const { return mm::ArmStage2Tlb<arch::Tlb>::vttbr(table_.root(), vmid_); }
  unsigned start_level() const { return table_.format().geometry().start_level(); }

 private:
  using Table = mm::PageTable<mm::ArmStage2Format, mm::ArmStage2Tlb<arch::Tlb>>;
  static constexpr unsigned kVmidBits = 8;  ///< every CPU has these

  /// One table at a time out of VmFrames.
  struct Source {
    VmFrames& frames;
    Result<Hpa> allocate_table() {
      const HpaRange table = TRY(frames.allocate(kPageSize, kPageSize));
      return table.base;
    }
    void free_table(Hpa table) { frames.free({table, kPageSize}); }
  };

  Stage2(const Table& table, u8 vmid, VmFrames& frames) : table_(table), source_{frames}, vmid_(vmid) {}

  Table table_;
  Source source_;
  u8 vmid_;
  bool owner_ = true;
};

}  // namespace hv
