// A vector of bounded capacity that lives where it is declared.
#pragma once

#include <array>
#include <span>

#include "kernel/base/result.hpp"

namespace ax {

/// At most `N` elements of default-constructible `T`, stored inline; never allocates. Usable in constant expressions.
template <class T, usize N>
class StaticVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  constexpr StaticVector() = default;

  static constexpr usize capacity() { return N; }
  constexpr usize size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr bool full() const { return size_ == N; }

  /// Error: OutOfMemory when full.
  [[nodiscard]] constexpr Result<T*> push_back(T value) {
    if (full()) return fail(Error::OutOfMemory);
    items_[size_] = static_cast<T&&>(value);
    return &items_[size_++];
  }
  constexpr void pop_back() { --size_; }
  constexpr void clear() { size_ = 0; }
  /// Keeps the order of the rest.
  constexpr void erase(usize index) {
    for (usize i = index + 1; i < size_; ++i) items_[i - 1] = static_cast<T&&>(items_[i]);
    --size_;
  }

  constexpr T& operator[](usize i) { return items_[i]; }
  constexpr const T& operator[](usize i) const { return items_[i]; }
  constexpr T& back() { return items_[size_ - 1]; }
  constexpr T* begin() { return items_.data(); }
  constexpr T* end() { return items_.data() + size_; }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }
  constexpr operator std::span<const T>() const { return {begin(), size_}; }
  constexpr operator std::span<T>() { return {begin(), size_}; }

 private:
  std::array<T, N> items_{};
  usize size_ = 0;
};

}  // namespace ax
