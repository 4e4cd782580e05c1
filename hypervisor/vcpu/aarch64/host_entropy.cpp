#include "hypervisor/vcpu/aarch64/host_entropy.hpp"

#include <arch/cpu.hpp>

#include "kernel/fdt/reader.hpp"

namespace hv {
namespace {

// RNDRRS, reseeded before each number; false: the hardware could not give one in reasonable time (Arm ARM D17.2.116).
bool read_random(u64& value) {
  u64 failed = 0;
  asm volatile("mrs %0, s3_3_c2_c4_1\n cset %1, eq" : "=r"(value), "=r"(failed) : : "cc");
  return failed == 0;
}

}  // namespace

void HostEntropy::init(std::span<const std::byte> fdt) {
  constexpr unsigned kRndrShift = 60;
  hardware_ = arch::ID_AA64ISAR0_EL1::read() >> kRndrShift != 0;
  const auto tree = fdt::Fdt::parse(fdt);
  if (hardware_ || !tree) return;
  const auto chosen = tree->find("/chosen");
  const auto seed = chosen ? chosen->property("rng-seed") : std::nullopt;
  if (seed) generator_.lock()->seed(seed->data);
}

bool HostEntropy::fill(std::span<u64> words) {
  if (hardware_) {
    for (u64& word : words)
      if (!read_random(word)) return false;
    return true;
  }
  const auto generator = generator_.lock();
  for (u64& word : words) word = generator->next();
  return true;
}

}  // namespace hv
