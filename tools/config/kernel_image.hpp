// What the header of a guest kernel says about where it wants to be.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "hypervisor/config/kernel_format.hpp"

namespace ax::config {

struct KernelImage {
  hv::KernelFormat format = hv::KernelFormat::Flat;
  u64 memory_size = 0;         ///< bytes of guest memory from its load address on; never less than what is copied there
  u64 load_address = 0;        ///< where a BzImage or Elf wants to be
  u64 alignment = 1;           ///< of another load address for a BzImage; 0: there can be no other
  std::string_view problem{};  ///< why it cannot be started, as the end of a sentence; empty when it can
};

/// Nothing when the file cannot be read.
std::optional<KernelImage> inspect_kernel(const std::filesystem::path& path);

}  // namespace ax::config
