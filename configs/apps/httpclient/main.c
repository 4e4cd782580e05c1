// Prints what a server answers to one request. Usage: httpclient HOST PORT PATH
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(const char* host, const char* port) {
  const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
  struct addrinfo* found = NULL;
  const int error = getaddrinfo(host, port, &hints, &found);
  if (error != 0) {
    fprintf(stderr, "httpclient: %s: %s\n", host, gai_strerror(error));
    return -1;
  }
  int connection = socket(found->ai_family, found->ai_socktype, 0);
  if (connection >= 0 && connect(connection, found->ai_addr, found->ai_addrlen) != 0) {
    perror("httpclient");
    close(connection);
    connection = -1;
  }
  freeaddrinfo(found);
  return connection;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: httpclient HOST PORT PATH\n");
    return 2;
  }
  const int connection = connect_to(argv[1], argv[2]);
  if (connection < 0) return 1;
  char request[1024];
  const int size =
      snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[3], argv[1]);
  if (size < 0 || (size_t)size >= sizeof request || send(connection, request, (size_t)size, 0) != size) return 1;
  char answer[4096];
  ssize_t got = 0;
  while ((got = recv(connection, answer, sizeof answer, 0)) > 0) fwrite(answer, 1, (size_t)got, stdout);
  close(connection);
  return got == 0 ? 0 : 1;
}
