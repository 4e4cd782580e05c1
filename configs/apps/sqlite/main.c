// Counts the words of its first argument with SQLite. With --fail the transaction that stores them is rolled back.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(sqlite3* database, int result) {
  if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW) return;
  fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(database));
  exit(1);
}

static void run(sqlite3* database, const char* text) { check(database, sqlite3_exec(database, text, NULL, NULL, NULL)); }

static void store_words(sqlite3* database, const char* text) {
  sqlite3_stmt* insert = NULL;
  check(database, sqlite3_prepare_v2(database, "INSERT INTO words VALUES (?)", -1, &insert, NULL));
  while (*text != '\0') {
    const int size = (int)strcspn(text, " ");
    if (size > 0) {
      check(database, sqlite3_bind_text(insert, 1, text, size, SQLITE_STATIC));
      check(database, sqlite3_step(insert));
      check(database, sqlite3_reset(insert));
    }
    text += size + (text[size] == ' ');
  }
  sqlite3_finalize(insert);
}

static int print_row(void* unused, int columns, char** values, char** names) {
  (void)unused, (void)names;
  for (int i = 0; i < columns; ++i) printf("%s%c", values[i], i + 1 == columns ? '\n' : ' ');
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: words TEXT [--fail]\n");
    return 2;
  }
  sqlite3* database = NULL;
  check(database, sqlite3_open(":memory:", &database));
  run(database, "CREATE TABLE words (word TEXT NOT NULL)");
  run(database, "BEGIN");
  store_words(database, argv[1]);
  if (argc > 2 && strcmp(argv[2], "--fail") == 0) {
    run(database, "ROLLBACK");
    printf("rolled back: ");
    check(database, sqlite3_exec(database, "SELECT count(*) || ' words' FROM words", print_row, NULL, NULL));
  } else {
    run(database, "COMMIT");
    printf("SQLite %s\n", sqlite3_libversion());
    check(database,
          sqlite3_exec(database, "SELECT count(*), word FROM words GROUP BY word ORDER BY word", print_row, NULL, NULL));
  }
  return sqlite3_close(database) == SQLITE_OK ? 0 : 1;
}
