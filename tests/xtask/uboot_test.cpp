// `xtask uboot` against boards: a real U-Boot in QEMU on a pseudo-terminal, and one of ours that misbehaves.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include "tests/xtask/support.hpp"
#include "tools/xtask/board/serial_line.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kFirmware = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// An arm64 Image that writes a greeting and a prompt to QEMU's UART:
///   adr x1, text; movz x2, #0x900, lsl #16; 1: ldrb w3, [x1], #1; cbz w3, 2f; str w3, [x2]; b 1b; 2: wfi; b 2b
std::string greeting_image() {
  constexpr std::array<unsigned char, 96> kCode{
      0x10, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, 0x52, 0x4d, 0x64,
      0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x10, 0x02, 0x20, 0xa1, 0xd2, 0x23, 0x14, 0x40, 0x38, 0x63, 0x00, 0x00, 0x34,
      0x43, 0x00, 0x00, 0xb9, 0xfd, 0xff, 0xff, 0x17, 0x7f, 0x20, 0x03, 0xd5, 0xff, 0xff, 0xff, 0x17};
  return std::string(reinterpret_cast<const char*>(kCode.data()), kCode.size()) + "\r\nHello from the image\r\n# " + '\0';
}

class UbootTest : public ::testing::Test {
 protected:
  UbootTest() { write_file(bin(), greeting_image()); }

  fs::path bin() const { return tree_.path("axvisor.bin"); }
  fs::path tty() const { return tree_.path("tty"); }
  ProgramResult uboot(const std::string& config, std::vector<std::string> more = {}) const {
    write_file(tree_.path("uboot.toml"), "serial = \"" + tty().string() + "\"\ntimeout = 60\nsuccess_regex = [\"Hello from the image\"]\n" + config);
    more.insert(more.begin(), {"uboot", "--uboot-config", tree_.path("uboot.toml").string(), "--bin", bin().string()});
    return tree_.xtask(more);
  }

  test::ScratchTree tree_;
};

bool may_serve_tftp() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(69);
  const bool may = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return may;
}

/// Debian's U-Boot for QEMU, with its UART on a pseudo-terminal.
class QemuBoard : public UbootTest {
 protected:
  void SetUp() override {
    if (!fs::exists(kFirmware) || !find_program("qemu-system-aarch64")) {
      GTEST_SKIP() << "needs the packages u-boot-qemu and qemu-system-arm";
    }
  }
  void power_on(const std::string& net = "user,id=n0") {
    Argv argv{"qemu-system-aarch64", "-machine", "virt,virtualization=on", "-cpu", "cortex-a53", "-m", "256", "-accel", "tcg", "-display", "none",
              "-monitor", "none", "-chardev", "pty,id=s0", "-serial", "chardev:s0", "-bios", kFirmware};
    if (!net.empty()) {
      argv.insert(argv.end(), {"-netdev", net, "-device", "virtio-net-pci,netdev=n0"});
    } else {
      argv.insert(argv.end(), {"-nic", "none"});
    }
    board_.emplace(ChildProcess::Options{.argv = argv, .console = ChildProcess::Console::Capture});
    std::string line;
    for (char c = 0; line.find(" (label") == std::string::npos && ::read(board_->output_fd(), &c, 1) == 1;) {
      line += c;
    }
    const size_t start = line.find("/dev/pts/");
    ASSERT_NE(start, std::string::npos) << line;
    fs::create_symlink(line.substr(start, line.find(' ', start) - start), tty());
  }
  std::optional<ChildProcess> board_;
};

TEST_F(QemuBoard, BootsAnImageTreeByTftp) {
  if (!may_serve_tftp()) {
    GTEST_SKIP() << "the TFTP port cannot be had here";
  }
  power_on();
  const ProgramResult result = uboot("[net]\nserver_ip = \"127.0.0.1\"\n");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("Bytes transferred"), HasSubstr("Verifying Hash Integrity ... sha256+ OK"), HasSubstr("Hello from the image")));
}

