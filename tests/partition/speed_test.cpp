#include "partition/speed.h"

#include <cmath>
#include <doctest/doctest.h>

#include "runtime/base/random.h"

namespace {

// A number around 1, up to `spread` off.
double noisy(uint64_t index, double spread) {
  const auto bits = ft::random_block({1, ft::RandomPurpose::kSynthetic, 0}, 0, index);
  return 1 + spread * (2 * static_cast<double>(ft::uniform_float(bits[0])) - 1);
}

ft::BatchTimes batch(double wall, double load, double cpu = 0, double besides = 0) {
  ft::BatchTimes made;
  made.expected_us = 1000;
  made.wall_us = 1000 * wall;
  made.cpu_us = 1000 * cpu;
  made.besides_us = 1000 * besides;
  made.bytes = 500;
  made.busy_us = 1000 * load;
  made.passed_us = 1000;
  return made;
}

void add(ft::Speed* speed, int count, const ft::BatchTimes& times) {
  for (int i = 0; i < count; ++i) speed->add(times);
}

}  // namespace

TEST_CASE("speed: one outlier changes nothing") {
  ft::Speed speed;
  speed.measured({1});
  add(&speed, 7, batch(1.0, 1.0));
  speed.add(batch(50, 1.0));
  CHECK(speed.times() == doctest::Approx(1.0));
  CHECK(speed.take_shift() == 1);
}

TEST_CASE("speed: noise is no shift") {
  ft::Speed speed;
  speed.measured({1});
  for (uint64_t i = 0; i < 2000; ++i) {
    speed.add(batch(noisy(i, 0.3), 1.0));
    CHECK(speed.take_shift() == 1);
    CHECK(speed.times() == doctest::Approx(1.0).epsilon(0.2));
  }
}

TEST_CASE("speed: how far off it may be is what its batches scatter") {
  ft::Speed speed;
  speed.measured({1});
  CHECK(speed.error() == doctest::Approx(0.05));  // nothing seen yet
  add(&speed, 20, batch(1.0, 1.0));
  CHECK(speed.error() == doctest::Approx(0));
  CHECK(speed.paced_times() == doctest::Approx(1));
  for (uint64_t i = 0; i < 32; ++i) speed.add(batch(noisy(i, 0.3), 1.0));
  CHECK(speed.error() > 0.02);  // 0.3 / sqrt(3) / sqrt(32) = 0.03
  CHECK(speed.error() < 0.04);
  CHECK(speed.paced_times() == doctest::Approx(1 + 0.3 / std::sqrt(3) / 2).epsilon(0.05));
}

TEST_CASE("speed: the pauses of an elastic device make it uncertain only when they count") {
  for (const bool loaded : {false, true}) {
    CAPTURE(loaded);
    ft::Speed speed;
    speed.measured({0.5});
    for (uint64_t i = 0; i < 32; ++i) {
      speed.add(batch(noisy(i, 0.3), loaded ? 1.0 : 0.5, 0.5));
    }
    if (loaded) CHECK(speed.error() > 0.02);
    if (!loaded) CHECK(speed.error() == doctest::Approx(0));
  }
}

TEST_CASE("speed: four batches in a row tell that a device is ten times slower, and how much") {
  ft::Speed speed;
  speed.measured({1});
  add(&speed, 20, batch(1.0, 1.0));
  add(&speed, 4, batch(10.0, 1.0));
  CHECK(speed.times() == doctest::Approx(10.0));
  CHECK(speed.take_shift() > 1.5);
  CHECK(speed.take_shift() == 1);
  add(&speed, 4, batch(1.0, 0.1));
  CHECK(speed.times() == doctest::Approx(1.0));
}

TEST_CASE("speed: a change is noticed at once however little was seen before") {
  for (int before = 4; before < 40; ++before) {
    CAPTURE(before);
    ft::Speed speed;
    speed.measured({1});
    for (int i = 0; i < before; ++i) speed.add(batch(noisy(static_cast<uint64_t>(i), 0.2), 1.0));
    add(&speed, 4, batch(2.2, 1.0));
    CHECK(speed.times() == doctest::Approx(2.2));
  }
}

// Short tasks under --slowdown: what a sleep takes too long is taken off the next ones.
TEST_CASE("speed: many short batches and now and then a long one are no change") {
  ft::Speed speed;
  speed.measured({1});
  for (int i = 0; i < 200; ++i) {
    speed.add(batch(i % 6 == 0 ? 5.0 : 0.2, 1.0));
    if (i > 32) CHECK(speed.times() == doctest::Approx(1).epsilon(0.3));
  }
}

