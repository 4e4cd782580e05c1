#include "tools/app/services.hpp"

#include <algorithm>
#include <set>

namespace ax::app {
namespace {

using std::string_view;
constexpr string_view kAlloc[] = {"alloc"}, kIrq[] = {"irq"}, kMultitask[] = {"multitask"}, kFd[] = {"fd"},
                      kFs[] = {"fs"};
constexpr string_view kAllocFd[] = {"alloc", "fd"}, kMultitaskIrq[] = {"multitask", "irq"}, kNet[] = {"net"};

constexpr Service kServices[] = {
    {"alloc", "memory allocation: malloc"},
    {"alloc-tlsf", "the TLSF allocator", kAlloc},
    {"alloc-slab", "the slab allocator", kAlloc},
    {"alloc-buddy", "the buddy allocator", kAlloc},
    {"paging", "page tables, mmap", kAlloc},
    {"tls", "thread-local variables", kAlloc},
    {"fp_simd", "floating-point and vector registers"},
    {"irq", "device and timer interrupts"},
    {"gic-v3", "version 3 of Arm's interrupt controller", kIrq},
    {"rtc", "the wall clock"},
    {"random-hw", "the CPU's random numbers"},
    {"signal", "signals and timers of the program"},
    {"multitask", "threads", kAlloc},
    {"sched_fifo", "the first-come scheduler", kMultitask},
    {"sched_rr", "the round-robin scheduler", kMultitaskIrq},
    {"sched_cfs", "the completely fair scheduler", kMultitaskIrq},
    {"smp", "several CPUs"},
    {"fd", "file descriptors", kAlloc},
    {"pipe", "pipes", kFd},
    {"select", "select()", kFd},
    {"poll", "poll()", kFd},
    {"epoll", "epoll", kFd},
    {"fs", "files", kAllocFd},
    {"blkfs", "a file system on a disk", kFs, Device::Blk},
    {"fatfs", "the FAT file system", kFs, Device::Blk},
    {"ext4_rs", "the ext4 file system", kFs, Device::Blk},
    {"another_ext4", "the ext4 file system, by another library", kFs, Device::Blk},
    {"myfs", "a file system of one's own", kFs},
    {"fusefs", "file systems of programs", kFs},
    {"9pfs", "files of a 9P server", kFs},
    {"virtio-9p", "a folder of the host", kFs, Device::V9p},
    {"net-9p", "files of a 9P server on the network", kFs, Device::Net},
    {"net", "TCP and UDP sockets", kAllocFd, Device::Net},
    {"lwip", "the network stack lwIP", kNet, Device::Net},
    {"smoltcp", "the network stack smoltcp", kNet, Device::Net},
    {"display", "the screen", kAlloc, Device::Graphic},
    {"virtio_console", "a virtio console"},
    {"musl", "what musl expects of the system", kFd},
    {"driver-ramdisk", "a disk in memory"},
    {"driver-ixgbe", "Intel's 10-gigabit network cards"},
    {"driver-bcm2835-sdhci", "the card reader of the Raspberry Pi"},
    {"bus-pci", "devices on PCI"},
    {"bus-mmio", "devices at fixed addresses"},
};

void add(const Service& service, std::set<string_view>& names) {
  if (!names.insert(service.name).second) return;
  for (const string_view need : service.needs) add(*find_service(need), names);
}

}  // namespace

std::span<const Service> all_services() { return kServices; }

const Service* find_service(std::string_view name) {
  const auto it = std::ranges::find(kServices, name, &Service::name);
  return it == std::end(kServices) ? nullptr : &*it;
}

std::vector<std::string> with_needs(const std::vector<std::string>& names) {
  std::set<string_view> all;
  for (const std::string& name : names) {
    if (const Service* service = find_service(name)) add(*service, all);
  }
  std::vector<std::string> out;
  for (const Service& service : kServices) {
    if (all.contains(service.name)) out.emplace_back(service.name);
  }
  return out;
}

}  // namespace ax::app
