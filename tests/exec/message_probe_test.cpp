#include "runtime/exec/message_probe.h"

#include <doctest/doctest.h>

TEST_CASE("message probe: a byte takes time, less than a microsecond each") {
  const double byte_us = ft::message_byte_us();
  CHECK(byte_us > 0);
  CHECK(byte_us < 1);
}
