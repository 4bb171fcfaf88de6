#include "runtime/data/array_dataset.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "runtime/base/check.h"

namespace ft {
namespace {

Shape row_shape(const NumberArray& array) { return Shape(array.shape.dims().subspan(1)); }

class ArrayDataset final : public Dataset {
 public:
  explicit ArrayDataset(ArraySource source)
      : source_(std::move(source)), sample_shape_(row_shape(source_.splits[0].samples)) {
    const ByteScale& scale = source_.scale;
    FT_CHECK(scale.means.size() == scale.deviations.size());
    FT_CHECK(scale.means.size() == 1 ||
             static_cast<int64_t>(scale.means.size()) == sample_shape_.dim(0));
    for (size_t channel = 0; channel < scale.means.size(); ++channel) {
      for (int x = 0; x < 256; ++x) {
        byte_values_.push_back(
            static_cast<float>((x / 255.0 - scale.means[channel]) / scale.deviations[channel]));
      }
    }
  }

  const Shape& sample_shape() const override { return sample_shape_; }
  int64_t classes() const override { return source_.classes; }

  int64_t target_elements() const override {
    return source_.classes > 0 ? 1 : source_.splits[0].targets.row_elements();
  }

  int64_t count(Split split) const override {
    const NumberArray& samples = part(split).samples;
    return samples.bytes ? samples.rows() : 0;
  }

  int64_t held_bytes() const override {
    int64_t bytes = 0;
    for (const ArraySplit& split : source_.splits) {
      for (const NumberArray* array : {&split.samples, &split.targets}) {
        if (array->bytes) bytes += static_cast<int64_t>(array->bytes->size());
      }
    }
    return bytes;
  }

  std::string description() const override {
    std::string text =
        format("%s: %" PRId64 " training", source_.name.c_str(), count(Split::kTrain));
    if (count(Split::kTest) > 0) text += format(" and %" PRId64 " test", count(Split::kTest));
    text += format(" samples of %s, ", to_string(sample_shape_).c_str());
    text += source_.classes > 0 ? format("%" PRId64 " classes", source_.classes)
                                : format("%" PRId64 " target values", target_elements());
    const bool bytes = part(Split::kTrain).samples.type == NumberType::kUint8;
    return text + ", " + (bytes ? source_.scale.text : std::string("values as stored"));
  }

  void read_sample(Split split, int64_t index, float* sample) const override {
    const NumberArray& samples = part(split).samples;
    if (samples.type != NumberType::kUint8) return samples.read_floats(index, sample);
    const auto* bytes = reinterpret_cast<const uint8_t*>(samples.row(index));
    const int64_t channels = static_cast<int64_t>(source_.scale.means.size());
    const int64_t channel_elements = samples.row_elements() / channels;
    for (int64_t channel = 0; channel < channels; ++channel) {
      const float* values = byte_values_.data() + 256 * channel;
      for (int64_t i = 0; i < channel_elements; ++i) *sample++ = values[*bytes++];
    }
  }

  int64_t label(Split split, int64_t index) const override {
    FT_CHECK(source_.classes > 0);
    return part(split).targets.read_integer(index);
  }

  void read_target(Split split, int64_t index, float* target) const override {
    FT_CHECK(source_.classes == 0);
    part(split).targets.read_floats(index, target);
  }

 private:
  const ArraySplit& part(Split split) const { return source_.splits[static_cast<size_t>(split)]; }

  ArraySource source_;
  Shape sample_shape_;
  std::vector<float> byte_values_;  // 256 for each entry of the scale
};

Status check_finite(const std::string& path, const NumberArray& array) {
  if (!is_float(array.type)) return Status();
  std::vector<float> row(static_cast<size_t>(array.row_elements()));
  for (int64_t index = 0; index < array.rows(); ++index) {
    array.read_floats(index, row.data());
    for (const float value : row) {
      if (std::isfinite(value)) continue;
      return invalid_error("%s: row %" PRId64 " holds %g; training needs finite float32 numbers",
                           path.c_str(), index, static_cast<double>(value));
    }
  }
  return Status();
}

Status check_labels(const std::string& path, const NumberArray& labels, int64_t classes) {
  if (labels.row_elements() != 1) {
    return invalid_error(
        "%s: %s integers; labels are one class number a sample, [N] (for regression save float32 "
        "targets)",
        path.c_str(), to_string(labels.shape).c_str());
  }
  for (int64_t index = 0; index < labels.rows(); ++index) {
    const int64_t label = labels.read_integer(index);
    if (label >= 0 && label < classes) continue;
    return invalid_error("%s: label %" PRId64 " at index %" PRId64 " is outside 0..%" PRId64
                         " (%" PRId64 " classes)",
                         path.c_str(), label, index, classes - 1, classes);
  }
  return Status();
}

// The highest label plus one, where no format fixes the number of classes.
int64_t count_classes(const NumberArray& labels) {
  int64_t highest = 0;
  for (int64_t index = 0; index < labels.rows(); ++index) {
    const int64_t label = labels.read_integer(index);
    if (label < kClassesMax) highest = std::max(highest, label);
  }
  return highest + 1;
}

Status check_split(const ArraySplit& split, int64_t classes) {
  const NumberArray& samples = split.samples;
  const NumberArray& targets = split.targets;
  if (samples.shape.rank() < 2) {
    return invalid_error(
        "%s: shape %s; samples have a dimension beside their count: save "
        "x.reshape(N, 1)",
        split.samples_path.c_str(), to_string(samples.shape).c_str());
  }
  if (samples.rows() != targets.rows()) {
    return invalid_error("%s holds %" PRId64 " samples, %s holds %" PRId64
                         " labels or targets; they must be as many",
                         split.samples_path.c_str(), samples.rows(), split.targets_path.c_str(),
                         targets.rows());
  }
  if (samples.rows() > kSamplesMax) {
    return invalid_error("%s: %" PRId64 " samples are more than the limit of %" PRId64,
                         split.samples_path.c_str(), samples.rows(), kSamplesMax);
  }
  FT_RETURN_IF_ERROR(check_finite(split.samples_path, samples));
  if (classes == 0) return check_finite(split.targets_path, targets);
  return check_labels(split.targets_path, targets, classes);
}

}  // namespace

Result<std::unique_ptr<Dataset>> make_array_dataset(ArraySource source) {
  const ArraySplit& train = source.splits[0];
  const ArraySplit& test = source.splits[1];
  FT_CHECK(train.samples.bytes && train.targets.bytes);
  FT_CHECK(!test.samples.bytes == !test.targets.bytes);
  if (source.classes == 0 && !is_float(train.targets.type)) {
    source.classes = count_classes(train.targets);
  }
  FT_RETURN_IF_ERROR(check_split(train, source.classes));
  if (test.samples.bytes) {
    if (is_float(test.targets.type) != is_float(train.targets.type) ||
        test.targets.row_elements() != train.targets.row_elements()) {
      return invalid_error("%s: targets unlike those of %s in type or shape",
                           test.targets_path.c_str(), train.targets_path.c_str());
    }
    if (is_float(test.samples.type) != is_float(train.samples.type) ||
        !(row_shape(test.samples) == row_shape(train.samples))) {
      return invalid_error("%s: samples unlike those of %s in shape, or bytes against floats",
                           test.samples_path.c_str(), train.samples_path.c_str());
    }
    FT_RETURN_IF_ERROR(check_split(test, source.classes));
  }
  return Result<std::unique_ptr<Dataset>>(std::make_unique<ArrayDataset>(std::move(source)));
}

}  // namespace ft
