/* Wide characters, sorting and searching, times, patterns, the environment. */
#include <arpa/inet.h>
#include <fnmatch.h>
#include <iconv.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <regex.h>
#include <search.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "check.h"

void check_wide(void) {
  CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL);
  CHECK_TEXT(nl_langinfo(CODESET), "UTF-8");
  wchar_t wide[64];
  char narrow[64];
  mbstate_t state = {0};
  CHECK(mbstowcs(wide, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 64) == 4 && wide[1] == 0xe4 && wide[2] == 0x20ac &&
        wide[3] == 0x1f600);
  CHECK(wcstombs(narrow, wide, 64) == 10 && strcmp(narrow, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == 0);
  /* A character that comes in pieces. */
  CHECK(mbrtowc(wide, "\xe2", 1, &state) == (size_t)-2 && mbrtowc(wide, "\x82", 1, &state) == (size_t)-2);
  CHECK(mbrtowc(wide, "\xac", 1, &state) == 1 && wide[0] == 0x20ac && mbsinit(&state));
  /* What is no UTF-8: too long, halves of pairs, beyond the end, alone. */
  static const char* const wrong[] = {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xff", "\xc3("};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    memset(&state, 0, sizeof state);
    CHECK(mbrtowc(wide, wrong[i], strlen(wrong[i]), &state) == (size_t)-1 && errno == EILSEQ);
  }
  const char* from = "ab\xc3\xa4zz";
  memset(&state, 0, sizeof state);
  CHECK(mbsnrtowcs(wide, &from, 3, 10, &state) == 2 && wide[1] == L'b');
  memset(&state, 0, sizeof state);
  from = "xyz";
  CHECK(mbsrtowcs(NULL, &from, 0, &state) == 3 && mbsrtowcs(wide, &from, 2, &state) == 2 && *from == 'z');
  CHECK(wcslen(L"four") == 4 && wcscmp(L"a", L"b") < 0 && wmemchr(L"abc", L'c', 3) != NULL && wcspbrk(L"abc", L"xb")[0] == L'b');
  CHECK(wcsncpy(wide, L"ab", 5) == wide && wide[4] == 0 && wcscat(wide, L"cd") == wide && wcscmp(wide, L"abcd") == 0);
  for (int length = 1; length < 6; ++length)
    for (int place = 0; place < 20; ++place) {
      wmemset(wide, L'a', 32);
      wide[place + length - 1] = L'b';
      wide[place + length] = 0;
      wchar_t needle[8];
      wmemset(needle, L'a', 8);
      needle[length - 1] = L'b';
      needle[length] = 0;
      CHECK(wcsstr(wide, needle) == wide + place);
    }
  wchar_t* end;
  CHECK(wcstol(L" -0x10z", &end, 0) == -16 && *end == L'z' && wcstoull(L"18446744073709551615", NULL, 10) == UINT64_MAX);
  CHECK(wcstod(L"1.5e3,", &end) == 1500 && *end == L',');
  CHECK(swprintf(wide, 64, L"%ls %d %s %.1f", L"w", 5, "n", 2.5) == 9 && wcscmp(wide, L"w 5 n 2.5") == 0);
  CHECK(swprintf(wide, 3, L"long") == -1);
  int number;
  wchar_t word[8];
  CHECK(swscanf(L"17 wort", L"%d %7ls", &number, word) == 2 && number == 17 && wcscmp(word, L"wort") == 0);
  wchar_t text[] = L"a b", *rest;
  CHECK(wcscmp(wcstok(text, L" ", &rest), L"a") == 0 && wcscmp(wcstok(NULL, L" ", &rest), L"b") == 0);
  CHECK(iswalpha(0xe4) && iswupper(L'\u00c4') && towlower(0xc4) == 0xe4 && iswspace(0x2003) && !iswspace(0xa0) &&
        iswdigit(L'7') && !iswdigit(0x663));
  CHECK(wctype("alpha") != 0 && iswctype(L'x', wctype("alpha")) && towctrans(L'a', wctrans("toupper")) == L'A' &&
        wctype("none") == 0);
  CHECK(wcwidth(L'a') == 1 && wcwidth(0x4e00) == 2 && wcwidth(0x301) == 0 && btowc(0x80) == WEOF && wctob(0xe4) == EOF);
  iconv_t convert = iconv_open("UTF-16LE", "UTF-8");
  char *in = "a\xe2\x82\xac", *to = narrow;
  size_t in_left = 4, out_left = sizeof narrow;
  CHECK(convert != (iconv_t)-1 && iconv(convert, &in, &in_left, &to, &out_left) == 0 && to - narrow == 4);
  CHECK(memcmp(narrow, "a\0\xac\x20", 4) == 0 && iconv_close(convert) == 0);
  convert = iconv_open("ISO-8859-1", "UTF-8");
  in = "\xc3\xa4\xff", to = narrow, in_left = 3, out_left = sizeof narrow;
  CHECK(iconv(convert, &in, &in_left, &to, &out_left) == (size_t)-1 && errno == EILSEQ && narrow[0] == '\xe4');
  in = "abc", to = narrow, in_left = 3, out_left = 2;
  CHECK(iconv(convert, &in, &in_left, &to, &out_left) == (size_t)-1 && errno == E2BIG && in_left == 1);
  iconv_close(convert);
  locale_t c = newlocale(LC_ALL_MASK, "C", NULL), before = uselocale(c);
  CHECK(c != NULL && before != NULL && MB_CUR_MAX == 1);
  CHECK(uselocale(before) == c && MB_CUR_MAX == 4);
  freelocale(c);
  setlocale(LC_ALL, "C");
}

static int compare(const void* a, const void* b) {
  return *(const int*)a < *(const int*)b ? -1 : *(const int*)a > *(const int*)b;
}
static int compare_back(const void* a, const void* b, void* times) {
  ++*(int*)times;
  return compare(b, a);
}
static int visited, deepest;
static void visit(const void* node, VISIT order, int level) {
  (void)node;
  if (order == postorder || order == leaf) ++visited;
  if (level > deepest) deepest = level;
}
static void count_node(void* node) {
  (void)node;
  --visited;
}

void check_data(void) {
  int numbers[400];
  unsigned seed = 1;
  for (int size = 0; size < 400; size += size / 4 + 1) {
    for (int i = 0; i < size; ++i) numbers[i] = (int)((seed = seed * 1103515245 + 12345) >> 16) % 50;
    qsort(numbers, (size_t)size, sizeof *numbers, compare);
    for (int i = 1; i < size; ++i) CHECK(numbers[i - 1] <= numbers[i]);
  }
  int times = 0;
  qsort_r(numbers, 300, sizeof *numbers, compare_back, &times);
  for (int i = 1; i < 300; ++i) CHECK(numbers[i - 1] >= numbers[i]);
  CHECK(times > 299);
  char wide[10][24];
  for (int i = 0; i < 10; ++i) snprintf(wide[i], sizeof wide[i], "%d item", i * 7 % 10);
  qsort(wide, 10, sizeof *wide, (int (*)(const void*, const void*))strcmp);
  for (int i = 0; i < 10; ++i) CHECK(wide[i][0] == '0' + i);
  int sorted[] = {1, 3, 5, 7}, key = 5, none = 4;
  CHECK(bsearch(&key, sorted, 4, sizeof *sorted, compare) == &sorted[2] &&
        bsearch(&none, sorted, 4, sizeof *sorted, compare) == NULL);
  /* hash tables, trees, lists, arrays */
  CHECK(hcreate(50) != 0);
  static char names[100][8];
  for (int i = 0; i < 100; ++i) {
    snprintf(names[i], sizeof names[i], "k%d", i);
    CHECK(hsearch((ENTRY){names[i], &names[i]}, ENTER) != NULL);
  }
  for (int i = 0; i < 100; ++i) {
    const ENTRY* found = hsearch((ENTRY){names[i], NULL}, FIND);
    CHECK(found != NULL && found->data == &names[i]);
  }
  CHECK(hsearch((ENTRY){"absent", NULL}, FIND) == NULL);
  hdestroy();
  void* root = NULL;
  static int keys[1000];
  for (int i = 0; i < 1000; ++i) {
    keys[i] = i;
    CHECK(*(int**)tsearch(&keys[i], &root, compare) == &keys[i]);
  }
  twalk(root, visit);
  CHECK(visited == 1000 && deepest <= 14);
  CHECK(*(int**)tfind(&keys[500], &root, compare) == &keys[500] && tdelete(&keys[500], &root, compare) != NULL &&
        tfind(&keys[500], &root, compare) == NULL);
  tdestroy(root, count_node);
  CHECK(visited == 1);
  struct node {
    struct node *next, *previous;
  } first = {0}, second = {0};
  insque(&first, NULL);
  insque(&second, &first);
  CHECK(first.next == &second && second.previous == &first);
  remque(&second);
  CHECK(first.next == NULL);
  size_t count = 2;
  int room[4] = {4, 9}, nine = 9, two = 2;
  CHECK(lfind(&nine, room, &count, sizeof *room, compare) == &room[1] &&
        lsearch(&two, room, &count, sizeof *room, compare) == &room[2] && count == 3);
  /* random numbers repeat themselves, and only when they are asked to */
  srandom(5);
  const long a = random(), b = random();
  srandom(5);
  CHECK(a != b && random() == a && random() == b);
  srand(9);
  const int c = rand();
  srand(9);
  CHECK(rand() == c && c >= 0);
  unsigned short state[3] = {1, 2, 3};
  const double d = erand48(state);
  CHECK(d >= 0 && d < 1 && nrand48(state) >= 0);
  srand48(1);
  CHECK(drand48() > 0.0416 && drand48() < 0.46);
  CHECK(a64l(l64a(123456)) == 123456);
  /* setjmp() keeps what a function must, and the values that were changed in between where they are volatile */
  static jmp_buf place;
  volatile int came = 0;
  const int result = setjmp(place);
  if (came++ < 3) longjmp(place, came == 2 ? 0 : came);
  CHECK(came == 4 && result == 3);
}

void check_times(void) {
  struct tm tm;
  char text[200];
  time_t when = 0;
  CHECK(gmtime_r(&when, &tm) && tm.tm_year == 70 && tm.tm_wday == 4 && tm.tm_yday == 0);
  when = 951782400; /* 29 February 2000 */
  CHECK(gmtime_r(&when, &tm) && tm.tm_mon == 1 && tm.tm_mday == 29 && tm.tm_yday == 59 && timegm(&tm) == when);
  when = -1;
  CHECK(gmtime_r(&when, &tm) && tm.tm_year == 69 && tm.tm_sec == 59);
  when = 253402300799; /* the last second of 9999 */
  CHECK(gmtime_r(&when, &tm) && tm.tm_year == 8099 && timegm(&tm) == when);
  when = (time_t)1 << 62;
  CHECK(gmtime_r(&when, &tm) == NULL && errno == EOVERFLOW);
  for (time_t day = -1000000; day < 1000000; day += 9973) {
    when = day * 86400 + 12345;
    CHECK(gmtime_r(&when, &tm) && timegm(&tm) == when);
  }
  tm = (struct tm){.tm_year = 100, .tm_mon = 14, .tm_mday = 0, .tm_hour = 25};
  CHECK(timegm(&tm) == 983408400 && tm.tm_mon == 2 && tm.tm_mday == 1 && tm.tm_hour == 1 && tm.tm_year == 101);
  tm =
      (struct tm){.tm_year = 123, .tm_mon = 0, .tm_mday = 1, .tm_hour = 13, .tm_min = 5, .tm_sec = 9, .tm_wday = 0, .tm_yday = 0};
  CHECK(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %j %a %b %y %e %I %p %%", &tm) > 0);
  CHECK_TEXT(text, "2023-01-01 13:05:09 001 Sun Jan 23  1 01 PM %");
  CHECK(strftime(text, sizeof text, "%G-W%V-%u %U %W %w %C %D %F %T %R %n%t", &tm) > 0);
  CHECK_TEXT(text, "2022-W52-7 01 00 0 20 01/01/23 2023-01-01 13:05:09 13:05 \n\t");
  CHECK(strftime(text, 5, "%Y-", &tm) == 0 && strftime(text, 6, "%Y-", &tm) == 5);
  CHECK(strptime("2024-02-29 23:59:58", "%Y-%m-%d %H:%M:%S", &tm) != NULL && tm.tm_year == 124 && tm.tm_mday == 29 &&
        tm.tm_sec == 58);
  CHECK(strptime("Tue Mar  5", "%a %b %e", &tm) != NULL && tm.tm_wday == 2 && tm.tm_mon == 2 && tm.tm_mday == 5);
  CHECK(strptime("2024-13", "%Y-%m", &tm) == NULL && strptime("99", "%y", &tm) != NULL && tm.tm_year == 99);
  CHECK(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1) == 0);
  tzset();
  when = 1700000000; /* November: winter */
  CHECK(localtime_r(&when, &tm) && tm.tm_hour == 23 && tm.tm_gmtoff == 3600 && tm.tm_isdst == 0 && mktime(&tm) == when);
  when = 1690000000; /* July: summer */
  CHECK(localtime_r(&when, &tm) && tm.tm_gmtoff == 7200 && tm.tm_isdst == 1 && mktime(&tm) == when);
  CHECK_TEXT(tm.tm_zone, "CEST");
  CHECK(unsetenv("TZ") == 0);
  tzset();
  CHECK(asctime_r(gmtime_r(&(time_t){0}, &tm), text) != NULL);
  CHECK_TEXT(text, "Thu Jan  1 00:00:00 1970\n");
  struct timespec a, b, resolution;
  CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec > 0);
  CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0 && usleep(2000) == 0 && clock_gettime(CLOCK_MONOTONIC, &b) == 0);
  CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 2000000 && difftime(5, 3) == 2);
  CHECK(clock_gettime(99, &a) == -1 && errno == EINVAL && nanosleep(&(struct timespec){0, 1000000000}, NULL) == -1 &&
        errno == EINVAL);
  CHECK(clock() != (clock_t)-1 && time(NULL) != (time_t)-1);
}

