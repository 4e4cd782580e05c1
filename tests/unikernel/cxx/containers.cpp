// Containers, algorithms, strings, owners, functions; and memory that runs out.
#include <algorithm>
#include <any>
#include <bitset>
#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <numeric>
#include <optional>
#include <queue>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "check.hpp"

namespace {

void check_sequences() {
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::reverse(numbers.begin(), numbers.end());
  std::sort(numbers.begin(), numbers.end());
  CHECK(std::is_sorted(numbers.begin(), numbers.end()) && numbers[123] == 123);
  std::stable_partition(numbers.begin(), numbers.end(), [](int n) { return n % 2 == 1; });
  CHECK(numbers.front() == 1 && numbers.back() == 998);
  CHECK(std::accumulate(numbers.begin(), numbers.end(), 0L) == 499500L);
  std::deque<std::string> words{"b", "c"};
  words.push_front("a");
  std::list<std::string> list(words.begin(), words.end());
  list.splice(list.begin(), list, std::prev(list.end()));
  CHECK(list.front() == "c" && list.size() == 3);
  std::forward_list<int> forward{3, 1, 2};
  forward.sort();
  CHECK(forward.front() == 1);
  std::priority_queue<int> queue;
  for (const int n : {3, 9, 4}) queue.push(n);
  CHECK(queue.top() == 9);
  auto even = numbers | std::views::filter([](int n) { return n % 2 == 0; }) | std::views::take(3);
  CHECK(std::ranges::equal(even, std::vector<int>{0, 2, 4}));
  CHECK(std::bitset<8>(0b1011).count() == 3);
}

void check_maps() {
  std::map<std::string, int> counts;
  for (const char* word : {"one", "two", "one", "three", "one"}) ++counts[word];
  CHECK(counts.size() == 3 && counts["one"] == 3 && counts.begin()->first == "one");
  std::unordered_map<int, std::string> names;
  for (int i = 0; i < 500; ++i) names.emplace(i, std::to_string(i));
  CHECK(names.size() == 500 && names.at(321) == "321" && !names.contains(500));
  std::multiset<int> many{1, 1, 2};
  CHECK(many.count(1) == 2);
}

void check_values() {
  std::variant<int, std::string> either = "text";
  CHECK(std::visit([](const auto& value) { return sizeof value; }, either) == sizeof(std::string));
  std::optional<int> maybe;
  CHECK(maybe.value_or(4) == 4);
  std::any anything = 2.5;
  CHECK(std::any_cast<double>(anything) == 2.5 && std::any_cast<int>(&anything) == nullptr);
  const auto [first, second] = std::make_tuple(1, std::string("x"));
  CHECK(first == 1 && second == "x");
}

void check_strings() {
  std::string text = "short";
  text += std::string(100, '-') + "long";
  CHECK(text.size() == 109 && text.find("long") == 105 && text.rfind('s') == 0);
  text.replace(5, 100, ", ").insert(0, ">");
  CHECK(text == ">short, long");
  CHECK(std::stod("2.5e3") == 2500.0 && std::stoll("-7") == -7 && std::to_string(2.5) == "2.500000");
  const std::wstring wide = L"gr\u00fc\u00df";
  CHECK(wide.size() == 4 && std::u32string(U"\U0001F600").size() == 1);
}

void check_owners() {
  struct Node {
    std::shared_ptr<Node> next;
    std::weak_ptr<Node> back;
    int* gone;
    explicit Node(int* count) : gone(count) {}
    ~Node() { ++*gone; }
  };
  int gone = 0;
  {
    auto head = std::make_shared<Node>(&gone);
    head->next = std::make_shared<Node>(&gone);
    head->next->back = head;
    CHECK(head.use_count() == 1 && head->next->back.lock() == head);
    std::unique_ptr<Node, void (*)(Node*)> own(new Node(&gone), [](Node* node) { delete node; });
    auto moved = std::move(own);
    CHECK(!own && moved);
  }
  CHECK(gone == 3);
}

void check_functions() {
  int calls = 0;
  std::function<int(int)> function = [&calls](int n) { return ++calls + n; };
  const std::function<int(int)> copy = function;
  CHECK(function(10) == 11 && copy(10) == 12 && calls == 2);
  CHECK(std::bind(std::minus<>(), std::placeholders::_2, 3)(0, 10) == 7);
  const auto method = std::mem_fn(&std::string::size);
  CHECK(method(std::string("four")) == 4);
  std::pmr::monotonic_buffer_resource pool(1024);
  std::pmr::vector<int> pooled(100, 7, &pool);
  CHECK(pooled.back() == 7);
}

struct alignas(256) Aligned {
  char bytes[256];
};

}  // namespace

void check_containers() {
  check_sequences();
  check_maps();
  check_values();
  check_strings();
  check_owners();
  check_functions();
  const auto aligned = std::make_unique<Aligned>();
  CHECK(reinterpret_cast<std::uintptr_t>(aligned.get()) % 256 == 0);
}

void check_memory() {
  constexpr std::size_t kBlock = 1 << 20;
  const auto fill = [] {
    std::list<std::unique_ptr<char[]>> blocks;
    try {
      for (;;) blocks.push_back(std::make_unique_for_overwrite<char[]>(kBlock));
    } catch (const std::bad_alloc& error) {
      CHECK(std::string_view(error.what()) == "std::bad_alloc");
    }
    return blocks.size();
  };
  const std::size_t count = fill();
  CHECK(count > 16);
  CHECK(fill() == count);  // all of it came back
  CHECK(new (std::nothrow) char[kBlock * 100'000] == nullptr);
  const volatile std::size_t huge = ~std::size_t{0} / 2;
  bool refused = false;
  try {
    std::vector<int> vector(huge);
  } catch (const std::length_error&) {
    refused = true;
  }
  CHECK(refused);
}
