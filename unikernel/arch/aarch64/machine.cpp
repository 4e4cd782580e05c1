#include "unikernel/core/machine.hpp"

#include <arch/sysreg.hpp>

#include "unikernel/core/random_bytes.hpp"

namespace ax::uni {

void prepare_machine(MachineInfo&) {}  // the counter runs from reset on; boot.S has enabled the vector registers

bool hardware_random(u64& word) {
  constexpr unsigned kRandomField = 60;  // ID_AA64ISAR0_EL1.RNDR
  if (arch::bits(arch::ID_AA64ISAR0_EL1::read(), kRandomField, 4) == 0) return false;
  u64 failed;
  asm volatile("mrs %0, s3_3_c2_c4_0\n\tcset %1, eq" : "=r"(word), "=r"(failed) : : "cc");
  return failed == 0;
}

}  // namespace ax::uni
