// The applications of configs/apps build, and pass their own tests.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/app/app_tree.hpp"

namespace ax::app::testing {
namespace {

constexpr int kEnvironment = 4;  // exit status: something outside the tree is missing

fs::path examples() { return source_folder() / "configs/apps"; }

std::vector<std::string> example_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(examples())) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// In a copy: what is fetched stays out of the source tree.
Finished app(const std::string& command, const std::string& name, const TemporaryFolder& copy) {
  if (!fs::exists(copy / name)) fs::copy(examples() / name, copy / name, fs::copy_options::recursive);
  return run("AXVISOR_ROOT=" + source_folder().string() + " " XTASK_PROGRAM " app " + command + " " + (copy / name).string());
}

class Examples : public ::testing::TestWithParam<std::string> {};

TEST_P(Examples, PassTheirTests) {
  const TemporaryFolder build;
  const Finished result = app("test", GetParam(), build);
  if (result.status == kEnvironment && result.errors.find("fetch") != std::string::npos) {
    GTEST_SKIP() << GetParam() << " needs sources that cannot be fetched here: " << result.errors;
  }
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr(" passed, 0 failed\n"));
  EXPECT_THAT(result.errors, Not(HasSubstr("warning")));
}

std::string example_name(const ::testing::TestParamInfo<std::string>& parameter) {
  std::string name = parameter.param;
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Apps, Examples, ::testing::ValuesIn(example_names()), example_name);

/// A port that nobody listens on.
unsigned free_port() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

TEST(ExamplesTogether, TheClientReadsTheServersPage) {
  const TemporaryFolder build;
  for (const char* name : {"httpserver", "httpclient"}) EXPECT_EQ(app("build", name, build).status, 0);
  const std::string port = std::to_string(free_port());
  const auto program = [&](const std::string& name) { return (build / (name + "/app_build/host-release/bin/" + name)).string(); };
  // The server says when it listens, and ends after one connection.
  const Finished talk = run("timeout 20 " + program("httpserver") + " " + port + " 1 | { read line; timeout 20 " +
                            program("httpclient") + " 127.0.0.1 " + port + " /; }");
  EXPECT_EQ(talk.status, 0) << talk.errors;
  EXPECT_THAT(talk.output, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(talk.output, HasSubstr("<h1>Hello from the application</h1>"));
}

}  // namespace
}  // namespace ax::app::testing
