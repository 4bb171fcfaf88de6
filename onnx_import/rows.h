#pragma once

// Where the rows of a batch are in each value of a model, and where they meet.
//
// The batch starts as axis 0 of the input. Each node moves it by the rule of its op (RowRule), so
// that merged axes ([N*T, C]), sequences first ([T, N, C]) and their way back are followed exactly:
// a place is the axis and what lies inside the batch on it. Two rows meet where an element of an
// output depends on elements of both: in a mean over the batch, a softmax along it, a reshape
// across it. A value for each row of the file's batch (a table of 8 rows, say) counts as a meeting,
// too: it gives a row a meaning that another batch, or a part of this one, does not have.
// Batch norm in training is the one meeting that is meant, and none here.
//
// With one row every axis of 1 could be the batch. Such a model is followed by the places of the
// same model bound to another batch: same nodes, same values.

#include <optional>
#include <string>
#include <vector>

#include "onnx_import/model.h"

namespace ft {

struct RowPlace {
  enum class Kind : uint8_t {
    kNone,    // does not depend on the samples
    kPlaced,  // the batch is on `axis`
    kLost,    // depends on samples, no longer row by row
  };
  Kind kind = Kind::kNone;
  int axis = 0;
  // The axis has the length outer * batch * inner; row n has the indices with
  // index / inner % batch == n.
  int64_t inner = 1;

  bool is_placed() const { return kind == Kind::kPlaced; }
  bool operator==(const RowPlace& other) const = default;
};

struct RowMeeting {
  std::string node;
  std::string op;
  std::string what;  // completes "node 'x' (Op) ...": "takes the mean over the rows of a batch"
};

// "node 'x' (ReduceMean) takes the mean over the rows of a batch"
std::string to_string(const RowMeeting& meeting);

class RowTracker {
 public:
  // `known`: places of the same model bound to another batch, or null. Must outlive the tracker.
  explicit RowTracker(int64_t batch, const std::vector<RowPlace>* known = nullptr)
      : batch_(batch), known_(known) {}

  // Follows the nodes that were added to the model since the last call. REQUIRES: each time the
  // same model, with model.input set; it may have grown.
  void follow(const Model& model);

  // REQUIRES: follow() saw the value.
  const RowPlace& place(ValueId id) const { return places_[static_cast<size_t>(id)]; }
  const std::vector<RowPlace>& places() const { return places_; }
  // The first one; what comes after it may be another. Empty: every row is computed by itself.
  const std::optional<RowMeeting>& meeting() const { return meeting_; }
  // The first one behind which there is no row for each sample, or empty.
  const std::optional<RowMeeting>& lost() const { return lost_; }

 private:
  void follow_node(const Model& model, const Node& node);

  const int64_t batch_;
  const std::vector<RowPlace>* const known_;
  size_t nodes_seen_ = 0;
  std::vector<RowPlace> places_;
  std::optional<RowMeeting> meeting_;
  std::optional<RowMeeting> lost_;
};

// Elements inside one row's block: the stride of the batch in a row-major tensor of that shape.
int64_t row_stride(const Shape& shape, const RowPlace& place);

// The axis of `shape` on which a batch of `batch` rows with that stride lies; kLost if it is split.
// One row fits several axes of 1: the first that is the batch alone is taken.
RowPlace place_by_stride(const Shape& shape, int64_t batch, int64_t stride);

// The loss wants a row for each sample. `lost`: RowTracker::lost(). Errors: kInvalid, with what to
// do at the model's end.
Status check_output_rows(const std::string& name, const Shape& shape, int64_t batch,
                         const RowPlace& place, const std::optional<RowMeeting>& lost);

}  // namespace ft
