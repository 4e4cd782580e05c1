// What a run talks to: an emulator process now, a board on a serial line later.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tools/xtask/core/process.hpp"
#include "tools/xtask/run/run_config.hpp"

namespace ax::xtask {

class Target {
 public:
  virtual ~Target() = default;
  /// The console: non-blocking, both ways, owned by the target.
  virtual int console() const = 0;
  /// The status with which it ended by itself.
  virtual std::optional<int> poll_status() = 0;
  /// Ends it; nothing that it started is left. Idempotent.
  virtual void stop() = 0;
  /// What the emulator itself complains about, for the report of a failed run.
  virtual std::string trouble() const { return {}; }
};

/// An emulator whose console is its terminal (-nographic).
class EmulatorTarget : public Target {
 public:
  explicit EmulatorTarget(const Argv& command)
      : process_({.argv = command, .console = ChildProcess::Console::Pty}) {}

  int console() const override { return process_.output_fd(); }
  std::optional<int> poll_status() override { return process_.poll_status(); }
  void stop() override { process_.terminate(); }

 private:
  ChildProcess process_;
};

/// The products of a board build.
struct BootFiles {
  std::filesystem::path elf;
  std::filesystem::path bin;  ///< may be empty
  std::filesystem::path iso;  ///< may be empty
  std::filesystem::path esp{};  ///< folder that UEFI firmware takes for its disk, with variables.fd beside it; may be empty
};

enum class Debugger { None, Wait };  ///< Wait: listens for gdb on port 1234 and stops before the first instruction

/// Skip: for a command that is only shown, before the image exists.
enum class ImageCheck { Require, Skip };

/// The QEMU command line. Settings that have a key of their own come after `args` and win over them.
/// Throws Failure(Usage) for a missing image or an unknown architecture.
Argv qemu_command(const MachineSettings& machine, const BootFiles& files, Debugger debugger,
                  ImageCheck check = ImageCheck::Require);

}  // namespace ax::xtask
