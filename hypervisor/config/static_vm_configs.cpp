// The VMs built into this image: the generated data, given the name that the hypervisor knows.
#include <vm_configs.hpp>

#include "hypervisor/config/vm_config.hpp"

namespace hv {

constinit const std::span<const VmConfig> kStaticVmConfigs = generated::kVms;

}  // namespace hv
