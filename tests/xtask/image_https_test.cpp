// `xtask image` and registries over HTTPS: which servers are believed, and which are not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/archives.hpp"
#include "tests/xtask/http_server.hpp"
#include "tests/xtask/support.hpp"
#include "tools/xtask/image/registry.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::CertificateAuthority;
using test::HttpServer;
using test::ProgramResult;
using ::testing::HasSubstr;
using std::chrono::hours;

class ImageHttpsTest : public ::testing::Test {
 protected:
  ImageHttpsTest() { write_file(tree_.root() / "certificates/ours.pem", authority_.certificate()); }

  /// A registry at `server` with one image that is there too.
  void offer(HttpServer& server) {
    server.serve("linux.tar.gz", {.content = kernel_});
    const std::string url = server.url("linux.tar.gz");
    server.serve("default.toml", {.content = format_registry({{"linux", "v1", "", "An image", sha256_hex(kernel_), "aarch64", url}}, "test")});
    settings(server, "ca_file = \"certificates/ours.pem\"\n");
  }
  void settings(const HttpServer& server, const std::string& more) {
    tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nregistry = \"{}\"\ntimeout = 5\n{}", storage().string(),
                                           server.url("default.toml"), more));
  }
  ProgramResult image(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "image");
    return tree_.xtask(arguments, {{"AXVISOR_CACHE", tree_.path("cache").string()},
                                   {"AXVISOR_OFFLINE", std::nullopt},
                                   {"https_proxy", std::nullopt},
                                   {"HTTPS_PROXY", std::nullopt},
                                   {"all_proxy", std::nullopt},
                                   {"ALL_PROXY", std::nullopt}});
  }
  fs::path storage() const { return tree_.path("storage"); }

  void expect_distrust(const ProgramResult& result, const std::string& reason) const {
    EXPECT_EQ(result.status, 4);
    EXPECT_THAT(result.output, HasSubstr("the server's certificate is not to be trusted: "));
    EXPECT_THAT(result.output, HasSubstr(reason));
    EXPECT_THAT(result.output, HasSubstr("hint: name the certificates of a server of your own with ca_file in .image.toml"));
    EXPECT_FALSE(fs::exists(storage() / "images.toml"));
  }

  test::ScratchTree tree_;
  const CertificateAuthority authority_;
  const std::string kernel_ = test::make_tar({{.path = "Image", .content = std::string(100'000, 'k')}});
};

TEST_F(ImageHttpsTest, BelievesAServerThatTheCaFileKnows) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  offer(server);
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "linux/Image"), std::string(100'000, 'k'));
}

TEST_F(ImageHttpsTest, BelievesNobodyWhomTheSystemDoesNotKnow) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  offer(server);
  settings(server, "");
  expect_distrust(image({"sync"}), "unable to get local issuer certificate");
}

TEST_F(ImageHttpsTest, BelievesOnlyTheAuthorityOfTheCaFile) {
  const CertificateAuthority another("Another authority");
  HttpServer server(another.issue("IP:127.0.0.1"));
  offer(server);
  expect_distrust(image({"sync"}), "unable to get local issuer certificate");
}

TEST_F(ImageHttpsTest, RefusesTheSignatureOfOneWhoOnlyHasTheNameOfTheAuthority) {
  const CertificateAuthority forger;
  HttpServer server(forger.issue("IP:127.0.0.1"));
  offer(server);
  const ProgramResult result = image({"sync"});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("no secure connection: "));
  EXPECT_THAT(result.output, HasSubstr("hint: check that the server speaks HTTPS, and that ca_file in .image.toml holds its certificates"));
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(ImageHttpsTest, RefusesACertificateThatHasExpired) {
  HttpServer server(authority_.issue("IP:127.0.0.1", {-hours(2), -hours(1)}));
  offer(server);
  expect_distrust(image({"sync"}), "certificate has expired");
}

TEST_F(ImageHttpsTest, RefusesACertificateOfTomorrow) {
  HttpServer server(authority_.issue("IP:127.0.0.1", {hours(24), hours(48)}));
  offer(server);
  expect_distrust(image({"sync"}), "certificate is not yet valid");
}

TEST_F(ImageHttpsTest, RefusesTheCertificateOfAnotherHost) {
  HttpServer server(authority_.issue("DNS:example.org"));
  offer(server);
  expect_distrust(image({"sync"}), "target host name '127.0.0.1'");
}

TEST_F(ImageHttpsTest, RefusesToBeRedirectedToPlainHttp) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  HttpServer plain;
  offer(server);
  plain.serve("linux.tar.gz", {.content = kernel_});
  server.serve("linux.tar.gz", {.status = 302, .location = plain.url("linux.tar.gz")});
  const ProgramResult archive = image({"download", "linux"});
  EXPECT_EQ(archive.status, 4);
  EXPECT_THAT(archive.output, HasSubstr(fmt::format("it is redirected to {}, which is not allowed", plain.url("linux.tar.gz"))));
  server.serve("default.toml", {.status = 301, .location = plain.url("default.toml")});
  const ProgramResult list = image({"sync"});
  EXPECT_EQ(list.status, 4);
  EXPECT_THAT(list.output, HasSubstr("which is not allowed"));
  EXPECT_TRUE(plain.requests().empty()) << "nobody on the way learns what was asked for";
}

