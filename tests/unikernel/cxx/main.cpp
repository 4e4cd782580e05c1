// What programs in C++ rely on. The first argument says which part of it.
#include <cstdio>
#include <string_view>

#include "check.hpp"

Checks checks;

namespace {

/// Says when it is made and destroyed.
class Noisy {
 public:
  explicit Noisy(const char* name) : name_(name) { say('+'); }
  ~Noisy() { say('-'); }

 private:
  void say(char what) const {
    if (loud) std::printf("%c%s\n", what, name_);
  }
  const char* name_;

 public:
  static bool loud;
};
bool Noisy::loud = false;

/// What was made before main() cannot know yet that it should speak.
struct Early {
  explicit Early(const char* name) : name_(name), order_(++count) {}
  ~Early() {
    if (Noisy::loud) std::printf("-%s\n", name_);
  }
  const char* name_;
  int order_;
  static int count;
};
int Early::count = 0;

Early first("first");
Early second("second");
thread_local Noisy of_thread("thread");

void check_order() {
  Noisy::loud = true;
  if (first.order_ == 1 && second.order_ == 2) std::puts("+first\n+second");
  std::puts("+main");
  [[maybe_unused]] static Early local("local");
  [[maybe_unused]] volatile const Noisy* used = &of_thread;
  // The end of main() comes first, then the objects of its thread, then static ones, the last first.
}

struct Part {
  std::string_view name;
  void (*function)();
};
constexpr Part kParts[] = {
    {"exceptions", check_exceptions}, {"types", check_types},         {"containers", check_containers},
    {"streams", check_streams},       {"threads", check_threads},     {"numbers", check_numbers},
    {"memory", check_memory},         {"uncaught", end_by_exception}, {"input", read_input},
    {"order", check_order},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Part& part : kParts) {
    if (argc != 2 || part.name != argv[1]) continue;
    part.function();
    if (checks.done != 0) std::printf("%s: %d checks, %d failed\n", argv[1], checks.done, checks.failed);
    return checks.failed == 0 ? 0 : 1;
  }
  std::puts("no such part");
  return 2;
}
