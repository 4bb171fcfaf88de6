#include "runtime/node/own_address.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/endpoint.h"

namespace ft {

Result<std::string> address_towards(const std::string& endpoint) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(host_of(endpoint).c_str(), port_of(endpoint).c_str(), &hints, &found);
  if (error != 0) return invalid_error("%s: %s", endpoint.c_str(), ::gai_strerror(error));
  // Connecting a datagram socket only looks up the route.
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  socklen_t bytes = sizeof(own);
  const bool known = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &bytes) == 0;
  const int cause = errno;
  ::close(fd);
  ::freeaddrinfo(found);
  char text[INET_ADDRSTRLEN] = {};
  if (known && ::inet_ntop(AF_INET, &own.sin_addr, text, sizeof(text)) != nullptr)
    return std::string(text);
  return invalid_error("%s: %s", endpoint.c_str(), std::strerror(cause));
}

}  // namespace ft
