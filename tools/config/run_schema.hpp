// Files that say how an image is run: on QEMU, and on a board behind U-Boot.
#pragma once

#include "tools/config/schema.hpp"

namespace ax::config {

extern const FileSchema kQemuSchema;   ///< .qemu-<arch>.toml
extern const FileSchema kUbootSchema;  ///< .uboot.toml

}  // namespace ax::config
