// Answers every request with one page, one connection at a time. Usage: httpserver [PORT [CONNECTIONS]]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char kPage[] = "<html><body><h1>Hello from the application</h1></body></html>\n";
enum { kDefaultPort = 5555, kLastPort = 65535, kBacklog = 16, kRequestBytes = 4096 };

static int send_all(int connection, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(connection, data, size, 0);
    if (sent <= 0) return -1;
    data += sent;
    size -= (size_t)sent;
  }
  return 0;
}

/// Reads to the empty line that ends a request's head.
static int read_head(int connection) {
  char request[kRequestBytes + 1];
  size_t size = 0;
  while (size < kRequestBytes) {
    const ssize_t got = recv(connection, request + size, kRequestBytes - size, 0);
    if (got <= 0) return -1;
    size += (size_t)got;
    request[size] = '\0';
    if (strstr(request, "\r\n\r\n") != NULL) return 0;
  }
  return -1;
}

static void serve(int connection) {
  char head[256];
  if (read_head(connection) != 0) return;
  const int size = snprintf(head, sizeof head,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                            sizeof kPage - 1);
  if (send_all(connection, head, (size_t)size) == 0) send_all(connection, kPage, sizeof kPage - 1);
}

static int open_port(unsigned short port) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
  if (server < 0) return -1;
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(server, (struct sockaddr*)&address, sizeof address) != 0 || listen(server, kBacklog) != 0) return -1;
  return server;
}

int main(int argc, char** argv) {
  char* end = NULL;
  const long port = argc > 1 ? strtol(argv[1], &end, 10) : kDefaultPort;
  if ((end != NULL && *end != '\0') || port < 0 || port > kLastPort) {
    fprintf(stderr, "usage: httpserver [PORT [CONNECTIONS]]\n");
    return 2;
  }
  long left = argc > 2 ? atol(argv[2]) : -1;
  signal(SIGPIPE, SIG_IGN);
  const int server = open_port((unsigned short)port);
  if (server < 0) {
    perror("httpserver");
    return 1;
  }
  printf("serving on port %ld\n", port);
  fflush(stdout);
  while (left != 0) {
    const int connection = accept(server, NULL, NULL);
    if (connection < 0) continue;
    serve(connection);
    close(connection);
    if (left > 0) --left;
  }
  close(server);
  return 0;
}