// It has a tenth of its CPU, so that 100 us of CPU time are the expected 1000.
TEST_CASE("speed: an elastic device that has little to do is not believed to be fast") {
  ft::Speed speed;
  speed.measured({0.1});
  add(&speed, 20, batch(0.3, 0.1, 0.1));
  CHECK(speed.times() == doctest::Approx(1.0));
  CHECK(speed.looks_faster());
  add(&speed, 32, batch(0.5, 0.98, 0.1));  // busy all the time: that counts
  CHECK(speed.times() == doctest::Approx(0.5));
  CHECK(!speed.looks_faster());
  add(&speed, 32, batch(0.75, 0.98, 0.1, 0.05));  // its transport takes a third of it
  CHECK(speed.times() == doctest::Approx(0.5));
}

TEST_CASE("speed: what an elastic device takes of its share counts, not what the clock says") {
  ft::Speed speed;
  speed.measured({0.1});
  add(&speed, 32, batch(0.3, 0.1, 0.15, 0.05));
  CHECK(speed.times() == doctest::Approx(1.5));
  CHECK(speed.byte_us() == doctest::Approx(1));  // 50 us of CPU time for 500 bytes
}

TEST_CASE("speed: what messages cost an elastic device is as it was measured, until batches tell") {
  ft::Speed speed;
  speed.measured({0.1, 0, 0.05});
  CHECK(speed.byte_us() == doctest::Approx(0.5));
  add(&speed, 32, batch(0.3, 0.1, 0.15, 0.05));
  CHECK(speed.byte_us() == doctest::Approx(1));
  speed.measured({1, 0, 0.05});
  CHECK(speed.byte_us() == 0);
}

TEST_CASE("speed: an elastic device whose share shrinks is slower until it is measured again") {
  ft::Speed speed;
  speed.measured({0.5});
  add(&speed, 32, batch(1, 0.5, 0.5, 0.1));
  CHECK(speed.times() == doctest::Approx(1));
  add(&speed, 4, batch(10, 1.0, 0.5, 0.1));
  CHECK(speed.times() > 8);
  CHECK(speed.take_shift() > 1.5);
  speed.work_changed();
  add(&speed, 32, batch(0.5, 0.1, 0.5, 0.1));  // little to do
  CHECK(speed.times() > 8);
  CHECK(speed.looks_faster());
  CHECK(speed.measured_again(1, 0.5));
  CHECK(!speed.measured_again(1, 0.5));
  CHECK(speed.times() == doctest::Approx(1));
}

