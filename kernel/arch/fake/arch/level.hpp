// The exception level of aarch64 code in unit tests.
#pragma once

#include "kernel/arch/aarch64/arch/level.hpp"
