// Finds its console in its device tree, so that it runs on any machine: one line, then it powers off.
#include <cstdint>

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

namespace {

constexpr u32 kBeginNode = 1, kProperty = 3, kEnd = 9;
u64 uart;

u32 read32(u64 address) { return *reinterpret_cast<const volatile u32*>(address); }
u32 cell(u64 address) { return __builtin_bswap32(read32(address)); }

/// The address behind the '@' of a node's name that begins with `name`; 0 if it is another node.
u64 unit_address(const char* node, const char* name) {
  for (; *name != '\0'; ++name, ++node)
    if (*node != *name) return 0;
  u64 address = 0;
  for (; *node != '\0'; ++node) {
    const bool digit = *node >= '0' && *node <= '9';
    if (!digit && (*node < 'a' || *node > 'f')) return 0;
    address = address << 4 | static_cast<u64>(digit ? *node - '0' : *node - 'a' + 10);
  }
  return address;
}

u64 find_console(u64 tree) {
  for (u64 at = tree + cell(tree + 8); cell(at) != kEnd;) {
    const u32 token = cell(at);
    at += sizeof(u32);
    if (token == kBeginNode) {
      const char* name = reinterpret_cast<const char*>(at);
      if (const u64 address = unit_address(name, "serial@")) return address;
      while (*reinterpret_cast<const char*>(at) != '\0') ++at;
      at = (at + 1 + 3) & ~u64{3};
    } else if (token == kProperty) {
      at = (at + 2 * sizeof(u32) + cell(at) + 3) & ~u64{3};
    }
  }
  return 0;
}

void print(const char* text) {
  for (; *text != '\0'; ++text) {
    while (read32(uart + 0x18) & (1u << 5)) {}
    *reinterpret_cast<volatile u32*>(uart) = static_cast<u8>(*text);
  }
}

void power_off() {
  register u64 x0 asm("x0") = 0x8400'0008;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

}  // namespace

extern "C" void tiny_unexpected() { power_off(); }
extern "C" void tiny_synchronous(u64, u64) { power_off(); }
extern "C" void tiny_interrupt() {}
extern "C" void tiny_main(u64 device_tree) {
  uart = find_console(device_tree);
  if (uart != 0) print("anywhere: here I am\n");
  power_off();
}