TEST_F(QemuBoard, BootsAFlatImageFromAnotherTftpServerWithStaticAddresses) {
  fs::create_directories(tree_.path("tftp"));
  power_on("user,id=n0,tftp=" + tree_.path("tftp").string());
  const ProgramResult result = uboot("boot = \"booti\"\nuboot_cmd = [\"setenv greeting moin\", \"echo $greeting\"]\n[net]\nserver_ip = \"10.0.2.2\"\nboard_ip = \"10.0.2.15\"\n"
                                     "netmask = \"255.255.255.0\"\ngatewayip = \"10.0.2.2\"\ntftp_dir = \"" + tree_.path("tftp").string() + "\"\n");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("moin"), HasSubstr("starting: booti 40400000 - "), HasSubstr("Hello from the image"), Not(HasSubstr("=> dhcp"))));
}

TEST_F(QemuBoard, FallsBackToYmodemWhereTheNetworkDoesNotWork) {
  power_on("");
  const ProgramResult result = uboot("[net]\nserver_ip = \"127.0.0.1\"\ntftp_port = 16969\n");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("warning: the network does not work: sending over the serial line (YMODEM)"), HasSubstr("Hello from the image")));
}

TEST_F(QemuBoard, BootsABiggerFlatImageByYmodem) {
  power_on();
  std::string image = greeting_image();
  for (unsigned i = 0; image.size() < 40'000; i = i * 1664525 + 1013904223) {
    image += static_cast<char>(i >> 24);
  }
  image[17] = '\0';
  image[18] = '\x02';  // image_size: 128 KiB, for what follows it in memory
  write_file(bin(), image);
  const ProgramResult result = uboot("boot = \"booti\"\ntransfer = \"ymodem\"\n");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("Hello from the image"));
}

