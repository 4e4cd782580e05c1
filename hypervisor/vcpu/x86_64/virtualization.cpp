// The choice between the two backends.
#include "hypervisor/vcpu/x86_64/backend.hpp"
#include "hypervisor/vcpu/x86_64/svm_machine.hpp"
#include "hypervisor/vcpu/x86_64/vmx_machine.hpp"
#include "kernel/log/log.hpp"

namespace hv {

Result<mm::Box<Virtualization>> create_virtualization(mm::ObjectAllocator& heap, VmFrames& frames) {
  if (svm::SvmMachine::present()) return svm::SvmMachine::create(heap, frames);
  if (vmx::VmxMachine::present()) return vmx::VmxMachine::create(heap, frames);
  log::error("this CPU has neither AMD SVM nor Intel VMX: no guest can run");
  return fail(Error::NotSupported);
}

}  // namespace hv
