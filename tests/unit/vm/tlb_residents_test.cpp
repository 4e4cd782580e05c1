#include "hypervisor/vm/tlb_residents.hpp"

#include <gmock/gmock.h>

#include <arch/recorder.hpp>

namespace hv {
namespace {

using ax::arch::fake::Recording;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TlbResidents, LetAVcpuComeBackToWhatItLeft) {
  TlbResidents residents;
  const Recording recording;
  residents.enter(0, 1);
  residents.enter(1, 1);
  residents.enter(0, 1);
  EXPECT_THAT(recording.events(), IsEmpty());
}

TEST(TlbResidents, ForgetWhatASiblingLeft) {
  TlbResidents residents;
  residents.enter(0, 0);
  residents.enter(1, 1);
  const Recording recording;
  residents.enter(0, 1);
  EXPECT_THAT(recording.events(), ElementsAre("isb", "tlbi vmalle1", "ic iallu", "dsb nsh", "isb"));
}

// vCPU 0 leaves CPU 0, vCPU 1 runs there, vCPU 0 comes back.
TEST(TlbResidents, ForgetASiblingThatWasThereMeanwhile) {
  TlbResidents residents;
  residents.enter(0, 0);
  residents.enter(1, 0);
  residents.enter(0, 1);
  Recording recording;
  residents.enter(0, 0);
  EXPECT_THAT(recording.events(), ElementsAre("isb", "tlbi vmalle1", "ic iallu", "dsb nsh", "isb"));
  recording.clear();
  residents.enter(0, 0);
  EXPECT_THAT(recording.events(), IsEmpty());
}

}  // namespace
}  // namespace hv
