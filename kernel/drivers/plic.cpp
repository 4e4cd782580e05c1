#include "kernel/drivers/plic.hpp"

#include <arch/mmio.hpp>

namespace ax::drivers {
namespace {

// Offsets of the memory map (chapter 3).
constexpr u64 kPriority = 0, kEnable = 0x2000, kEnableStride = 0x80, kContext = 0x20'0000, kContextStride = 0x1000;
constexpr u64 kThreshold = 0, kClaim = 4;
constexpr u32 kSourcesPerWord = 32;
/// The lowest priority that interrupts at threshold 0; all sources have it.
constexpr u32 kUsedPriority = 1;

}  // namespace

void Plic::attach(const PlicInfo& info, std::span<const CpuInfo> cpus) {
  base_ = info.registers.base.value();
  sources_ = info.sources;
  for (usize i = 0; i < cpus.size(); ++i) contexts_[i] = cpus[i].plic_context;
}

u64 Plic::context(unsigned index) const { return base_ + kContext + kContextStride * contexts_[index]; }

u64 Plic::enable_word(u32 source, unsigned index) const {
  return base_ + kEnable + kEnableStride * contexts_[index] + source / kSourcesPerWord * sizeof(u32);
}

void Plic::init_cpu(unsigned index) {
  for (u32 source = 0; source <= sources_; source += kSourcesPerWord) arch::mmio_write32(enable_word(source, index), 0);
  arch::mmio_write32(context(index) + kThreshold, 0);
}

void Plic::enable(u32 source, unsigned index) {
  arch::mmio_write32(base_ + kPriority + source * sizeof(u32), kUsedPriority);
  const u64 word = enable_word(source, index);
  arch::mmio_write32(word, arch::mmio_read32(word) | 1u << source % kSourcesPerWord);
}

void Plic::disable(u32 source, unsigned index) {
  const u64 word = enable_word(source, index);
  arch::mmio_write32(word, arch::mmio_read32(word) & ~(1u << source % kSourcesPerWord));
}

u32 Plic::claim(unsigned index) const { return arch::mmio_read32(context(index) + kClaim); }
void Plic::complete(unsigned index, u32 source) const { arch::mmio_write32(context(index) + kClaim, source); }

}  // namespace ax::drivers
