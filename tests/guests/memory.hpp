// What the memory guests of all architectures check, in two roles. `writer` has a region of each kind and shares a page;
// `reader` has the page read-only at another address. The writer restarts itself once: what it shares is still there then,
// what it had for itself is not.
//
// The file of the architecture provides try_read(), try_write(), try_execute(), kReturnInstruction, kScratch, reset() and a console.
#pragma once

inline constexpr u64 kScratchSize = 0x10'0000;
inline constexpr u64 kReadOnly = 0x9200'0000;
inline constexpr u64 kNoExecute = 0x9300'0000;
inline constexpr u64 kSharedByWriter = 0xa000'0000;
inline constexpr u64 kSharedByReader = 0xb000'0000;
inline constexpr u32 kPattern = 0x5ec'12e7;

inline bool failed;

inline void check(bool ok, const char* what) {
  print(ok ? "memory: ok: " : "memory: WRONG: ");
  print(what);
  print("\n");
  failed |= !ok;
}

inline bool all_zeros(u64 address, u64 size) {
  u32 bits = 0;
  for (u64 offset = 0; offset < size; offset += sizeof(u32)) bits |= read32(address + offset);
  return bits == 0;
}

inline void check_flags() {
  write32(kScratch, 1);
  check(read32(kScratch) == 1, "what is 7 may be written");
  write32(kScratch, 0);
  check(!try_write(kReadOnly, kPattern), "a write to what is 5 faults");
  check(read32(kReadOnly) == 0, "and changes nothing");
  write32(kNoExecute, kReturnInstruction);
  check(read32(kNoExecute) == kReturnInstruction, "what is 3 may be written");
  check(!try_execute(kNoExecute), "and faults when it is executed");
  write32(kScratch, kReturnInstruction);
  check(try_execute(kScratch), "what is 7 may be executed");
  write32(kScratch, 0);
}

inline void run_writer() {
  const u32 start = read32(kSharedByWriter);
  check(all_zeros(kScratch, kScratchSize), start == 0 ? "memory starts as zeros" : "nothing is left of the first start");
  if (start == 0) {
    check_flags();
    for (u64 offset = 0; offset < kScratchSize; offset += sizeof(u32)) write32(kScratch + offset, kPattern);
    write32(kSharedByWriter, 1);
    if (!failed) reset();
  }
  check(start == 1, "what is shared survived the restart");
  write32(kSharedByWriter, 2);
}

inline void run_reader() {
  while (read32(kSharedByReader) != 2) {
  }
  check(!try_write(kSharedByReader, kPattern), "a write to what the other VM may write faults here");
  check(read32(kSharedByReader) == 2, "and changes nothing");
}

inline void run() {
  const bool writer = try_read(kSharedByWriter);
  print(writer ? "memory: writer\n" : "memory: reader\n");
  writer ? run_writer() : run_reader();
  print(failed ? "memory: FAILED\n" : "memory: passed\n");
  power_off();
}
