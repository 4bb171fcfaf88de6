// `ftrun eval MODEL.onnx --data SPEC`: loss and accuracy of a model as it stands in the file.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/node/commands.h"
#include "runtime/node/data_checks.h"
#include "runtime/node/data_thread.h"
#include "runtime/node/option_checks.h"
#include "runtime/node/training_job.h"

namespace ft {
namespace {

// A float32 array [rows, columns] in NumPy's format, version 1.0.
Status write_npy(const std::string& path, const std::vector<float>& values, int64_t rows) {
  const auto columns = static_cast<long long>(values.size()) / std::max<int64_t>(rows, 1);
  std::string header = format("{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                              static_cast<long long>(rows), columns);
  // Magic, version and length take 10 bytes; data begins at a multiple of 64.
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 255);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * 4);
  return write_file_atomic(path, std::as_bytes(std::span(file.data(), file.size())));
}

// Says which samples are left out where the model computes whole batches only.
Status check_whole_batches(const Model& model, int64_t samples) {
  const int64_t taken = evaluated_samples(model, samples);
  if (taken == samples) return Status();
  const std::string why = format("%s, so that only whole batches of %lld are computed",
                                 model.rows_meet.c_str(), static_cast<long long>(model.batch));
  if (taken == 0) {
    return invalid_error("%s, but there are only %lld samples: use a smaller --batch-size",
                         why.c_str(), static_cast<long long>(samples));
  }
  std::fprintf(stderr, "ftrun: %s: %lld of %lld samples are left out\n", why.c_str(),
               static_cast<long long>(samples - taken), static_cast<long long>(samples));
  return Status();
}

}  // namespace

Status evaluate(const Options& options) {
  if (!options.logits.empty()) FT_RETURN_IF_ERROR(check_output("--logits", options.logits));
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(options.model));
  ImportOptions import_options;
  import_options.batch = options.batch_size;
  import_options.trains = false;
  import_options.cross_entropy = options.loss == LossKind::kCrossEntropy;
  FT_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                      import_file(options.model, *file, import_options));
  const bool cross_entropy = options.loss == LossKind::kCrossEntropy;
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                      open_dataset(options.data, options.seed,
                                   cross_entropy ? TargetKind::kLabels : TargetKind::kValues));
  std::vector<std::string> notes = model->notes;
  FT_RETURN_IF_ERROR(check_data(*model, *dataset, cross_entropy, options.data, &notes));
  const Split split = dataset->count(Split::kTest) > 0 ? Split::kTest : Split::kTrain;
  FT_RETURN_IF_ERROR(check_whole_batches(*model, dataset->count(split)));

  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  ThreadPool pool(options.threads > 0 ? options.threads : cores);
  TrainerOptions trainer_options;
  trainer_options.loss = options.loss;
  trainer_options.batch_size = options.batch_size;
  FT_ASSIGN_OR_RETURN(
      std::unique_ptr<RangeTrainer> trainer,
      RangeTrainer::create(model, {0, model->layer_count()}, trainer_options, &pool));
  std::vector<LayerState> states;
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    states.push_back(initial_state(*model, layer, trainer->layouts()[static_cast<size_t>(layer)]));
  }
  trainer->load(-1, states);

  BatchLoader loader(dataset.get(),
                     BatchShape{options.batch_size, options.batch_size, 1, 0, false});
  double loss_sum = 0;
  int64_t correct = 0;
  std::vector<float> logits;
  const int64_t samples = evaluated_samples(*model, dataset->count(split));
  const int64_t batches = (samples + options.batch_size - 1) / options.batch_size;
  for (int64_t batch = 0; batch < batches; ++batch) {
    const int64_t rows = std::min(options.batch_size, samples - batch * options.batch_size);
    LoadResult data = loader.evaluation(Load{LoadKind::kEvaluation, 0, batch, 0, 0}, split);
    FT_ASSIGN_OR_RETURN(RangeTrainer::EvaluationResult result,
                        trainer->evaluate(-1, {data.input}, data.labels, rows));
    loss_sum += result.loss.loss_sum;
    correct += result.loss.correct;
    const Buffer& output = *result.outputs[0];
    const auto row_elements = static_cast<int64_t>(output.size()) / 4 / options.batch_size;
    if (!options.logits.empty()) {
      logits.insert(logits.end(), output.floats(), output.floats() + rows * row_elements);
    }
  }
  if (!options.logits.empty()) FT_RETURN_IF_ERROR(write_npy(options.logits, logits, samples));
  if (!std::isfinite(loss_sum)) {
    return failed_error(
        "%s: the loss over %lld samples is not finite: its outputs overflow, or a weight of it is "
        "not finite; evaluate a model whose training ended well",
        options.model.c_str(), static_cast<long long>(samples));
  }
  const double loss = loss_sum / static_cast<double>(samples);
  const double accuracy = static_cast<double>(correct) / static_cast<double>(samples);
  if (options.json) {
    nlohmann::ordered_json json = {{"event", "evaluated"},
                                   {"accuracy", nullptr},
                                   {"loss", loss},
                                   {"samples", samples},
                                   {"split", split == Split::kTest ? "test" : "train"},
                                   {"notes", notes}};
    if (cross_entropy) json["accuracy"] = accuracy;
    std::printf("%s\n", json.dump().c_str());
    return Status();
  }
  std::printf("%s\n", dataset->description().c_str());
  for (const std::string& note : notes) std::printf("%s\n", note.c_str());
  std::printf("%s split, %lld samples: loss %.4f", split == Split::kTest ? "test" : "train",
              static_cast<long long>(samples), loss);
  if (cross_entropy) std::printf(", accuracy %.2f %%", 100 * accuracy);
  std::printf("\n");
  return Status();
}

}  // namespace ft
