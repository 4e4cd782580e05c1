// The service `console`: files 0, 1 and 2 are the console, and there are no others. For programs without file descriptors.
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/console.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/service.hpp"

namespace ax::uni {
namespace {

constexpr u64 kInput = 0, kErrors = 2;

i64 write(u64 file, const char* data, u64 size) {
  if (file == kInput || file > kErrors) return kBadFile;
  console_write({data, size});
  return static_cast<i64>(size);
}

i64 write_all(u64 file, const IoVector* parts, u64 count) {
  i64 written = 0;
  for (u64 i = 0; i < count; ++i) {
    const i64 result = write(file, parts[i].base, parts[i].size);
    if (result < 0) return result;
    written += result;
  }
  return written;
}

i64 read(u64 file, char* data, u64 size) {
  return file > kErrors ? kBadFile : static_cast<i64>(console_read({data, size}));
}

i64 read_all(u64 file, const IoVector* parts, u64 count) {
  for (u64 i = 0; i < count; ++i) {
    if (parts[i].size != 0) return read(file, parts[i].base, parts[i].size);
  }
  return 0;
}

i64 control(u64 file, u64 request, void* argument) { return file > kErrors ? kBadFile : console_control(request, argument); }
i64 seek(u64 file) { return file > kErrors ? kBadFile : kIllegalSeek; }
i64 close(u64 file) { return file > kErrors ? kBadFile : 0; }

constexpr NumberedCall kCalls[] = {
    {AX_NR_write, system_call<write>},     {AX_NR_writev, system_call<write_all>}, {AX_NR_read, system_call<read>},
    {AX_NR_readv, system_call<read_all>},  {AX_NR_ioctl, system_call<control>},    {AX_NR_lseek, system_call<seek>},
    {AX_NR_close, system_call<close>},
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_console{"console", ax::uni::kCalls, nullptr};
