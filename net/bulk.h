#pragma once

// Bulk frames: tensors, labels, layer state and the model file travel as transfers cut into chunks;
// each chunk is one message of two parts: this header, little-endian, then the bytes (no second
// part when there are none). docs/wire.md has the layout byte for byte.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/peer_id.h"
#include "runtime/base/status.h"

namespace ft {

constexpr uint32_t kProtocolVersion = 1;
constexpr int64_t kChunkBytesMax = 256 * 1024;
constexpr int64_t kTransferBytesMax = int64_t{8} << 30;

using RunId = std::array<uint8_t, 16>;

enum class BulkKind : uint8_t {
  kActivation = 1,  // item: ValueId; batch, micro
  kGradient = 2,    // item: ValueId; batch, micro
  kLabels = 3,      // batch, micro
  kEvaluation = 4,  // item: ValueId; batch: index of the evaluation batch; version: the cut
  kEvaluationLabels = 5,
  kSnapshot = 6,  // item: layer; version; origin_term
  kModel = 7,     // the ONNX file
};

// Of a batch that is trained: gone when the batch is.
inline bool passes_through(BulkKind kind) {
  return kind == BulkKind::kActivation || kind == BulkKind::kGradient || kind == BulkKind::kLabels;
}

// Order of leaving: a lower value leaves first.
enum class Priority : uint8_t { kPipeline = 0, kEvaluation = 1, kReplica = 2 };
constexpr int kPriorityCount = 3;

// Names one transfer: what it is, not how far it has come.
struct BulkName {
  BulkKind kind = BulkKind::kActivation;
  int64_t batch = 0;
  int32_t micro = 0;
  int32_t item = 0;
  int64_t version = 0;
  uint64_t origin_term = 0;
  bool operator==(const BulkName&) const = default;
  auto operator<=>(const BulkName&) const = default;
};

struct BulkHeader {
  RunId run{};
  uint64_t term = 0;
  uint64_t sender = 0;    // incarnation
  uint64_t sequence = 0;  // in the stream (sender, receiver, bulk, term)
  BulkName name;
  int64_t total_bytes = 0;
  int64_t offset = 0;
  int32_t chunk_bytes = 0;
};

constexpr size_t kBulkHeaderBytes = 112;
constexpr int64_t kBulkFrameBytesMax = kChunkBytesMax + static_cast<int64_t>(kBulkHeaderBytes);

void encode_bulk_header(const BulkHeader& header, std::span<std::byte, kBulkHeaderBytes> bytes);

// `header` is the first part of a message, `chunk_bytes` the size of what follows it.
// Errors: kRefused for a wrong size, magic, version or kind, reserved bytes that are not zero, or
// sizes that contradict each other, `chunk_bytes` or the limits above.
Result<BulkHeader> decode_bulk_header(std::span<const std::byte> header, size_t chunk_bytes);

}  // namespace ft
