#include "net/detector.h"

#include <doctest/doctest.h>

namespace ft {
namespace {

constexpr TimeUs kTickUs = 20 * kMillisecondUs;

// Ticks from `from` until a loss or `until`; returns the time of the loss or -1.
TimeUs lost_at(FaultDetector* detector, TimeUs from, TimeUs until, std::string* cause = nullptr) {
  for (TimeUs now = from; now <= until; now += kTickUs) {
    const auto losses = detector->tick(now);
    if (losses.empty()) continue;
    if (cause != nullptr) *cause = losses[0].cause;
    return now;
  }
  return -1;
}

}  // namespace

TEST_CASE("detector: silence for the failure timeout is a loss, reported once") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  detector.heard(7, 100 * kMillisecondUs);
  std::string cause;
  CHECK(lost_at(&detector, 0, 3 * kSecondUs, &cause) == 1100 * kMillisecondUs);
  CHECK(cause == "nothing heard for 1.0 s");
  CHECK(lost_at(&detector, 1120 * kMillisecondUs, 4 * kSecondUs) == -1);
}

TEST_CASE("detector: a peer that is heard in time is never lost") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  for (TimeUs now = 0; now < 10 * kSecondUs; now += kTickUs) {
    if (now % (980 * kMillisecondUs) == 0) detector.heard(7, now);
    REQUIRE(detector.tick(now).empty());
  }
}

TEST_CASE("detector: a closed connection and silence for a probe is a loss") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  detector.add(8, 0);
  detector.disconnected(7, 100 * kMillisecondUs);
  detector.disconnected(7, 200 * kMillisecondUs);  // the first counts
  std::string cause;
  CHECK(lost_at(&detector, 0, 900 * kMillisecondUs, &cause) == 100 * kMillisecondUs + kProbeUs);
  CHECK(cause == "connection closed, no answer for 0.2 s");
}

TEST_CASE("detector: a peer heard after its connection closed lives on") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  detector.disconnected(7, 100 * kMillisecondUs);
  CHECK(lost_at(&detector, 0, 200 * kMillisecondUs) == -1);
  detector.heard(7, 200 * kMillisecondUs);
  CHECK(lost_at(&detector, 220 * kMillisecondUs, 3 * kSecondUs) == 1200 * kMillisecondUs);
}

TEST_CASE("detector: the probe is never longer than the failure timeout") {
  FaultDetector detector(FaultDetectorOptions{100 * kMillisecondUs});
  detector.add(7, 0);
  detector.tick(0);
  detector.heard(7, 40 * kMillisecondUs);
  detector.disconnected(7, 40 * kMillisecondUs);
  CHECK(lost_at(&detector, 40 * kMillisecondUs, kSecondUs) == 140 * kMillisecondUs);
}

TEST_CASE("detector: who was stopped itself condemns nobody") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  detector.add(8, 0);
  detector.disconnected(8, 0);
  CHECK(detector.tick(kTickUs).empty());
  CHECK(detector.awake_since() == 0);
  CHECK(detector.tick(10 * kSecondUs).empty());  // asleep for 10 s
  CHECK(detector.awake_since() == 10 * kSecondUs);
  std::string cause;
  CHECK(lost_at(&detector, 10 * kSecondUs, 12 * kSecondUs, &cause) ==
        10 * kSecondUs + kProbeUs);  // 8: a probe of its own
  CHECK(lost_at(&detector, 10 * kSecondUs + kProbeUs + kTickUs, 12 * kSecondUs) == 11 * kSecondUs);
}

TEST_CASE("detector: exactly half a timeout between ticks is not yet a sleep") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  CHECK(detector.tick(0).empty());
  CHECK(detector.tick(kSecondUs / 2).empty());
  CHECK(detector.tick(kSecondUs).size() == 1);
}

TEST_CASE("detector: removed and unknown peers are nobody's loss") {
  FaultDetector detector(FaultDetectorOptions{kSecondUs});
  detector.add(7, 0);
  detector.remove(7);
  detector.heard(9, 0);
  detector.disconnected(9, 0);
  CHECK(lost_at(&detector, 0, 3 * kSecondUs) == -1);
}

}  // namespace ft
