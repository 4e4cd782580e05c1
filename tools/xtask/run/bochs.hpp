// Bochs as a target: what QEMU's software emulation lacks (VMX, x2APIC, TSC deadline) it has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tools/xtask/core/files.hpp"
#include "tools/xtask/run/target.hpp"

namespace ax::xtask {

/// Whether the run file's `emulator` is Bochs.
bool is_bochs(const MachineSettings& machine);

/// What a bochsrc says: the machine of the settings, booting `iso`, with COM1 as a connection to `console_port` of this
/// machine and Bochs's own messages in `log`. Lines of `args` come last. Throws Failure(Usage) for settings that Bochs has
/// nothing for.
std::string bochs_configuration(const MachineSettings& machine, const std::filesystem::path& iso, std::uint16_t console_port,
                                const std::filesystem::path& log);

/// Lines that tell of trouble in what Bochs logs or prints, the last ones only.
std::string bochs_trouble(const std::string& text);

/// One Bochs. Its console is COM1, over a connection: a file could not be typed into, a pseudo-terminal loses what nobody has
/// read yet. The exit status is 1 however it ends.
class BochsTarget : public Target {
 public:
  /// Waits until COM1 is connected. Throws Failure(Environment) when Bochs ends before that.
  BochsTarget(const MachineSettings& machine, const std::filesystem::path& iso);
  ~BochsTarget() override;

  int console() const override { return console_; }
  std::optional<int> poll_status() override { return process_->poll_status(); }
  void stop() override { process_->terminate(std::chrono::milliseconds(100)); }  // it does not heed SIGTERM
  std::string trouble() const override;

 private:
  std::filesystem::path log() const { return folder_.path() / "bochs.log"; }
  std::filesystem::path messages() const { return folder_.path() / "messages"; }
  void connect(int listener);

  TemporaryFolder folder_;
  std::optional<ChildProcess> process_;
  int console_ = -1;
};

}  // namespace ax::xtask
