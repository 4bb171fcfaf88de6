#pragma once

// run.json of the run directory: everything that defines a run but model, data and record, and how
// it was begun (docs/run_directory.md).

#include <string>

#include "runtime/node/training_job.h"

namespace ft {

std::string job_to_json(const TrainingJob& job, const RunId& run);

// Into `job`, without opening model or data; `batches` is the run's length.
// Errors: kInvalid, naming the file, what is wrong in it, and the remedy.
Status parse_run(const RunDirectory& directory, TrainingJob* job, int64_t* batches);

// Options that were given beside --resume must say what the run says. How often cuts are taken, for
// how many stages central waits and how layers are divided may change: what was not given is as
// the run began. Errors: kInvalid, naming the first option that contradicts the run.
Status apply_given(Options* options, TrainingJob* resumed);

}  // namespace ft
