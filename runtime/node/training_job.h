#pragma once

// TrainingJob: what central trains: model, data and the numbers that define the result. Made from
// the command line, or from a run directory to replay it.

#include <memory>
#include <string>

#include "net/message.pb.h"
#include "onnx_import/import.h"
#include "runtime/base/digest.h"
#include "runtime/data/dataset.h"
#include "runtime/node/data_thread.h"
#include "runtime/node/options.h"
#include "runtime/store/run_directory.h"

namespace ft {

struct TrainingJob {
  RunId run{};  // of a run directory; all zero before a run has one
  std::string model_path;
  std::string data_spec;
  bool shuffle = true;
  ConstBufferPtr model_file;
  Sha256 model_sha{};
  std::shared_ptr<const Model> model;  // bound to the rows of a micro-batch
  std::unique_ptr<Dataset> dataset;
  net::Training training;
  std::vector<std::string> notes;  // what was decided for the user about data and training
  bool replicate_auto = false;     // training.replicate_every is a start value
  // How it was begun; who goes on with it does the same unless told otherwise.
  int workers = -1;  // stages to wait for; -1: it was begun alone
  std::string partition = "dynamic";

  BatchShape batch_shape() const;
};

// What the options say of a job, without its model and data.
void take_options(const Options& options, TrainingJob* job);
// Errors: kInvalid, naming file, node or option.
Result<TrainingJob> make_job(const Options& options);

// The run that the directory holds. Errors: kInvalid.
Result<TrainingJob> load_job(const RunDirectory& directory);
// What that run trains with, without opening its data.
Result<net::Training> load_training(const RunDirectory& directory);

// How many of `samples` an evaluation takes: all, or, where the model computes whole batches
// only (Model::rows_meet), those that fill batches.
int64_t evaluated_samples(const Model& model, int64_t samples);

// Estimated seconds of a training pass of each layer on a reference device, until devices are
// measured: arithmetic plus memory traffic. Only proportions matter.
std::vector<double> estimate_layer_costs(const Model& model);

// The model's file. Errors: kInvalid, with the path in front.
Result<std::shared_ptr<const Model>> import_file(const std::string& path, const Buffer& file,
                                                 const ImportOptions& options);

}  // namespace ft
