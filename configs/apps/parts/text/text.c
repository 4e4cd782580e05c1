#include "text.h"

size_t count_words(const char* text) {
  size_t words = 0;
  for (char before = ' '; *text != '\0'; before = *text++) words += before == ' ' && *text != ' ';
  return words;
}
