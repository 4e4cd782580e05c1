// Device trees to test with: built by the writer (never missing), by QEMU and dtc (where installed).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include "kernel/fdt/writer.hpp"

namespace ax::test {

using Blob = std::vector<std::byte>;

/// Runs `body` inside the root node and returns the finished tree; throws when the writer refuses something.
inline Blob build_tree(const std::function<void(fdt::Writer&)>& body,
                       const std::function<void(fdt::Writer&)>& before = [](fdt::Writer&) {}) {
  Blob blob(1 << 20);
  fdt::Writer writer(blob);
  before(writer);
  writer.begin_node("");
  body(writer);
  writer.end_node();
  blob.resize(writer.finish().value());
  return blob;
}

/// A folder that is gone at the end of the test.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "axvisor-fdt-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline Blob read_blob(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline void write_blob(const std::string& file, const Blob& blob) {
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(blob.data()), static_cast<std::streamsize>(blob.size()));
}

inline bool have_program(const std::string& name) { return std::system(("command -v " + name + " >/dev/null").c_str()) == 0; }

/// The tree that QEMU's virt machine hands to its first program; nothing without QEMU.
inline std::optional<Blob> qemu_tree(const std::string& machine_options, const std::string& more = "") {
  if (!have_program("qemu-system-aarch64")) return std::nullopt;
  const ScratchFolder folder;
  const std::string file = folder.file("virt.dtb");
  const std::string command = "qemu-system-aarch64 -display none -machine virt," + machine_options + ",dumpdtb=" + file + " " + more +
                              " >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) return std::nullopt;
  return read_blob(file);
}

/// What dtc makes of a blob as source text; nothing without dtc, "" when dtc refuses the blob.
inline std::optional<std::string> decompile(const Blob& blob) {
  if (!have_program("dtc")) return std::nullopt;
  const ScratchFolder folder;
  write_blob(folder.file("tree.dtb"), blob);
  const std::string out = folder.file("tree.dts");
  if (std::system(("dtc -q -I dtb -O dts -o " + out + " " + folder.file("tree.dtb")).c_str()) != 0) return "";
  std::ifstream stream(out);
  return std::string{std::istreambuf_iterator<char>(stream), {}};
}

/// Compiles source text; nothing without dtc.
inline std::optional<Blob> compile(const std::string& source) {
  if (!have_program("dtc")) return std::nullopt;
  const ScratchFolder folder;
  std::ofstream(folder.file("tree.dts")) << source;
  if (std::system(("dtc -q -I dts -O dtb -o " + folder.file("tree.dtb") + " " + folder.file("tree.dts")).c_str()) != 0) return Blob{};
  return read_blob(folder.file("tree.dtb"));
}

// ---- machines ----------------------------------------------------------------------------------------------------------

struct VirtOptions {
  unsigned gic_version = 3;
  unsigned cpus = 4;
  u64 ram = 5_GiB;
  bool topology = false;  ///< a socket of two clusters of two cores
  std::function<void(fdt::Writer&)> chosen = [](fdt::Writer& w) { w.string("stdout-path", "/pl011@9000000"); };
  std::function<void(fdt::Writer&)> more = [](fdt::Writer&) {};  ///< further children of the root
};

inline constexpr u32 kGicPhandle = 0x8005;
inline constexpr u32 kClockPhandle = 0x8000;

inline void add_virt_gic(fdt::Writer& w, unsigned version) {
  w.begin_node("intc@8000000");
  w.property("phandle", kGicPhandle);
  w.flag("interrupt-controller");
  w.property("#interrupt-cells", 3u);
  w.property("#address-cells", 2u);
  w.property("#size-cells", 2u);
  w.flag("ranges");
  w.cells("interrupts", {1, 9, 4});
  if (version == 3) {
    w.string("compatible", "arm,gic-v3");
    w.property("#redistributor-regions", 1u);
    w.cells("reg", {0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000});
    w.begin_node("its@8080000");
    w.string("compatible", "arm,gic-v3-its");
    w.flag("msi-controller");
    w.cells("reg", {0, 0x8080000, 0, 0x20000});
    w.property("phandle", 0x8006u);
    w.end_node();
  } else {
    w.string("compatible", "arm,cortex-a15-gic");
    w.cells("reg", {0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x10000, 0, 0x8030000, 0, 0x10000, 0, 0x8040000, 0, 0x10000});
  }
  w.end_node();
}

