#include "runtime/data/array_dataset.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "runtime/base/check.h"

namespace ft {
namespace {

Shape row_shape(const NumberArray& array) { return Shape(array.shape.dims().subspan(1)); }

int64_t count_used(const NumberArray& labels, int64_t classes) {
  if (classes == 0) return 0;
  std::vector<bool> used(static_cast<size_t>(classes));
  for (int64_t row = 0; row < labels.rows(); ++row) {
    used[static_cast<size_t>(labels.read_integer(row))] = true;
  }
  return std::count(used.begin(), used.end(), true);
}

class ArrayDataset final : public Dataset {
 public:
  ArrayDataset(ArraySource source, std::vector<std::string> notes)
      : source_(std::move(source)),
        sample_shape_(row_shape(source_.splits[0].samples)),
        notes_(std::move(notes)),
        used_classes_(count_used(source_.splits[0].targets, source_.classes)) {
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

  int64_t used_classes() const override { return used_classes_; }

  Shape target_shape() const override {
    return source_.classes > 0 ? Shape() : row_shape(source_.splits[0].targets);
  }

  std::vector<std::string> notes() const override { return notes_; }
  std::string targets_name(Split split) const override { return part(split).targets_path; }

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
  std::vector<std::string> notes_;
  int64_t used_classes_;
  std::vector<float> byte_values_;  // 256 for each entry of the scale
};

Status check_finite(const std::string& path, const NumberArray& array) {
  if (!is_float(array.type)) return Status();
  std::vector<float> row(static_cast<size_t>(array.row_elements()));
  for (int64_t index = 0; index < array.rows(); ++index) {
    array.read_floats(index, row.data());
    for (size_t i = 0; i < row.size(); ++i) {
      if (std::isfinite(row[i])) continue;
      const double stored = array.read_double(index, static_cast<int64_t>(i));
      return invalid_error(
          "%s: row %" PRId64
          " holds %g, which is no finite float32 number; leave such rows out of "
          "both files: keep = numpy.isfinite(a.astype('<f4')).reshape(len(a), -1).all(1)",
          path.c_str(), index, stored);
    }
  }
  return Status();
}

Status check_counts(const ArraySplit& split) {
  const NumberArray& samples = split.samples;
  const NumberArray& targets = split.targets;
  if (samples.shape.rank() < 2) {
    return invalid_error(
        "%s: shape [%s]: samples have a dimension beside their count: numpy.save(file, "
        "x.reshape(-1, 1))",
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
  return check_finite(split.samples_path, samples);
}

// The split's targets become labels. Where the format has a number of classes, they fit it.
Status take_labels(ArraySplit* split, int64_t classes, std::vector<std::string>* notes) {
  FT_ASSIGN_OR_RETURN(Labels labels, read_labels(split->targets_path, split->targets));
  for (int64_t row = 0; classes > 0 && row < labels.numbers.rows(); ++row) {
    const int64_t label = labels.numbers.read_integer(row);
    if (label < classes) continue;
    return invalid_error("%s: row %" PRId64 " holds the label %" PRId64
                         ", which is outside 0..%" PRId64 " (%" PRId64
                         " classes); it is damaged: get the file again",
                         split->targets_path.c_str(), row, label, classes - 1, classes);
  }
  split->targets = std::move(labels.numbers);
  if (!labels.note.empty()) notes->push_back(std::move(labels.note));
  return Status();
}

int64_t count_classes(const NumberArray& labels) {
  int64_t highest = 0;
  for (int64_t row = 0; row < labels.rows(); ++row) {
    highest = std::max(highest, labels.read_integer(row));
  }
  return highest + 1;
}

Status take_values(const ArraySplit& split, std::vector<std::string>* notes) {
  FT_RETURN_IF_ERROR(check_finite(split.targets_path, split.targets));
  const NumberArray& targets = split.targets;
  if (is_float(targets.type)) return Status();
  bool rounded = false;
  std::vector<float> row(static_cast<size_t>(targets.row_elements()));
  for (int64_t index = 0; index < targets.rows(); ++index) {
    targets.read_floats(index, row.data());
    for (size_t i = 0; i < row.size(); ++i) {
      rounded = rounded ||
                static_cast<double>(row[i]) != targets.read_double(index, static_cast<int64_t>(i));
    }
  }
  notes->push_back(format("%s: %s numbers are taken as float32 targets%s",
                          split.targets_path.c_str(), info_of(targets.type).name,
                          rounded ? ", rounded to 24 bits" : ""));
  return Status();
}

Status check_alike(const ArraySplit& train, const ArraySplit& test) {
  const bool bytes = train.samples.type == NumberType::kUint8;
  if (bytes != (test.samples.type == NumberType::kUint8)) {
    return invalid_error(
        "%s: samples unlike those of %s: bytes are read as x/255, floats as they are; save both in "
        "one type",
        test.samples_path.c_str(), train.samples_path.c_str());
  }
  if (!(row_shape(test.samples) == row_shape(train.samples))) {
    return invalid_error("%s: samples unlike those of %s: %s against %s; save both in one shape",
                         test.samples_path.c_str(), train.samples_path.c_str(),
                         rows_text(row_shape(test.samples).dims()).c_str(),
                         rows_text(row_shape(train.samples).dims()).c_str());
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Dataset>> make_array_dataset(ArraySource source, TargetKind targets) {
  ArraySplit& train = source.splits[0];
  ArraySplit& test = source.splits[1];
  FT_CHECK(train.samples.bytes && train.targets.bytes);
  FT_CHECK(!test.samples.bytes == !test.targets.bytes);
  std::vector<std::string> notes;
  int64_t classes = source.classes;
  for (ArraySplit* split : {&train, &test}) {
    if (!split->samples.bytes) continue;
    FT_RETURN_IF_ERROR(check_counts(*split));
    if (targets == TargetKind::kValues) {
      FT_RETURN_IF_ERROR(take_values(*split, &notes));
      continue;
    }
    FT_RETURN_IF_ERROR(take_labels(split, source.classes, &notes));
    const int64_t found = count_classes(split->targets);
    if (split == &test && found > classes) {
      notes.push_back(format("%s: labels up to %" PRId64 ", but those of %s end at %" PRId64
                             ": nobody teaches the model the others",
                             test.targets_path.c_str(), found - 1, train.targets_path.c_str(),
                             classes - 1));
    }
    classes = std::max(classes, found);
  }
  if (test.samples.bytes) {
    FT_RETURN_IF_ERROR(check_alike(train, test));
    if (targets == TargetKind::kValues && !(row_shape(test.targets) == row_shape(train.targets))) {
      return invalid_error("%s: targets unlike those of %s: %s against %s; save both in one shape",
                           test.targets_path.c_str(), train.targets_path.c_str(),
                           rows_text(row_shape(test.targets).dims()).c_str(),
                           rows_text(row_shape(train.targets).dims()).c_str());
    }
  }
  source.classes = classes;
  return Result<std::unique_ptr<Dataset>>(
      std::make_unique<ArrayDataset>(std::move(source), std::move(notes)));
}

}  // namespace ft
