// The machine's disks, as far as they are the host's: found, mounted, read and written.
#pragma once

#include <optional>

#include "kernel/base/static_vector.hpp"
#include "kernel/block/partitions.hpp"
#include "kernel/block/request_queue.hpp"
#include "kernel/drivers/sdhci.hpp"
#include "kernel/drivers/virtio_blk.hpp"
#include "kernel/drivers/virtio_mmio.hpp"
#include "kernel/drivers/virtio_pci.hpp"
#include "kernel/fs/mount.hpp"
#include "kernel/fs/tree.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

using namespace ax;

class Hypervisor;

/// The manager's thread waits for a disk: it is preempted when its time is over.
class HostClock final : public block::Clock {
 public:
  u64 microseconds() override;
  void relax() override;
};

/// Manager thread only. A disk that a configured VM names - its node, its function, or addresses on its pages - is left alone; every
/// other is the host's for good, and no VM gets it through a wildcard.
class Disks {
 public:
  static constexpr usize kMaxDisks = 8;

  explicit Disks(Hypervisor& hypervisor) : hypervisor_(hypervisor) {}
  Disks(const Disks&) = delete;
  Disks& operator=(const Disks&) = delete;

  /// Looks for disks and mounts what is on them; once. What cannot be used is logged and left out. The first file system with a
  /// directory `guest`, or else the first, is "/"; the others are directories of it: "/vda1" and so on.
  void start();

  fs::Tree& tree() { return tree_; }

  /// The file at an absolute path. Errors: those of fs::Tree::find(), IsDirectory, NotSupported (no file).
  Result<fs::Location> open(std::string_view path);

  // For find_disks().
  /// Whether no configured VM names addresses on the pages of these registers.
  bool may_claim(std::span<const HpaRange> registers) const;
  /// Makes them the host's. False: a VM names something on their pages, or has it.
  bool claim(std::span<const HpaRange> registers);
  /// A disk behind registers that are claimed; `name` is for people, from the machine. Makes it known and mounts what is on it.
  void add(const drivers::VirtioMmio& transport, std::string_view name);
  void add(const drivers::VirtioPci& transport, std::string_view name);
  /// The card in a slot, if there is one.
  void add_card(Hpa registers, std::string_view name);
  /// Memory that stays, mapped at VA = PA.
  void add_memory(HpaRange memory, bool writable, std::string_view name);

 private:
  /// One device. Stays where it was made: its parts refer to each other.
  struct Disk {
    fs::Name name{};
    HostClock clock;
    std::optional<drivers::VirtioMmio> mmio;
    std::optional<drivers::VirtioPci> pci;
    std::optional<drivers::VirtioBlk> virtio;
    std::optional<drivers::Sdhci> card;
    std::optional<block::QueuedDevice> queued;
    std::optional<block::RamDisk> memory;
    block::Device* device = nullptr;  ///< one of the two before
  };
  /// A file system on a disk or a partition of it.
  struct Volume {
    std::optional<block::Partition> partition;
    std::optional<fs::AnyFileSystem> system;
    fs::Name name{};
  };

  /// `place`: where the disk keeps such a transport.
  template <class Transport>
  void add_virtio(std::optional<Transport> Disk::*place, const Transport& transport, std::string_view name);
  /// `transport` is the disk's.
  static Result<mm::Box<Disk>> start_virtio(mm::Box<Disk> disk, drivers::VirtioTransport& transport);
  Result<mm::Box<Disk>> make_card(Hpa registers);
  void add_made(Result<mm::Box<Disk>> made, std::string_view kind, std::string_view machine_name);
  void mount_all(Disk& disk, std::string_view machine_name);
  void mount(block::Device& disk, std::string_view name, const block::PartitionRange& range);
  void build_tree();

  Hypervisor& hypervisor_;
  StaticVector<mm::Box<Disk>, kMaxDisks> disks_{};
  StaticVector<mm::Box<Volume>, fs::kMaxMounts> volumes_{};
  fs::Tree tree_;
};

/// Seconds since 1970 began; 0 where the machine's clock is not known.
u64 unix_time();

/// The architecture's half: claims and adds every virtio disk that the machine has, in the machine's order.
void find_disks(Hypervisor& hypervisor, Disks& disks);

}  // namespace hv
