#include "runtime/node/message_probe.h"

#include <doctest/doctest.h>

// 0 where a machine cannot connect to itself.
TEST_CASE("message probe: a byte takes less than a microsecond") {
  const double byte_us = ft::message_byte_us();
  CHECK(byte_us >= 0);
  CHECK(byte_us < 1);
}
