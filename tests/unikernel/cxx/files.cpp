// Files of C++ on a FAT disk. It is a program of its own: the others have no file system.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "check.hpp"

Checks checks;

namespace {
namespace fs = std::filesystem;

void check_streams_of_files() {
  {
    std::ofstream out("/numbers.txt");
    for (int i = 0; i < 5000; ++i) out << i << ' ' << i * i << '\n';
    CHECK(out.good());
  }
  std::ifstream in("/numbers.txt");
  long lines = 0, wrong = 0;
  for (long number = 0, square = 0; in >> number >> square; ++lines) wrong += square != number * number;
  CHECK(lines == 5000 && wrong == 0 && in.eof());
  std::fstream both("/data.bin", std::ios::binary | std::ios::in | std::ios::out | std::ios::trunc);
  both.write("0123456789", 10).seekp(3).put('x');
  char byte = 0;
  both.seekg(3).get(byte);
  CHECK(byte == 'x' && both.seekg(0, std::ios::end).tellg() == 10);
  CHECK(!std::ifstream("/nothing here"));
  std::ifstream loud;
  loud.exceptions(std::ios::failbit);
  bool thrown = false;
  try {
    loud.open("/nothing here");
  } catch (const std::ios_base::failure&) {
    thrown = true;
  }
  CHECK(thrown);
}

void check_file_system() {
  CHECK(fs::create_directories("/tree/one/two") && fs::is_directory("/tree/one/two"));
  std::ofstream("/tree/one/A long name.txt") << "text of a file\n";
  fs::copy_file("/tree/one/A long name.txt", "/tree/copy.txt");
  CHECK(fs::file_size("/tree/copy.txt") == 15);
  fs::rename("/tree/copy.txt", "/tree/one/two/moved.txt");
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator("/tree")) found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  CHECK(
      (found == std::vector<std::string>{"/tree/one", "/tree/one/A long name.txt", "/tree/one/two", "/tree/one/two/moved.txt"}));
  fs::current_path("/tree/one");
  CHECK(fs::absolute("two") == "/tree/one/two" && fs::exists("two/moved.txt"));
  CHECK(fs::space("/").available > 1'000'000);
  fs::resize_file("two/moved.txt", 4);
  CHECK(fs::file_size("two/moved.txt") == 4);
  std::error_code error;
  CHECK(!fs::remove("/tree", error) && error == std::errc::directory_not_empty);
  bool thrown = false;
  try {
    (void)fs::file_size("/nothing here");
  } catch (const fs::filesystem_error& failure) {
    thrown = failure.path1() == "/nothing here" && failure.code() == std::errc::no_such_file_or_directory;
  }
  CHECK(thrown);
  CHECK(fs::remove_all("/tree/one/two") == 2 && fs::remove("/tree/one/A long name.txt"));
  CHECK(fs::path("/a/b.tar.gz").extension() == ".gz" && fs::path("/a/../b").lexically_normal() == "/b");
}

}  // namespace

int main() {
  try {
    check_streams_of_files();
    check_file_system();
    std::ofstream("/left.txt") << "closed by its destructor\n";
  } catch (const std::exception& error) {
    std::cout << "unexpected: " << error.what() << '\n';
    return 1;
  }
  std::printf("files: %d checks, %d failed\n", checks.done, checks.failed);
  return checks.failed == 0 ? 0 : 1;
}