/// A machine in the manner of QEMU's virt: flat, 2 address cells, GIC at 0x8000000, PL011 at 0x9000000, RAM at 1 GiB.
inline Blob virt_tree(const VirtOptions& options = {}) {
  return build_tree([&](fdt::Writer& w) {
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    w.property("interrupt-parent", kGicPhandle);
    w.string("compatible", "linux,dummy-virt");
    w.string("model", "linux,dummy-virt");
    w.begin_node("psci");
    w.strings("compatible", {"arm,psci-1.0", "arm,psci-0.2", "arm,psci"});
    w.string("method", "smc");
    w.end_node();
    w.begin_node("memory@40000000");
    w.string("device_type", "memory");
    w.cells("reg", fdt::Cells().number(0x40000000, 2).number(options.ram, 2));
    w.end_node();
    w.begin_node("virtio_mmio@a000000");
    w.flag("dma-coherent");
    w.cells("interrupts", {0, 16, 1});
    w.cells("reg", {0, 0xa000000, 0, 0x200});
    w.string("compatible", "virtio,mmio");
    w.end_node();
    w.begin_node("gpio-keys");
    w.string("compatible", "gpio-keys");
    w.begin_node("poweroff");
    w.cells("gpios", {0x8007, 3, 0});
    w.end_node();
    w.end_node();
    w.begin_node("pl061@9030000");
    w.property("phandle", 0x8007u);
    w.string("clock-names", "apb_pclk");
    w.property("clocks", kClockPhandle);
    w.cells("interrupts", {0, 7, 4});
    w.flag("gpio-controller");
    w.property("#gpio-cells", 2u);
    w.strings("compatible", {"arm,pl061", "arm,primecell"});
    w.cells("reg", {0, 0x9030000, 0, 0x1000});
    w.end_node();
    w.begin_node("pl031@9010000");
    w.string("clock-names", "apb_pclk");
    w.property("clocks", kClockPhandle);
    w.cells("interrupts", {0, 2, 4});
    w.cells("reg", {0, 0x9010000, 0, 0x1000});
    w.strings("compatible", {"arm,pl031", "arm,primecell"});
    w.end_node();
    w.begin_node("pl011@9000000");
    w.strings("clock-names", {"uartclk", "apb_pclk"});
    w.cells("clocks", {kClockPhandle, kClockPhandle});
    w.cells("interrupts", {0, 1, 4});
    w.cells("reg", {0, 0x9000000, 0, 0x1000});
    w.strings("compatible", {"arm,pl011", "arm,primecell"});
    w.end_node();
    w.begin_node("pcie@10000000");
    w.string("compatible", "pci-host-ecam-generic");
    w.string("device_type", "pci");
    w.property("#address-cells", 3u);
    w.property("#size-cells", 2u);
    w.property("#interrupt-cells", 1u);
    w.cells("reg", {0x40, 0x10000000, 0, 0x10000000});
    w.cells("bus-range", {0, 0xff});
    w.property("linux,pci-domain", 0u);
    w.flag("dma-coherent");
    w.cells("msi-map", {0, 0x8006, 0, 0x10000});
    w.cells("ranges", {0x1000000, 0, 0, 0, 0x3eff0000, 0, 0x10000, 0x2000000, 0, 0x10000000, 0, 0x10000000, 0, 0x2eff0000,
                       0x3000000, 0x80, 0, 0x80, 0, 0x80, 0});
    fdt::Cells map;
    for (u32 device = 0; device < 4; ++device)
      for (u32 pin = 0; pin < 4; ++pin) map.add(device << 11).number(0, 2).add(pin + 1).add(kGicPhandle).number(0, 2).add(0).add(3 + (device + pin) % 4).add(4);
    w.cells("interrupt-map", map);
    w.cells("interrupt-map-mask", {0x1800, 0, 0, 7});
    w.end_node();
    add_virt_gic(w, options.gic_version);
    w.begin_node("cpus");
    w.property("#address-cells", 1u);
    w.property("#size-cells", 0u);
    for (unsigned i = 0; i < options.cpus; ++i) {
      w.begin_node("cpu@" + std::to_string(i));
      w.string("device_type", "cpu");
      w.string("compatible", "arm,cortex-a72");
      w.string("enable-method", "psci");
      w.property("capacity-dmips-mhz", 1024u - i);
      w.property("reg", i);
      if (options.topology) w.property("phandle", 0x8100u + i);
      w.end_node();
    }
    if (options.topology) {
      w.begin_node("cpu-map");
      w.begin_node("socket0");
      for (unsigned i = 0; i < options.cpus; ++i) {
        if (i % 2 == 0) w.begin_node("cluster" + std::to_string(i / 2));
        w.begin_node("core" + std::to_string(i % 2));
        w.property("cpu", 0x8100u + i);
        w.end_node();
        if (i % 2 == 1) w.end_node();
      }
      w.end_node();
      w.end_node();
    }
    w.end_node();
    w.begin_node("timer");
    w.strings("compatible", {"arm,armv8-timer", "arm,armv7-timer"});
    w.flag("always-on");
    w.cells("interrupts", {1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4});
    w.end_node();
    w.begin_node("apb-pclk");
    w.string("compatible", "fixed-clock");
    w.property("#clock-cells", 0u);
    w.property("clock-frequency", 24000000u);
    w.property("phandle", kClockPhandle);
    w.end_node();
    options.more(w);
    w.begin_node("chosen");
    options.chosen(w);
    w.end_node();
  });
}

}  // namespace ax::test
