// Random numbers: the CPU's own where it has them, else mixed out of the counter, which is good enough to seed a hash table and
// for nothing secret.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::uni {

u64 random_word();

/// The CPU's own generator; nothing where there is none, or where it has no entropy at the moment.
bool hardware_random(u64& word);

}  // namespace ax::uni
