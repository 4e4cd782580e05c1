#include "tools/xtask/core/substitution.hpp"

#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

using test::failure_of;
using test::ScopedEnvironment;

constexpr std::uint32_t kNonce = 12345;

TEST(Variables, ReplacesDefinedNames) {
  Variables variables(kNonce);
  variables.define("elf", "/out/axvisor");
  EXPECT_EQ(variables.substitute("-kernel ${elf},x=${elf}"), "-kernel /out/axvisor,x=/out/axvisor");
}

TEST(Variables, MultipliesTheNonce) {
  const Variables variables(kNonce);
  EXPECT_EQ(variables.substitute("echo $(( ${nonce} * 7 ))"), "echo $(( 12345 * 7 ))");
  EXPECT_EQ(variables.substitute("^${nonce7}$ ${nonce*7} ${nonce*1000000}"), "^86415$ 86415 12345000000");
}

TEST(Variables, ReadsTheEnvironmentWithDefaults) {
  const Variables variables(kNonce);
  const ScopedEnvironment set("AXVISOR_TEST_SET", "value");
  const ScopedEnvironment empty("AXVISOR_TEST_EMPTY", "");
  const ScopedEnvironment unset("AXVISOR_TEST_UNSET", std::nullopt);
  EXPECT_EQ(variables.substitute("${env:AXVISOR_TEST_SET}"), "value");
  EXPECT_EQ(variables.substitute("${env:AXVISOR_TEST_SET:-other}"), "value");
  EXPECT_EQ(variables.substitute("[${env:AXVISOR_TEST_UNSET}]"), "[]");
  EXPECT_EQ(variables.substitute("${env:AXVISOR_TEST_UNSET:-a:-b}"), "a:-b");
  EXPECT_EQ(variables.substitute("${env:AXVISOR_TEST_EMPTY:-default}"), "default");
}

TEST(Variables, KeepsEscapedReferences) {
  EXPECT_EQ(Variables(kNonce).substitute("echo $${HOME} $$ ${nonce}"), "echo ${HOME} $$ 12345");
}

TEST(Variables, NamesUnknownAndUnterminatedReferences) {
  const Variables variables(kNonce);
  EXPECT_STREQ(failure_of([&] { variables.substitute("${nonc}"); }).what(),
               "unknown variable ${nonc}; did you mean 'nonce'?");
  EXPECT_EQ(failure_of([&] { variables.substitute("${nonce*x}"); }).code(), ExitCode::Usage);
  EXPECT_STREQ(failure_of([&] { variables.substitute("a ${elf"); }).what(),
               "unterminated ${ in 'a ${elf' (write $${ for a literal one)");
}

TEST(Variables, TakesAFiveDigitNonce) {
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t nonce = random_nonce();
    EXPECT_GE(nonce, 10'000u);
    EXPECT_LE(nonce, 99'999u);
  }
}

}  // namespace
}  // namespace ax::xtask
