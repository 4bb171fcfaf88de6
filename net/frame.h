#pragma once

// Frame: one message on its way out, kept until it is acknowledged. The body is a view into the
// transfer's buffer, which it keeps alive; nothing is copied.

#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/buffer.h"

namespace ft {

// A peer has one stream of each.
enum class Channel : uint8_t { kControl = 0, kBulk = 1 };
constexpr int kChannelCount = 2;

struct Frame {
  std::string head{};     // a whole control message, or a bulk header
  ConstBufferPtr body{};  // bulk: the transfer's bytes
  int64_t body_offset = 0;
  int32_t body_bytes = 0;
  uint8_t kind = 0;  // a BulkKind, or 0: control

  int64_t bytes() const { return static_cast<int64_t>(head.size()) + body_bytes; }
  std::span<const std::byte> body_span() const {
    if (body_bytes == 0) return {};
    return body->bytes().subspan(static_cast<size_t>(body_offset), static_cast<size_t>(body_bytes));
  }
};

}  // namespace ft
