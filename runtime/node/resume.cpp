#include "runtime/node/resume.h"

#include <filesystem>

#include "runtime/base/log.h"
#include "runtime/store/checkpoint.h"

namespace ft {
namespace {

net::Record to_record(const std::vector<RecordEntry>& entries) {
  net::Record record;
  for (const RecordEntry& entry : entries) {
    net::RecordEntry* item = record.add_entries();
    item->set_first_batch(entry.first_batch);
    item->set_term(entry.term);
    for (const LayerRange& range : entry.ranges) {
      net::LayerRange* added = item->add_ranges();
      added->set_first(range.first);
      added->set_last(range.last);
    }
  }
  return record;
}

Status check_checkpoint(const Checkpoint& checkpoint, const TrainingJob& job,
                        const std::vector<int64_t>& layer_bytes) {
  if (checkpoint.model != job.model_sha) return invalid_error("it belongs to another model");
  if (checkpoint.version < 0 || checkpoint.version >= job.training.batches()) {
    return invalid_error("it stands after batch %lld, but the run has %lld",
                         static_cast<long long>(checkpoint.version + 1),
                         static_cast<long long>(job.training.batches()));
  }
  bool fits = checkpoint.snapshots.size() == layer_bytes.size();
  for (size_t i = 0; fits && i < layer_bytes.size(); ++i) {
    fits = static_cast<int64_t>(checkpoint.snapshots[i]->size()) == layer_bytes[i];
  }
  return fits ? Status() : invalid_error("its layers are not those of this run");
}

}  // namespace

Status check_record(const std::vector<RecordEntry>& record, const TrainingJob& job) {
  int64_t next = 0;
  uint64_t term = 0;
  for (const RecordEntry& entry : record) {
    int layer = 0;
    bool whole = !entry.ranges.empty();
    for (const LayerRange& range : entry.ranges) {
      whole = whole && range.first == layer && range.last > range.first;
      layer = range.last;
    }
    const bool in_order = entry.first_batch >= next && entry.term > term;
    if (!whole || !in_order || layer != job.model->layer_count()) {
      return invalid_error("the journal's record does not fit the model: it is damaged");
    }
    next = entry.first_batch;
    term = entry.term;
  }
  if (!record.empty() && record.front().first_batch != 0) {
    return invalid_error("the journal has no record that begins with batch 0");
  }
  return Status();
}

Result<ResumedRun> read_resumed_run(const RunDirectory& directory, const TrainingJob& job,
                                    const std::vector<int64_t>& layer_bytes) {
  ResumedRun run;
  run.restart.resume = true;
  if (!directory.has_run()) return run;
  FT_ASSIGN_OR_RETURN(const Journal journal, directory.read_journal());
  FT_RETURN_IF_ERROR(check_record(journal.record, job));
  run.restart.term = journal.term;
  run.restart.record = to_record(journal.record);
  run.progress = directory.read_progress();
  run.restart.finished = run.progress.finished;
  run.restart.reported = run.progress.batch;
  run.restart.evaluated = run.progress.evaluated;
  const std::string path = directory.file("checkpoint.ftc");
  if (!std::filesystem::exists(path)) {
    if (run.progress.batch >= 0) {
      log_warning(
          "%s: there is none, though %lld batches were reported: training begins again with "
          "batch 1 unless stages hold the run",
          path.c_str(), static_cast<long long>(run.progress.batch + 1));
    }
    return run;
  }
  Result<Checkpoint> read = read_checkpoint(path);
  if (!read.ok()) {
    return invalid_error(
        "%s, or move it away to go on with what the stages hold; without them training begins "
        "again",
        read.status().message().c_str());
  }
  const Checkpoint checkpoint = std::move(*read);
  const Status fits = check_checkpoint(checkpoint, job, layer_bytes);
  if (!fits.ok()) {
    return invalid_error("%s: %s; move it away to go on with what the stages hold", path.c_str(),
                         fits.message().c_str());
  }
  if (checkpoint.term != term_of_version(run.restart.record, checkpoint.version)) {
    // The journal is synced before any checkpoint of its history can be written.
    return invalid_error(
        "%s: %s does not know its history: the journal is damaged, or older; put the right one "
        "there, or move the checkpoint away to go on with what the stages hold",
        path.c_str(), directory.file("journal.jsonl").c_str());
  }
  run.restart.checkpoint = checkpoint.version;
  for (size_t layer = 0; layer < checkpoint.snapshots.size(); ++layer) {
    run.store.put({checkpoint.version, static_cast<int32_t>(layer), checkpoint.term},
                  checkpoint.snapshots[layer]);
  }
  return run;
}

}  // namespace ft
