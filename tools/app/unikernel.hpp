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

/// A service that an application names and the unikernel does not have, and what is missing.
struct MissingService {
  std::string service;
  std::string what;
};
std::vector<MissingService> missing_services(const Application& app);

/// The end of a run on the unikernel, as its console shows it: text for people, and the program's exit status.
class UnikernelOutput {
 public:
  /// Takes what the console sent; returns what people should see. Lines end in '\n' alone.
  std::string take(std::string_view text);
  /// What is left when the console has ended.
  std::string finish();
  /// The program's exit status, once it has come.
  std::optional<int> status() const { return status_; }

 private:
  std::string pending_;
  std::optional<int> status_;
};

/// A line of a back-trace: the address in it.
std::optional<u64> back_trace_address(std::string_view line);

}  // namespace ax::app
