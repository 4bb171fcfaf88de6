#pragma once

// Chunker: the transfers on their way to one peer, cut into chunks. The most urgent transfer leaves
// first; a less urgent one that has begun waits between two chunks and goes on later. Within one
// priority the order of sending is kept. Pure.

#include <array>
#include <deque>

#include "net/bulk.h"
#include "runtime/base/buffer.h"

namespace ft {

constexpr size_t kTransfersQueuedMax = 65536;

// Bytes [offset, offset + chunk_bytes) of a transfer.
struct Chunk {
  BulkName name;
  ConstBufferPtr bytes;  // of the whole transfer
  int64_t offset = 0;
  int32_t chunk_bytes = 0;
};

class Chunker {
 public:
  // Returns false when kTransfersQueuedMax are waiting already.
  // REQUIRES: at most kTransferBytesMax bytes.
  bool push(const BulkName& name, ConstBufferPtr bytes, Priority priority);
  bool empty() const;
  // The next chunk to send, of at most that many bytes. REQUIRES: not empty; 0 < bytes_max <=
  // kChunkBytesMax.
  Chunk pop(int64_t bytes_max = kChunkBytesMax);
  // Bytes that have not left yet.
  int64_t bytes_pending() const { return bytes_pending_; }

 private:
  struct Transfer {
    BulkName name;
    ConstBufferPtr bytes;
    int64_t offset = 0;
  };
  std::array<std::deque<Transfer>, kPriorityCount> queues_;
  int64_t bytes_pending_ = 0;
};

}  // namespace ft
