#include "net/admission.h"

namespace ft {
namespace {

Verdict admit_sequenced(const Envelope& own, const RunId& run, uint64_t term) {
  if (own.run == run) {
    if (term == own.term) return Verdict::kDeliver;
    return term > own.term ? Verdict::kWait : Verdict::kDrop;
  }
  // Its Pause is still on its way to us.
  return own.run == RunId{} ? Verdict::kWait : Verdict::kDrop;
}

// Of any term: the receiver judges what an older or a newer one means.
Verdict admit_heartbeat(const Envelope& own, const RunId& run) {
  const bool same = own.run == RunId{} || run == RunId{} || own.run == run;
  return same ? Verdict::kDeliver : Verdict::kDrop;
}

}  // namespace

Verdict admit(const Envelope& own, const net::Control& message) {
  const RunId run = run_of(message);
  switch (message.body_case()) {
    case net::Control::kHello:
    case net::Control::kRefuse:
    case net::Control::kDiscard:
      return Verdict::kDeliver;
    case net::Control::kHeartbeat:
      return admit_heartbeat(own, run);
    default:
      break;
  }
  const Verdict verdict = admit_sequenced(own, run, message.term());
  if (verdict == Verdict::kWait && message.has_pause()) {
    return run == RunId{} ? Verdict::kDrop : Verdict::kRaise;
  }
  if (verdict == Verdict::kDrop && message.has_pause() && run == own.run) return Verdict::kStale;
  return verdict;
}

Verdict admit(const Envelope& own, const BulkHeader& header) {
  return admit_sequenced(own, header.run, header.term);
}

}  // namespace ft
