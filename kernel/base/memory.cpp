// The memory functions that compilers call behind our back. Compiled with flags that keep a compiler from recognising the
// loops below as the very functions they implement.
#include "kernel/base/memory.hpp"

namespace ax::memory {
namespace {

using Word [[gnu::may_alias]] = u64;
constexpr usize kWord = sizeof(Word);
constexpr usize kBlock = 8 * kWord;

usize misalignment(const void* p) { return reinterpret_cast<uintptr_t>(p) % kWord; }

/// Both pointers aligned; in blocks that become paired loads and stores.
usize copy_words(Word* d, const Word* s, usize size) {
  usize done = 0;
  for (; size - done >= kBlock; done += kBlock, d += 8, s += 8) {
    const Word a = s[0], b = s[1], c = s[2], e = s[3], f = s[4], g = s[5], h = s[6], i = s[7];
    d[0] = a, d[1] = b, d[2] = c, d[3] = e, d[4] = f, d[5] = g, d[6] = h, d[7] = i;
  }
  for (; size - done >= kWord; done += kWord) *d++ = *s++;
  return done;
}

/// Destination aligned, source not: every stored word is put together from two aligned ones. Both hold at least one byte of
/// the source, so no page is touched that the source is not in.
[[gnu::no_sanitize_address]] usize copy_shifted(Word* d, const u8* source, usize size) {
  const unsigned shift = static_cast<unsigned>(misalignment(source)) * 8;
  const Word* s = reinterpret_cast<const Word*>(source - misalignment(source));
  Word low = *s++;
  usize done = 0;
  for (; size - done >= kWord; done += kWord) {
    const Word high = *s++;
    *d++ = low >> shift | high << (kWord * 8 - shift);
    low = high;
  }
  return done;
}

}  // namespace

void copy(void* destination, const void* source, usize size) {
  u8* d = static_cast<u8*>(destination);
  const u8* s = static_cast<const u8*>(source);
  for (; size != 0 && misalignment(d) != 0; --size) *d++ = *s++;
  if (size >= kWord) {
    const usize done = misalignment(s) == 0 ? copy_words(reinterpret_cast<Word*>(d), reinterpret_cast<const Word*>(s), size)
                                            : copy_shifted(reinterpret_cast<Word*>(d), s, size);
    d += done;
    s += done;
    size -= done;
  }
  for (; size != 0; --size) *d++ = *s++;
}

void copy_backward(void* destination, const void* source, usize size) {
  u8* d = static_cast<u8*>(destination) + size;
  const u8* s = static_cast<const u8*>(source) + size;
  if (misalignment(d) == misalignment(s)) {
    for (; size != 0 && misalignment(d) != 0; --size) *--d = *--s;
    for (; size >= kWord; size -= kWord) {
      d -= kWord;
      s -= kWord;
      *reinterpret_cast<Word*>(d) = *reinterpret_cast<const Word*>(s);
    }
  }
  for (; size != 0; --size) *--d = *--s;
}

void fill(void* destination, u8 value, usize size) {
  u8* d = static_cast<u8*>(destination);
  for (; size != 0 && misalignment(d) != 0; --size) *d++ = value;
  const Word pattern = value * 0x0101'0101'0101'0101u;
  for (; size >= kBlock; size -= kBlock, d += kBlock) {
    Word* w = reinterpret_cast<Word*>(d);
    w[0] = w[1] = w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = pattern;
  }
  for (; size >= kWord; size -= kWord, d += kWord) *reinterpret_cast<Word*>(d) = pattern;
  for (; size != 0; --size) *d++ = value;
}

int compare(const void* a, const void* b, usize size) {
  const u8* p = static_cast<const u8*>(a);
  const u8* q = static_cast<const u8*>(b);
  if (misalignment(p) == 0 && misalignment(q) == 0) {
    while (size >= kWord && *reinterpret_cast<const Word*>(p) == *reinterpret_cast<const Word*>(q)) {
      p += kWord;
      q += kWord;
      size -= kWord;
    }
  }
  for (; size != 0; --size, ++p, ++q) {
    if (*p != *q) return *p - *q;
  }
  return 0;
}

}  // namespace ax::memory

// A hosted build has a C library for these.
#if __STDC_HOSTED__ == 0
extern "C" {

void* memcpy(void* __restrict destination, const void* __restrict source, std::size_t size) {
  ax::memory::copy(destination, source, size);
  return destination;
}

void* memmove(void* destination, const void* source, std::size_t size) {
  const auto d = reinterpret_cast<std::uintptr_t>(destination);
  const auto s = reinterpret_cast<std::uintptr_t>(source);
  if (d - s >= size) ax::memory::copy(destination, source, size);  // unsigned: true for d < s as well
  else ax::memory::copy_backward(destination, source, size);
  return destination;
}

void* memset(void* destination, int value, std::size_t size) {
  ax::memory::fill(destination, static_cast<ax::u8>(value), size);
  return destination;
}

int memcmp(const void* a, const void* b, std::size_t size) { return ax::memory::compare(a, b, size); }

void* memchr(const void* text, int value, std::size_t size) {
  const ax::u8* p = static_cast<const ax::u8*>(text);
  for (; size != 0; --size, ++p) {
    if (*p == static_cast<ax::u8>(value)) return const_cast<ax::u8*>(p);
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  std::size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

}  // extern "C"
#endif
