// The service `epoll`: epoll, and eventfd(), which programs wake its waiters with.
#include <algorithm>
#include <array>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/object_heap.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/wait_for_files.hpp"

namespace ax::uni {
namespace {

template <class T, class... Args>
i64 open_new(u64 flags, Args... args) {
  const auto storage = object_heap().allocate(sizeof(T), alignof(T));
  if (!storage) return kNoMemory;
  const i64 descriptor = open_descriptor(*::new (*storage) T(args...), flags | kReadWrite);
  if (descriptor < 0) object_heap().free(*storage);
  return descriptor;
}

// ---- eventfd

class EventCounter final : public FileObject {
 public:
  EventCounter(u64 value, bool one_by_one) : value_(value), one_by_one_(one_by_one) {}

  i64 read(OpenFile& file, std::span<char> out) override {
    if (out.size() < sizeof value_) return kInvalid;
    return transfer(file, [&] {
      if (value_ == 0) return false;
      const u64 taken = one_by_one_ ? 1 : value_;
      value_ -= taken;
      __builtin_memcpy(out.data(), &taken, sizeof taken);
      return true;
    });
  }
  i64 write(OpenFile& file, std::span<const char> bytes) override {
    if (bytes.size() < sizeof value_) return kInvalid;
    u64 added;
    __builtin_memcpy(&added, bytes.data(), sizeof added);
    if (added > kMost) return kInvalid;
    return transfer(file, [&] {
      if (added > kMost - value_) return false;
      value_ += added;
      return true;
    });
  }
  u32 readiness() override {
    const MutexGuard guard(lock_);
    return (value_ != 0 ? kReadable : 0u) | (value_ < kMost ? kWritable : 0u);
  }
  Status status() override { return {.mode = 0600, .id = reinterpret_cast<u64>(this)}; }
  void closed(OpenFile&) override { object_heap().free(reinterpret_cast<std::byte*>(this)); }

 private:
  static constexpr u64 kMost = ~u64{0} - 1;

  template <class Attempt>
  i64 transfer(const OpenFile& file, Attempt attempt) {
    for (;;) {
      const u32 seen = change_count();
      {
        const MutexGuard guard(lock_);
        if (attempt()) break;
      }
      if (!file.waits()) return kAgain;
      if (const i64 error = wait_interruptibly(seen, kNever); error != 0) return error;
    }
    announce_change();
    return sizeof value_;
  }

  Mutex lock_;
  u64 value_;
  bool one_by_one_;
};

i64 make_counter(u64 value, u64 flags) {
  constexpr u64 kSemaphore = 1;
  return open_new<EventCounter>(flags & ~kSemaphore, u64{static_cast<u32>(value)}, (flags & kSemaphore) != 0);
}
[[maybe_unused]] i64 make_plain_counter(u64 value) { return make_counter(value, 0); }

// ---- epoll

#if defined(__x86_64__)
struct [[gnu::packed]] Event {
#else
struct Event {
#endif
  u32 events;
  u64 data;
};

enum EventFlag : u32 { kEdge = 1u << 31, kOneShot = 1u << 30 };

class EventList final : public FileObject {
 public:
  static constexpr char kKind = 0;
  const void* kind() const override { return &kKind; }

  i64 change(u64 operation, u64 descriptor, const Event* event) {
    enum Operation : u64 { kAdd = 1, kDelete = 2, kModify = 3 };
    {
      const HeldFile file = hold(descriptor);
      if (!file) return kBadFile;
      if (&file.object() == this || file.object().is_regular()) return kPerm;
    }
    const MutexGuard guard(lock_);
    Watched* there = std::ranges::find(watched_.begin(), watched_.begin() + count_, descriptor, &Watched::descriptor);
    const bool found = there != watched_.begin() + count_;
    if (operation == kAdd && found) return kExists;
    if (operation != kAdd && !found) return kNoEntry;
    if (operation == kDelete) {
      *there = watched_[--count_];
      return 0;
    }
    if (operation != kAdd && operation != kModify) return kInvalid;
    if (operation == kAdd && count_ == watched_.size()) return kNoSpace;
    *there = {descriptor, event->events, 0, event->data};
    count_ += operation == kAdd;
    announce_change();
    return 0;
  }

