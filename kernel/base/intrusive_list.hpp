// A doubly linked list of objects that carry their own links: no allocation, O(1) insertion and removal.
#pragma once

#include "kernel/base/types.hpp"

namespace ax {

/// The links of an object in one list. Neither copied nor moved: neighbours point to it.
class ListHook {
 public:
  constexpr ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  constexpr bool linked() const { return next_ != nullptr; }

 private:
  template <class T, ListHook T::*>
  friend class IntrusiveList;
  ListHook* next_ = nullptr;
  ListHook* previous_ = nullptr;
  void* object_ = nullptr;
};

/// The list owns nothing; an object is in at most one list per hook and is removed before it dies. Not locked.
template <class T, ListHook T::*Hook>
class IntrusiveList {
 public:
  class Iterator {
   public:
    explicit Iterator(const ListHook* at) : at_(at) {}
    T& operator*() const { return *static_cast<T*>(at_->object_); }
    T* operator->() const { return static_cast<T*>(at_->object_); }
    Iterator& operator++() {
      at_ = at_->next_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const ListHook* at_;
  };

  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  T* front() const { return empty() ? nullptr : static_cast<T*>(head_.next_->object_); }
  T* back() const { return empty() ? nullptr : static_cast<T*>(head_.previous_->object_); }
  /// Removing the element that an iterator stands on invalidates that iterator only.
  Iterator begin() const { return Iterator(head_.next_); }
  Iterator end() const { return Iterator(&head_); }

  void push_front(T& object) { link(object, head_); }
  void push_back(T& object) { link(object, *head_.previous_); }
  /// `object` becomes the predecessor of `position`, which is in this list.
  void insert_before(T& position, T& object) { link(object, *(position.*Hook).previous_); }

  /// `object` is in this list.
  static void remove(T& object) {
    ListHook& hook = object.*Hook;
    hook.previous_->next_ = hook.next_;
    hook.next_->previous_ = hook.previous_;
    hook.next_ = hook.previous_ = nullptr;
  }
  /// The first element, removed; nullptr when empty.
  T* pop_front() {
    T* first = front();
    if (first != nullptr) remove(*first);
    return first;
  }

 private:
  void link(T& object, ListHook& after) {
    ListHook& hook = object.*Hook;
    hook.object_ = &object;
    hook.previous_ = &after;
    hook.next_ = after.next_;
    after.next_->previous_ = &hook;
    after.next_ = &hook;
  }

  ListHook head_;
};

}  // namespace ax
