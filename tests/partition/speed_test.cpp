#include "partition/speed.h"

#include <doctest/doctest.h>

#include "runtime/base/random.h"

namespace {

// A number around 1, up to `spread` off.
double noisy(uint64_t index, double spread) {
  const auto bits = ft::random_block({1, ft::RandomPurpose::kSynthetic, 0}, 0, index);
  return 1 + spread * (2 * static_cast<double>(ft::uniform_float(bits[0])) - 1);
}

void add(ft::Speed* speed, int count, double times, double load) {
  for (int i = 0; i < count; ++i) speed->add(times, load);
}

}  // namespace

TEST_CASE("speed: one outlier changes nothing") {
  ft::Speed speed;
  speed.measured(1, false);
  add(&speed, 7, 1.0, 1.0);
  speed.add(50, 1.0);
  CHECK(speed.times() == doctest::Approx(1.0));
  CHECK(!speed.take_shift());
}

TEST_CASE("speed: noise is no shift") {
  ft::Speed speed;
  speed.measured(1, false);
  for (uint64_t i = 0; i < 2000; ++i) {
    speed.add(noisy(i, 0.3), 1.0);
    CHECK(!speed.take_shift());
    CHECK(speed.times() == doctest::Approx(1.0).epsilon(0.2));
  }
}

TEST_CASE("speed: four batches in a row tell that a device is ten times slower, and how much") {
  ft::Speed speed;
  speed.measured(1, false);
  add(&speed, 20, 1.0, 1.0);
  add(&speed, 4, 10.0, 1.0);
  CHECK(speed.times() == doctest::Approx(10.0));
  CHECK(speed.take_shift());
  CHECK(!speed.take_shift());
  add(&speed, 4, 1.0, 0.1);
  CHECK(speed.times() == doctest::Approx(1.0));
}

TEST_CASE("speed: an elastic device that has little to do is not believed to be fast") {
  ft::Speed speed;
  speed.measured(10, true);
  add(&speed, 20, 1.0, 0.1);
  CHECK(speed.times() == doctest::Approx(10.0));
  CHECK(speed.looks_faster());
  add(&speed, 20, 2.0, 0.95);  // busy all the time: that counts
  CHECK(speed.times() == doctest::Approx(2.0));
  add(&speed, 20, 4.0, 0.2);  // slower counts always
  CHECK(speed.times() == doctest::Approx(4.0));
  CHECK(!speed.looks_faster());
}

TEST_CASE("speed: a measurement counts more than what was seen before") {
  ft::Speed speed;
  add(&speed, 8, 3.0, 1.0);
  speed.measured(1, false);
  CHECK(speed.times() == 1.0);
  add(&speed, 2, 3.0, 1.0);
  CHECK(speed.times() == 1.0);
}
