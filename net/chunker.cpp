#include "net/chunker.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace ft {

bool Chunker::push(const BulkName& name, ConstBufferPtr bytes, Priority priority) {
  FT_CHECK(bytes != nullptr && static_cast<int64_t>(bytes->size()) <= kTransferBytesMax);
  std::deque<Transfer>& queue = queues_[static_cast<size_t>(priority)];
  if (queue.size() >= kTransfersQueuedMax) return false;
  bytes_pending_ += static_cast<int64_t>(bytes->size());
  queue.push_back({name, std::move(bytes), 0});
  return true;
}

bool Chunker::empty() const {
  return std::all_of(queues_.begin(), queues_.end(),
                     [](const auto& queue) { return queue.empty(); });
}

Chunk Chunker::pop(int64_t bytes_max) {
  FT_CHECK(!empty() && bytes_max > 0 && bytes_max <= kChunkBytesMax);
  std::deque<Transfer>& queue =
      *std::find_if(queues_.begin(), queues_.end(), [](const auto& item) { return !item.empty(); });
  Transfer& transfer = queue.front();
  const int64_t left = static_cast<int64_t>(transfer.bytes->size()) - transfer.offset;
  Chunk chunk{transfer.name, transfer.bytes, transfer.offset,
              static_cast<int32_t>(std::min(left, bytes_max))};
  transfer.offset += chunk.chunk_bytes;
  bytes_pending_ -= chunk.chunk_bytes;
  if (left == chunk.chunk_bytes) queue.pop_front();
  return chunk;
}

}  // namespace ft
