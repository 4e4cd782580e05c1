/* printf(), scanf(), numbers, strings. */
#include <float.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "check.h"

static char out[5000];

__attribute__((format(printf, 1, 2))) static const char* made(const char* format, ...) {
  va_list rest;
  va_start(rest, format);
  vsnprintf(out, sizeof out, format, rest);
  va_end(rest);
  return out;
}

void check_formats(void) {
  CHECK_TEXT(made("%d|%5d|%-5d|%05d|%+d|% d", 7, 7, 7, 7, 7, 7), "7|    7|7    |00007|+7| 7");
  CHECK_TEXT(made("%x|%#x|%#X|%#o|%.0d|%.3d", 255u, 255u, 255u, 8u, 0, 5), "ff|0xff|0XFF|010||005");
  CHECK_TEXT(made("%hhd %hd %ld %lld %jd %zu %td", 300, 70000, LONG_MIN, LLONG_MAX, INTMAX_MIN, SIZE_MAX, (ptrdiff_t)-1),
             "44 4464 -9223372036854775808 9223372036854775807 -9223372036854775808 18446744073709551615 -1");
  CHECK_TEXT(made("%s|%.2s|%5s|%-5s|%c|%%", "text", "text", "ab", "ab", 'x'), "text|te|   ab|ab   |x|%");
  CHECK_TEXT(made("%2$s %1$d %2$*3$s", 4, "two", 5), "two 4   two");
  CHECK_TEXT(made("%*d|%-*d|%.*f", 4, 1, 4, 1, 2, 1.239), "   1|1   |1.24");
  CHECK_TEXT(made("%f %.0f %.0f %.0f %#.0f", 1.5, 0.5, 1.5, 2.5, 2.0), "1.500000 0 2 2 2.");
  CHECK_TEXT(made("%e %.3e %E %g %g %g %#g", 12345.678, 1e-10, 1e100, 1e5, 1e6, 1e-5, 1.0),
             "1.234568e+04 1.000e-10 1.000000E+100 100000 1e+06 1e-05 1.00000");
  CHECK_TEXT(made("%a %a %.1a %A", 1.0, 0.1, 1.5, 255.0), "0x1p+0 0x1.999999999999ap-4 0x1.8p+0 0X1.FEP+7");
  CHECK_TEXT(made("%f %F %e %5.1f %05f", INFINITY, -INFINITY, (double)NAN, INFINITY, INFINITY), "inf -INF nan   inf   inf");
  CHECK_TEXT(made("%.20f", 0.1), "0.10000000000000000555");
  CHECK_TEXT(made("%.17g %.17g", DBL_MAX, 4.9406564584124654e-324), "1.7976931348623157e+308 4.9406564584124654e-324");
  CHECK(strlen(made("%f", DBL_MAX)) == 309 + 7 && strlen(made("%.1100f", 0x1p-1074)) == 1102 && out[1101 - 26] != '0');
  CHECK_TEXT(made("%.3Lf %La", 2.0005L, 1.0L) == out && strncmp(out, "2.00", 4) == 0 ? "yes" : out, "yes");
  CHECK_TEXT(made("%ls %lc", L"wide", L'w'), "wide w");
  /* The size that it would need; nothing beyond the end. */
  char small[8];
  memset(small, 'x', sizeof small);
  CHECK(snprintf(small, 4, "%s", "longer") == 6 && memcmp(small, "lon\0xxxx", 8) == 0);
  CHECK(snprintf(NULL, 0, "%d", 12345) == 5 && snprintf(small, 0, "abc") == 3 && small[0] == 'l');
  CHECK(snprintf(NULL, 0, "%.*u", 2147483640, 0u) == 2147483640);
  CHECK(snprintf(NULL, 0, "%.*u%.*u", 2147483640, 0u, 9, 0u) == -1 && errno == EOVERFLOW);
  int count = 0;
  CHECK(snprintf(small, sizeof small, "abc%nd", &count) == 4 && count == 3);
  char* grown;
  CHECK(asprintf(&grown, "%s-%d", "grown", 9) == 7 && strcmp(grown, "grown-9") == 0);
  free(grown);
}

