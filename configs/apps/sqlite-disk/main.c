// A shop's books in an SQLite database on a disk: orders come in, are changed and cancelled, and the sums must agree.
//   books FILE make N     N orders, in transactions of 100, some of which are rolled back
//   books FILE check      what the file holds
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3* database;

static void check(int result) {
  if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW) return;
  fprintf(stderr, "SQLite: %s (%d)\n", sqlite3_errmsg(database), sqlite3_extended_errcode(database));
  exit(1);
}

static void run(const char* text) { check(sqlite3_exec(database, text, NULL, NULL, NULL)); }

static int print_row(void* unused, int columns, char** values, char** names) {
  (void)unused, (void)names;
  for (int i = 0; i < columns; ++i) printf("%s%c", values[i] != NULL ? values[i] : "NULL", i + 1 == columns ? '\n' : ' ');
  return 0;
}

static void print(const char* query) { check(sqlite3_exec(database, query, print_row, NULL, NULL)); }

// Numbers that look random and are the same every time.
static unsigned next_number(void) {
  static unsigned state = 12345;
  state = state * 1103515245 + 12345;
  return state >> 16 & 0x7fff;
}

static void make(int orders) {
  run("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)");
  run("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer REFERENCES customers, item TEXT, amount INTEGER, price INTEGER)");
  run("CREATE INDEX by_customer ON orders (customer, price)");
  char text[200];
  run("BEGIN");
  for (int i = 1; i <= 50; ++i) {
    snprintf(text, sizeof text, "INSERT INTO customers VALUES (%d, 'customer number %d')", i, i);
    run(text);
  }
  run("COMMIT");
  sqlite3_stmt* insert = NULL;
  check(sqlite3_prepare_v2(database, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", -1, &insert, NULL));
  for (int i = 0; i < orders; ++i) {
    if (i % 100 == 0) run("BEGIN");
    snprintf(text, sizeof text, "item %u of a catalogue with long descriptions", next_number() % 1000);
    check(sqlite3_bind_int(insert, 1, i + 1));
    check(sqlite3_bind_int(insert, 2, (int)(next_number() % 50) + 1));
    check(sqlite3_bind_text(insert, 3, text, -1, SQLITE_TRANSIENT));
    check(sqlite3_bind_int(insert, 4, (int)(next_number() % 9) + 1));
    check(sqlite3_bind_int(insert, 5, (int)next_number()));
    check(sqlite3_step(insert));
    check(sqlite3_reset(insert));
    if (i % 100 == 99) run(i % 700 == 699 ? "ROLLBACK" : "COMMIT");
  }
  if (orders % 100 != 0) run("COMMIT");
  check(sqlite3_finalize(insert));
  run("UPDATE orders SET price = price * 2 WHERE customer % 3 = 0");
  run("DELETE FROM orders WHERE amount = 9");
  run("CREATE TABLE best AS SELECT customer, sum(amount * price) AS value FROM orders GROUP BY customer ORDER BY value DESC "
      "LIMIT 5");
  run("VACUUM");
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: books FILE make N | check\n");
    return 2;
  }
  check(sqlite3_open(argv[1], &database));
  if (strcmp(argv[2], "make") == 0) make(argc > 3 ? atoi(argv[3]) : 1000);
  print("PRAGMA integrity_check");
  print("SELECT count(*), sum(amount * price), sum(length(item)) FROM orders");
  print("SELECT name, value FROM best JOIN customers ON id = customer ORDER BY value DESC");
  check(sqlite3_close(database));
  return 0;
}
