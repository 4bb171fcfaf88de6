#include "runtime/node/message_probe.h"

#include <doctest/doctest.h>

TEST_CASE("message probe: a byte takes less than a microsecond") {
  const double byte_us = ft::message_byte_us();
  CHECK(byte_us > 0);
  CHECK(byte_us < 1);
}
