#include "net/traffic.h"

#include "net/bulk.h"

namespace ft {

void TrafficCounts::count_sent(const Frame& frame) {
  const int64_t bytes = frame.bytes();
  switch (static_cast<BulkKind>(frame.kind)) {
    case BulkKind::kActivation:
    case BulkKind::kEvaluation:
      activations += bytes;
      return;
    case BulkKind::kGradient:
      gradients += bytes;
      return;
    case BulkKind::kLabels:
    case BulkKind::kEvaluationLabels:
      labels += bytes;
      return;
    case BulkKind::kSnapshot:
      replicas += bytes;
      return;
    case BulkKind::kModel:
      model += bytes;
      return;
  }
  control += bytes;
}

}  // namespace ft
