// A bounded, repeatable stand-in for a fuzzer: compiled descriptions of the tree's own VM files, damaged in many small ways.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tools/config/emit.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ax::config {
namespace {

using Blob = std::vector<std::byte>;

void feed(const Blob& blob) { LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()); }

std::vector<Blob> descriptions() {
  std::vector<Blob> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(AXVISOR_SOURCE_DIR) / "configs/vms")) {
    if (entry.path().extension() != ".toml") continue;  // programs of theirs
    SourceStore sources;
    Diagnostics diagnostics;
    const auto file = sources.open(entry.path(), entry.path().string());
    auto document = load_document(*file.value(), kVmSchema, diagnostics);
    const Vm vm(std::move(*document), "vm.toml", diagnostics);
    hv::VmConfig config = vm.config();
    for (hv::Image* image : {&config.kernel, &config.dtb, &config.bios, &config.ramdisk}) image->location = hv::ImageLocation::Fs;
    out.push_back(vm_description(config, true, "aarch64").value());
  }
  return out;
}

class Mutator {
 public:
  Blob damage(Blob blob) {
    constexpr u8 kInteresting[] = {0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xff};
    for (usize hits = 1 + below(3); hits > 0 && !blob.empty(); --hits) {
      const usize at = below(blob.size());
      switch (below(5)) {
        case 0: blob[at] = static_cast<std::byte>(below(256)); break;
        case 1: blob[at] = static_cast<std::byte>(kInteresting[below(std::size(kInteresting))]); break;
        case 2: blob[align_down(at, 4) + 3 < blob.size() ? align_down(at, 4) + 3 : at] = static_cast<std::byte>(below(10)); break;
        case 3:
          std::copy_n(blob.begin() + static_cast<i64>(at), std::min<usize>(blob.size() - at, 4 * below(16)),
                      blob.begin() + static_cast<i64>(align_down(below(at + 1), 4)));
          break;
        case 4:
          if (below(8) == 0) blob.resize(at);
          break;
      }
    }
    return blob;
  }

 private:
  // std::uniform_int_distribution differs between libraries; this does not.
  usize below(usize n) { return n == 0 ? 0 : random_() % n; }
  std::mt19937 random_{1};
};

TEST(DescriptionMutation, DoesNoHarm) {
  constexpr usize kRounds = 3000;
  Mutator mutator;
  for (const Blob& seed : descriptions()) {
    feed(seed);
    for (usize round = 0; round < kRounds; ++round) feed(mutator.damage(seed));
  }
}

TEST(DescriptionMutation, CutOffAnywhereDoesNoHarm) {
  const Blob seed = descriptions().front();
  for (usize size = 0; size < seed.size(); ++size) feed(Blob(seed.begin(), seed.begin() + static_cast<i64>(size)));
}

}  // namespace
}  // namespace ax::config