void check_scanning(void) {
  int a = 0, b = 0, n = 0;
  unsigned u;
  char text[20], other[20];
  double d;
  CHECK(sscanf(" 12 -7", "%d%d", &a, &b) == 2 && a == 12 && b == -7);
  CHECK(sscanf("0x1fz", "%i%c", &a, text) == 2 && a == 31 && text[0] == 'z');
  CHECK(sscanf("017 08", "%i %i", &a, &b) == 2 && a == 15 && b == 0);
  CHECK(sscanf("ff", "%x%n", &u, &n) == 1 && u == 255 && n == 2);
  CHECK(sscanf("word rest", "%3s%s", text, other) == 2 && strcmp(text, "wor") == 0 && strcmp(other, "d") == 0);
  CHECK(sscanf("abc123", "%[a-z]%[^4]", text, other) == 2 && strcmp(text, "abc") == 0 && strcmp(other, "123") == 0);
  CHECK(sscanf("]x", "%[]x]", text) == 1 && strcmp(text, "]x") == 0);
  CHECK(sscanf("1.5e2,x", "%lf,%c", &d, text) == 2 && d == 150 && text[0] == 'x');
  CHECK(sscanf("inf nan 0x1p4", "%lf", &d) == 1 && isinf(d));
  CHECK(sscanf("a:5", "a:%*d") == 0 && sscanf("", "%d", &a) == EOF && sscanf("x", "%d", &a) == 0);
  CHECK(sscanf("50%", "%d%%%n", &a, &n) == 1 && a == 50 && n == 3);
  CHECK(sscanf("1e", "%lf", &d) == 0 && sscanf("0x", "%x%n", &u, &n) <= 1);
  char* grown = NULL;
  CHECK(sscanf("allocated text", "%ms", &grown) == 1 && strcmp(grown, "allocated") == 0);
  free(grown);
  long long wide;
  CHECK(sscanf("9223372036854775807", "%lld", &wide) == 1 && wide == LLONG_MAX);
  CHECK(sscanf("3 4", "%2$d %1$d", &a, &b) == 2 && a == 4 && b == 3);
}

static void check_double(const char* text, double wanted, const char* rest, int line) {
  char* end;
  const double value = strtod(text, &end);
  if (memcmp(&value, &wanted, sizeof value) == 0 && strcmp(end, rest) == 0) return;
  printf("text.c:%d: not so: strtod(%.40s) is %a, rest %s\n", line, text, value, end);
  ++mistakes;
}
#define DOUBLE(text, value, rest) check_double(text, value, rest, __LINE__)

void check_numbers(void) {
  char* end;
  CHECK(strtol("  -42x", &end, 10) == -42 && *end == 'x' && strtol("zz", &end, 36) == 35 * 36 + 35 &&
        strtol("0x", &end, 16) == 0 && *end == 'x');
  CHECK(strtol("", &end, 10) == 0 && strtol("-", &end, 10) == 0 && *end == '-');
  CHECK(strtol("9223372036854775808", NULL, 10) == LONG_MAX && errno == ERANGE);
  CHECK(strtol("-9223372036854775808", NULL, 10) == LONG_MIN && errno == 0);
  CHECK(strtoul("-1", NULL, 10) == ULONG_MAX && errno == 0);
  CHECK(strtoul("18446744073709551616", NULL, 10) == ULONG_MAX && errno == ERANGE);
  CHECK(strtol("1", NULL, 37) == 0 && errno == EINVAL);
  CHECK(strtoimax("0777", NULL, 0) == 511 && strtoumax("0b", &end, 16) == 11);
  DOUBLE("0", 0, "");
  DOUBLE("-0.0", -0.0, "");
  DOUBLE("1e23", 1e23, "");
  DOUBLE("9007199254740993", 0x1p53, "");
  DOUBLE("9007199254740993.00000000000000000000000000000000000001", 0x1.0000000000001p53, "");
  DOUBLE("2.2250738585072011e-308", 0x0.fffffffffffffp-1022, "");
  DOUBLE("2.2250738585072012e-308", 0x1p-1022, "");
  DOUBLE("4.9406564584124654e-324", 0x1p-1074, "");
  DOUBLE("2.4703282292062327e-324", 0, "");
  DOUBLE("2.4703282292062328e-324", 0x1p-1074, "");
  DOUBLE("1.7976931348623158e308", DBL_MAX, "");
  DOUBLE("1.7976931348623159e308", INFINITY, "");
  DOUBLE("0x1.fffffffffffff8p0", 2, "");
  DOUBLE("0x1p-1075", 0, "");
  DOUBLE("0x1.8p-1075", 0x1p-1074, "");
  DOUBLE("1e", 1, "e");
  DOUBLE("1e+x", 1, "e+x");
  DOUBLE(".5.", 0.5, ".");
  DOUBLE("infinityx", INFINITY, "x");
  DOUBLE("infin", INFINITY, "in");
  DOUBLE("0xg", 0, "xg");
  DOUBLE("1000000000000000000000000000000000000000e-39", 1, "");
  CHECK(isnan(strtod("nan(12)", &end)) && *end == 0);
  CHECK(strtof("16777217", NULL) == 16777216.0f && strtof("3.4028235677973367e38", NULL) == INFINITY);
  CHECK(strtof("1e39", NULL) == INFINITY && errno == ERANGE && strtof("3.4028235677973365e38", NULL) == FLT_MAX);
  CHECK(strtof("1.1754943157898258e-38", NULL) == FLT_MIN && strtof("1e-46", NULL) == 0);
  CHECK(strtold("0.1", NULL) == 0.1L && strtold("1e4000", NULL) > 1e308L && strtold("1e5000", NULL) == INFINITY);
  /* Every double comes back from its seventeen digits. */
  uint64_t bits = 0x0123456789abcdef;
  for (int i = 0; i < 2000; ++i) {
    double value;
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    const double again = strtod(made("%.17g", value), NULL);
    if (memcmp(&again, &value, sizeof value) != 0) CHECK_TEXT(out, "a number that comes back");
  }
  /* Division by everything that has a path of its own in hardware-less arithmetic. */
  static const uint64_t values[] = {
      1, 2, 3, 7, 10, 0xff, 0x100, 0xffff, 0x10001, 0xffffffff, 0x100000001, 0x8000000000000000, UINT64_MAX};
  for (size_t i = 0; i < sizeof values / sizeof *values; ++i)
    for (size_t j = 0; j < sizeof values / sizeof *values; ++j) {
      volatile uint64_t x = values[i], y = values[j];
      CHECK(x / y * y + x % y == x && x % y < y);
      volatile unsigned __int128 wide = (unsigned __int128)x * y + (y - 1);
      CHECK(wide / y == x && wide % y == y - 1);
    }
  CHECK(abs(-5) == 5 && labs(LONG_MIN + 1) == LONG_MAX && div(-7, 2).quot == -3 && lldiv(-7, 2).rem == -1);
  CHECK(atoi(" 12x") == 12 && atol("-3") == -3 && atoll("9999999999") == 9999999999 && atof("2.5") == 2.5);
}