TEST_F(QemuBoard, SaysWhenUbootDoesNotStartTheImage) {
  power_on("");
  write_file(bin(), "no kernel at all");
  const ProgramResult result = uboot("boot = \"booti\"\nboard_power_off_cmd = \"echo off > " + tree_.path("off").string() + "\"\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("Bad Linux ARM64 Image magic"), HasSubstr("error: run failed after ")));
  EXPECT_EQ(read_file(tree_.path("off")), "off\n");
}

TEST_F(QemuBoard, GivesTheTerminalToTheUserUntilCtrlAX) {
  power_on("");
  write_file(tree_.path("uboot.toml"), "serial = \"" + tty().string() + "\"\n");
  test::TerminalProgram xtask({XTASK_PROGRAM, "uboot", "--uboot-config", tree_.path("uboot.toml").string(), "--bin", bin().string()},
                              {{"AXVISOR_ROOT", tree_.root().string()}});
  for (int i = 0; i < 6 && xtask.output().find("Hello from the image") == std::string::npos; ++i) {
    xtask.wait_for("Hello from the image");
  }
  EXPECT_FALSE(xtask.terminal_is_cooked());
  xtask.type("\x01x");
  EXPECT_EQ(xtask.finish(), 0) << xtask.output();
  EXPECT_TRUE(xtask.terminal_is_cooked());
}

/// A board of ours: it has U-Boot's prompt and as much of its commands as is needed, and a fault.
class FaultyBoard : public UbootTest {
 protected:
  enum class Fault { None, Silent, Garbage, OtherProgram, GarblesOnce, GarblesAlways, DropsLine, NeverEnds };

  ~FaultyBoard() override {
    stop_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
    close_line();
  }

  void power_on(Fault fault) {
    fault_ = fault;
    std::array<char, 128> name{};
    ASSERT_EQ(::openpty(&master_, &slave_, name.data(), nullptr, nullptr), 0);
    termios raw{};
    ::tcgetattr(slave_, &raw);
    ::cfmakeraw(&raw);
    ::tcsetattr(slave_, TCSANOW, &raw);
    ::fcntl(master_, F_SETFD, FD_CLOEXEC);  // xtask must not keep the board's end of the line open
    ::fcntl(slave_, F_SETFD, FD_CLOEXEC);
    fs::create_symlink(name.data(), tty());
    // The end of a child must reach the thread that waits for it: this one takes no signals.
    sigset_t all;
    sigset_t previous;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &previous);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  }

 private:
  void close_line() {
    for (int* fd : {&slave_, &master_}) {
      if (*fd >= 0) {
        ::close(*fd);
      }
      *fd = -1;
    }
  }
  void say(std::string_view text) {
    if (fault_ != Fault::Silent) {
      EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
  }
  void run() {
    while (!stop_) {
      pollfd entry{master_, POLLIN, 0};
      std::array<char, 512> buffer;
      const ssize_t size = ::poll(&entry, 1, 20) > 0 ? ::read(master_, buffer.data(), buffer.size()) : 0;
      for (ssize_t i = 0; i < size; ++i) {
        take(buffer[static_cast<size_t>(i)]);
        if (master_ < 0) {
          return;
        }
      }
    }
  }
  void take(char c) {
    if (fault_ == Fault::Garbage) {
      say("\xfe\x80\xe0");
    } else if (fault_ == Fault::OtherProgram) {
      say("\r\ndebian login: ");
    } else if (c == '\x03') {
      line_.clear();
      say("<INTERRUPT>\r\n=> ");
    } else if (c == '\n') {
      say("\r\n");
      answer();
    } else {
      line_ += c;
      const bool garble = fault_ == Fault::GarblesAlways || (fault_ == Fault::GarblesOnce && !garbled_ && line_.size() == 5);
      garbled_ |= garble;
      say(garble ? "#" : std::string_view(&c, 1));
    }
  }
  void answer() {
    const std::string id = line_.substr(line_.rfind('-') == std::string::npos ? 0 : line_.rfind("bad-") + 4);
    if (fault_ == Fault::DropsLine) {
      close_line();
      return;
    }
    if (fault_ == Fault::NeverEnds) {
      line_.clear();
      return;
    }
    if (line_.starts_with("echo [${kernel_addr_r}]")) {
      say("[40400000]\r\n");
    } else if (line_.starts_with("echo [")) {
      say("[]\r\n");
    }
    const bool known = line_.starts_with("echo ") || line_.starts_with("setenv ");
    say(known ? "good-" + id + "\r\n" : "Unknown command\r\nbad-" + id + "\r\n");
    say("=> ");
    line_.clear();
  }

  Fault fault_ = Fault::None;
  int master_ = -1;
  int slave_ = -1;
  std::string line_;
  bool garbled_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(FaultyBoard, NothingComes) {
  power_on(Fault::Silent);
  const ProgramResult result = uboot("answer_timeout = 0.5\n");
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.output, HasSubstr("did not show U-Boot's prompt within 0.5 s: nothing came\nhint: is the board powered"));
}

TEST_F(FaultyBoard, GarbageHintsAtTheBaudRate) {
  power_on(Fault::Garbage);
  EXPECT_THAT(uboot("answer_timeout = 0.5\n").output, AllOf(HasSubstr("bytes are garbage"), HasSubstr("hint: baud_rate is probably another one")));
}

TEST_F(FaultyBoard, AnotherProgramIsQuoted) {
  power_on(Fault::OtherProgram);
  EXPECT_THAT(uboot("answer_timeout = 0.5\n").output, HasSubstr("within 0.5 s; it says:\ndebian login:"));
}

TEST_F(FaultyBoard, ALineThatIsGarbledOnceIsTypedAgain) {
  power_on(Fault::GarblesOnce);
  const ProgramResult result = uboot("uboot_cmd = [\"setenv a b\", \"nonsense\"]\n", {"-v"});
  EXPECT_THAT(result.output, AllOf(HasSubstr("garbled 'setenv a b', typing it again"), HasSubstr("error: U-Boot's 'nonsense' failed:\nUnknown command")));
  EXPECT_EQ(result.status, 1);
}

TEST_F(FaultyBoard, ALineThatIsAlwaysGarbledIsAFailure) {
  power_on(Fault::GarblesAlways);
  EXPECT_THAT(uboot("uboot_cmd = [\"setenv a b\"]\n").output, HasSubstr("garbles what is typed: 'setenv a b' did not come back as it was sent"));
}

TEST_F(FaultyBoard, ALineThatIsDroppedEndsTheRunAndPowersOff) {
  power_on(Fault::DropsLine);
  const ProgramResult result = uboot("load_timeout = 20\nuboot_cmd = [\"setenv a b\"]\nboard_power_off_cmd = \"echo off > " + tree_.path("off").string() + "\"\n");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("error: the serial line " + tty().string() + " went away"));
  EXPECT_TRUE(fs::exists(tree_.path("off")));
}

