#include "hypervisor/vm/stage2.hpp"

#include <arch/cpu.hpp>

namespace hv {
namespace {

/// TLB maintenance puts this VM's number into VTTBR_EL2 for a moment: another vCPU of this CPU must not run meanwhile.
class InterruptsMasked {
 public:
  InterruptsMasked() : state_(arch::irq_save()) {}
  ~InterruptsMasked() { arch::irq_restore(state_); }
  InterruptsMasked(const InterruptsMasked&) = delete;
  InterruptsMasked& operator=(const InterruptsMasked&) = delete;

 private:
  u64 state_;
};

}  // namespace

Result<Stage2> Stage2::create(Gpa highest, unsigned pa_range, unsigned max_levels, u8 vmid, VmFrames& frames) {
  const auto geometry = TRY(mm::ArmStage2Geometry::reaching(highest, pa_range, max_levels));
  const HpaRange root = TRY(frames.allocate(geometry.root_size(), geometry.root_size()));
  mm::IdentityTableMemory memory;
  for (u64 offset = 0; offset < root.size; offset += kPageSize) memory.clear(root.base + offset);

  // Whatever an earlier VM left in the TLBs under this number must not be found.
  const InterruptsMasked masked;
  mm::ArmStage2Tlb<arch::Tlb> tlb(root.base, vmid);
  tlb.begin_invalidation();
  tlb.invalidate_all();
  tlb.end_invalidation();
  return Stage2(Table(mm::ArmStage2Format(geometry), tlb, root.base), vmid, frames);
}

Stage2::Stage2(Stage2&& other) noexcept : table_(other.table_), source_(other.source_), vmid_(other.vmid_), owner_(other.owner_) {
  other.owner_ = false;
}

Stage2::~Stage2() {
  if (!owner_) return;
  const InterruptsMasked masked;
  source_.release();
  table_.destroy(source_);
  source_.frames().free({table_.root(), table_.format().geometry().root_size()});
}

Result<void> Stage2::map(GpaRange range, Hpa target, mm::PageAttributes attributes) {
  const InterruptsMasked masked;
  return table_.map(source_, range, target, attributes);
}

Result<void> Stage2::unmap(GpaRange range) {
  const InterruptsMasked masked;
  return table_.remove(range);
}

}  // namespace hv
