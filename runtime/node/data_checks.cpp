#include "runtime/node/data_checks.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <string_view>

#include "onnx_import/ending.h"

namespace ft {
namespace {

// Without the axes of one element.
std::vector<int64_t> long_axes(std::span<const int64_t> dims) {
  std::vector<int64_t> axes;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(axes),
               [](int64_t d) { return d != 1; });
  return axes;
}

// How samples of shape `has` become those of shape `wanted`.
std::string shape_remedy(const Shape& has, const Shape& wanted) {
  if (has.rank() == 3 && wanted.rank() == 3 &&
      has == Shape{wanted.dim(1), wanted.dim(2), wanted.dim(0)}) {
    return "the channels are last: numpy.save(file, x.transpose(0, 3, 1, 2)), for npy:X,Y";
  }
  if (has.element_count() != wanted.element_count()) {
    return "export the model for these samples, or save samples of that shape for npy:X,Y";
  }
  std::string dims;
  for (const int64_t dim : wanted.dims()) dims += ", " + std::to_string(dim);
  return format(
      "export the model for these samples, or numpy.save(file, x.reshape(-1%s)), for "
      "npy:X,Y",
      dims.c_str());
}

// 60,000.
std::string grouped(int64_t count) {
  std::string text = std::to_string(count);
  for (size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

// What an operator at the end does to logits.
struct Ending {
  std::string_view op;
  bool is_refused;
  const char* effect;
};

constexpr Ending kEndings[] = {
    {"Sigmoid", true, "gives each output a probability of its own"},
    {"HardSigmoid", true, "gives each output a probability of its own"},
    {"Tanh", false, "keeps logits between -1 and 1, so that no class can be sure"},
    {"Relu", false, "makes negative logits 0, and those learn nothing then"},
    {"Clip", false, "bounds the logits, and those at a bound learn nothing"},
    {"Softmax", false, "runs over another axis than the classes and stays in the model"},
    {"LogSoftmax", false, "runs over another axis than the classes and stays in the model"},
};

Status check_ending(const Model& model, int64_t classes, std::vector<std::string>* notes) {
  const int32_t index = last_operator(model, model.output);
  if (index < 0) return Status();
  const Node& node = model.nodes[static_cast<size_t>(index)];
  for (const Ending& ending : kEndings) {
    if (ending.op != node.op->name) continue;
    if (!ending.is_refused) {
      notes->push_back(
          format("the model ends in %s ('%s'), which %s: cross-entropy wants plain logits; export "
                 "without it unless it is meant",
                 node.op->name, node.name.c_str(), ending.effect));
      return Status();
    }
    const char* remedy = classes == 1 ? "export a model that ends in the logits of two classes"
                                      : "export the model without it if a sample has one class";
    return invalid_error(
        "--loss cross-entropy: the model ends in %s ('%s'), which %s; cross-entropy wants logits, "
        "of which a softmax makes one distribution: %s, or say --loss mse with targets of "
        "the output's shape",
        node.op->name, node.name.c_str(), ending.effect, remedy);
  }
  return Status();
}

// The first row whose label has no output.
Status label_error(const Dataset& dataset, const std::string& data_spec, int64_t outputs) {
  int64_t least = dataset.classes();
  for (int64_t row = 0; row < dataset.count(Split::kTrain); ++row) {
    least = std::min(least, dataset.label(Split::kTrain, row));
  }
  const std::string remedy =
      least >= 1 && dataset.classes() - least <= outputs
          ? format("classes count from 0: numpy.save(file, y - %" PRId64 ")", least)
          : format("use a model with %" PRId64
                   " outputs, or number the classes from 0 without "
                   "gaps: numpy.unique(y, return_inverse=True)[1]",
                   dataset.classes());
  for (const Split split : {Split::kTrain, Split::kTest}) {
    for (int64_t row = 0; row < dataset.count(split); ++row) {
      const int64_t label = dataset.label(split, row);
      if (label < outputs) continue;
      const std::string file = dataset.targets_name(split);
      return invalid_error("%s: row %" PRId64 " holds the label %" PRId64 "; that makes %" PRId64
                           " classes, but the model has %" PRId64
                           " outputs, for labels 0 to %" PRId64 "; %s",
                           file.empty() ? ("--data " + data_spec).c_str() : file.c_str(), row,
                           label, dataset.classes(), outputs, outputs - 1, remedy.c_str());
    }
  }
  return invalid_error("--data %s: has %" PRId64 " classes, but the model has %" PRId64
                       " outputs; %s",
                       data_spec.c_str(), dataset.classes(), outputs, remedy.c_str());
}

Status check_labels(const Model& model, const Dataset& dataset, const std::string& data_spec,
                    std::vector<std::string>* notes) {
  const Shape& output = model.value(model.output).type.shape;
  const auto row = output.dims().subspan(1);
  const int64_t classes = output.element_count() / model.batch;
  FT_RETURN_IF_ERROR(check_ending(model, classes, notes));
  if (long_axes(row).size() > 1) {
    return invalid_error(
        "--loss cross-entropy: the model's output is %s; it needs one row of logits per sample, "
        "[N, C]: export a model that ends so (a mean over the other axes, or a Flatten and a "
        "linear layer), or say --loss mse with targets of that shape",
        rows_text(row).c_str());
  }
  if (classes == 1) {
    return invalid_error(
        "--loss cross-entropy: the model has one output, and cross-entropy over 1 class is always "
        "0; say --loss mse with a target for each sample, or use a model with an output for each "
        "class (two for yes and no)");
  }
  if (dataset.classes() > classes) return label_error(dataset, data_spec, classes);
  if (output.rank() != 2) {
    notes->push_back(format("the model's output %s is read as the logits of %" PRId64 " classes",
                            rows_text(row).c_str(), classes));
  }
  if (dataset.used_classes() < classes) {
    notes->push_back(format("the data uses %" PRId64 " of the model's %" PRId64 " classes",
                            dataset.used_classes(), classes));
  }
  return Status();
}

Status check_values(const Model& model, const Dataset& dataset, const std::string& data_spec,
                    std::vector<std::string>* notes) {
  const auto row = model.value(model.output).type.shape.dims().subspan(1);
  if (dataset.classes() > 0) {
    return invalid_error(
        "--loss mse: --data %s has class labels and no targets; leave out --loss mse to train a "
        "classifier, or save targets with numpy and use npy:X,Y",
        data_spec.c_str());
  }
  const Shape target = dataset.target_shape();
  if (long_axes(target.dims()) != long_axes(row)) {
    return invalid_error(
        "--loss mse: %s: targets are %s, but the model's output is %s; save targets of the "
        "output's shape%s",
        dataset.targets_name(Split::kTrain).c_str(), rows_text(target.dims()).c_str(),
        rows_text(row).c_str(),
        target.element_count() == 1 ? "; if they number classes, leave out --loss mse" : "");
  }
  if (!std::equal(row.begin(), row.end(), target.dims().begin(), target.dims().end())) {
    notes->push_back(
        format("targets of shape %s are compared with the model's output %s: the same "
               "numbers in the same order",
               rows_text(target.dims()).c_str(), rows_text(row).c_str()));
  }
  return Status();
}

// A batch size that leaves nothing out, the nearest below or above; 0 when there is none in reach.
int64_t fitting_batch_size(int64_t samples, int64_t batch_size, int micro_batches) {
  for (int64_t distance = 1; distance <= batch_size; ++distance) {
    for (const int64_t size : {batch_size - distance, batch_size + distance}) {
      if (size < std::max<int64_t>(batch_size / 2, 2) || size > samples) continue;
      if (samples % size == 0 && size % micro_batches == 0) return size;
    }
  }
  return 0;
}

}  // namespace

Status check_weights(const Model& model) {
  for (const Value& value : model.values) {
    const bool is_state =
        value.kind == ValueKind::kParameter || value.kind == ValueKind::kStatistic;
    if (!is_state || value.data == nullptr) continue;
    const std::span<const float> numbers(value.data->floats(), value.data->size() / 4);
    const auto bad = std::find_if(numbers.begin(), numbers.end(),
                                  [](float number) { return !std::isfinite(number); });
    if (bad == numbers.end()) continue;
    return invalid_error(
        "the model's weight '%s' holds %g; nothing can be trained from it: export the model with "
        "finite weights",
        value.name.c_str(), static_cast<double>(*bad));
  }
  return Status();
}

Status check_data(const Model& model, const Dataset& dataset, bool cross_entropy,
                  const std::string& data_spec, std::vector<std::string>* notes) {
  if (!(dataset.sample_shape() == model.sample_shape)) {
    return invalid_error("--data %s: samples are %s, but the model's input is %s; %s",
                         data_spec.c_str(), to_string(dataset.sample_shape()).c_str(),
                         to_string(model.sample_shape).c_str(),
                         shape_remedy(dataset.sample_shape(), model.sample_shape).c_str());
  }
  const Shape& output = model.value(model.output).type.shape;
  if (output.rank() < 1 || output.dim(0) != model.batch) {
    return invalid_error(
        "the model's output %s does not have the batch in front; export a model whose first axis "
        "is the batch",
        to_string(output).c_str());
  }
  for (const std::string& note : dataset.notes()) notes->push_back(note);
  return cross_entropy ? check_labels(model, dataset, data_spec, notes)
                       : check_values(model, dataset, data_spec, notes);
}

std::string left_out_note(int64_t samples, int64_t batch_size, int micro_batches, bool shuffle) {
  const int64_t left_out = samples % batch_size;
  if (left_out == 0) return "";
  const int64_t batches = samples / batch_size;
  const std::string left = grouped(left_out);
  std::string note =
      format("%s samples: %s batch%s of %s; ", grouped(samples).c_str(), grouped(batches).c_str(),
             batches == 1 ? "" : "es", grouped(batch_size).c_str());
  const char* verb = left_out == 1 ? "is" : "are";
  note += shuffle ? format("%s %s left out each epoch, others each time", left.c_str(), verb)
                  : format("always the last %s %s left out (--shuffle off)", left.c_str(), verb);
  const int64_t fitting = fitting_batch_size(samples, batch_size, micro_batches);
  if (fitting > 0) {
    note += format("; --batch-size %" PRId64 " leaves none out", fitting);
  }
  return note;
}

Status too_few_samples(const std::string& data_spec, int64_t samples, int64_t batch_size,
                       int micro_batches) {
  const int64_t whole = samples / micro_batches * micro_batches;
  const std::string remedy =
      whole > 0 ? format("say --batch-size %" PRId64, whole)
                : format("say --batch-size %" PRId64 " --micro-batches 1", samples);
  return invalid_error("--batch-size %" PRId64 ": --data %s has only %" PRId64
                       " samples, less than one batch; %s",
                       batch_size, data_spec.c_str(), samples, remedy.c_str());
}

}  // namespace ft
