// Who belongs to a term, and who has to wait.

#include "runtime/pipeline/membership.h"

#include <doctest/doctest.h>

namespace {

ft::net::Hello named(const std::string& name) {
  ft::net::Hello hello;
  hello.set_name(name);
  return hello;
}

}  // namespace

TEST_CASE("membership: a device that flaps waits, doubling, until it stays") {
  ft::Membership members;
  ft::TimeUs now = 100 * ft::kSecondUs;
  ft::TimeUs waited = 0;
  for (int times = 0; times < 12; ++times) {
    members.add(5, named("pi"));
    members.begin_term(now);
    now += ft::kSecondUs;
    members.remove(5, now);
    const ft::TimeUs wait = members.admitted_from("pi") - now;
    CHECK(wait == std::min(times == 0 ? ft::kFlapWaitMinUs : 2 * waited, ft::kFlapWaitMaxUs));
    waited = wait;
  }
  CHECK(members.admitted_from("another") == 0);
  members.add(6, named("pi"));
  members.begin_term(now);
  now += ft::kSteadyUs;
  members.remove(6, now);
  CHECK(members.admitted_from("pi") <= now);
}

TEST_CASE("membership: those who leave come last, the dismissed not at all") {
  ft::Membership members;
  for (const ft::PeerId peer : {1, 2, 3, 4}) members.add(peer, named("x"));
  members.at(2).leaving = true;
  members.at(3).leaving = true;
  members.at(3).dismissed = true;
  members.begin_term(0);
  CHECK(members.in_order() == std::vector<ft::PeerId>{1, 4, 2});
  CHECK(members.has_leaving());
  CHECK(!members.has_joiners());
}

TEST_CASE("membership: who is dismissed is not present any more") {
  ft::Membership members;
  for (const ft::PeerId peer : {1, 2, 3}) members.add(peer, named("x"));
  CHECK(members.present() == 3);
  members.at(3).dismissed = true;
  CHECK(members.present() == 2);
  members.at(2).dismissed = true;
  CHECK(members.present() == 1);
}
