#include "runtime/data/labels.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "runtime/data/dataset.h"

namespace ft {
namespace {

constexpr char kAsTargets[] = "(--loss mse takes them as they are)";

// Axes of a row that are longer than 1.
int long_axes(const Shape& shape) {
  int count = 0;
  for (int axis = 1; axis < shape.rank(); ++axis) count += shape.dim(axis) > 1 ? 1 : 0;
  return count;
}

// The column of a row's only 1, or -1 unless the rest is 0.
int64_t one_hot_column(const NumberArray& targets, int64_t row) {
  int64_t column = -1;
  for (int64_t i = 0; i < targets.row_elements(); ++i) {
    const double value = targets.read_double(row, i);
    if (value == 0) continue;
    if (value != 1 || column >= 0) return -1;
    column = i;
  }
  return column;
}

// Labels that `label_of(row)` makes: int32 [N].
template <typename LabelOf>
NumberArray make_labels(int64_t rows, const LabelOf& label_of) {
  const BufferPtr bytes = make_buffer(static_cast<uint64_t>(rows) * sizeof(int32_t));
  for (int64_t row = 0; row < rows; ++row) {
    const auto label = static_cast<int32_t>(label_of(row));
    std::memcpy(bytes->data() + static_cast<size_t>(row) * sizeof(label), &label, sizeof(label));
  }
  return {NumberType::kInt32, {rows}, bytes, 0};
}

// Below 0 or beyond every class.
Status range_error(const std::string& path, const NumberArray& targets, int64_t row) {
  double least = 0;
  bool two_signs = true;  // -1 and 1, as some tools call two classes
  for (int64_t i = 0; i < targets.rows(); ++i) {
    const double value = targets.read_double(i, 0);
    least = std::min(least, value);
    two_signs = two_signs && std::abs(value) == 1;
  }
  const double value = targets.read_double(row, 0);
  const char* remedy =
      two_signs   ? "classes count from 0: numpy.save(file, (y > 0).astype('<i8'))"
      : value < 0 ? "classes count from 0: leave such rows out of both files (keep = y >= 0), or "
                    "number the classes anew with numpy.unique(y, return_inverse=True)[1]"
                  : "number the classes anew with numpy.unique(y, return_inverse=True)[1], or say "
                    "--loss mse if they are no classes";
  return invalid_error("%s: row %" PRId64 " holds the label %.17g, which is outside 0..%" PRId64
                       "; %s",
                       path.c_str(), row, value, kClassesMax - 1, remedy);
}

// One number a sample.
Result<Labels> read_numbers(const std::string& path, const NumberArray& targets) {
  const char* type = info_of(targets.type).name;
  for (int64_t row = 0; row < targets.rows(); ++row) {
    const double value = targets.read_double(row, 0);
    if (!std::isfinite(value)) {
      return invalid_error("%s: row %" PRId64
                           " holds %g, which is no class number; leave such rows out of both "
                           "files: keep = numpy.isfinite(y)",
                           path.c_str(), row, value);
    }
    if (value == std::floor(value)) continue;
    return invalid_error(
        "%s: row %" PRId64
        " holds %g, which is no class number; for a regression say --loss mse; "
        "if these are class numbers: numpy.save(file, numpy.rint(y).astype('<i8'))",
        path.c_str(), row, value);
  }
  for (int64_t row = 0; row < targets.rows(); ++row) {
    const double value = targets.read_double(row, 0);
    if (value < 0 || value >= static_cast<double>(kClassesMax)) {
      return range_error(path, targets, row);
    }
  }
  Labels labels;
  labels.numbers = targets;
  labels.numbers.shape = {targets.rows()};
  if (is_float(targets.type)) {
    labels.numbers =
        make_labels(targets.rows(), [&](int64_t row) { return targets.read_double(row, 0); });
    labels.note = format("%s: whole numbers in %s are taken as class labels %s", path.c_str(), type,
                         kAsTargets);
  } else if (targets.type == NumberType::kBool) {
    labels.note = format("%s: bool is taken as class 0 (False) and class 1 (True)", path.c_str());
  } else if (targets.type != NumberType::kUint8 && targets.type != NumberType::kInt32 &&
             targets.type != NumberType::kInt64) {
    labels.note = format("%s: %s numbers are taken as class labels", path.c_str(), type);
  }
  if (targets.shape.rank() > 1) {
    const std::string shape = rows_text(targets.shape.dims().subspan(1));
    labels.note = labels.note.empty() ? format(
                                            "%s: labels of shape %s are taken as one class "
                                            "label a sample",
                                            path.c_str(), shape.c_str())
                                      : labels.note + ", one a sample, from shape " + shape;
  }
  return labels;
}

}  // namespace

Result<Labels> read_labels(const std::string& path, const NumberArray& targets) {
  const int64_t classes = targets.row_elements();
  if (classes == 1) return read_numbers(path, targets);
  const std::string shape = rows_text(targets.shape.dims().subspan(1));
  if (long_axes(targets.shape) > 1) {
    return invalid_error(
        "%s: %s numbers of shape %s: class labels are one class number a sample, [N], or one-hot "
        "rows [N, C]; for a regression say --loss mse",
        path.c_str(), info_of(targets.type).name, shape.c_str());
  }
  for (int64_t row = 0; row < targets.rows(); ++row) {
    if (one_hot_column(targets, row) >= 0) continue;
    return invalid_error(
        "%s: row %" PRId64
        " of shape %s is not one-hot (one 1, the rest 0); class labels are one "
        "class number a sample: numpy.save(file, y.argmax(1)) takes each row's largest; for a "
        "regression, or several classes a sample, say --loss mse",
        path.c_str(), row, shape.c_str());
  }
  if (classes > kClassesMax) {
    return invalid_error("%s: %" PRId64 " classes are more than the limit of %" PRId64,
                         path.c_str(), classes, kClassesMax);
  }
  Labels labels;
  labels.numbers =
      make_labels(targets.rows(), [&](int64_t row) { return one_hot_column(targets, row); });
  labels.note = format("%s: one-hot rows of %" PRId64 " are taken as class labels %s", path.c_str(),
                       classes, kAsTargets);
  return labels;
}

}  // namespace ft
