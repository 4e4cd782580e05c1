// The unikernel as the system of an application: which parts of it each service is, and what it has not got.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/app/application.hpp"
#include "tools/app/os_provider.hpp"

namespace ax::app {

/// Folders of this tree, absolute.
struct UnikernelPlaces {
  std::filesystem::path source;  ///< this tree
  std::filesystem::path runtime;  ///< build folder of the runtime for the platform and mode
  std::filesystem::path build;    ///< build folder of the application
  std::filesystem::path xtask{};  ///< this program, which fetches the sources of the C library
};

/// The system of this tree, made by CMake in `places.runtime`.
OsProvider unikernel_provider(const Application& app, const UnikernelPlaces& places);

/// What is wrong with a ready-made program, which is there; nothing where there is none.
void check_ready_made(const Application& app, Diagnostics& diagnostics);

/// A service that an application names and the unikernel does not have, and what is missing.
struct MissingService {
  std::string service;
  std::string what;
};
std::vector<MissingService> missing_services(const Application& app);
/// A service that an application with sources in C++ does not name and their library needs, and what for.
std::vector<MissingService> missing_for_cxx(const Application& app);

/// The end of a run on the unikernel, as its console shows it: text for people, and the program's exit status.
class UnikernelOutput {
 public:
  /// Where firmware writes to the console, nothing is shown until the unikernel says that it has begun.
  explicit UnikernelOutput(bool firmware_speaks = false) : begun_(!firmware_speaks) {}

  /// Takes what the console sent; returns what people should see. Lines end in '\n' alone.
  std::string take(std::string_view text);
  /// What is left when the console has ended; the firmware's words too, where nothing else came.
  std::string finish();
  /// The program's exit status, once it has come.
  std::optional<int> status() const { return status_; }

 private:
  bool begun_;
  std::string pending_;
  std::optional<int> status_;
};

/// A line of a back-trace: the address in it, and whether it is one of a ready-made program.
struct BackTraceAddress {
  u64 address = 0;
  bool in_program = false;
};
std::optional<BackTraceAddress> back_trace_address(std::string_view line);

}  // namespace ax::app
