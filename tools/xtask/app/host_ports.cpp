#include "tools/xtask/app/host_ports.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

/// As QEMU will ask for it.
bool is_taken(std::uint16_t port, int type) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return false;
  }
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const bool listens = bound && (type != SOCK_STREAM || ::listen(fd, 1) == 0);
  const bool taken = !listens && errno == EADDRINUSE;
  ::close(fd);
  return taken;
}

}  // namespace

void require_free_ports(const std::vector<app::PortForward>& ports) {
  for (const app::PortForward& port : ports) {
    const bool tcp = port.tcp && is_taken(port.host, SOCK_STREAM);
    if (tcp || (port.udp && is_taken(port.host, SOCK_DGRAM))) {
      throw Failure(
          ExitCode::Environment,
          fmt::format("another program has the port {}/{} of this machine", port.host, tcp ? "tcp" : "udp"),
          fmt::format("choose another one in [os.platform.qemu]: ports = [\"HOST:{0}\"], or \"0:{0}\" for one that is free",
                      port.guest));
    }
  }
}

}  // namespace ax::xtask
