// Every combination of run, term and kind of message that matters.

#include "net/admission.h"

#include <doctest/doctest.h>

namespace ft {
namespace {

const RunId kRun{1};
const RunId kOther{2};

net::Control message_of(const RunId& run, uint64_t term) {
  net::Control message;
  stamp(Envelope{run, term, 9}, &message);
  return message;
}

Verdict ready(const Envelope& own, const RunId& run, uint64_t term) {
  net::Control message = message_of(run, term);
  message.mutable_ready();
  BulkHeader header;
  header.run = run;
  header.term = term;
  const Verdict verdict = admit(own, message);
  CHECK(admit(own, header) == verdict);  // bulk is judged like a sequenced message
  net::Control ack = message_of(run, term);
  ack.mutable_ack();
  CHECK(admit(own, ack) == verdict);  // and an acknowledgement belongs to its stream
  return verdict;
}

Verdict pause(const Envelope& own, const RunId& run, uint64_t term) {
  net::Control message = message_of(run, term);
  message.mutable_pause();
  return admit(own, message);
}

Verdict heartbeat(const Envelope& own, const RunId& run, uint64_t term) {
  net::Control message = message_of(run, term);
  message.mutable_heartbeat();
  return admit(own, message);
}

const Envelope kFresh{RunId{}, 0, 1};
const Envelope kMember{kRun, 5, 1};

}  // namespace

TEST_CASE("admission: sequenced messages belong to one term of one run") {
  CHECK(ready(kMember, kRun, 5) == Verdict::kDeliver);
  CHECK(ready(kMember, kRun, 4) == Verdict::kDrop);
  CHECK(ready(kMember, kRun, 6) == Verdict::kWait);
  CHECK(ready(kMember, kOther, 5) == Verdict::kDrop);
  CHECK(ready(kMember, kOther, 6) == Verdict::kDrop);
  CHECK(ready(kMember, RunId{}, 6) == Verdict::kDrop);
  CHECK(ready(kFresh, kRun, 5) == Verdict::kWait);  // its Pause is on its way
}

TEST_CASE("admission: only a Pause raises the term; a fresh node takes any run's") {
  CHECK(pause(kMember, kRun, 6) == Verdict::kRaise);
  CHECK(pause(kMember, kRun, 5) == Verdict::kDeliver);  // the stream knows it already
  CHECK(pause(kMember, kRun, 4) == Verdict::kStale);
  CHECK(pause(kMember, kOther, 6) == Verdict::kDrop);
  CHECK(pause(kFresh, kOther, 6) == Verdict::kRaise);
  CHECK(pause(kFresh, RunId{}, 6) == Verdict::kDrop);
}

TEST_CASE("admission: heartbeats of the own run come through, whatever their term") {
  CHECK(heartbeat(kMember, kRun, 5) == Verdict::kDeliver);
  CHECK(heartbeat(kMember, kRun, 6) == Verdict::kDeliver);
  CHECK(heartbeat(kMember, kRun, 4) == Verdict::kDeliver);  // its sender lags behind
  CHECK(heartbeat(kMember, kOther, 9) == Verdict::kDrop);
  CHECK(heartbeat(kFresh, kRun, 1) == Verdict::kDeliver);
  CHECK(heartbeat(kMember, RunId{}, 0) == Verdict::kDeliver);
}

TEST_CASE("admission: Hello, Refuse and Discard stand outside of runs and terms") {
  for (const Envelope& own : {kFresh, kMember}) {
    net::Control message = message_of(kOther, 1);
    message.mutable_hello();
    CHECK(admit(own, message) == Verdict::kDeliver);
    message.mutable_refuse();
    CHECK(admit(own, message) == Verdict::kDeliver);
    message.mutable_discard();
    CHECK(admit(own, message) == Verdict::kDeliver);
  }
}

}  // namespace ft
