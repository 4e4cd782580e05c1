// What was chosen for this image: the generated data, given the names that the hypervisor knows.
#include <vm_configs.hpp>

#include "hypervisor/config/vm_config.hpp"

namespace hv {

constinit const std::span<const VmConfig> kStaticVmConfigs = generated::kVms;
constinit const bool kRestartAtEnd = AXVISOR_RESTART_AT_END;

}  // namespace hv
