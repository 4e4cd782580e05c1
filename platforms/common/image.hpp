// This image in memory, as every platform's linker script describes it.
#pragma once

#include "kernel/base/types.hpp"

// A declarator cannot be put in parentheses. NOLINTNEXTLINE(bugprone-macro-parentheses)
#define AX_LINKER_SYMBOL(name) [[gnu::visibility("hidden")]] extern const char name[]

extern "C" {
AX_LINKER_SYMBOL(__image_start);
AX_LINKER_SYMBOL(__text_end);
AX_LINKER_SYMBOL(__rodata_end);
AX_LINKER_SYMBOL(__image_end);
AX_LINKER_SYMBOL(__build_id_start);
AX_LINKER_SYMBOL(__build_id_end);

/// Where the image was linked to run.
ax::u64 ax_link_address();
}

namespace ax::platform {

/// The image is identity-mapped.
inline Hpa address_of(const void* symbol) { return Hpa(reinterpret_cast<u64>(symbol)); }

/// Bytes between where the image was linked to run and where it does. `address - load_offset()` is what ELF files and
/// symbolisers know.
inline u64 load_offset() { return address_of(__image_start).value() - ax_link_address(); }

}  // namespace ax::platform
