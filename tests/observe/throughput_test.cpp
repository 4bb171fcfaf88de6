#include "runtime/observe/throughput.h"

#include <doctest/doctest.h>

TEST_CASE("throughput: wall clock over the last twenty batches") {
  ft::Throughput throughput(64);
  CHECK(throughput.finished(0) == 0);
  CHECK(throughput.finished(ft::kSecondUs) == doctest::Approx(64));
  ft::TimeUs now = ft::kSecondUs;
  double rate = 0;
  for (int i = 0; i < 20; ++i) rate = throughput.finished(now += ft::kSecondUs / 2);
  CHECK(rate == doctest::Approx(128));
  throughput.restart();
  CHECK(throughput.finished(now + 100 * ft::kSecondUs) == 0);
}
