#pragma once

// Whether model, data and loss fit together, and what was decided where there is a choice. Asked
// before the first batch, of all rows.

#include <string>
#include <vector>

#include "onnx_import/model.h"
#include "runtime/data/dataset.h"

namespace ft {

// `data_spec` is what --data says. Decisions go to `notes`, a sentence each. Errors: kInvalid,
// naming option, file and row, the cause and the remedy.
Status check_data(const Model& model, const Dataset& dataset, bool cross_entropy,
                  const std::string& data_spec, std::vector<std::string>* notes);

// What a model file begins with is finite. Errors: kInvalid, naming the tensor.
Status check_weights(const Model& model);

// What of the samples each epoch leaves out because only whole batches train; empty: nothing.
// REQUIRES: samples >= batch_size.
std::string left_out_note(int64_t samples, int64_t batch_size, int micro_batches, bool shuffle);

// For data with fewer samples than a batch. Errors: kInvalid, always.
Status too_few_samples(const std::string& data_spec, int64_t samples, int64_t batch_size,
                       int micro_batches);

}  // namespace ft
