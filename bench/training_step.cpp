// Times whole training steps (forward, cross-entropy, backward, SGD) of a model on this machine,
// with the executor alone: no pipeline, no data.
//
// Usage: training_step MODEL.onnx BATCH THREADS STEPS [IN_FLIGHT=1]
// With IN_FLIGHT n, n batches are between forward and backward, as in the first of n stages: what
// backward reads has left the caches by then.
// Prints one line of JSON: the milliseconds of each step after two warm-up steps, and the median.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/gemm.h"
#include "onnx_import/import.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"
#include "runtime/exec/range_trainer.h"
#include "runtime/node/board.h"

namespace {

constexpr int kWarmUpSteps = 2;

ft::Status run(const char* path, int64_t batch, int threads, int steps, int64_t in_flight) {
  FT_ASSIGN_OR_RETURN(const ft::BufferPtr file, ft::read_file(path));
  ft::ImportOptions import_options;
  import_options.batch = batch;
  FT_ASSIGN_OR_RETURN(ft::Model imported, ft::import_model(file->bytes(), import_options));
  const auto model = std::make_shared<const ft::Model>(std::move(imported));
  ft::ThreadPool pool(threads);
  ft::TrainerOptions options;
  options.batch_size = batch;
  options.optimizer.weight_decay = 1e-4F;
  options.steps_by_layer = true;
  options.one_in_flight = in_flight == 1;
  FT_ASSIGN_OR_RETURN(std::unique_ptr<ft::RangeTrainer> trainer,
                      ft::RangeTrainer::create(model, {0, model->layer_count()}, options, &pool));
  std::vector<ft::LayerState> states;
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    states.push_back(
        ft::initial_state(*model, layer, trainer->layouts()[static_cast<size_t>(layer)]));
  }
  trainer->load(-1, states);

  ft::BufferPtr input =
      ft::make_buffer(static_cast<size_t>(model->value(model->input).type.bytes()));
  for (size_t i = 0; i < input->size() / 4; ++i) {
    const auto bits = ft::random_block({1, ft::RandomPurpose::kSynthetic, 0}, 0, i);
    input->floats()[i] = ft::uniform_float(bits[0]) * 2 - 1;
  }
  ft::BufferPtr labels = ft::make_buffer(static_cast<size_t>(batch) * 8);
  for (int64_t i = 0; i < batch; ++i) reinterpret_cast<int64_t*>(labels->data())[i] = i % 10;

  std::vector<double> times;
  for (int64_t batch_in = 0; batch_in < steps + kWarmUpSteps + in_flight - 1; ++batch_in) {
    const ft::TimeUs began = ft::monotonic_now_us();
    const int64_t version = std::max<int64_t>(batch_in - in_flight, -1);
    auto result = trainer->forward(batch_in, 0, version, {input}, labels);
    if (!result.ok()) return result.status();
    const int64_t step = batch_in - (in_flight - 1);
    if (step < 0) continue;
    trainer->backward(step, 0, {});
    trainer->step(step, step, {step + 1 - in_flight, {}});
    const auto us = static_cast<double>(ft::monotonic_now_us() - began);
    if (step >= kWarmUpSteps) times.push_back(us / 1e3);
  }
  std::vector<double> sorted = times;
  std::sort(sorted.begin(), sorted.end());
  std::printf("{\"median_ms\": %.3f, \"stash_bytes\": %lld, \"work_bytes\": %lld, \"ms\": [",
              sorted[sorted.size() / 2],
              static_cast<long long>(trainer->executor().train().stash_bytes),
              static_cast<long long>(trainer->executor().work_bytes()));
  for (size_t i = 0; i < times.size(); ++i) std::printf("%s%.3f", i == 0 ? "" : ", ", times[i]);
  std::printf("]}\n");
  return ft::Status();
}

}  // namespace

int main(int argc, char** argv) {
  ft::restart_with_blas_core(ft::missed_blas_core(), argv);
  const int64_t in_flight = argc == 6 ? std::atoll(argv[5]) : 1;
  if (argc < 5 || argc > 6 || in_flight < 1) {
    std::fprintf(stderr, "usage: training_step MODEL.onnx BATCH THREADS STEPS [IN_FLIGHT]\n");
    return 2;
  }
  const ft::Status status =
      run(argv[1], std::atoll(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]), in_flight);
  if (!status.ok()) std::fprintf(stderr, "training_step: %s\n", status.message().c_str());
  return static_cast<int>(status.code());
}
