#include "runtime/base/buffer.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "runtime/base/check.h"

namespace ft {

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

}  // namespace ft
