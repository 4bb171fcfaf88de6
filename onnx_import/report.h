#pragma once

// What `ftrun inspect` prints about a model: a plain struct, its text and its JSON.
//
// JSON schema (numbers are integers unless said otherwise):
//   {
//     "model": string, as given        "opset": of the file        "batch": rows
//     "parameters": count              "flops": forward, of one batch (double)
//     "layers": [{"index", "name": string, "ops": [string], "parameters": count,
//                 "parameter_bytes", "statistic_bytes", "output_bytes", "flops": double,
//                 and if it was measured "time_us": double, "state_bytes", "stash_bytes",
//                 "work_bytes"}],
//     "cuts": [{"before_layer", "forward_bytes", "gradient_bytes", "values": [string]}],
//     "tensors": [{"name": string, "shape": [sizes], "elements", "role": string: trains, frozen,
//                  buffer, statistic or constant, "reason": string,
//                  "tied_to": string if it is one with that tensor,
//                  "copy_of": string if the file has one tensor for this and that one}],
//     "notes": [string]: what was decided for the user
//     "memory": {string: bytes} if asked for: what training on one device takes
//     "unsupported": [{"node": string, "op": string, "message": string}],
//     "operators": [string], those that are supported
//   }
// A cut lies between two neighbouring layers, so there is one fewer than there are layers. For a
// model that was refused, "layers", "cuts" and "tensors" are empty and the counts are 0.

#include <string>
#include <vector>

#include "onnx_import/import.h"
#include "onnx_import/model.h"

namespace ft {

struct LayerReport {
  std::string name;
  std::vector<std::string> ops;  // in execution order
  int64_t parameter_count = 0;
  int64_t parameter_bytes = 0;
  int64_t statistic_bytes = 0;
  int64_t output_bytes = 0;  // of all activations it makes, for one batch
  double flops = 0;          // of one forward pass over the batch
  // What a planner sees, if it was measured; filled by the caller.
  double time_us = 0;  // forward, backward and step of one batch
  int64_t state_bytes = 0;
  int64_t stash_bytes = 0;
  int64_t work_bytes = 0;
};

struct CutReport {
  int before_layer = 0;
  int64_t forward_bytes = 0;   // activations, for one batch
  int64_t gradient_bytes = 0;  // what comes back
  std::vector<std::string> values;
};

// A part of the memory that training takes.
struct MemoryReport {
  const char* key;      // in JSON
  const char* meaning;  // in text
  int64_t bytes;
};

struct ModelReport {
  int opset = 0;
  int64_t batch = 0;
  Shape sample_shape;
  Shape output_shape;
  int64_t parameter_count = 0;
  double flops = 0;
  std::vector<LayerReport> layers;
  std::vector<CutReport> cuts;
  std::vector<TensorInfo> tensors;  // of the file, but for numbers in Constant nodes
  std::vector<std::string> notes;
  std::vector<ImportProblem> unsupported;  // filled by the caller
  bool measured = false;
  std::vector<MemoryReport> memory;  // filled by the caller, if asked for
};

ModelReport make_report(const Model& model);

// A table of layers with the cut behind each, and the totals; or the list of unsupported nodes.
std::string render_text(const ModelReport& report, const std::string& model_name);
std::string render_json(const ModelReport& report, const std::string& model_name);

}  // namespace ft
