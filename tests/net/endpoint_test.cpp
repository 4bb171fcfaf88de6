#include "net/endpoint.h"

#include <doctest/doctest.h>

namespace ft {

TEST_CASE("endpoint: tcp://HOST:PORT and nothing else") {
  for (const char* good : {"tcp://127.0.0.1:7117", "tcp://pi4-b.local:1", "tcp://[::1]:65535"}) {
    CHECK(is_endpoint(good, false));
  }
  for (const char* bad : {"", "tcp://", "tcp://:1", "tcp://a", "tcp://a:", "tcp://a:0", "a:1",
                          "tcp://a:65536", "tcp://a:1x", "tcp://a:-1", "ipc:///tmp/x:1",
                          "inproc://a:1", "tcp://a b:1", "tcp://b:1;a:2", "tcp://a:999999999999"}) {
    CHECK_MESSAGE(!is_endpoint(bad, false), bad);
  }
  CHECK(!is_endpoint("tcp://a:*", false));
  CHECK(is_endpoint("tcp://a:*", true));
  CHECK(host_of("tcp://[::1]:12") == "[::1]");
  CHECK(port_of("tcp://[::1]:12") == "12");
  CHECK(make_endpoint("a", "1") == "tcp://a:1");
}

}  // namespace ft
