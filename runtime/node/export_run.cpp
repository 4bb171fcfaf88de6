// `ftrun export RUN_DIR -o OUT.onnx`: the weights of a run's newest checkpoint as an inference
// model.

#include <cstdio>

#include "onnx_import/export.h"
#include "runtime/base/file.h"
#include "runtime/node/commands.h"
#include "runtime/node/compute_thread.h"
#include "runtime/node/option_checks.h"
#include "runtime/node/training_job.h"
#include "runtime/store/checkpoint.h"

namespace ft {

Status export_run(const Options& options) {
  FT_RETURN_IF_ERROR(check_output("-o", options.output));
  FT_ASSIGN_OR_RETURN(const std::unique_ptr<RunDirectory> directory,
                      RunDirectory::open(options.run));
  FT_ASSIGN_OR_RETURN(const net::Training training, load_training(*directory));
  const OptimizerOptions optimizer = trainer_options(training).optimizer;
  const std::string model_path = directory->file("model.onnx");
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(model_path));
  FT_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                      import_file(model_path, *file, import_options(training)));
  const std::string path = directory->file("checkpoint.ftc");
  FT_ASSIGN_OR_RETURN(const Checkpoint checkpoint, read_checkpoint(path));
  if (checkpoint.model != sha256(file->bytes()) ||
      static_cast<int>(checkpoint.snapshots.size()) != model->layer_count()) {
    return invalid_error("%s: belongs to another model than %s", path.c_str(), model_path.c_str());
  }
  std::vector<LayerLayout> layouts;
  std::vector<LayerState> states;
  for (int layer = 0; layer < model->layer_count(); ++layer) {
    layouts.push_back(layer_layout(*model, layer, optimizer));
    FT_ASSIGN_OR_RETURN(
        LayerState state,
        from_snapshot(layouts.back(), checkpoint.snapshots[static_cast<size_t>(layer)]));
    FT_RETURN_IF_ERROR(
        check_finite(*model, layer, layouts.back(), *state.snapshot, checkpoint.version));
    states.push_back(std::move(state));
  }
  FT_ASSIGN_OR_RETURN(
      const std::vector<std::byte> exported,
      export_model(file->bytes(), *model, values_of_states(*model, layouts, states)));
  FT_RETURN_IF_ERROR(write_file_atomic(options.output, exported));
  std::printf("%s: the weights after %lld batches\n", options.output.c_str(),
              static_cast<long long>(checkpoint.version + 1));
  return Status();
}

}  // namespace ft
