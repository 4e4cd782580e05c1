// The parts of `xtask uboot` without a board: image trees, YMODEM, TFTP, the configuration, locks.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tests/xtask/support.hpp"
#include "tools/xtask/board/fit_image.hpp"
#include "tools/xtask/board/serial_line.hpp"
#include "tools/xtask/board/tftp_server.hpp"
#include "tools/xtask/board/uboot_boot.hpp"
#include "tools/xtask/board/uboot_config.hpp"
#include "tools/xtask/board/ymodem.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

FitSettings fit_settings() {
  return {.kernel = std::string(10'000, 'k'), .architecture = "arm64", .load_address = 0x4040'0000, .entry = 0x4040'0000, .device_tree = "tree"};
}

TEST(FitImage, IsReproducible) {
  EXPECT_EQ(build_fit(fit_settings()), build_fit(fit_settings()));
  const test::ScopedEnvironment epoch("SOURCE_DATE_EPOCH", "1000");
  const std::string dated = build_fit(fit_settings());
  const test::ScopedEnvironment none("SOURCE_DATE_EPOCH", std::nullopt);
  EXPECT_NE(dated, build_fit(fit_settings()));
}

/// dumpimage of U-Boot's own tools as the referee.
class FitReferee : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!find_program("dumpimage")) {
      GTEST_SKIP() << "dumpimage is not installed (package u-boot-tools)";
    }
  }
  std::string dump(const std::string& fit) const {
    write_file(file(), fit);
    const test::ProgramResult result = test::run_program({"dumpimage", "-l", file().string()});
    EXPECT_EQ(result.status, 0);
    return result.output;
  }
  fs::path file() const { return folder_.path() / "image.fit"; }
  TemporaryFolder folder_;
};

