#include "tools/menuconfig/web.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "tests/menuconfig/tree.hpp"

namespace ax::menuconfig::testing {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{60};
constexpr std::string_view kAddress = "127.0.0.1:4711";

class WebTest : public Tree {
 protected:
  WebTest() : model_(places()), editor_(model_, "secret", std::string(kAddress)) {
    EXPECT_TRUE(model_.open(FileKind::Board, path(".build.toml")));
  }
  WebResponse get(const std::string& target, const std::string& token = "secret", std::string_view host = kAddress) {
    return editor_.answer({"GET", target, std::string(host), token, ""});
  }
  WebResponse post(const std::string& action, const json& body, const std::string& token = "secret") {
    return editor_.answer({"POST", "/api/" + action, std::string(kAddress), token, body.dump()});
  }

  Model model_;
  WebEditor editor_;
};

TEST_F(WebTest, ThePageNeedsTheTokenInItsAddress) {
  EXPECT_EQ(get("/?token=secret", "").status, 200);
  EXPECT_THAT(get("/?token=secret", "").body, HasSubstr("<title>AxVisor configuration</title>"));
  EXPECT_EQ(get("/", "").status, 403);
  EXPECT_EQ(get("/?token=secres", "").status, 403);
}

TEST_F(WebTest, RequestsNeedTheTokenAndTheRightHost) {
  EXPECT_EQ(get("/api/state").status, 200);
  EXPECT_EQ(get("/api/state", "wrong!").status, 403);
  EXPECT_EQ(get("/api/state", "").status, 403);
  EXPECT_EQ(get("/api/state", "secret", "evil.example:4711").status, 403) << "another name that leads here";
  EXPECT_EQ(get("/api/state", "secret", "localhost:4711").status, 200);
  EXPECT_EQ(get("/etc/passwd").status, 404);
  EXPECT_EQ(get("/api/set").status, 405);
}

TEST_F(WebTest, ShowsAndChangesTheModel) {
  const json before = json::parse(get("/api/state").body);
  EXPECT_EQ(before["files"][0]["title"], "Board");
  EXPECT_EQ(before["files"][0]["changed"], false);
  json after = json::parse(post("set", {{"file", 0}, {"path", "smp"}, {"value", "4"}}).body);
  EXPECT_EQ(after["error"], "");
  EXPECT_EQ(after["files"][0]["changes"][0]["after"], "4");
  after = json::parse(post("set", {{"file", 0}, {"path", "smp"}, {"value", "99"}}).body);
  EXPECT_EQ(after["error"], "'smp' is 99, outside its range: 1 to 64");
  after = json::parse(post("toggle", {{"file", 0}, {"path", "features"}, {"value", "fs"}}).body);
  EXPECT_EQ(after["error"], "");
  post("undo", json::object());
  EXPECT_THAT(model_.files()[0].text, HasSubstr("\"fs\""));
  after = json::parse(post("save", {{"backup", true}}).body);
  EXPECT_EQ(after["saved"][0], ".build.toml");
  EXPECT_THAT(read(".build.toml"), HasSubstr("smp = 4\n"));
  EXPECT_FALSE(editor_.finished());
  post("finish", json::object());
  EXPECT_TRUE(editor_.finished());
}

TEST_F(WebTest, NothingThatIsSentBreaksIt) {
  for (const json& body : {json::array(), json("text"), json{{"file", 99}, {"path", "smp"}}, json{{"file", "x"}},
                           json{{"file", 0}, {"path", "nothing"}}, json{{"file", 0}, {"path", 7}}, json{{"file", -1}, {"path", "smp"}}}) {
    EXPECT_EQ(post("set", body).status, 400) << body;
  }
  EXPECT_EQ(editor_.answer({"POST", "/api/set", std::string(kAddress), "secret", "{\"file\":"}).status, 400);
  EXPECT_EQ(post("format", {{"file", 0}, {"path", "smp"}}).status, 404);
  EXPECT_FALSE(model_.changed());
}

TEST(WebToken, IsLongAndNew) {
  EXPECT_EQ(new_token().size(), 32U);
  EXPECT_NE(new_token(), new_token());
}

/// A child with pipes to it, ended with the object.
class Child {
 public:
  /// Its file descriptors `in` and `out` are the ends of our pipes.
  Child(std::vector<std::string> argv, int in, int out) {
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      // Out of the way of the numbers that they must have.
      const int a = ::fcntl(to[0], F_DUPFD, 20);
      const int b = ::fcntl(from[1], F_DUPFD, 20);
      const int null = ::open("/dev/null", O_RDWR);
      if (out != 1) ::dup2(null, 1);
      ::dup2(null, 2);
      ::dup2(a, in);
      ::dup2(b, out);
      std::vector<char*> words;
      for (std::string& word : argv) words.push_back(word.data());
      words.push_back(nullptr);
      ::execvp(words[0], words.data());
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    write_ = to[1];
    read_ = from[0];
  }
  ~Child() {
    ::close(write_);
    ::close(read_);
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void send(const std::string& text) { EXPECT_EQ(::write(write_, text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  /// Up to and without `end`; empty after the deadline or the child's end.
  std::string receive(char end) {
    const auto deadline = Clock::now() + kPatience;
    for (;;) {
      const usize at = buffer_.find(end);
      if (at != std::string::npos) {
        std::string out = buffer_.substr(0, at);
        buffer_.erase(0, at + 1);
        return out;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      pollfd wait{read_, POLLIN, 0};
      char part[65536];
      if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) return "";
      const ssize_t size = ::read(read_, part, sizeof part);
      if (size <= 0) return "";
      buffer_.append(part, static_cast<usize>(size));
    }
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int write_ = -1;
  int read_ = -1;
  std::string buffer_;
};

/// Headless Chromium, driven through its debugging pipe.
class Browser {
 public:
  explicit Browser(const fs::path& profile)
      : child_({"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--user-data-dir=" + profile.string(), "--remote-debugging-pipe", "about:blank"},
               3, 4) {}

  void open(const std::string& address) {
    const json target = call("Target.createTarget", {{"url", address}});
    session_ = call("Target.attachToTarget", {{"targetId", target.value("targetId", "")}, {"flatten", true}}).value("sessionId", "");
  }
  json evaluate(const std::string& expression) {
    const json result = call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
    return result.contains("result") ? result["result"].value("value", json()) : json();
  }
  bool becomes_true(const std::string& expression) {
    const auto deadline = Clock::now() + kPatience;
    while (Clock::now() < deadline) {
      if (evaluate(expression) == true) return true;
    }
    return false;
  }

 private:
  json call(const std::string& method, const json& parameters) {
    json request{{"id", ++last_}, {"method", method}, {"params", parameters}};
    if (!session_.empty()) request["sessionId"] = session_;
    child_.send(request.dump() + '\0');
    for (;;) {
      const std::string text = child_.receive('\0');
      if (text.empty()) return json::object();
      const json message = json::parse(text, nullptr, false);
      if (message.is_object() && message.value("id", 0) == last_) return message.value("result", json::object());
    }
  }

  Child child_;
  std::string session_;
  int last_ = 0;
};

using InABrowser = Tree;

TEST_F(InABrowser, TheBoardIsEditedAndSaved) {
  if (!has_program("chromium")) GTEST_SKIP() << "the package chromium is not installed";
  ::setenv("AXVISOR_ROOT", path("").c_str(), 1);
  Child server({XTASK_PROGRAM, "menuconfig", "--web"}, 0, 1);
  ::unsetenv("AXVISOR_ROOT");
  const std::string address = server.receive('\n');
  ASSERT_THAT(address, ::testing::MatchesRegex("http://127\\.0\\.0\\.1:[0-9]+/\\?token=[0-9a-f]{32}"));
  const TemporaryFolder profile;
  Browser browser(profile.path());
  browser.open(address);
  ASSERT_TRUE(browser.becomes_true("document.body !== null && document.body.dataset.ready === 'yes'"));
  EXPECT_EQ(browser.evaluate("document.title"), "AxVisor configuration");
  EXPECT_EQ(browser.evaluate("document.querySelectorAll('#files button').length"), 4);
  const auto type = [](const std::string& id, const std::string& value) {
    return "(() => { const e = document.getElementById('" + id + "'); e.value = '" + value + "'; e.dispatchEvent(new Event('change')); })()";
  };
  browser.evaluate(type("value-smp", "65"));
  EXPECT_TRUE(browser.becomes_true("document.getElementById('message').textContent.includes('outside its range: 1 to 64')"));
  browser.evaluate(type("value-smp", "6"));
  EXPECT_TRUE(browser.becomes_true("document.getElementById('changes').textContent.includes('smp: (absent) -> 6')"));
  browser.evaluate(type("value-log", "Warn"));
  EXPECT_TRUE(browser.becomes_true("document.getElementById('changes').textContent.includes('log')"));
  browser.evaluate("document.querySelector('#row-features input').click()");
  EXPECT_TRUE(browser.becomes_true("document.getElementById('changes').textContent.includes('features')"));
  browser.evaluate("document.getElementById('undo').click()");
  EXPECT_TRUE(browser.becomes_true("!document.getElementById('changes').textContent.includes('features')"));
  browser.evaluate("(() => { const s = document.getElementById('search'); s.value = 'ram disk'; s.dispatchEvent(new Event('input')); })()");
  EXPECT_EQ(browser.evaluate("document.querySelectorAll('.row').length"), 0) << "no such key in the board";
  browser.evaluate("document.getElementById('save').click()");
  EXPECT_TRUE(browser.becomes_true("document.getElementById('save').disabled"));
  browser.evaluate("document.getElementById('finish').click()");
  EXPECT_EQ(server.wait(), 0);
  EXPECT_THAT(read(".build.toml"), HasSubstr("\nlog = \"Warn\"\n"));
  EXPECT_THAT(read(".build.toml"), HasSubstr("\nsmp = 6\n"));
  EXPECT_THAT(read(".build.toml"), HasSubstr("# needed by the big guest"));
}

}  // namespace
}  // namespace ax::menuconfig::testing
