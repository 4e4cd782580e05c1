#include "hypervisor/vcpu/aarch64/virtual_interrupts.hpp"

#include <bit>

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/aarch64/physical_interrupts.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

VirtualInterrupts::VirtualInterrupts(Vm& owner, PhysicalInterrupts& host, const VgicConfig& config, u32 virtual_timer_id,
                                     u32 physical_timer_id)
    : vm_(owner), host_(host), virtual_timer_id_(virtual_timer_id), physical_timer_id_(physical_timer_id),
      vgic_(config, static_cast<VgicHost&>(*this)), distributor_(vgic_.without_lock()), redistributors_(vgic_.without_lock()) {
  for (unsigned vcpu = 0; vcpu < config.vcpu_count; ++vcpu) {
    // A PPI number that the model refuses would be a mistake of the platform's device tree, which discovery has checked.
    static_cast<void>(vgic_.without_lock().map_hardware(vcpu, virtual_timer_id, virtual_timer_id));
  }
}

unsigned VirtualInterrupts::index_of(const Vcpu& vcpu) { return vcpu.index; }

void VirtualInterrupts::kick(u64 vcpus) {
  for (; vcpus != 0; vcpus &= vcpus - 1) {
    Vcpu& vcpu = *vm_.vcpu(static_cast<unsigned>(std::countr_zero(vcpus)));
    // The one that runs here looks before its next entry anyway.
    if (Cpu::current().running == &vcpu && vcpu.state == Task::State::Running) continue;
    vcpu.request(VcpuRequest::Interrupt);
  }
}

template <class Action>
auto VirtualInterrupts::with_vgic(Action action) {
  struct Kicks {
    VirtualInterrupts& self;
    u64 vcpus = 0;
    ~Kicks() {
      if (vcpus != 0) self.kick(vcpus);
    }
  } kicks{*this};
  const auto vgic = vgic_.lock();
  struct Collect {
    Vgic& vgic;
    Kicks& kicks;
    ~Collect() { kicks.vcpus = vgic.take_kicks(); }
  } collect{*vgic, kicks};
  return action(*vgic);
}

// ---- list registers ---------------------------------------------------------------------------------------------------

void VirtualInterrupts::read_back(Vgic& vgic, unsigned vcpu) {
  ListRegisterSet& lists = lists_[vcpu];
  const drivers::GicVirtualInterface& hardware = host_.virtual_interface();
  for (u32 i = 0; i < lists.count; ++i) lists.entries[i] = hardware.read(i);
  lists.eoi_count = hardware.control() >> virtual_control::kEoiCountShift;
  vgic.sync(vcpu, lists);
}

void VirtualInterrupts::write_out(unsigned vcpu) {
  const drivers::GicVirtualInterface& hardware = host_.virtual_interface();
  const ListRegisterSet& lists = lists_[vcpu];
  for (u32 i = 0; i < lists.count; ++i) hardware.write(i, lists.entries[i]);
  for (u32 i = lists.count; i < hardware.list_register_count(); ++i) hardware.write(i, ListRegister());
  hardware.set_control(lists.control);
}

void VirtualInterrupts::refill(Vcpu& vcpu) {
  with_vgic([&](Vgic& vgic) {
    if (vgic.loaded(vcpu.index)) read_back(vgic, vcpu.index);
    vgic.flush(vcpu.index, lists_[vcpu.index]);
  });
  write_out(vcpu.index);
}

void VirtualInterrupts::synchronize_loaded(Vcpu& vcpu) {
  with_vgic([&](Vgic& vgic) { read_back(vgic, vcpu.index); });
  // What was folded back is out of the hardware until the next flush puts the rest there.
  write_out(vcpu.index);
}

void VirtualInterrupts::synchronize(unsigned vcpu) {
  // Called from within the model, under its lock.
  read_back(vgic_.without_lock(), vcpu);
  write_out(vcpu);
}

void VirtualInterrupts::load(Vcpu& vcpu) {
  if (direct_) return with_vgic([&](Vgic&) { direct_->load(vcpu); });
  host_.virtual_interface().restore(interfaces_[vcpu.index]);
  const bool owed = with_vgic([&](Vgic& vgic) { return vgic.owes_deactivation(vcpu.index, virtual_timer_id_); });
  host_.gic().set_active(virtual_timer_id_, owed);
  write_out(vcpu.index);
}

void VirtualInterrupts::put(Vcpu& vcpu) {
  if (direct_) return with_vgic([&](Vgic&) { direct_->put(vcpu); });
  with_vgic([&](Vgic& vgic) { read_back(vgic, vcpu.index); });
  const drivers::GicVirtualInterface& hardware = host_.virtual_interface();
  hardware.save(interfaces_[vcpu.index]);
  hardware.set_control(0);
  // The next vCPU on this CPU has a timer of its own behind the same physical interrupt.
  host_.gic().set_active(virtual_timer_id_, false);
}

