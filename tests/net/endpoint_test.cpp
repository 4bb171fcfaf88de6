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
  for (const char* bad : {"tcp://:7117", "tcp://127.0.0.1:7117:3", "tcp://::1:7117", "tcp://[::1:1",
                          "tcp://127.0.0.1:99999", "tcp://[]a:1", "tcp://127.0.0.1"}) {
    CHECK_MESSAGE(!is_endpoint(bad, true), bad);
  }
  CHECK(!is_endpoint("tcp://a:*", false));
  CHECK(is_endpoint("tcp://a:0", true));
  CHECK(is_endpoint("tcp://a:*", true));
  CHECK(host_of("tcp://[::1]:12") == "[::1]");
  CHECK(port_of("tcp://[::1]:12") == "12");
  CHECK(make_endpoint("a", "1") == "tcp://a:1");
}

TEST_CASE("endpoint: what is wrong with it is said") {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1:7117", "must be tcp://"},
      {"tcp://127.0.0.1", "no port"},
      {"tcp://:7117", "no host"},
      {"tcp://127.0.0.1:7117:3", "colon"},
      {"tcp://127.0.0.1:99999", "from 1 to 65535"}};
  for (const auto& [endpoint, needs] : cases) {
    const std::string fault = endpoint_fault(endpoint, false);
    CHECK_MESSAGE(fault.find(needs) != std::string::npos, fault);
  }
}

TEST_CASE("endpoint: loopback is this machine's alone, names but localhost are not") {
  for (const char* here :
       {"tcp://127.0.0.1:1", "tcp://127.9.9.9:*", "tcp://localhost:1", "tcp://[::1]:1"}) {
    CHECK_MESSAGE(is_loopback(here), here);
  }
  for (const char* beyond :
       {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:7117", "tcp://127.evil.org:1",
        "tcp://localhost.evil.org:1", "tcp://[::]:1", "tcp://127.0.0.1.:1"}) {
    CHECK_MESSAGE(!is_loopback(beyond), beyond);
  }
}

}  // namespace ft
