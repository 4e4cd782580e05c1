#include "hypervisor/vcpu/aarch64/guest_system_registers.hpp"

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vcpu/aarch64/host_id_registers.hpp"
#include "hypervisor/vcpu/aarch64/id_registers.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

bool access_system_register(Vcpu& vcpu, SystemRegisterAccess access) {
  const u32 encoding = access.encoding();
  if (is_id_register(encoding) && access.is_read()) {
    vcpu.registers.write(access.register_index(), guest_id_value(encoding, host_id_register(encoding), vcpu.vm.gic_version()));
    return true;
  }
  return false;
}

}  // namespace hv
