#include "net/link_meter.h"

#include <doctest/doctest.h>

TEST_CASE("link meter: small bursts tell the round trip, large ones the rate") {
  ft::LinkMeter meter;
  CHECK(meter.bytes_per_us() == 0);
  CHECK(meter.round_trip_us() == 0);
  meter.began(0);
  meter.acknowledged(100, true, 2000);
  CHECK(meter.round_trip_us() == 2000);
  CHECK(meter.bytes_per_us() == 0);
  meter.began(10'000);
  meter.acknowledged(200'000, true, 112'000);  // 100 ms besides the round trip
  CHECK(meter.bytes_per_us() == doctest::Approx(2.0));
}

TEST_CASE("link meter: a round trip that others have seen counts like one of its own") {
  ft::LinkMeter meter;
  meter.round_trip(3000);
  CHECK(meter.round_trip_us() == 3000);
  meter.began(0);
  meter.acknowledged(200'000, true, 103'000);
  CHECK(meter.bytes_per_us() == doctest::Approx(2.0));
}

TEST_CASE("link meter: a burst that never ends is cut off and tells the rate all the same") {
  ft::LinkMeter meter;
  meter.began(0);
  for (int i = 1; i <= 100; ++i) meter.acknowledged(262'144, false, i * 131'072);
  CHECK(meter.bytes_per_us() == doctest::Approx(2.0));
}

TEST_CASE("link meter: small chunks on a very slow link tell the rate, too") {
  ft::LinkMeter meter;
  meter.began(0);
  for (int i = 1; i <= 100; ++i) meter.acknowledged(16'384, false, i * 327'680);
  CHECK(meter.bytes_per_us() == doctest::Approx(0.05));
}

TEST_CASE("link meter: a peer that was busy does not make the link slow") {
  ft::LinkMeter meter;
  const ft::TimeUs taken[] = {10'000, 90'000, 12'000, 50'000};
  ft::TimeUs now = 0;
  for (const ft::TimeUs us : taken) {
    meter.began(now);
    now += us;
    meter.acknowledged(1'000'000, true, now);
  }
  CHECK(meter.bytes_per_us() == doctest::Approx(100.0));
  meter.began(now);
  meter.forget_burst();
  meter.acknowledged(1'000'000, true, now + 1);
  CHECK(meter.bytes_per_us() == doctest::Approx(100.0));
}

TEST_CASE("link meter: a link that became slow is known to be slow some bursts later") {
  ft::LinkMeter meter;
  ft::TimeUs now = 0;
  for (int i = 0; i < 40; ++i) {
    meter.began(now);
    now += i < 20 ? 10'000 : 500'000;
    meter.acknowledged(1'000'000, true, now);
  }
  CHECK(meter.bytes_per_us() == doctest::Approx(2.0));
}
