#pragma once

// What a search over limits asks of the dynamic programming behind it (subset_search.h for all
// orders of devices, order_search.h for one): the least latency of a plan whose every c, f and b
// stays below a limit. Latency is the sum of all c, f and b; in async without the model's input.

namespace ft {

class LatencyProbe {
 public:
  virtual ~LatencyProbe() = default;

  // The least latency of a plan under the limit; kNever if there is none. In async every (S - s)
  // bound is kept, too. Plans of more latency than `latency_us_max` need not be found: the less it
  // is, the faster the probe.
  virtual double probe(double limit_us, double latency_us_max) = 0;

  // The greatest c, f or b of the plan that the last probe found. REQUIRES: it found one.
  virtual double slowest_us() = 0;
};

}  // namespace ft