void check_patterns(void) {
  static const struct {
    const char *pattern, *text;
    int flags, result;
  } names[] = {{"*.c", "file.c", 0, 0},
               {"*.c", "file.h", 0, FNM_NOMATCH},
               {"?[a-c]*", "xbzz", 0, 0},
               {"[!a]x", "ax", 0, FNM_NOMATCH},
               {"[]a]", "]", 0, 0},
               {"a\\*", "a*", 0, 0},
               {"*", ".hidden", FNM_PERIOD, FNM_NOMATCH},
               {"a/*", "a/b/c", FNM_PATHNAME, FNM_NOMATCH},
               {"a*c", "a/c", 0, 0},
               {"[[:digit:]]*", "5x", 0, 0},
               {"ABC", "abc", FNM_CASEFOLD, 0},
               {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaac", 0, FNM_NOMATCH},
               {"a", "a/b", FNM_LEADING_DIR, 0},
               {"\\", "\\", FNM_NOESCAPE, 0},
               {"[a", "[a", 0, 0}};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (fnmatch(names[i].pattern, names[i].text, names[i].flags) != names[i].result)
      CHECK_TEXT(names[i].pattern, "a pattern as it should be");
  static const struct {
    const char* pattern;
    int flags;
    const char* text;
    int begin, end;
  } cases[] = {{"a.c", REG_EXTENDED, "xabc", 1, 4},
               {"(ab|a)(bc|c)?", REG_EXTENDED, "abc", 0, 3},
               {"^a+$", REG_EXTENDED, "aaa", 0, 3},
               {"[^0-9]+", REG_EXTENDED, "12ab3", 2, 4},
               {"a{2,3}", REG_EXTENDED, "caaaa", 1, 4},
               {"\\(a\\)\\1", 0, "baa", 1, 3},
               {"x*", REG_EXTENDED, "aaa", 0, 0},
               {"ABC", REG_ICASE, "xabc", 1, 4},
               {"^b", REG_NEWLINE, "a\nb", 2, 3},
               {"[[:upper:]]", REG_EXTENDED, "abC", 2, 3},
               {"z", 0, "abc", -1, -1},
               {"(a*)*b", REG_EXTENDED, "aaaaaaaaaaaab", 0, 13},
               {"a\\{0,1\\}b", 0, "xb", 1, 2},
               {"()", REG_EXTENDED, "x", 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    regex_t compiled;
    regmatch_t match[3] = {{-1, -1}};
    CHECK(regcomp(&compiled, cases[i].pattern, cases[i].flags) == 0);
    const int found = regexec(&compiled, cases[i].text, 3, match, 0);
    if (found != (cases[i].begin < 0 ? REG_NOMATCH : 0) ||
        (found == 0 && (match[0].rm_so != cases[i].begin || match[0].rm_eo != cases[i].end)))
      CHECK_TEXT(cases[i].pattern, "a pattern that matches where it should");
    regfree(&compiled);
  }
  static const struct {
    const char* pattern;
    int error;
  } wrong[] = {{"(", REG_EPAREN},   {"[a", REG_EBRACK},         {"a{2,1}", REG_BADBR},
               {"a{1", REG_EBRACE}, {"[[:none:]]", REG_ECTYPE}, {"a\\", REG_EESCAPE}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    regex_t compiled;
    char message[80];
    const int error = regcomp(&compiled, wrong[i].pattern, REG_EXTENDED);
    CHECK(error != 0 && regerror(error, &compiled, message, sizeof message) > 1);
  }
  struct in_addr four;
  struct in6_addr six;
  char text[INET6_ADDRSTRLEN];
  CHECK(inet_pton(AF_INET, "192.168.1.255", &four) == 1 && inet_pton(AF_INET, "1.2.3", &four) == 0 &&
        inet_pton(AF_INET, "1.2.3.256", &four) == 0);
  CHECK(inet_pton(AF_INET6, "2001:db8::1:0:0:7", &six) == 1 && inet_pton(AF_INET6, "1::2::3", &six) == 0 &&
        inet_pton(AF_INET6, ":1", &six) == 0);
  CHECK(inet_pton(AF_INET6, "2001:db8:0:0:1:0:0:7", &six) == 1);
  CHECK_TEXT(inet_ntop(AF_INET6, &six, text, sizeof text), "2001:db8::1:0:0:7");
  CHECK(inet_pton(AF_INET6, "::ffff:1.2.3.4", &six) == 1);
  CHECK_TEXT(inet_ntop(AF_INET6, &six, text, sizeof text), "::ffff:1.2.3.4");
  CHECK(inet_ntop(AF_INET6, &six, text, 5) == NULL && errno == ENOSPC);
  CHECK(inet_aton("0x7f.1", &four) == 1 && ntohl(four.s_addr) == 0x7f000001);
  CHECK_TEXT(inet_ntoa(four), "127.0.0.1");
}

void check_environment(void) {
  CHECK(setenv("", "x", 1) == -1 && errno == EINVAL && setenv("a=b", "x", 1) == -1 && errno == EINVAL);
  CHECK(setenv("NAME", "1", 1) == 0 && setenv("NAME", "2", 0) == 0);
  CHECK_TEXT(getenv("NAME"), "1");
  CHECK(getenv("NAM") == NULL && getenv("NAME=1") == NULL);
  static char own[] = "NAME=mine";
  CHECK(putenv(own) == 0 && getenv("NAME") == own + 5);
  /* What was set before was the library's, and is not given back twice. */
  CHECK(setenv("NAME", "3", 1) == 0 && putenv(own) == 0 && setenv("NAME", "4", 1) == 0 && unsetenv("NAME") == 0 &&
        getenv("NAME") == NULL);
  for (int i = 0; i < 100; ++i) {
    char name[16];
    snprintf(name, sizeof name, "V%d", i);
    CHECK(setenv(name, name, 1) == 0);
  }
  CHECK_TEXT(getenv("V57"), "V57");
  CHECK(clearenv() == 0 && getenv("V57") == NULL && setenv("AFTER", "x", 1) == 0);
  CHECK_TEXT(getenv("AFTER"), "x");
  char* arguments[] = {"program", "-a", "-bvalue", "word", "-c", "--", "-d", NULL};
  int option, seen = 0;
  opterr = 0;
  optind = 1;
  while ((option = getopt(7, arguments, "+ab:c")) != -1) {
    ++seen;
    if (option == 'b') CHECK_TEXT(optarg, "value");
  }
  CHECK(seen == 2 && optind == 3);
  CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_OPEN_MAX) > 0 && sysconf(-5) == -1 && errno == EINVAL);
  char where[100];
  CHECK(confstr(_CS_PATH, where, sizeof where) > 0 && where[0] == '/');
}
