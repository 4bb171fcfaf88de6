// `ftrun replay RUN_DIR`: the oracle. One process trains again what the record says, batch after
// batch, without a pipeline: per batch all stages forward, backward, step. It shares the executor
// and schedule.h with the pipeline, and nothing else.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/node/commands.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/resume.h"
#include "runtime/node/training_job.h"
#include "runtime/pipeline/schedule.h"
#include "runtime/store/checkpoint.h"

namespace ft {
namespace {

class Oracle {
 public:
  Oracle(const TrainingJob& job, int threads)
      : job_(job),
        training_(job.training),
        loader_(job.dataset.get(), job.batch_shape()),
        pool_(threads) {
    const TrainerOptions options = trainer_options(training_);
    for (int layer = 0; layer < job_.model->layer_count(); ++layer) {
      layouts_.push_back(layer_layout(*job_.model, layer, options.optimizer));
      states_.push_back(initial_state(*job_.model, layer, layouts_.back()));
    }
  }

  // Trains batches [first, last) with these ranges, from states_ to states_.
  Status run(const std::vector<LayerRange>& ranges, int64_t first, int64_t last) {
    if (first >= last) return Status();
    stages_.clear();
    for (const LayerRange& range : ranges) {
      FT_ASSIGN_OR_RETURN(
          std::unique_ptr<RangeTrainer> stage,
          RangeTrainer::create(job_.model, range, trainer_options(training_), &pool_));
      stage->load(first - 1, std::vector<LayerState>(states_.begin() + range.first,
                                                     states_.begin() + range.last));
      stages_.push_back(std::move(stage));
    }
    for (int64_t batch = first; batch < last; ++batch)
      FT_RETURN_IF_ERROR(run_batch(batch, first - 1));
    for (size_t s = 0; s < stages_.size(); ++s) {
      for (int layer = ranges[s].first; layer < ranges[s].last; ++layer) {
        states_[static_cast<size_t>(layer)] = stages_[s]->state(layer, last - 1);
      }
    }
    return Status();
  }

  std::string hash() const {
    return weights_sha256(*job_.model, values_of_states(*job_.model, layouts_, states_));
  }
  double loss() const { return loss_; }

 private:
  using Tensors = std::map<ValueId, ConstBufferPtr>;

  static std::vector<ConstBufferPtr> pick(const Tensors& tensors, const std::vector<ValueId>& ids) {
    std::vector<ConstBufferPtr> list;
    for (const ValueId id : ids) list.push_back(tensors.at(id));
    return list;
  }
  static Tensors name(const std::vector<ValueId>& ids, const std::vector<ConstBufferPtr>& list) {
    Tensors tensors;
    for (size_t i = 0; i < ids.size(); ++i) tensors[ids[i]] = list[i];
    return tensors;
  }

  Status run_batch(int64_t batch, int64_t resumed) {
    double loss_sum = 0;
    const int stages = static_cast<int>(stages_.size());
    for (int32_t micro = 0; micro < micro_count(training_); ++micro) {
      const LoadResult data = loader_.train(Load{LoadKind::kTrain, 0, batch, micro, 0});
      Tensors crossing = {{job_.model->input, data.input}};
      for (int s = 0; s < stages; ++s) {
        RangeTrainer& stage = *stages_[static_cast<size_t>(s)];
        const RangeProgram& program = stage.executor().train();
        const int64_t version = version_used(training_, {s, stages, resumed}, batch);
        FT_ASSIGN_OR_RETURN(
            RangeTrainer::ForwardResult result,
            stage.forward(batch, micro, version, pick(crossing, program.inputs), data.labels));
        if (!stage.is_last()) crossing = name(program.outputs, result.outputs);
        loss_sum += result.loss.loss_sum;
      }
      Tensors gradients;
      for (int s = stages - 1; s >= 0; --s) {
        RangeTrainer& stage = *stages_[static_cast<size_t>(s)];
        const RangeProgram& program = stage.executor().train();
        std::vector<ConstBufferPtr> received;
        if (!stage.is_last()) received = pick(gradients, program.received_gradients);
        gradients = name(program.sent_gradients, stage.backward(batch, micro, received));
      }
    }
    for (int s = 0; s < stages; ++s) {
      const StagePlace place{s, stages, resumed};
      stages_[static_cast<size_t>(s)]->step(batch, mean_from(training_, place, batch),
                                            {oldest_needed(training_, place, batch), {}});
    }
    loss_ = loss_sum / static_cast<double>(training_.batch_size());
    return Status();
  }

  const TrainingJob& job_;
  const net::Training& training_;
  BatchLoader loader_;
  ThreadPool pool_;
  std::vector<LayerLayout> layouts_;
  std::vector<LayerState> states_;  // by layer
  std::vector<std::unique_ptr<RangeTrainer>> stages_;
  double loss_ = 0;
};

}  // namespace

Status replay(const Options& options) {
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<RunDirectory> directory,
                      RunDirectory::open(options.run));
  FT_ASSIGN_OR_RETURN(const TrainingJob job, load_job(*directory));
  FT_ASSIGN_OR_RETURN(const Journal journal, directory->read_journal());
  const std::vector<RecordEntry>& record = journal.record;
  FT_RETURN_IF_ERROR(check_record(record, job));
  if (record.empty()) return invalid_error("the journal has no record");
  // It says how far the run has come, also when it was interrupted.
  FT_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                      read_checkpoint(directory->file("checkpoint.ftc")));
  if (checkpoint.model != job.model_sha) {
    return invalid_error("%s: the checkpoint belongs to another model than model.onnx",
                         options.run.c_str());
  }
  const int64_t batches = checkpoint.version + 1;
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Oracle oracle(job, options.threads > 0 ? options.threads : cores);
  for (size_t i = 0; i < record.size(); ++i) {
    const int64_t last =
        i + 1 < record.size() ? std::min(record[i + 1].first_batch, batches) : batches;
    FT_RETURN_IF_ERROR(oracle.run(record[i].ranges, record[i].first_batch, last));
  }
  if (options.json) {
    const nlohmann::ordered_json json = {{"event", "replayed"},
                                         {"batches", batches},
                                         {"loss", oracle.loss()},
                                         {"weights_sha256", oracle.hash()}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("replayed %lld batches, %zu configuration%s, loss %.6f\nweights_sha256 %s\n",
                static_cast<long long>(batches), record.size(), record.size() == 1 ? "" : "s",
                oracle.loss(), oracle.hash().c_str());
  }
  return Status();
}

}  // namespace ft
