#include "unikernel/core/program_headers.hpp"

#include <array>

#include "platforms/common/image.hpp"

extern "C" {
AX_LINKER_SYMBOL(__tls_start);
AX_LINKER_SYMBOL(__tls_data_end);
AX_LINKER_SYMBOL(__tls_end);
AX_LINKER_SYMBOL(__tls_align);  // as far behind the start as the alignment is large
AX_LINKER_SYMBOL(__eh_frame_hdr_start);
AX_LINKER_SYMBOL(__eh_frame_hdr_end);
}

namespace ax::uni {
namespace {

/// Elf64_Phdr.
struct Header {
  u32 type;
  u32 flags;
  u64 offset, address, physical;
  u64 file_size, memory_size, alignment;
};

enum Type : u32 { kLoad = 1, kTls = 7, kEhFrame = 0x6474'e550 };

u64 at(const char* symbol) { return reinterpret_cast<u64>(symbol); }

constinit std::array<Header, 3> headers{};

}  // namespace

ProgramHeaders program_headers() {
  constexpr u32 kReadExecute = 5, kRead = 4;
  const auto header = [](u32 type, const char* begin, const char* file_end, const char* end, u32 flags, u64 alignment) {
    return Header{type, flags, 0, at(begin), at(begin), at(file_end) - at(begin), at(end) - at(begin), alignment};
  };
  headers = {header(kLoad, __image_start, __image_end, __image_end, kReadExecute, kPageSize),
             header(kEhFrame, __eh_frame_hdr_start, __eh_frame_hdr_end, __eh_frame_hdr_end, kRead, sizeof(u32)),
             header(kTls, __tls_start, __tls_data_end, __tls_end, kRead, at(__tls_align) - at(__tls_start))};
  return {reinterpret_cast<u64>(headers.data()), sizeof(Header), headers.size()};
}

}  // namespace ax::uni
