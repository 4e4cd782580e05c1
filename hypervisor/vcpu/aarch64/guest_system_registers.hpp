// Trapped system registers of a guest.
#pragma once

#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"

namespace hv {

class Vcpu;

/// Emulates a trapped MSR, MRS or system instruction, the result register included. False: the guest was not promised that
/// register. On the vCPU's CPU, its registers loaded, interrupts masked.
bool access_system_register(Vcpu& vcpu, SystemRegisterAccess access);

}  // namespace hv
