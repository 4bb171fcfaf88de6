// `ftrun replay RUN_DIR`: the oracle trains again what the record says.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/node/commands.h"
#include "runtime/node/oracle.h"
#include "runtime/node/resume.h"
#include "runtime/store/checkpoint.h"

namespace ft {

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
  ThreadPool pool(options.threads > 0 ? options.threads : cores);
  Oracle oracle(&job, &pool);
  std::vector<LayerState> states = oracle.initial_states();
  for (size_t i = 0; i < record.size(); ++i) {
    const int64_t last =
        i + 1 < record.size() ? std::min(record[i + 1].first_batch, batches) : batches;
    const int64_t first = record[i].first_batch;
    if (first >= last) continue;
    FT_RETURN_IF_ERROR(oracle.resume(record[i].ranges, first - 1, states));
    while (oracle.version() + 1 < last) FT_RETURN_IF_ERROR(oracle.train_batch());
    states = oracle.states();
  }
  const std::string hash = oracle.hash(states);
  if (options.json) {
    const nlohmann::ordered_json json = {{"event", "replayed"},
                                         {"batches", batches},
                                         {"loss", oracle.loss()},
                                         {"weights_sha256", hash}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("replayed %lld batches, %zu configuration%s, loss %.6f\nweights_sha256 %s\n",
                static_cast<long long>(batches), record.size(), record.size() == 1 ? "" : "s",
                oracle.loss(), hash.c_str());
  }
  return Status();
}

}  // namespace ft
