/* The C library by fields: those that musl's own tests have, with cases of our own. The arguments name fields; the status is 1 after
 * a mistake. */
#include <stdlib.h>

#include "check.h"

int mistakes;

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*check)(void);
  } fields[] = {{"formats", check_formats},
                {"scanning", check_scanning},
                {"numbers", check_numbers},
                {"strings", check_strings},
                {"wide", check_wide},
                {"data", check_data},
                {"times", check_times},
                {"patterns", check_patterns},
                {"environment", check_environment},
                {"streams", check_streams},
                {"files", check_files},
                {"mathematics", check_mathematics},
                {"threads", check_threads},
                {"cancellation", check_cancellation},
                {"signals", check_signals}};
  int known = 0;
  for (int i = 1; i < argc; ++i) {
    for (size_t j = 0; j < sizeof fields / sizeof *fields; ++j) {
      if (strcmp(argv[i], fields[j].name) != 0) continue;
      const int before = mistakes;
      fields[j].check();
      printf("%s: %s\n", fields[j].name, mistakes == before ? "in order" : "mistakes");
      ++known;
    }
  }
  return known != argc - 1 || mistakes != 0;
}
