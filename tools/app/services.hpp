// What the system under an application can offer, what each of it needs, and which device must be there.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.hpp"

namespace ax::app {

/// A device of [os.platform.qemu].
enum class Device : u8 { None, Blk, Net, Graphic, V9p };

struct Service {
  std::string_view name;
  std::string_view doc;
  std::span<const std::string_view> needs{};  ///< services that come with it
  Device device = Device::None;               ///< that it is useless without
};

std::span<const Service> all_services();
const Service* find_service(std::string_view name);

/// The named services and all that they need, in the order of the table. Unknown names are left out.
std::vector<std::string> with_needs(const std::vector<std::string>& names);

}  // namespace ax::app
