#include "runtime/base/buffer.h"

#include <algorithm>
#include <cstdint>
#include <new>

namespace ft {

Buffer::Buffer(uint64_t size)
    : size_(static_cast<size_t>(std::min<uint64_t>(size, PTRDIFF_MAX))),
      data_(static_cast<std::byte*>(
          ::operator new(size_ == 0 ? 1 : size_, std::align_val_t(kBufferAlignment)))) {}

Buffer::~Buffer() { ::operator delete(data_, std::align_val_t(kBufferAlignment)); }

}  // namespace ft