TEST_F(FaultyBoard, ACommandThatDoesNotEndIsATimeout) {
  power_on(Fault::NeverEnds);
  const ProgramResult result = uboot("load_timeout = 0.5\nuboot_cmd = [\"setenv a b\"]\n");
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.output, HasSubstr("U-Boot's 'setenv a b' did not end within 0.5 s"));
}

TEST_F(FaultyBoard, ABoardInUseIsNotShared) {
  power_on(Fault::None);
  const BoardLock lock(tty());
  const ProgramResult result = uboot("");
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, AllOf(HasSubstr(" is in use by "), HasSubstr(fmt::format("(process {} since", ::getpid()))));
}

TEST_F(UbootTest, ListsProfilesAndSuggestsThem) {
  tree_.write("configs/uboot/lab-board.toml", "serial = \"/dev/ttyNONE\"\nbaud_rate = 1500000\n");
  EXPECT_THAT(tree_.xtask({"board", "ls"}).output, AllOf(HasSubstr("lab-board"), HasSubstr("1500000"), HasSubstr("(not plugged in)")));
  EXPECT_THAT(tree_.xtask({"board", "ls", "--json"}).output, HasSubstr("\"serial\": \"/dev/ttyNONE\", \"baud_rate\": 1500000, "
                                                                       "\"plugged_in\": false, \"in_use_by\": null}\n]\n"));
  EXPECT_THAT(tree_.xtask({"uboot", "--board", "lab-bord"}).output, HasSubstr("unknown board profile 'lab-bord'; did you mean 'lab-board'?"));
  const ProgramResult missing = tree_.xtask({"uboot", "--board", "lab-board", "--bin", bin().string()});
  EXPECT_EQ(missing.status, 4);
  EXPECT_THAT(missing.output, HasSubstr("cannot open the serial line /dev/ttyNONE"));
  EXPECT_THAT(tree_.xtask({"uboot", "--board", "lab-board", "--bin", bin().string(), "--set", "baud_rate=123"}).output, HasSubstr("error: "));
}

TEST_F(UbootTest, SetReplacesKeysOfTheBoardAndOfItsLine) {
  tree_.write("lab.toml", "serial = \"/dev/ttyNONE\"\n");
  const std::string both =
      tree_.xtask({"uboot", "--dry-run", "--uboot-config", "lab.toml", "--set", "baud_rate=9600", "--set", "log=Debug"}).output;
  EXPECT_THAT(both, AllOf(HasSubstr("board/qemu-aarch64.toml"), HasSubstr("# /dev/ttyNONE: 9600 baud\n")));
  const ProgramResult nothing_built =
      tree_.xtask({"uboot", "--uboot-config", "lab.toml", "--bin", bin().string(), "--set", "log=Debug"});
  EXPECT_EQ(nothing_built.status, 2);
  EXPECT_THAT(nothing_built.output, HasSubstr("--set log: a key of the board, but --bin builds nothing"));
}

TEST_F(UbootTest, DryRunSaysWhatWouldHappen) {
  tree_.write("configs/uboot/lab.toml", "serial = \"/dev/ttyNONE\"\nboard_reset_cmd = \"relay on\"\n[net]\nserver_ip = \"1.2.3.4\"\n");
  const ProgramResult result = tree_.xtask({"uboot", "--dry-run", "--board", "lab", "--bin", bin().string()});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "# /dev/ttyNONE: 115200 baud\nrelay on\n# U-Boot: tftpboot axvisor.fit from " + bin().string() + ", then bootm\n");
}

TEST_F(UbootTest, DryRunWritesNoDefaults) {
  const ProgramResult result = tree_.xtask({"uboot", "--dry-run", "--bin", bin().string()});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("# the defaults -> " + (tree_.root() / ".uboot.toml").string() + "\n# /dev/ttyUSB0: 115200 baud\n"));
  EXPECT_FALSE(fs::exists(tree_.root() / ".uboot.toml"));
}

}  // namespace
}  // namespace ax::xtask
