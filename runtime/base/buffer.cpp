#include "runtime/base/buffer.h"

#include <new>

namespace ft {

Buffer::Buffer(size_t size)
    : size_(size),
      data_(static_cast<std::byte*>(
          ::operator new(size == 0 ? 1 : size, std::align_val_t(kBufferAlignment)))) {}

Buffer::~Buffer() { ::operator delete(data_, std::align_val_t(kBufferAlignment)); }

}  // namespace ft
