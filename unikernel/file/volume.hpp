// The file system that is "/", and what it can do besides fs::FileSystem's functions: what only programs ask for. The service that
// has the disk says which one it is, so that file systems are in the image only with it.
#pragma once

#include "kernel/fs/file_system.hpp"

namespace ax::uni {

struct Volume {
  fs::FileSystem* system = nullptr;
  /// Makes a file shorter, at once. `file.place` 0: no directory knows it.
  Result<void> (*shorten)(fs::FileSystem& system, fs::Node& file, u64 size) = nullptr;
  /// Takes a file out of its directory; its contents stay until release(). Errors: NotFound.
  Result<void> (*detach)(fs::FileSystem& system, const fs::Node& directory, std::string_view name) = nullptr;
  Result<void> (*release)(fs::FileSystem& system, fs::Node& file) = nullptr;
  /// Gives an entry another name, in another directory perhaps. Errors: NotFound, AlreadyExists.
  Result<void> (*move)(fs::FileSystem& system, const fs::Node& from, std::string_view name, const fs::Node& to,
                       std::string_view new_name) = nullptr;
};

/// Boot CPU, before the program.
void set_volume(const Volume& volume);

}  // namespace ax::uni
