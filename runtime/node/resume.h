#pragma once

// What a run directory knows of a run that goes on: for central's machine and its own stage.

#include "runtime/node/training_job.h"
#include "runtime/pipeline/central.h"
#include "runtime/store/run_directory.h"

namespace ft {

struct ResumedRun {
  Restart restart;
  SnapshotStore store;  // the checkpoint's snapshots, for central's own stage
  ReportedProgress progress;
};

// Errors: kInvalid when the ranges of a record are not those of the job's model, or its batches are
// out of order.
Status check_record(const std::vector<RecordEntry>& record, const TrainingJob& job);

// `layer_bytes`: of each layer's snapshot. A directory without a run gives a restart without
// knowledge: the stages may have it.
// Errors: kInvalid when journal or checkpoint are damaged or do not belong to the job.
Result<ResumedRun> read_resumed_run(const RunDirectory& directory, const TrainingJob& job,
                                    const std::vector<int64_t>& layer_bytes);

}  // namespace ft
