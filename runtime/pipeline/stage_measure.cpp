// Stage and its speed: how long each layer takes here, for central to plan with.

#include <numeric>

#include "partition/speed.h"
#include "runtime/pipeline/stage.h"

namespace ft {

// Layers that were measured for the same job before need not be measured again.
void Stage::on_measure(const net::Measure& measure) {
  const bool same = measured_for_.SerializeAsString() == measure.training().SerializeAsString();
  if (!same && !options_.beside_central) {
    layer_us_.clear();
    median_us_.clear();
    average_us_ = 0;
    measured_for_ = measure.training();
  }
  measure_ = measure;
  again_spent_us_ = 0;
  again_expected_us_ = 0;
  again_layer_ = 0;
  measures_ = !layer_us_.empty() == measure.again();
  if (!measures_) return tell_measured();
  want_model(measure.model_from(), measure.model_sha256(), measure.model_bytes());
}

// Whenever there is nothing else to do: a device that trains goes on training.
bool Stage::start_measure() {
  if (!measures_ || model_wanted_) return false;
  Task task;
  task.kind = TaskKind::kMeasure;
  task.layer = static_cast<int32_t>(measure_.again() ? again_layer_ : median_us_.size());
  *task.assign.mutable_training() = measure_.training();
  task.assign.set_model_sha256(measure_.model_sha256());
  task.model = std::move(model_);
  model_.reset();
  start(std::move(task));
  return true;
}

void Stage::on_measured(const TaskResult& result) {
  options_.hello.set_model_sha256(measure_.model_sha256());
  if (!measures_) return;
  if (measure_.again()) {
    again_spent_us_ += result.average_us;
    again_expected_us_ += layer_us_[again_layer_];
    again_layer_ = (again_layer_ + 1) % layer_us_.size();
    if (again_spent_us_ >= static_cast<double>(measure_.budget_us())) tell_measured();
    return;
  }
  median_us_.push_back(result.median_us);
  average_us_ += result.average_us;
  if (static_cast<int32_t>(median_us_.size()) < result.layers) return;
  // Medians say how layers compare, the averages how much of its time the device has for us.
  const double sum = std::accumulate(median_us_.begin(), median_us_.end(), 0.0);
  const double times = sum > 0 ? average_us_ / sum : 1;
  elastic_ = times > kElasticTimes;
  for (const double us : median_us_) layer_us_.push_back(static_cast<float>(us * times));
  tell_measured();
}

void Stage::tell_measured() {
  measures_ = false;
  net::Control message;
  net::Measured* measured = message.mutable_measured();
  if (measure_.again() && again_expected_us_ > 0) {
    measured->set_times(static_cast<float>(again_spent_us_ / again_expected_us_));
  } else {
    measured->mutable_layer_us()->Assign(layer_us_.begin(), layer_us_.end());
  }
  measured->set_elastic(elastic_);
  send(central_, std::move(message));
}

}  // namespace ft
