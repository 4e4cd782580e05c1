// System registers on the fake architecture: values by name; every write is an event that a test can compare.
#pragma once

#include <map>

#include "kernel/arch/fake/arch/recorder.hpp"

namespace ax::arch::fake {

/// What reads return; writes change it too.
inline std::map<std::string, u64, std::less<>> registers;

inline u64 read_register(std::string_view name) {
  const auto found = registers.find(name);
  return found == registers.end() ? 0 : found->second;
}
inline void write_register(std::string_view name, u64 value) {
  registers.insert_or_assign(std::string(name), value);
  record("msr " + std::string(name), value);
}

}  // namespace ax::arch::fake

#define AX_REGISTER_READ(name) \
  static u64 read() { return ::ax::arch::fake::read_register(#name); }
#define AX_REGISTER_ACCESS(name) \
  AX_REGISTER_READ(name)         \
  static void write(u64 value) { ::ax::arch::fake::write_register(#name, value); }

#include "kernel/arch/aarch64/registers.hpp"
