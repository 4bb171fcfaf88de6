#include "runtime/base/buffer.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "runtime/base/check.h"

namespace ft {
namespace {

// A size that nobody asks for any more is that of other ranges.
constexpr uint64_t kIdleTurnsMax = 64;

}  // namespace

Buffer::Buffer(uint64_t size)
    : size_(static_cast<size_t>(std::min<uint64_t>(size, PTRDIFF_MAX))),
      data_(static_cast<std::byte*>(
          ::operator new(size_ == 0 ? 1 : size_, std::align_val_t(kBufferAlignment)))) {}

Buffer::Buffer(std::shared_ptr<const Buffer> whole, size_t offset, size_t size)
    : size_(size), data_(const_cast<std::byte*>(whole->data()) + offset), whole_(std::move(whole)) {
  FT_CHECK(offset + size <= whole_->size());
}

Buffer::~Buffer() {
  if (whole_ == nullptr) ::operator delete(data_, std::align_val_t(kBufferAlignment));
}

BufferPtr RecycledBuffers::make(uint64_t size) {
  ++turn_;
  std::erase_if(made_, [this](const Made& made) {
    return turn_ - made.turn > kIdleTurnsMax && is_sole_owner(made.buffer);
  });
  for (Made& made : made_) {
    if (made.buffer->size() != size || !is_sole_owner(made.buffer)) continue;
    made.turn = turn_;
    return made.buffer;
  }
  made_.push_back({make_buffer(size), turn_});
  return made_.back().buffer;
}

}  // namespace ft
