// File system images of the programs that everybody makes them with.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "kernel/block/device.hpp"
#include "kernel/mm/heap.hpp"

namespace ax::fs::test {

namespace stdfs = std::filesystem;

/// An allocator over the test's own.
class TestHeap final : public mm::ObjectAllocator {
 public:
  Result<std::byte*> allocate(usize bytes, usize) override { return static_cast<std::byte*>(std::malloc(bytes)); }
  void free(std::byte* storage) override { std::free(storage); }
};
inline TestHeap heap;

struct Outcome {
  int status;
  std::string output;
};

inline Outcome run(const std::string& command) {
  // mtools ask nothing and believe the image; the programs of the file systems are in /sbin.
  std::FILE* pipe = popen(("PATH=$PATH:/sbin:/usr/sbin MTOOLS_SKIP_CHECK=1 " + command + " 2>&1").c_str(), "r");
  std::string output;
  char buffer[4096];
  for (usize n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = stdfs::temp_directory_path() / "fs-test-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { stdfs::remove_all(path_); }
  stdfs::path operator/(const std::string& name) const { return path_ / name; }
  const stdfs::path& path() const { return path_; }

 private:
  stdfs::path path_;
};

inline std::vector<std::byte> load(const stdfs::path& path) {
  std::vector<std::byte> out(stdfs::file_size(path));
  std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return out;
}
inline void save(const stdfs::path& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
inline void save(const stdfs::path& path, std::string_view text) { save(path, std::as_bytes(std::span(text))); }

/// Contents that differ from place to place.
inline std::string pattern(usize size, unsigned seed) {
  std::string out(size, 0);
  u32 state = seed * 2654435761u + 1;
  for (char& c : out) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>('a' + (state >> 24) % 26);
  }
  return out;
}

inline std::vector<std::byte> make_fat(unsigned bits, unsigned kibibytes, unsigned sectors_per_cluster = 1) {
  const Folder folder;
  const std::string image = folder / "image";
  const Outcome made = run("mkfs.vfat -C -F " + std::to_string(bits) + " -s " + std::to_string(sectors_per_cluster) + " -n TEST " + image +
                           " " + std::to_string(kibibytes));
  EXPECT_EQ(made.status, 0) << made.output;
  return load(image);
}

/// What `fsck.vfat -n` says, and how it ends: 0 if all is well.
inline Outcome check_fat(std::span<const std::byte> image) {
  const Folder folder;
  save(folder / "image", image);
  return run("fsck.vfat -n -V " + (folder / "image").string());
}

}  // namespace ax::fs::test
