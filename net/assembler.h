#pragma once

// Assembler: puts one peer's chunks together again. The stream below delivers each frame once and
// in order, so the chunks of a transfer arrive from its first byte to its last, with those of other
// transfers between them. Whatever contradicts that is refused. Pure.

#include <cstddef>
#include <functional>
#include <map>
#include <span>

#include "net/bulk.h"
#include "runtime/base/buffer.h"

namespace ft {

// A sender has one unfinished transfer per priority.
constexpr size_t kAssembliesMax = kPriorityCount;

class Assembler {
 public:
  enum class Outcome : uint8_t { kPartial, kComplete, kRefused };

  // `expected_bytes` is asked once, before memory is allocated: the bytes that this transfer must
  // have, or -1. REQUIRES: `header` is decoded, so its sizes fit each other and `chunk`.
  Outcome add(const BulkHeader& header, std::span<const std::byte> chunk,
              const std::function<int64_t()>& expected_bytes);
  // The transfer that the last add() completed.
  BufferPtr take() { return std::move(complete_); }

 private:
  struct Assembly {
    BufferPtr bytes;
    int64_t received = 0;
  };
  std::map<BulkName, Assembly> assemblies_;
  BufferPtr complete_;
  RecycledBuffers passing_;
};

}  // namespace ft
