// A VM description that was compiled on the building machine and arrives at run time, in a file.
//
// It is a flattened device tree: a property of the root for each plain field of VmConfig (vm_fields.hpp), a node for each
// structure, and for each list of structures a node with one node per item. Numbers are one cell, or two for those of 64 bits;
// texts end with a NUL. `axvisor,vm` holds the version of this format, `axvisor,arch` the architecture it was checked for.
#pragma once

#include <expected>

#include "hypervisor/config/vm_config.hpp"
#include "kernel/base/format.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

/// Changes whenever a reader of the version before could misunderstand a file.
inline constexpr u32 kDescriptionVersion = 1;
inline constexpr std::string_view kDescriptionVersionProperty = "axvisor,vm";
inline constexpr std::string_view kDescriptionArchProperty = "axvisor,arch";
/// Of a file, and of each list in it.
inline constexpr usize kMaxDescriptionBytes = 64_KiB;
inline constexpr usize kMaxDescriptionItems = 256;

/// Why a file is no description that can be used.
struct DescriptionProblem {
  enum class Kind : u8 { NotCompiled, TooLarge, Damaged, Version, Arch, Field, BuiltInImage, OutOfMemory };
  Kind kind = Kind::Damaged;
  StaticVector<char, 40> where{};  ///< what it is about, as far as it fits
  u32 version = 0;

  DescriptionProblem() = default;
  explicit DescriptionProblem(Kind k, std::string_view about = {});
};
/// One sentence without a full stop, whose subject is the file: with what is wrong and how to repair it.
void describe(Sink& sink, const DescriptionProblem& problem);

/// A description and what it refers to. Any thread; nothing is shared.
class VmDescription {
 public:
  /// `file` is any bytes at all. Uses memory of `heap` in proportion to them, for as long as the description lives. `arch` is
  /// this machine's: a file that was compiled for another one is refused.
  static std::expected<mm::Box<VmDescription>, DescriptionProblem> decode(mm::ObjectAllocator& heap, mm::Scratch file,
                                                                          std::string_view arch);

  /// Of parts that decode() has made.
  VmDescription(mm::Scratch file, mm::Scratch lists, const VmConfig& config, bool has_an_id)
      : file_(std::move(file)), lists_(std::move(lists)), config_(config), has_id_(has_an_id) {}

  /// Views parts of this object.
  const VmConfig& config() const { return config_; }
  /// Whether the file says which id the VM has; else whoever makes it chooses one.
  bool has_id() const { return has_id_; }

 private:
  mm::Scratch file_;  ///< texts
  mm::Scratch lists_;
  VmConfig config_;
  bool has_id_;
};

}  // namespace hv
