/* A plugin of QEMU (its documentation: "QEMU TCG Plugins"): how many instructions a program and its kernel execute between marks.
 * Marks are instructions without effect, see mark.h; `start` is the address of an instruction that counts as mark 0. A CPU that
 * waits for an interrupt executes nothing. With `profile=N` each end is followed by the N places where most of them were executed.
 *
 *   -plugin libcounter.so,out=OUT[,start=ADDRESS][,profile=N]
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

/* What of qemu-plugin.h, version 1 of the interface, is used here. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { kNoRegisters = 0, kAdd = 0 };
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* instruction);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*function)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* block, void (*function)(unsigned, void*), int flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* instruction, int operation, void* place, uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* instruction, void (*function)(unsigned, void*), int flags,
                                            void* data);

/* All that a plugin exports begins so. */
#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

static uint64_t executed;
static FILE* output;
static uint64_t start;
static unsigned wanted_places;
static bool between;

/* ---- profile: blocks by their address */

struct place {
  uint64_t address, length, times;
};
enum { kPlaces = 1 << 16 };
static struct place places[kPlaces];

static struct place* place_of(uint64_t address, uint64_t length) {
  for (size_t i = (address >> 1) * 0x9e3779b97f4a7c15u >> 48, tries = 0; tries < kPlaces; ++tries, i = (i + 1) % kPlaces) {
    struct place* place = &places[i];
    if (place->length == 0) *place = (struct place){address, length, 0};
    if (place->address == address && place->length == length) return place;
  }
  return NULL;
}

static void enter_block(unsigned cpu, void* data) {
  (void)cpu;
  if (between) ++((struct place*)data)->times;
}

static int by_cost(const void* a, const void* b) {
  const struct place *x = a, *y = b;
  const uint64_t cost_x = x->times * x->length, cost_y = y->times * y->length;
  return cost_x < cost_y ? 1 : cost_x > cost_y ? -1 : 0;
}

static void write_profile(void) {
  static struct place sorted[kPlaces];
  memcpy(sorted, places, sizeof sorted);
  qsort(sorted, kPlaces, sizeof *sorted, by_cost);
  for (unsigned i = 0; i < wanted_places && i < kPlaces && sorted[i].times != 0; ++i)
    fprintf(output, "place 0x%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", sorted[i].address, sorted[i].times * sorted[i].length,
            sorted[i].times);
}

/* ---- marks */

static void pass_mark(unsigned cpu, void* data) {
  (void)cpu;
  const unsigned mark = (unsigned)(uintptr_t)data;
  fprintf(output, "mark %u %" PRIu64 "\n", mark, executed);
  between = mark == 0 || mark % 2 == 1;
  if (!between) write_profile();
  fflush(output);
}

/* Which mark the instruction is; -1: none. */
static int mark_of(const struct qemu_plugin_insn* instruction) {
  const size_t size = qemu_plugin_insn_size(instruction);
  const void* data = qemu_plugin_insn_data(instruction);
  uint32_t word = 0;
  if (size == 7) {
    memcpy(&word, (const char*)data + 3, sizeof word);
    const bool is_nop = memcmp(data, "\x0f\x1f\x80", 3) == 0;
    return is_nop && word >> 8 == kMarkX86 ? (int)(word & 0xff) : -1;
  }
  if (size != sizeof word) return -1;
  memcpy(&word, data, sizeof word);
  if ((word & ~kMarkNumberArm) == kMarkArm) return (int)((word & kMarkNumberArm) >> 5);
  if ((word & ~kMarkNumberRiscv) == kMarkRiscv) return (int)((word & kMarkNumberRiscv) >> 12);
  return -1;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    const int mark = start != 0 && qemu_plugin_insn_vaddr(instruction) == start ? 0 : mark_of(instruction);
    if (mark >= 0) qemu_plugin_register_vcpu_insn_exec_cb(instruction, pass_mark, kNoRegisters, (void*)(uintptr_t)mark);
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, kAdd, &executed, 1);
  }
  struct place* place = wanted_places == 0 ? NULL : place_of(qemu_plugin_tb_vaddr(block), count);
  if (place != NULL) qemu_plugin_register_vcpu_tb_exec_cb(block, enter_block, kNoRegisters, place);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t* info, int count, char** arguments) {
  (void)info;
  for (int i = 0; i < count; ++i) {
    const char* value = strchr(arguments[i], '=');
    if (value == NULL) return 1;
    ++value;
    if (strncmp(arguments[i], "out=", 4) == 0)
      output = fopen(value, "w");
    else if (strncmp(arguments[i], "start=", 6) == 0)
      start = strtoull(value, NULL, 0);
    else if (strncmp(arguments[i], "profile=", 8) == 0)
      wanted_places = (unsigned)strtoul(value, NULL, 0);
    else
      return 1;
  }
  if (output == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
