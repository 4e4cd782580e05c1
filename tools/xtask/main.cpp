#include <string>
#include <vector>

#include "tools/xtask/command/command.hpp"

int main(int argc, char** argv) {
  return ax::xtask::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