// 0.9 ms of each 2, and a batch takes half of that: in turns it is through at once and has to
// wait.
TEST_CASE("speed: a quota's long pauses are no change, and do not make a device uncertain") {
  ft::Speed speed;
  speed.measured({0.45, 1'100});
  for (int i = 0; i < 64; ++i) {
    speed.add(batch(i % 2 == 0 ? 0.45 : 1.55, 1.0, 0.45));
    CHECK(speed.take_shift() == 1);
  }
  CHECK(speed.times() == doctest::Approx(1));
  CHECK(speed.paced_times() == doctest::Approx(1));
  CHECK(speed.error() < 0.02);             // half a pause in 32 ms
  add(&speed, 4, batch(1.55, 1.0, 0.45));  // it was probed: its quota is used up
  CHECK(speed.take_shift() == 1);
  CHECK(speed.times() == doctest::Approx(1).epsilon(0.1));
  add(&speed, 4, batch(10, 1.0, 0.45));
  CHECK(speed.times() == doctest::Approx(10));
}

TEST_CASE("speed: batches that central is told of at once do not make a device look busy") {
  ft::Speed speed;
  speed.measured({0.1});
  for (int i = 0; i < 40; ++i) {
    ft::BatchTimes told = batch(0.3, 0.1, 0.1);
    told.passed_us = i % 2 == 0 ? 1999 : 1;
    speed.add(told);
  }
  CHECK(speed.times() == doctest::Approx(1));
  CHECK(speed.looks_faster());
}

TEST_CASE("speed: an elastic device's probes tell its share, its batches how fast its CPU is") {
  ft::Speed speed;
  speed.measured({0.5});
  add(&speed, 32, batch(1.5, 0.9, 0.75));  // neighbours share its caches
  CHECK(speed.times() == doctest::Approx(1.5));
  CHECK(!speed.measured_again(2, 0.5));
  CHECK(!speed.measured_again(2, 0.5));
  CHECK(speed.times() == doctest::Approx(1.5));
  CHECK(speed.measured_again(2, 0.25));
  CHECK(!speed.measured_again(2, 0.25));
  CHECK(speed.times() == doctest::Approx(3));
}

TEST_CASE("speed: a device whose CPU is shared from now on, or no longer, is as fast as probed") {
  ft::Speed speed;
  speed.measured({1});
  const auto probe_twice = [&](double times, double share) {
    CHECK(speed.measured_again(times, share));
    CHECK(!speed.measured_again(times, share));
    CHECK(!speed.measured_again(times, share));
    CHECK(speed.times() == doctest::Approx(times));
  };
  probe_twice(4, 0.5);  // and calculates at half the rate
  CHECK(speed.is_elastic());
  add(&speed, 32, batch(4, 1, 1.5));
  CHECK(speed.times() == doctest::Approx(4));
  probe_twice(1.5, 1);
  CHECK(!speed.is_elastic());

  speed.measured({0.85});
  CHECK(speed.is_elastic());
  CHECK(!speed.measured_again(0.85, 1));  // alone, and nearly as fast as it was
  probe_twice(3, 1);                      // hot
  CHECK(!speed.is_elastic());
}

TEST_CASE("speed: of two measurements that differ the one that says less counts, share and all") {
  ft::Speed speed;
  speed.measured({1});
  CHECK(speed.measured_again(2, 0.5));
  CHECK(!speed.measured_again(4, 0.25));  // it is getting worse
  CHECK(speed.times() == doctest::Approx(2));
  CHECK(speed.measured_again(4, 0.25));
  CHECK(!speed.measured_again(4, 0.25));
  CHECK(speed.times() == doctest::Approx(4));
}

TEST_CASE("speed: measurements with and without others on the CPU do not confirm each other") {
  ft::Speed speed;
  speed.measured({0.5});
  add(&speed, 32, batch(3, 3, 1.5));
  CHECK(speed.times() == doctest::Approx(3));
  CHECK(speed.measured_again(2, 1));     // faster
  CHECK(speed.measured_again(3, 0.38));  // slower
  CHECK(speed.times() == doctest::Approx(3));
}

TEST_CASE("speed: what the pauses of an elastic device cost is known before it trains") {
  ft::Speed speed;
  speed.measured({0.5, 40'000});
  CHECK(speed.pauses_us() == doctest::Approx(10'000));
  speed.measured_again(1, 0.5, 0);  // its probes saw none
  CHECK(speed.pauses_us() == doctest::Approx(10'000));
  speed.measured_again(1, 0.5, 400'000);  // something has happened
  CHECK(speed.pauses_us() < 40'000);
  speed.measured({1, 40'000});
  CHECK(speed.pauses_us() == 0);
}

TEST_CASE("speed: after other work was given to a device, its pace at that is no shift") {
  ft::Speed speed;
  speed.measured({1});
  add(&speed, 20, batch(1.0, 1.0));
  speed.work_changed();
  add(&speed, 4, batch(2.0, 1.0));
  CHECK(speed.times() == doctest::Approx(2.0));
  CHECK(speed.take_shift() == 1);
  add(&speed, 4, batch(4.0, 1.0));
  CHECK(speed.take_shift() == doctest::Approx(2.0));
}

TEST_CASE("speed: a measurement that is far off counts when the next one says so, too") {
  ft::Speed speed;
  add(&speed, 8, batch(3.0, 1.0));
  CHECK(speed.measured_again(1, 1));
  CHECK(speed.times() == doctest::Approx(3.0));
  CHECK(!speed.measured_again(1.5, 1));  // the one that says less
  CHECK(speed.times() == doctest::Approx(1.5));
  add(&speed, 2, batch(3.0, 1.0));
  CHECK(speed.times() == doctest::Approx(1.5));

  CHECK(speed.measured_again(9, 1));
  CHECK(!speed.measured_again(1.6, 1));
  CHECK(speed.times() == doctest::Approx(1.5).epsilon(0.03));
  CHECK(speed.measured_again(9, 1));
  CHECK(speed.measured_again(0.2, 1));  // the other way
  CHECK(speed.times() == doctest::Approx(1.5).epsilon(0.03));
}
