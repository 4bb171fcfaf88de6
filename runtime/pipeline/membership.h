#pragma once

// Membership: the devices that central knows, who of them belongs to the current term, and who has
// to wait because it flaps. Pure.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "net/bulk.h"
#include "net/message.pb.h"
#include "partition/layer_mix.h"
#include "partition/speed.h"
#include "runtime/base/clock.h"

namespace ft {

// A device lost within this time after it was admitted flaps: it waits before it is admitted again,
// twice as long each time.
constexpr TimeUs kSteadyUs = 10 * kSecondUs;
constexpr TimeUs kFlapWaitMinUs = kSecondUs;
constexpr TimeUs kFlapWaitMaxUs = 64 * kSecondUs;

struct Device {
  net::Hello hello;
  int joined = 0;          // order of joining; central's own is first
  bool member = false;     // of this term; others wait to become one
  bool answered = false;   // inventory or ready, whichever the phase waits for
  bool leaving = false;    // wants to hand over what it holds
  bool dismissed = false;  // may go: has been told to finish
  TimeUs admitted_at = -1;
  TimeUs deaf_since = -1;  // a member that says Hello does not hear us
  std::string numerics;
  int64_t version = -1;  // newest version its stage has made
  TimeUs progress_at = 0;
  TimeUs busy_us = 0;
  TimeUs train_us = 0;
  TimeUs train_cpu_us = 0;
  TimeUs cpu_us = 0;
  TimeUs snapshot_us = 0;
  // For planning, see net::Measured
  std::vector<double> layer_us;  // empty: not measured
  LayerMix mix;                  // of its range
  Speed speed;
  bool measuring = false;         // asked, in this term
  TimeUs measure_again_at = 0;    // not before
  TimeUs measure_again_wait = 0;  // doubles while it has told nothing new
};

class Membership {
 public:
  Device* find(PeerId peer);
  const Device* find(PeerId peer) const;
  const Device& at(PeerId peer) const { return devices_.at(peer); }
  Device& at(PeerId peer) { return devices_.at(peer); }
  const std::map<PeerId, Device>& all() const { return devices_; }
  std::map<PeerId, Device>& all() { return devices_; }
  int count() const { return static_cast<int>(devices_.size()); }
  int present() const;  // without the dismissed

  Device& add(PeerId peer, const net::Hello& hello);
  void remove(PeerId peer, TimeUs now);

  // When a device of this name may become a member; 0: at once.
  TimeUs admitted_from(const std::string& name) const;
  // Everybody who is here, the dismissed excepted, becomes a member of a new term.
  void begin_term(TimeUs now);
  bool has_joiners() const;
  bool has_leaving() const;  // that still have to hand over

  void expect_answers();
  bool all_answered() const;
  // Members in order of joining; those who leave come last.
  std::vector<PeerId> in_order() const;
  std::set<PeerId> leaving() const;

 private:
  struct Flap {
    int count = 0;
    TimeUs until = 0;
  };
  std::map<PeerId, Device> devices_;
  std::map<std::string, Flap> flaps_;
  int joined_ = 0;
};

}  // namespace ft