TEST_F(ImageHttpsTest, IsRedirectedToAnotherServerThatIsBelieved) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  HttpServer mirror(authority_.issue("IP:127.0.0.1"));
  HttpServer impostor(CertificateAuthority("Nobody").issue("IP:127.0.0.1"));
  offer(server);
  server.serve("linux.tar.gz", {.status = 302, .location = impostor.url("linux.tar.gz")});
  const ProgramResult refused = image({"download", "linux"});
  EXPECT_EQ(refused.status, 4);
  EXPECT_THAT(refused.output, HasSubstr("(redirected to " + impostor.url("linux.tar.gz") + "): the server's certificate"));
  server.serve("linux.tar.gz", {.status = 302, .location = mirror.url("linux.tar.gz")});
  mirror.serve("linux.tar.gz", {.content = kernel_});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(ImageHttpsTest, GoesOnWhereTheConnectionEnded) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  offer(server);
  server.serve("linux.tar.gz", {.content = kernel_, .cut_after = kernel_.size() / 2, .cut_times = 1});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(server.requests().back().range, fmt::format("bytes={}-", kernel_.size() / 2));
}

TEST_F(ImageHttpsTest, SaysWhatIsWrongWithTheCaFile) {
  HttpServer server(authority_.issue("IP:127.0.0.1"));
  offer(server);
  settings(server, "ca_file = \"certificates/our.pem\"\n");
  const ProgramResult missing = image({"sync"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr(".image.toml:4: 'ca_file': no such file: "));
  EXPECT_THAT(missing.output, HasSubstr("did you mean 'ours.pem'?"));
  tree_.write("certificates/ours.pem", "no certificate");
  settings(server, "ca_file = \"certificates/ours.pem\"\n");
  const ProgramResult empty = image({"sync"});
  EXPECT_EQ(empty.status, 4);
  EXPECT_THAT(empty.output, HasSubstr("there are no certificates in " + (tree_.root() / "certificates/ours.pem").string()));
  EXPECT_THAT(empty.output, HasSubstr("hint: ca_file in .image.toml names a file with certificates in PEM"));
}

TEST_F(ImageHttpsTest, SaysThatAServerSpeaksPlainHttp) {
  HttpServer plain;
  const std::string address = "https" + plain.url("default.toml").substr(4);
  const ProgramResult result = image({"sync", "-R", address, "-S", storage().string()});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("error: registry: cannot fetch " + address + ": no secure connection: "));
  EXPECT_THAT(result.output, HasSubstr("hint: check that the server speaks HTTPS"));
}

}  // namespace
}  // namespace ax::xtask
