// Exceptions: thrown, caught, carried, nested; and types at run time.
#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "check.hpp"

namespace {

int alive = 0;

struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  ~Counted() { --alive; }
};

/// Its second member does not come to be.
struct Half {
  Counted whole;
  std::array<Counted, 3> more;
  struct Bad {
    Bad() { throw std::logic_error("half way"); }
  } bad;
};

[[gnu::noinline]] int deep(int depth) {
  const Counted here;
  if (depth == 0) throw std::out_of_range("the bottom");
  return deep(depth - 1) + 1;
}

int throws(int value) {
  if (value > 10) throw value;
  return value;
}

[[gnu::noinline]] void nested(int depth) {
  try {
    if (depth == 0) throw std::runtime_error("0");
    nested(depth - 1);
  } catch (...) {
    std::throw_with_nested(std::runtime_error(std::to_string(depth + 1)));
  }
}

std::string story(const std::exception& error) {
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& inner) {
    return std::string(error.what()) + story(inner);
  }
  return error.what();
}

template <typename Function>
std::string caught(Function function) {
  try {
    function();
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  } catch (const std::out_of_range&) {
    return "out_of_range";
  } catch (const std::logic_error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("other ") + error.what();
  } catch (int value) {
    return std::to_string(value);
  } catch (...) {
    return "something";
  }
  return "nothing";
}

void check_rethrow() {
  int seen = 0;
  try {
    try {
      throw std::invalid_argument("again");
    } catch (std::logic_error&) {
      ++seen;
      throw;  // the same object, with its own type
    }
  } catch (const std::invalid_argument& error) {
    seen += std::string(error.what()) == "again";
  }
  CHECK(seen == 2);
}

void check_pointers() {
  std::exception_ptr kept;
  CHECK(!kept);
  std::thread thread([&] {
    try {
      deep(5);
    } catch (...) {
      kept = std::current_exception();
    }
  });
  thread.join();
  CHECK(kept);
  CHECK(caught([&] { std::rethrow_exception(kept); }) == "out_of_range");
  CHECK(caught([&] { std::rethrow_exception(kept); }) == "out_of_range");
  CHECK(caught([] { std::rethrow_exception(std::make_exception_ptr(7)); }) == "7");
}

/// Every thread throws and catches its own, at the same time.
void check_many_threads() {
  std::vector<std::thread> threads;
  std::array<int, 8> sums{};
  for (size_t t = 0; t < sums.size(); ++t) {
    threads.emplace_back([&sum = sums[t], t] {
      for (int i = 0; i < 200; ++i) {
        try {
          throw static_cast<int>(t);
        } catch (int value) {
          sum += value;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < sums.size(); ++t) CHECK(sums[t] == 200 * static_cast<int>(t));
}

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Coloured {
  virtual ~Coloured() = default;
  int colour = 3;
};
struct Square : Shape, Coloured {
  int corners() const override { return 4; }
};
struct Round : virtual Shape {
  int corners() const override { return 0; }
};

}  // namespace

void check_exceptions() {
  CHECK(caught([] {}) == "nothing");
  CHECK(caught([] { deep(100); }) == "out_of_range" && alive == 0);
  CHECK(caught([] { Half half; }) == "half way" && alive == 0);
  CHECK(caught([] { auto array = std::make_unique<Half[]>(4); }) == "half way" && alive == 0);
  CHECK(caught([] { std::vector<int>().at(1); }) == "out_of_range");
  CHECK(caught([] { (void)std::stoi("no number"); }).find("stoi") == 0);
  CHECK(caught([] { std::function<void()>()(); }).find("other ") == 0);
  CHECK(caught([] { throw std::system_error(ENOENT, std::generic_category(), "open"); }) ==
        "other open: No such file or directory");
  CHECK(caught([] { throw 3; }) == "3");
  CHECK(caught([] { throw "text"; }) == "something");
  CHECK(call_from_c(throws, 5) == 6);
  CHECK(caught([] { call_from_c(throws, 11); }) == "11");
  try {
    nested(3);
    CHECK(false);
  } catch (const std::exception& error) {
    CHECK(story(error) == "43210");
  }
  CHECK(std::uncaught_exceptions() == 0);
  check_rethrow();
  check_pointers();
  check_many_threads();
}

void end_by_exception() { throw std::runtime_error("nobody catches this"); }

void check_types() {
  Square square;
  Shape* shape = &square;
  CHECK(dynamic_cast<Square*>(shape) == &square);
  CHECK(dynamic_cast<Coloured*>(shape) == &square);  // across
  CHECK(dynamic_cast<Coloured*>(shape)->colour == 3);
  CHECK(dynamic_cast<Round*>(shape) == nullptr);
  CHECK(dynamic_cast<void*>(static_cast<Coloured*>(&square)) == &square);
  CHECK(typeid(*shape) == typeid(Square) && typeid(*shape) != typeid(Round));
  CHECK(std::type_index(typeid(int)) == std::type_index(typeid(const int)));
  CHECK(caught([&] { (void)dynamic_cast<Round&>(*shape); }).find("bad_cast") != std::string::npos);
  Shape* none = nullptr;
  CHECK(caught([&] { (void)typeid(*none); }).find("bad_typeid") != std::string::npos);
  Round round;
  CHECK(static_cast<Shape&>(round).corners() == 0 && shape->corners() == 4);
}
