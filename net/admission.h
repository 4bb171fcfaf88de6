#pragma once

// Admission: what becomes of an arriving message, by its run and term (DESIGN 4). Pure.
//
// Streams live within one term of one run. Only a Pause raises a node's term, so only a Pause comes
// through from a term that we have not reached; the rest of that term waits at its sender, which
// resends it when we acknowledge that we have arrived. A node without a run takes any run's Pause.

#include "net/bulk.h"
#include "net/control.h"

namespace ft {

enum class Verdict : uint8_t {
  kDeliver,  // of our term, or outside of terms
  kRaise,    // a Pause that leads to a newer term
  kStale,    // a Pause of an older term: its sender does not know that the run went on
  kWait,     // of a newer term: neither delivered nor acknowledged
  kDrop,     // of an older term or another run
};

// `own` is where the receiver stands.
Verdict admit(const Envelope& own, const net::Control& message);
Verdict admit(const Envelope& own, const BulkHeader& header);

}  // namespace ft
