// The service `pipes`: pipe2().
#include <algorithm>
#include <array>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/object_heap.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/core/signals.hpp"
#include "unikernel/core/waiting.hpp"
#include "unikernel/file/descriptors.hpp"

namespace ax::uni {
namespace {

constexpr usize kPipeSize = 65536, kAtomicWrite = 4096;  // as Linux has them; PIPE_BUF

class Pipe {
 public:
  class End : public FileObject {
   public:
    explicit End(Pipe& pipe) : pipe_(pipe) {}
    Status status() override { return {.mode = Status::kFifo | 0600, .size = pipe_.used_, .id = reinterpret_cast<u64>(&pipe_)}; }

   protected:
    ~End() = default;
    Pipe& pipe_;
  };
  class ReadEnd final : public End {
   public:
    using End::End;
    i64 read(OpenFile& file, std::span<char> out) override { return pipe_.read(file, out); }
    u32 readiness() override {
      const MutexGuard guard(pipe_.lock_);
      return (pipe_.used_ != 0 ? kReadable : 0u) | (pipe_.has_writer_ ? 0u : kHungUp);
    }
    void closed(OpenFile&) override { pipe_.lose(pipe_.has_reader_); }
  };
  class WriteEnd final : public End {
   public:
    using End::End;
    i64 write(OpenFile& file, std::span<const char> bytes) override { return pipe_.write(file, bytes); }
    u32 readiness() override {
      const MutexGuard guard(pipe_.lock_);
      return pipe_.has_reader_ ? (kPipeSize - pipe_.used_ >= kAtomicWrite ? kWritable : 0u) : kWritable | kReadyError;
    }
    void closed(OpenFile&) override { pipe_.lose(pipe_.has_writer_); }
  };

  ReadEnd read_end{*this};
  WriteEnd write_end{*this};

  i64 read(const OpenFile& file, std::span<char> out) {
    if (out.empty()) return 0;
    for (;;) {
      const u32 seen = change_count();
      {
        const MutexGuard guard(lock_);
        if (used_ != 0) return take(out);
        if (!has_writer_) return 0;
      }
      if (!file.waits()) return kAgain;
      if (const i64 error = wait_interruptibly(seen, kNever); error != 0) return error;
    }
  }

  /// What is not larger than kAtomicWrite is written as a whole.
  i64 write(const OpenFile& file, std::span<const char> bytes) {
    usize done = 0;
    while (done < bytes.size()) {
      const u32 seen = change_count();
      {
        const MutexGuard guard(lock_);
        if (!has_reader_) return done != 0 ? static_cast<i64>(done) : broken();
        const usize room = kPipeSize - used_, left = bytes.size() - done;
        if (room >= left || (room != 0 && bytes.size() > kAtomicWrite)) {
          done += put(bytes.subspan(done, std::min(room, left)));
          continue;
        }
      }
      if (!file.waits()) return done != 0 ? static_cast<i64>(done) : i64{kAgain};
      if (const i64 error = wait_interruptibly(seen, kNever); error != 0) return done != 0 ? static_cast<i64>(done) : error;
    }
    return static_cast<i64>(done);
  }

 private:
  static i64 broken() {
    raise_signal(Signal::kPipe);
    return kBrokenPipe;
  }

  usize put(std::span<const char> bytes) {
    for (const char c : bytes) data_[(first_ + used_++) % kPipeSize] = c;
    announce_change();
    return bytes.size();
  }
  i64 take(std::span<char> out) {
    const usize size = std::min(out.size(), used_);
    for (usize i = 0; i < size; ++i) out[i] = data_[(first_ + i) % kPipeSize];
    first_ = (first_ + size) % kPipeSize;
    used_ -= size;
    announce_change();
    return static_cast<i64>(size);
  }

  void lose(bool& has_end) {
    bool last;
    {
      const MutexGuard guard(lock_);
      has_end = false;
      last = !has_reader_ && !has_writer_;
    }
    announce_change();
    if (last) object_heap().free(reinterpret_cast<std::byte*>(this));
  }

  Mutex lock_;
  bool has_reader_ = true, has_writer_ = true;
  usize first_ = 0, used_ = 0;
  std::array<char, kPipeSize> data_;
};

i64 make_pipe(i32* ends, u64 flags) {
  if ((flags & ~u64{kNonBlocking | kCloseOnExec}) != 0) return kInvalid;
  const auto storage = object_heap().allocate(sizeof(Pipe), alignof(Pipe));
  if (!storage) return kNoMemory;
  Pipe* pipe = ::new (*storage) Pipe;
  const i64 read_end = open_descriptor(pipe->read_end, flags);
  const i64 write_end = read_end < 0 ? read_end : open_descriptor(pipe->write_end, flags | kWriteOnly);
  if (write_end >= 0) {
    ends[0] = static_cast<i32>(read_end);
    ends[1] = static_cast<i32>(write_end);
    return 0;
  }
  if (read_end < 0) {
    object_heap().free(*storage);
    return read_end;
  }
  OpenFile unused{.object = &pipe->write_end};
  pipe->write_end.closed(unused);
  static_cast<void>(close_descriptor(static_cast<u64>(read_end)));
  return write_end;
}

[[maybe_unused]] i64 make_plain_pipe(i32* ends) { return make_pipe(ends, 0); }

constexpr NumberedCall kCalls[] = {
    {AX_NR_pipe2, system_call<make_pipe>},
#ifdef AX_NR_pipe
    {AX_NR_pipe, system_call<make_plain_pipe>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_pipes{"pipes", ax::uni::kCalls, nullptr};
