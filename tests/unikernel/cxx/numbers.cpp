// Random numbers, regular expressions, clocks.
#include <chrono>
#include <cmath>
#include <complex>
#include <random>
#include <ratio>
#include <regex>
#include <string>
#include <system_error>
#include <thread>

#include "check.hpp"

namespace {

void check_random() {
  std::mt19937 engine;
  engine.discard(9999);
  CHECK(engine() == 4123659995U);  // the standard says so: [rand.predef]
  std::mt19937_64 large;
  large.discard(9999);
  CHECK(large() == 9981545732273789042ULL);
  std::normal_distribution<double> normal(10, 2);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) sum += normal(engine);
  CHECK(std::abs(sum / 10000 - 10) < 0.2);
  // The machines of the tests have no CPU with random numbers, so their service is not in the image.
  bool refused = false;
  try {
    std::random_device device;
    (void)device();
  } catch (const std::system_error& error) {
    refused = error.code() == std::errc::function_not_supported;
  }
  CHECK(refused);
}

void check_expressions() {
  const std::regex date(R"((\d{4})-(\d\d)-(\d\d))");
  std::smatch match;
  const std::string text = "from 2024-02-29 to 2025-01-31";
  CHECK(std::regex_search(text, match, date) && match[1] == "2024" && match.position() == 5);
  CHECK(std::distance(std::sregex_iterator(text.begin(), text.end(), date), std::sregex_iterator()) == 2);
  CHECK(std::regex_replace(text, date, "$3.$2.$1") == "from 29.02.2024 to 31.01.2025");
  CHECK(std::regex_match("AbC", std::regex("[a-c]+", std::regex::icase)));
  bool refused = false;
  try {
    const std::regex bad("(");
  } catch (const std::regex_error& error) {
    refused = error.code() == std::regex_constants::error_paren;
  }
  CHECK(refused);
}

void check_clocks() {
  using namespace std::chrono;
  const auto begin = steady_clock::now();
  std::this_thread::sleep_for(5ms);
  const auto passed = steady_clock::now() - begin;
  CHECK(passed >= 5ms && passed < 60s);
  CHECK(system_clock::now() > sys_days(2024y / January / 1));
  CHECK(sys_days(2024y / February / last) == sys_days(2024y / February / 29));
  CHECK(weekday(sys_days(2024y / February / 29)) == Thursday);
  CHECK(duration_cast<minutes>(2h + 30min).count() == 150);
}

}  // namespace

void check_numbers() {
  check_random();
  check_expressions();
  check_clocks();
  CHECK(std::abs(std::polar(2.0, std::acos(-1.0)) - std::complex<double>(-2, 0)) < 1e-12);
  CHECK(std::hypot(3.0L, 4.0L) == 5.0L && std::lgamma(1.0) == 0);
}