  i64 wait(Event* events, usize most, u64 deadline) {
    return wait_for_files(deadline, [&](bool& polled) { return collect(events, most, polled); });
  }

  u32 readiness() override {
    Event event;
    bool polled = false;
    return collect(&event, 1, polled, true) != 0 ? kReadable : 0u;
  }
  bool polled() const override { return true; }
  Status status() override { return {.mode = 0600, .id = reinterpret_cast<u64>(this)}; }
  void closed(OpenFile&) override { object_heap().free(reinterpret_cast<std::byte*>(this)); }

 private:
  struct Watched {
    u64 descriptor;
    u32 events;
    u32 told;  ///< edges that were told and not gone since
    u64 data;
  };

  i64 collect(Event* events, usize most, bool& polled, bool only_look = false) {
    const MutexGuard guard(lock_);
    usize found = 0;
    for (usize i = 0; i < count_ && found < most;) {
      Watched& file = watched_[i];
      const u32 ready = ready_now(file.descriptor, file.events, polled);
      if ((ready & kReadyInvalid) != 0) {  // it was closed
        file = watched_[--count_];
        continue;
      }
      const u32 told = (file.events & kEdge) != 0 ? ready & ~file.told : ready;
      ++i;
      if (only_look) {
        found += told != 0;
        continue;
      }
      file.told = ready;
      if (told == 0 || file.events == 0) continue;
      events[found++] = {told, file.data};
      if ((file.events & kOneShot) != 0) file.events = 0;
    }
    return static_cast<i64>(found);
  }

  Mutex lock_;
  usize count_ = 0;
  std::array<Watched, 128> watched_{};
};

i64 make_list(u64 flags) { return (flags & ~u64{kCloseOnExec}) != 0 ? i64{kInvalid} : open_new<EventList>(flags); }
[[maybe_unused]] i64 make_plain_list(u64 size) { return size == 0 ? i64{kInvalid} : make_list(0); }

EventList* as_list(const HeldFile& file) {
  return file.object().kind() == &EventList::kKind ? static_cast<EventList*>(&file.object()) : nullptr;
}

i64 change(u64 list, u64 operation, u64 descriptor, const Event* event) {
  const HeldFile file = hold(list);
  if (!file) return kBadFile;
  EventList* found = as_list(file);
  return found == nullptr ? i64{kInvalid} : found->change(operation, descriptor, event);
}

i64 wait(u64 list, Event* events, i32 most, i32 milliseconds, const u64* mask) {
  const HeldFile file = hold(list);
  if (!file) return kBadFile;
  EventList* found = as_list(file);
  if (found == nullptr || most <= 0) return kInvalid;
  const TimeSpec time{milliseconds / 1000, i64{milliseconds % 1000} * 1'000'000};
  const u64 deadline = deadline_after(milliseconds < 0 ? nullptr : &time);
  const SignalMaskWhileWaiting masked(mask);
  return found->wait(events, static_cast<usize>(most), deadline);
}
[[maybe_unused]] i64 wait_plainly(u64 list, Event* events, i32 most, i32 milliseconds) {
  return wait(list, events, most, milliseconds, nullptr);
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_epoll_create1, system_call<make_list>},
    {AX_NR_epoll_ctl, system_call<change>},
    {AX_NR_epoll_pwait, system_call<wait>},
    {AX_NR_eventfd2, system_call<make_counter>},
#ifdef AX_NR_epoll_create
    {AX_NR_epoll_create, system_call<make_plain_list>},
    {AX_NR_epoll_wait, system_call<wait_plainly>},
    {AX_NR_eventfd, system_call<make_plain_counter>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_epoll{"epoll", ax::uni::kCalls, nullptr};
