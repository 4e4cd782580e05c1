// Feeds bytes, whatever they are, to the reader of compiled descriptions, and uses all that comes of it. Entry point of libFuzzer and of
// the mutation test.
#include <algorithm>
#include <cstdlib>

#include "hypervisor/config/checks.hpp"
#include "hypervisor/config/vm_description.hpp"
#include "tools/config/emit.hpp"

namespace {

using namespace ax;

/// Ends the run: a broken promise of the code under test, which a sanitizer cannot see.
void require(bool condition) {
  if (!condition) std::abort();
}

class CountingHeap final : public mm::ObjectAllocator {
 public:
  Result<std::byte*> allocate(usize bytes, usize) override {
    most = std::max(most, bytes);
    ++objects;
    return static_cast<std::byte*>(std::malloc(bytes));
  }
  void free(std::byte* storage) override {
    --objects;
    std::free(storage);
  }
  usize most = 0;
  int objects = 0;
};

/// Texts are sentences, and end in the sink.
class NoSink final : public Sink {
 public:
  void write(std::string_view text) override { size += text.size(); }
  usize size = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr usize kMostPerByte = 16;  // a list of empty texts
  CountingHeap heap;
  NoSink sink;
  {
    auto file = mm::Scratch::create(heap, std::max<usize>(size, 1));
    const auto bytes = std::as_bytes(std::span(data, size));
    std::ranges::copy(bytes, file->bytes().begin());
    const auto decoded = hv::VmDescription::decode(heap, std::move(*file), "aarch64");
    if (decoded) {
      const hv::VmConfig& config = (*decoded)->config();
      const hv::VmConfig vms[] = {config, config};
      hv::check(std::span<const hv::VmConfig>(vms), hv::TargetFacts{.cpus = 4}, [&](const hv::Violation& violation) {
        hv::describe(sink, violation, vms);
        if (violation.has_other) hv::describe_other(sink, violation, vms);
      });
      require(!ax::config::vm_config_source(config).empty());
    } else {
      hv::describe(sink, decoded.error());
      require(sink.size != 0);
    }
  }
  require(heap.objects == 0 && heap.most <= kMostPerByte * size + sizeof(hv::VmDescription));
  return 0;
}