TEST_F(FitReferee, ListsKernelTreeAndConfiguration) {
  FitSettings settings = fit_settings();
  settings.device_tree_address = 0x4400'0000;
  const std::string text = dump(build_fit(settings));
  for (const char* line : {"Compression:  gzip compressed", "Load Address: 0x40400000", "Type:         Flat Device Tree", "Load Address: 0x44000000",
                           "Hash algo:    sha256", "Default Configuration: 'config-axvisor'", "FDT:          fdt"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(FitReferee, TakesTheKernelOutAsItWentIn) {
  FitSettings settings = fit_settings();
  settings.compress = false;
  dump(build_fit(settings));
  const fs::path out = folder_.path() / "kernel";
  ASSERT_EQ(test::run_program({"dumpimage", "-T", "flat_dt", "-p", "0", "-o", out.string(), file().string()}).status, 0);
  EXPECT_EQ(read_file(out), settings.kernel);
}

TEST_F(FitReferee, SeesTheSignature) {
  if (!find_program("openssl")) {
    GTEST_SKIP() << "openssl is not installed";
  }
  const fs::path key = folder_.path() / "dev.key";
  ASSERT_EQ(test::run_program({"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key.string()}).status, 0);
  ASSERT_EQ(test::run_program({"openssl", "req", "-batch", "-new", "-x509", "-key", key.string(), "-out", (folder_.path() / "dev.crt").string()}).status, 0);
  FitSettings settings = fit_settings();
  settings.key_name = "dev";
  EXPECT_THAT(dump(build_fit(settings)), HasSubstr("Sign value:   unavailable"));
  sign_fit(file(), folder_.path());
  const std::string signed_text = test::run_program({"dumpimage", "-l", file().string()}).output;
  EXPECT_THAT(signed_text, HasSubstr("Sign algo:    sha256,rsa2048:dev"));
  EXPECT_THAT(signed_text, Not(HasSubstr("unavailable")));
  fs::remove(key);
  write_file(file(), build_fit(settings));
  EXPECT_EQ(test::failure_of([&] { sign_fit(file(), folder_.path()); }).code(), ExitCode::Failure);
}

TEST(FitImage, LiesAboveTheKernelThatItUnpacksTo) {
  EXPECT_EQ(fit_address_above(0x4040'0000, 1 << 20), 0x4300'0000U);
  EXPECT_EQ(fit_address_above(0x4040'0000, 40 << 20), 0x4600'0000U);
}

/// A receiver after Chuck Forsberg's description, which damages what it is told to.
class YmodemReceiver {
 public:
  std::string feed(std::string_view bytes) {
    pending_.append(bytes);
    std::string answer;
    while (!pending_.empty()) {
      if (pending_[0] == 0x04) {
        pending_.erase(0, 1);
        ended = true;
        answer += "\x06\x06" "C";  // twice, as U-Boot does
        continue;
      }
      const size_t size = pending_[0] == 0x02 ? 1024 : 128;
      if (pending_.size() < size + 5) {
        break;
      }
      const std::string packet = pending_.substr(0, size + 5);
      pending_.erase(0, size + 5);
      answer += take(packet, size);
    }
    return answer;
  }

  std::string name, content;
  bool ended = false, closed = false;
  int damage = -1;  ///< number of the packet to refuse once

 private:
  std::string take(const std::string& packet, size_t size) {
    const std::string data = packet.substr(3, size);
    const auto crc = static_cast<std::uint16_t>(static_cast<unsigned char>(packet[size + 3]) << 8 | static_cast<unsigned char>(packet[size + 4]));
    EXPECT_EQ(crc, ymodem_crc(data));
    EXPECT_EQ(static_cast<unsigned char>(packet[1]) ^ static_cast<unsigned char>(packet[2]), 0xff);
    if (count_++ == damage) {
      return "\x15";
    }
    if (ended) {
      closed = true;
      return "\x06";
    }
    if (name.empty()) {
      name = data.c_str();
      length_ = std::stoul(data.c_str() + name.size() + 1);
      return "\x06" "C";
    }
    content += data;
    content.resize(std::min(content.size(), length_));
    return "\x06";
  }

  std::string pending_;
  size_t length_ = 0;
  int count_ = 0;
};

class Ymodem : public ::testing::TestWithParam<size_t> {};

TEST_P(Ymodem, DeliversFilesOfEverySizeWithDamageOnTheWay) {
  std::string content;
  for (size_t i = 0; i < GetParam(); ++i) {
    content += static_cast<char>(i * 7 + i / 256);
  }
  for (const int damage : {-1, 0, 1, 2}) {
    YmodemReceiver receiver;
    receiver.damage = damage;
    YmodemSender sender("image.fit", content);
    std::string to_sender = "noise C";
    for (int turn = 0; turn < 1000 && sender.state() == YmodemSender::State::Running; ++turn) {
      to_sender = receiver.feed(sender.receive(to_sender));
    }
    EXPECT_EQ(sender.state(), YmodemSender::State::Done);
    EXPECT_EQ(receiver.name, "image.fit");
    EXPECT_EQ(receiver.content, content);
    EXPECT_TRUE(receiver.closed);
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, Ymodem, ::testing::Values(1, 127, 128, 129, 1023, 1024, 1025, 300'000));

TEST(YmodemSenderTest, GivesUpOnSilenceAndOnCancel) {
  YmodemSender silent("x", "y");
  silent.receive("C");
  for (int i = 0; i < 100 && silent.state() == YmodemSender::State::Running; ++i) {
    silent.repeat();
  }
  EXPECT_EQ(silent.failure(), "the board does not acknowledge");
  YmodemSender cancelled("x", "y");
  cancelled.receive("C\x18\x18");
  EXPECT_EQ(cancelled.failure(), "the board cancelled the transfer");
}

/// A client on loopback that can lose packets.
class TftpTest : public ::testing::Test {
 protected:
  TftpTest() : server_(0), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    to_.sin_family = AF_INET;
    to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to_.sin_port = htons(server_.port());
  }
  ~TftpTest() override { ::close(fd_); }

  void send(const std::string& packet) { ::sendto(fd_, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to_), sizeof to_); }
  /// The next packet; the server runs meanwhile.
  std::string next() {
    for (int i = 0; i < 400; ++i) {
      server_.serve();
      pollfd entry{fd_, POLLIN, 0};
      if (::poll(&entry, 1, 10) > 0) {
        std::array<char, 70'000> buffer;
        socklen_t length = sizeof to_;
        const ssize_t size = ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&to_), &length);
        return {buffer.data(), static_cast<size_t>(size)};
      }
    }
    return "nothing";
  }
  static std::string request(const std::string& name, const std::string& options = "") {
    return std::string("\0\1", 2) + name + '\0' + "octet" + '\0' + options;
  }
  static std::string acknowledge(size_t block) { return std::string("\0\4", 2) + static_cast<char>(block >> 8) + static_cast<char>(block); }

  std::string fetch(const std::string& name, size_t block_size, bool lossy) {
    std::string content;
    size_t block = 1;
    std::string packet = next();
    while (packet.size() > 3 && packet[1] == 3) {
      if (lossy && block == 2) {
        lossy = false;  // its acknowledgement is lost: the block comes again
        packet = next();
        continue;
      }
      content += packet.substr(4);
      send(acknowledge(block++));
      if (packet.size() < block_size + 4) {
        return content;
      }
      packet = next();
    }
    ADD_FAILURE() << name << ": unexpected packet";
    return content;
  }

  TftpServer server_;
  int fd_;
  sockaddr_in to_{};
};

TEST_F(TftpTest, ServesAFileOfWholeBlocksWithAnEmptyLastOne) {
  server_.offer("a", std::string(1024, 'x'));
  send(request("a"));
  EXPECT_EQ(fetch("a", 512, false), std::string(1024, 'x'));
}

TEST_F(TftpTest, RepeatsWhatIsNotAcknowledged) {
  server_.offer("a", std::string(1500, 'x'));
  send(request("a"));
  EXPECT_EQ(fetch("a", 512, true), std::string(1500, 'x'));
}

TEST_F(TftpTest, AgreesOnOptions) {
  server_.offer("a", std::string(5000, 'x'));
  send(request("a", std::string("blksize\0" "1468\0" "tsize\0" "0\0", 21)));
  EXPECT_EQ(next(), std::string("\0\6blksize\0" "1468\0tsize\0" "5000\0", 26));
  send(acknowledge(0));
  EXPECT_EQ(fetch("a", 1468, false), std::string(5000, 'x'));
}

TEST_F(TftpTest, RefusesOtherFilesAndWrites) {
  server_.offer("a", "x");
  send(request("../etc/passwd"));
  EXPECT_THAT(next(), StartsWith(std::string("\0\5\0\1", 4)));
  EXPECT_EQ(server_.refused(), "../etc/passwd");
  send(std::string("\0\2a\0octet\0", 10));
  EXPECT_THAT(next(), StartsWith(std::string("\0\5\0\4", 4)));
  send("\0");
  send(request("a"));
  EXPECT_EQ(next(), std::string("\0\3\0\1x", 5)) << "still serves";
}

class UbootConfigTest : public ::testing::Test {
 protected:
  UbootConfig load(const std::string& text, const std::vector<std::pair<std::string, std::string>>& set = {}) {
    write_file(file(), text);
    return load_uboot_config(file(), set, Variables(1));
  }
  std::string error(const std::string& text) {
    return test::failure_of([&] { load(text); }).what();
  }
  fs::path file() const { return folder_.path() / ".uboot.toml"; }
  TemporaryFolder folder_;
};

TEST_F(UbootConfigTest, ReadsOstoolsFiles) {
  const test::ScopedEnvironment device("BOARD_COMM_UART_DEV", "/dev/ttyS7");
  const test::ScopedEnvironment none("BOARD_DTB", std::nullopt);
  const UbootConfig config = load(R"(
serial = "${env:BOARD_COMM_UART_DEV}"
baud_rate = "${env:BOARD_COMM_UART_BAUD:-1500000}"
dtb_file = "${env:BOARD_DTB}"
kernel_load_addr = "0x40_0000"
fit_load_addr = 0x90000000
board_reset_cmd = "reset"
board_power_off_cmd = "off"
success_regex = ["Welcome to AxVisor Shell!", "Last login: *"]
fail_regex = ["panicked at"]
uboot_cmd = ["setenv x 1"]
[net]
interface = "eth7"
board_ip = "192.168.1.2"
gatewayip = "192.168.1.1"
netmask = "255.255.255.0"
)");
  EXPECT_EQ(config.serial, "/dev/ttyS7");
  EXPECT_EQ(config.baud_rate, 1'500'000U);
  EXPECT_EQ(config.kernel_load_addr, 0x40'0000U);
  EXPECT_EQ(config.fit_load_addr, 0x9000'0000U);
  EXPECT_EQ(config.net->board_ip, "192.168.1.2");
  EXPECT_EQ(config.script.success_regex.size(), 2U);
  EXPECT_FALSE(load("serial = \"/dev/x\"\n[net]\ninterface = \"${env:NOT_THERE}\"\n").net) << "no interface, no network";
}

TEST_F(UbootConfigTest, SaysWhereAMistakeIs) {
  EXPECT_THAT(error("serial = \"x\"\nbaud = 1\n"), HasSubstr(".uboot.toml:2: 'baud': unknown key"));
  EXPECT_THAT(error("baud_rate = 9600\n"), HasSubstr("'serial': names no serial line"));
  EXPECT_THAT(error("serial = \"x\"\nboot = \"bootm\"\n"), HasSubstr("'bootm' is none of fit, booti"));
  EXPECT_THAT(error("serial = \"x\"\ntransfer = \"tftp\"\n"), HasSubstr("\"tftp\" needs [net]"));
  EXPECT_THAT(error("serial = \"x\"\n[net]\ninterface = \"e\"\nboard_ip = \"1.2.3\"\n"), HasSubstr(":4: 'board_ip': '1.2.3' is no IPv4 address"));
  EXPECT_THAT(error("serial = \"x\"\nkernel_load_addr = \"4x\"\n"), HasSubstr("'4x' is no number"));
  EXPECT_THAT(error("serial = \"x\"\ndtb_file = \"none.dtb\"\n"), HasSubstr("no such file: " + folder_.path().string() + "/none.dtb"));
  EXPECT_THAT(error("serial = \"x\"\nfail_regex = [\"(\"]\n"), HasSubstr("is not a regular expression"));
}

TEST_F(UbootConfigTest, TheFileThatIsWrittenIsRead) {
  for (const char* name : {"BOARD_COMM_UART_DEV", "BOARD_COMM_UART_BAUD", "BOARD_COMM_NET_IFACE"}) {
    ::unsetenv(name);
  }
  const UbootConfig config = load(default_uboot_config(), {{"net.server_ip", "1.2.3.4"}});
  EXPECT_EQ(config.serial, "/dev/ttyUSB0");
  EXPECT_EQ(config.net->server_ip, "1.2.3.4");
}

TEST(BoardLockTest, IsHeldByOneAndNamesHim) {
  const TemporaryFolder folder;
  const fs::path device = folder.path() / "tty";
  write_file(device, "");
  fs::create_symlink(device, folder.path() / "link");
  {
    const BoardLock lock(device);
    const Failure failure = test::failure_of([&] { BoardLock(folder.path() / "link"); });
    EXPECT_EQ(failure.code(), ExitCode::Environment);
    EXPECT_THAT(failure.what(), HasSubstr("is in use by "));
    EXPECT_THAT(BoardLock::holder(device), HasSubstr("(process " + std::to_string(::getpid())));
  }
  EXPECT_EQ(BoardLock::holder(device), "");
  const BoardLock again(device);
}

}  // namespace
}  // namespace ax::xtask
