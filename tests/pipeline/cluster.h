#pragma once

// A whole cluster in one thread: the real state machines over a fake network, executor and data
// thread. Weights are digests: a layer's state after batch b is a hash over everything that went
// into it, so a batch that is lost, doubled or computed with a wrong version shows in the end.
// What happens next is drawn from a seed: a run replays.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/pipeline/central.h"
#include "runtime/pipeline/stage.h"

namespace ft::test {

using Digest = uint64_t;

struct ClusterOptions {
  uint64_t seed = 0;
  int stages = 3;  // central's own included
  int layers = 7;
  bool sync = false;
  int micro_batches = 3;
  int aggregate_every = 0;
  int64_t batches = 12;
  int64_t batches_per_epoch = 5;
  int64_t evaluation_batches = 3;  // 0: no evaluation
  int64_t replicate_every = 2;
  int64_t global_every = 2;
  int crashes = 0;     // of stages other than central's, at random moments
  int join_after = 0;  // a fresh stage appears for each crashed one, so many steps later; 0: never
};

// What the run must end with, computed batch by batch by the rules of DESIGN 3 alone.
std::vector<Digest> oracle(const ClusterOptions& options, const net::Record& record);

class FakeExecutor;

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();

  // Runs until central exits or nothing can happen any more. Returns whether it exited.
  bool run();

  const Status& status() const { return status_; }
  std::vector<Digest> final_digests() const;
  const net::Record& record() const { return record_; }
  const std::vector<ReconfiguredReport>& reconfigurations() const { return reconfigurations_; }
  const std::vector<BatchReport>& batches() const { return batches_; }
  const std::vector<EvaluatedReport>& evaluations() const { return evaluations_; }
  int in_flight_max(int stage) const { return in_flight_max_.at(stage); }
  int stages_exited() const { return stages_exited_; }

 private:
  struct Node {
    std::unique_ptr<Stage> stage;
    std::unique_ptr<FakeExecutor> executor;
    std::deque<TaskResult> results;
    int place = 0;  // in the pipeline
  };
  struct Message {
    PeerId from;
    bool to_central;
    Event event;
  };
  uint64_t draw(uint64_t bound);
  void deliver_stage(PeerId peer, const Event& event);
  void deliver_central(const Event& event);
  void perform(PeerId at, bool from_central, Actions actions);
  bool step_once();
  void add_stage(PeerId peer);
  void crash(PeerId peer);

  ClusterOptions options_;
  net::Training training_;
  std::unique_ptr<Central> central_;
  std::map<PeerId, Node> nodes_;
  // Links are ordered, as the transport's streams are: control and bulk apart.
  std::map<std::pair<PeerId, std::pair<PeerId, int>>, std::deque<Message>> links_;
  std::deque<LoadResult> loads_;
  uint64_t draws_ = 0;
  TimeUs now_ = 0;
  RunId run_{};
  std::map<PeerId, uint64_t> terms_;
  uint64_t central_term_ = 0;

  bool exited_ = false;
  Status status_;
  Complete complete_;
  net::Record record_;
  std::vector<ReconfiguredReport> reconfigurations_;
  std::vector<BatchReport> batches_;
  std::vector<EvaluatedReport> evaluations_;
  std::map<int, int> in_flight_;
  std::map<int, int> in_flight_max_;
  int stages_exited_ = 0;
};

}  // namespace ft::test
