// Stage and its speed: how long each layer takes here, for central to plan with.

#include <algorithm>

#include "partition/speed.h"
#include "runtime/pipeline/cpu_message.h"
#include "runtime/pipeline/stage.h"
#include "runtime/pipeline/training_difference.h"

namespace ft {

// Layers that were measured for the same job before need not be measured again.
void Stage::on_measure(const net::Measure& measure) {
  const bool same = training_difference(measured_for_, measure.training()).empty();
  if (!same && !options_.beside_central) {
    layer_us_.clear();
    layers_us_.clear();
    measured_for_ = measure.training();
  }
  measure_ = measure;
  probe_ = Probe();
  measures_ = !layer_us_.empty() == measure.again();
  if (!measures_) return tell_measured();
  if (!measure.again()) {
    want_model(measure.model_from(), measure.model_sha256(), measure.model_bytes());
  }
}

// Whenever there is nothing else to do: a device that trains goes on training. First the layers,
// some at a time, then what the CPU gets done. From the first such piece to the last the device is
// never idle, so the share of the CPU is what the process gets in that time, whatever it does with
// it. A piece alone says little: a quota's pauses are longer than it.
bool Stage::start_measure() {
  if (!measures_ || model_wanted_) return false;
  const bool layers_done = measure_.again() || layers_known_ == static_cast<int>(layers_us_.size());
  Task task;
  task.kind = TaskKind::kMeasure;
  task.layer = layers_done ? kNoLayer : static_cast<int32_t>(layers_us_.size());
  *task.assign.mutable_training() = measure_.training();
  task.assign.set_model_sha256(measure_.model_sha256());
  task.model = std::move(model_);
  model_.reset();
  start(std::move(task));
  return true;
}

void Stage::on_measured(const TaskResult& result) {
  if (!measures_) return;
  if (result.layer != kNoLayer) {
    options_.hello.set_model_sha256(measure_.model_sha256());
    layers_known_ = result.layers;
    if (result.byte_us > 0) cpu_.byte_us = result.byte_us;
    layers_us_.insert(layers_us_.end(), result.layer_us.begin(), result.layer_us.end());
    return;
  }
  if (probe_.work == 0) {
    probe_.process_cpu_from = result.process_cpu_us;
    probe_.awake_from = awake_us_;
    probe_.busy_from = busy_us_;
  }
  probe_.work += result.work;
  probe_.cpu_us += result.cpu_us;
  probe_.pauses_us += result.pauses_us;
  probe_.pauses_us2 += result.pauses_us2;
  const TimeUs passed = busy_us_ - probe_.busy_from;
  if (passed < measure_.budget_us()) return;
  const TimeUs process_cpu = result.process_cpu_us - probe_.process_cpu_from;
  const double share = cpu_share(static_cast<double>(process_cpu),
                                 static_cast<double>(awake_us_ - probe_.awake_from));
  const bool look_longer = !measure_.again() && share < kElasticShare;
  if (look_longer && passed < kElasticLooks * measure_.budget_us()) return;
  const double pause_us = pause_length(probe_.pauses_us, probe_.pauses_us2);
  const double work_per_us = probe_.work / std::max(probe_.cpu_us, 1.0) * share;
  if (!measure_.again()) {
    for (const double us : layers_us_) layer_us_.push_back(static_cast<float>(us / share));
    work_per_us_ = work_per_us;
    cpu_.share = share;
    cpu_.pause_us = pause_us;
    return tell_measured();
  }
  measures_ = false;
  net::Control message;
  net::Measured* measured = message.mutable_measured();
  measured->set_times(static_cast<float>(work_per_us_ / work_per_us));
  tell_cpu({share, pause_us, cpu_.byte_us}, measured);
  send(central_, std::move(message));
}

// What was measured first, as an inventory has it, too.
void Stage::tell_measured() {
  measures_ = false;
  net::Control message;
  net::Measured* measured = message.mutable_measured();
  measured->mutable_layer_us()->Assign(layer_us_.begin(), layer_us_.end());
  tell_cpu(cpu_, measured);
  send(central_, std::move(message));
}

}  // namespace ft
