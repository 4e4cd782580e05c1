// Streams in memory and of the console, formats, locales.
#include <charconv>
#include <format>
#include <iomanip>
#include <iostream>
#include <limits>
#include <locale>
#include <sstream>
#include <string>

#include "check.hpp"

namespace {

/// Thousands apart, as a program's own facet says.
struct Grouped : std::numpunct<char> {
  char do_thousands_sep() const override { return '\''; }
  std::string do_grouping() const override { return "\3"; }
};

void check_output() {
  std::ostringstream out;
  out << std::setw(5) << 42 << '|' << std::hex << std::showbase << 255 << '|' << std::dec << std::fixed << std::setprecision(3)
      << 1.0 / 3;
  CHECK(out.str() == "   42|0xff|0.333");
  out.str("");
  out << std::scientific << std::setprecision(2) << 12345.678 << ' ' << std::boolalpha << true << ' ' << std::setfill('*')
      << std::left << std::setw(6) << "ab";
  CHECK(out.str() == "1.23e+04 true ab****");
  std::ostringstream grouped;
  grouped.imbue(std::locale(std::locale::classic(), new Grouped));
  grouped << 1234567;
  CHECK(grouped.str() == "1'234'567");
  std::wostringstream wide;
  wide << L"wide " << 12;
  CHECK(wide.str() == L"wide 12");
}

void check_input() {
  std::istringstream in("17 2.5 word 0x1f rest of it\nnext");
  int whole = 0, hex = 0;
  double real = 0;
  std::string word, line;
  in >> whole >> real >> word >> std::hex >> hex;
  std::getline(in >> std::ws, line);
  CHECK(whole == 17 && real == 2.5 && word == "word" && hex == 31 && line == "rest of it");
  std::istringstream bad("x");
  CHECK(!(bad >> whole) && bad.fail() && !bad.bad());
  std::istringstream loud("x");
  loud.exceptions(std::ios::failbit);
  bool thrown = false;
  try {
    loud >> whole;
  } catch (const std::ios_base::failure&) {
    thrown = true;
  }
  CHECK(thrown);
}

void check_formats() {
  CHECK(std::format("{:>5}|{:x}|{:.2f}|{}", 42, 255, 2.5, "text") == "   42|ff|2.50|text");
  char buffer[64];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, 0.1);
  CHECK(std::string(buffer, written.ptr) == "0.1");
  int value = 0;
  const char text[] = "-250x";
  CHECK(std::from_chars(text, text + sizeof text, value).ptr == text + 4 && value == -250);
  CHECK(std::format("{}", std::numeric_limits<double>::max()) == "1.7976931348623157e+308");
}

void check_locales() {
  CHECK(std::locale().name() == "C");
  CHECK(std::locale("C.UTF-8").name() == "C.UTF-8");
  CHECK(std::toupper('a', std::locale()) == 'A' && std::isdigit('7', std::locale()));
  std::ostringstream out;
  out.imbue(std::locale(""));
  out << 1234567;
  CHECK(out.str() == "1234567");
}

}  // namespace

void check_streams() {
  check_output();
  check_input();
  check_formats();
  check_locales();
  std::cout << std::setw(3) << 42 << '|' << std::hex << 42 << '|' << std::setprecision(4) << 3.14159 << '|' << std::boolalpha
            << true << std::endl;
}

void read_input() {
  int count = 0, sum = 0;
  for (int value = 0; std::cin >> value; ++count) sum += value;
  std::cout << "sum " << sum << " of " << count << '\n';
}
