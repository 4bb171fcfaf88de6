#pragma once

// Cluster: a whole simulated run: machines, their processes, the faults, and what must come of it.
//
// First the faults strike (safety: the checkers look all the time). Then everything is healed,
// central and stages that are gone are started again, and the run must finish within a bounded
// time (liveness), unless no whole cut is left anywhere: then central must say what it waits for.
//
// Two centrals must never both train, as long as somebody is there who can tell: a device that one
// of them has heard and that follows the other. Without one they split, and the run ends here.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/process.h"

namespace ft::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  RunSpec spec;
  std::vector<Fault> faults;
  std::string plant;       // empty: none
  bool keep_text = false;  // of the trace
  bool heal = true;        // after the last fault; scenarios say so themselves
};

struct RunResult {
  enum class End : uint8_t { kFinished, kWaiting, kSplit, kViolation };
  End end = End::kFinished;
  std::string violation;
  uint64_t hash = 0;
  int64_t notes = 0;
  TimeUs virtual_us = 0;
  int reconfigurations = 0;
  int repartitions = 0;       // of these
  int64_t replayed = 0;       // the most in one reconfiguration
  int64_t in_flight_max = 0;  // batches, of any stage
  std::array<int, kFaultKinds> faults{};
  size_t faults_struck = 0;
  int refused = 0;                       // centrals
  std::vector<std::string> last_stages;  // names, in the order of the last configuration
  std::vector<TimedReport> reports;      // of the central that finished
  std::vector<std::string> text;
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  RunResult run();

 private:
  // A machine; what runs there comes and goes.
  struct Device {
    std::string name;
    Process* process = nullptr;
    PeerId incarnation = 0;  // the last
  };

  Process* start_process(Device* device, int host, const std::string& listen);
  void start_stage(int device);
  void start_central(SimDisk* disk, bool resume, int host);
  int running_stages() const;
  SimDisk* add_disk(const SimDisk& content);
  ReportChecker* reports_of(const SimDisk* disk);

  // Faults
  void arm();
  void happened(Moment moment, int64_t value);
  void strike();
  void strike_at_note();
  void apply(const Fault& fault);
  void apply_to_stage(const Fault& fault);
  void apply_to_link(const Fault& fault);
  void crash_central(const Fault& fault);
  void take_over(const Fault& fault);
  void pause(Process* process, TimeUs duration);
  void each_way(const Fault& fault, const std::function<void(Link*)>& change);
  void lasts(TimeUs duration, std::function<void()> end);
  void heal();

  // The end
  void leads(const Process& central);
  bool is_over();
  void find_winner();
  void restart_central();
  void restart_refused();
  bool hears_of(PeerId central, PeerId other) const;
  bool are_apart(PeerId first, PeerId second) const;
  bool has_centrals_apart() const;
  void check_contested();
  // Of one lost directory the stages know enough; of two, or of two centrals at a time, perhaps
  // not.
  bool may_be_refused() const { return strangers_ > 1; }
  void check_end();
  void check_statuses();
  void check_weights();
  bool has_state() const;

  ClusterOptions options_;
  Surroundings all_;
  Dice dice_;
  std::vector<std::unique_ptr<SimDisk>> disks_;
  std::vector<std::unique_ptr<ReportChecker>> reports_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<Device> devices_;  // 0: central's
  Process* leader_ = nullptr;    // the newest central
  SimDisk* disk_ = nullptr;      // its disk
  Process* winner_ = nullptr;    // the central that has finished the run
  int strangers_ = 0;            // centrals that cannot know of one before or beside them
  bool split_ = false;           // they cannot know of each other
  int workers_ = 1;

  size_t next_fault_ = 0;
  bool due_ = false;  // the next fault's moment has come
  int64_t newest_batch_ = -1;
  TimeUs began_ = 0;
  bool healed_ = false;   // for good
  TimeUs healed_at_ = 0;  // or, in a scenario, when the last fault struck
  TimeUs done_at_ = -1;
  RunResult result_;
};

// A random run: job and faults are drawn from the seed.
ClusterOptions draw_run(uint64_t seed);

}  // namespace ft::sim