// ---- sources ----------------------------------------------------------------------------------------------------------

void VirtualInterrupts::set_line(u32 intid, bool asserted) {
  with_vgic([&](Vgic& vgic) { direct_ ? direct_->model().set_line(0, intid, asserted) : vgic.set_line(0, intid, asserted); });
}

void VirtualInterrupts::hardware_interrupt(Vcpu& vcpu, u32 virtual_id) {
  if (virtual_id >= kFirstSpi || !reload(vcpu, virtual_id)) add_hardware_interrupt(vcpu.index, virtual_id);
}

[[gnu::noinline]] void VirtualInterrupts::add_hardware_interrupt(unsigned vcpu, u32 virtual_id) {
  with_vgic([&](Vgic& vgic) { vgic.hardware_interrupt(vcpu, virtual_id); });
}

// The tick of a guest that has ended the one before: its list register as it was does again.
bool VirtualInterrupts::reload(const Vcpu& vcpu, u32 ppi) {
  const int slot = vgic_.without_lock().reload_slot(vcpu.index, ppi);
  if (slot < 0) return false;
  const u32 index = static_cast<u32>(slot);
  const drivers::GicVirtualInterface& hardware = host_.virtual_interface();
  if ((hardware.empty() >> index & 1) == 0) return false;
  hardware.write(index, lists_[vcpu.index].entries[index]);
  return true;
}

void VirtualInterrupts::set_physical_timer_line(Vcpu& vcpu, bool asserted) {
  with_vgic([&](Vgic& vgic) {
    direct_ ? direct_->model().set_line(vcpu.index, physical_timer_id_, asserted) : vgic.set_line(vcpu.index, physical_timer_id_, asserted);
  });
}

void VirtualInterrupts::send_sgi(Vcpu& sender, SgiRegister which, u64 value) {
  with_vgic([&](Vgic& vgic) {
    direct_ ? direct_->model().send_sgi(sender.index, which, value) : vgic.send_sgi(sender.index, which, value);
  });
}

void VirtualInterrupts::deactivate(Vcpu& vcpu, u32 intid) {
  with_vgic([&](Vgic& vgic) { vgic.deactivate(vcpu.index, intid); });
}

bool VirtualInterrupts::has_deliverable(Vcpu& vcpu) {
  if (direct_) return true;  // only the hardware knows: the guest looks for itself
  return with_vgic([&](Vgic& vgic) { return vgic.has_deliverable(vcpu.index); });
}

Result<void> VirtualInterrupts::map_hardware(u32 virtual_id, u32 intid) {
  return with_vgic([&](Vgic& vgic) { return vgic.map_hardware(0, virtual_id, intid); });
}

void VirtualInterrupts::make_direct() {
  direct_.emplace(vm_, host_, vgic_.without_lock(), virtual_timer_id_, physical_timer_id_);
}

void VirtualInterrupts::give_directly(u32 intid) {
  with_vgic([&](Vgic&) { direct_->model().give(intid); });
}

// ---- registers --------------------------------------------------------------------------------------------------------

std::optional<u64> VirtualInterrupts::read(MmioDevice& device, const MmioAccess& access) {
  return with_vgic([&](Vgic&) { return device.read(access); });
}

bool VirtualInterrupts::write(MmioDevice& device, const MmioAccess& access, u64 value) {
  return with_vgic([&](Vgic&) { return device.write(access, value); });
}

// ---- the model's questions --------------------------------------------------------------------------------------------

// Private interrupts of another CPU cannot be reached from here; the model's own state answers for a vCPU that is elsewhere.
bool VirtualInterrupts::line_pending(unsigned vcpu, u32 intid) {
  if (intid < kFirstSpi && Cpu::current().loaded != vm_.vcpu(vcpu)) return false;
  return host_.gic().is_pending(intid);
}

void VirtualInterrupts::clear_line_pending(unsigned vcpu, u32 intid) {
  if (intid < kFirstSpi && Cpu::current().loaded != vm_.vcpu(vcpu)) return;
  host_.gic().set_pending(intid, false);
}

void VirtualInterrupts::deactivate_line(unsigned vcpu, u32 intid) {
  // A private interrupt of a vCPU that is not loaded is not active in hardware: put() saw to that.
  if (intid < kFirstSpi && Cpu::current().loaded != vm_.vcpu(vcpu)) return;
  host_.gic().set_active(intid, false);
}

void VirtualInterrupts::configure_line(u32 intid, bool edge) {
  host_.configure(intid, edge ? drivers::Trigger::Edge : drivers::Trigger::Level);
}

}  // namespace hv
