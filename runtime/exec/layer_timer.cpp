#include "runtime/exec/layer_timer.h"

#include <algorithm>

#include "runtime/base/clock.h"
#include "runtime/exec/made_up_run.h"

namespace ft {
namespace {

// At least kRoundsMin, then until the layer has been looked at for kEnoughUs.
constexpr int kRoundsMin = 2;
constexpr int kRoundsMax = 10;
constexpr double kEnoughUs = 500;
constexpr double kLongUs = 50'000;  // a layer that takes longer runs once only

// CPU time of the rounds so far.
class Stopwatch {
 public:
  explicit Stopwatch(const ThreadPool* pool) : pool_(*pool) {}

  void start() {
    own_us_ -= thread_cpu_now_us();
    workers_us_ -= pool_.worker_cpu_us();
  }
  void stop() {
    own_us_ += thread_cpu_now_us();
    workers_us_ += pool_.worker_cpu_us();
    ++rounds_;
  }
  // What was measured so far was a warm-up.
  void forget() {
    own_us_ = workers_us_ = 0;
    rounds_ = 0;
  }
  // The caller does its share and waits for the workers'.
  double total_us() const {
    const auto shared = static_cast<double>(own_us_ + workers_us_) / pool_.threads();
    return std::max(static_cast<double>(own_us_), shared);
  }
  double average_us() const { return total_us() / rounds_; }

 private:
  const ThreadPool& pool_;
  TimeUs own_us_ = 0;
  TimeUs workers_us_ = 0;
  int rounds_ = 0;
};

}  // namespace

Result<double> time_layer(const std::shared_ptr<const Model>& model, int layer,
                          const TrainerOptions& options, ThreadPool* pool) {
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<MadeUpRun> run,
                      MadeUpRun::create(model, {layer, layer + 1}, options, pool));
  Stopwatch passes(pool);
  Stopwatch steps(pool);
  for (int batch = 0; batch <= kRoundsMax; ++batch) {
    passes.start();
    FT_RETURN_IF_ERROR(run->forward());
    run->backward();
    passes.stop();
    steps.start();
    run->step();
    steps.stop();
    if (batch == 0 && passes.total_us() > kLongUs) break;
    if (batch == 0) {
      passes.forget();
      steps.forget();
    } else if (batch >= kRoundsMin && passes.total_us() + steps.total_us() >= kEnoughUs) {
      break;
    }
  }
  return passes.average_us() + steps.average_us() / options.micro_batches;
}

}  // namespace ft