void check_strings(void) {
  char a[64], b[64];
  CHECK(memmem("abcabcd", 7, "abcd", 4) != NULL && memmem("abc", 3, "", 0) != NULL && memmem("abc", 2, "bc", 2) == NULL);
  /* Needles of every length, at every place, and one letter short. */
  for (size_t length = 1; length < 12; ++length)
    for (size_t place = 0; place < 40; ++place) {
      memset(a, 'a', sizeof a);
      memset(b, 'a', sizeof b);
      a[place + length - 1] = b[length - 1] = 'b';
      a[place + length] = 0;
      b[length] = 0;
      CHECK(strstr(a, b) == a + place && memmem(a, place + length, b, length) == a + place);
      CHECK(memmem(a, place + length - 1, b, length) == NULL);
    }
  CHECK(strverscmp("a9", "a10") < 0 && strverscmp("a001", "a01") < 0 && strverscmp("1.02", "1.1") < 0 &&
        strverscmp("x", "x") == 0);
  CHECK(strcpy(a, "abc") == a && stpcpy(a, "xyz") == a + 3 && stpncpy(a, "12", 5) == a + 2 && a[4] == 0);
  CHECK(strlcpy(a, "longer", 4) == 6 && strcmp(a, "lon") == 0 && strlcat(a, "ger", 5) == 6 && strcmp(a, "long") == 0);
  CHECK(strncat(strcpy(a, "ab"), "cdef", 2) == a && strcmp(a, "abcd") == 0 && strnlen("abc", 2) == 2);
  CHECK(memccpy(a, "abcd", 'c', 4) == a + 3 && memrchr("abcabc", 'b', 6) != NULL && strrchr("abcabc", 'b')[1] == 'c');
  CHECK(strchrnul("abc", 'x')[0] == 0 && mempcpy(a, "ab", 2) == a + 2);
  CHECK(memcmp("\x80", "\x7f", 1) > 0 && strcmp("\x80", "\x7f") > 0 && strcasecmp("HeLLo", "hEllO") == 0 &&
        strncasecmp("abX", "ABy", 2) == 0);
  CHECK(ffs(0) == 0 && ffs(8) == 4 && ffsl(LONG_MIN) == 64 && ffsll(1) == 1);
  char text[] = "a,,b;c", *rest = text;
  CHECK_TEXT(strsep(&rest, ",;"), "a");
  CHECK_TEXT(strsep(&rest, ",;"), "");
  CHECK_TEXT(strsep(&rest, ",;"), "b");
  CHECK_TEXT(strsep(&rest, ",;"), "c");
  CHECK(strsep(&rest, ",;") == NULL);
  CHECK_TEXT(strerror(ENOENT), "No such file or directory");
  CHECK(strerror_r(ENOENT, a, 5) == ERANGE && strcmp(a, "No s") == 0);
  swab("abcdef", a, 6);
  CHECK(memcmp(a, "badcfe", 6) == 0);
  static const struct {
    const char *path, *folder, *name;
  } paths[] = {{"", ".", "."},   {"/", "/", "/"},      {"//", "/", "/"},   {"a", ".", "a"},   {"a/", ".", "a"},
               {"/a", "/", "a"}, {"/a/b/", "/a", "b"}, {"a//b", "a", "b"}, {"./a", ".", "a"}, {"/usr/lib", "/usr", "lib"}};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) {
    CHECK_TEXT(dirname(strcpy(a, paths[i].path)), paths[i].folder);
    CHECK_TEXT(basename(strcpy(a, paths[i].path)), paths[i].name);
  }
  CHECK_TEXT(basename(NULL), ".");
  char* copy = strdup("copied");
  CHECK_TEXT(copy, "copied");
  free(copy);
  CHECK_TEXT(copy = strndup("copied", 3), "cop");
  free(copy);
}
