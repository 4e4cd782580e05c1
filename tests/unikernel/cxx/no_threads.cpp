// Starts a thread on a system that was made without them: it is not linked.
#include <thread>

int main() {
  std::thread([] {}).join();
}
