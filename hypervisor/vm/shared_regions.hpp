// Memory that several VMs have, by name.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Who uses which shared memory. It exists from its first user's creation until its last user's end, so that what is in it
/// outlives the restart of one of several. Manager thread only. Names are not copied: who
/// takes one away gives another (rename()).
class SharedRegions {
 public:
  static constexpr usize kMaxRegions = 16;

  /// The host memory of `name`, which has one user more now; nothing if nobody uses it.
  std::optional<HpaRange> join(std::string_view name) {
    Region* region = find(name);
    if (region == nullptr) return std::nullopt;
    ++region->users;
    return region->host;
  }
  /// `host` is the memory of `name`, which has one user. Errors: AlreadyExists, OutOfMemory (too many).
  Result<void> add(std::string_view name, HpaRange host) {
    if (find(name) != nullptr) return fail(Error::AlreadyExists);
    TRY(regions_.push_back({name, host, 1}));
    return {};
  }
  /// One user less; true for the last one, who frees the memory.
  bool leave(std::string_view name) {
    Region* region = find(name);
    if (region == nullptr || --region->users != 0) return false;
    regions_.erase(static_cast<usize>(region - regions_.begin()));
    return true;
  }
  /// From now on refers to `name` where it referred to an equal text.
  void rename(std::string_view name) {
    if (Region* region = find(name)) region->name = name;
  }

 private:
  struct Region {
    std::string_view name{};
    HpaRange host{};
    unsigned users = 0;
  };

  Region* find(std::string_view name) {
    for (Region& region : regions_)
      if (region.name == name) return &region;
    return nullptr;
  }

  StaticVector<Region, kMaxRegions> regions_{};
};

}  // namespace hv
