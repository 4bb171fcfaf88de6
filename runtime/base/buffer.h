#pragma once

// Buffer: bytes that threads and messages share without copying. A buffer is written by the one
// who made it and never after it was handed on; the last reference frees it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace ft {

// Enough for any vector unit, and a cache line.
constexpr size_t kBufferAlignment = 64;

class Buffer {
 public:
  // Uninitialised bytes. `size` may be 0. More than a 32-bit system can address is out of memory.
  explicit Buffer(uint64_t size);
  // A part of another buffer, which it keeps. Nobody writes it.
  Buffer(std::shared_ptr<const Buffer> whole, size_t offset, size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  size_t size() const { return size_; }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  float* floats() { return reinterpret_cast<float*>(data_); }
  const float* floats() const { return reinterpret_cast<const float*>(data_); }
  std::span<std::byte> bytes() { return {data_, size_}; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  size_t size_;
  std::byte* data_;
  std::shared_ptr<const Buffer> whole_;  // null: the bytes are its own
};

using BufferPtr = std::shared_ptr<Buffer>;
using ConstBufferPtr = std::shared_ptr<const Buffer>;

inline ConstBufferPtr part_of(const ConstBufferPtr& whole, size_t offset, size_t size) {
  return std::make_shared<const Buffer>(whole, offset, size);
}

inline BufferPtr make_buffer(uint64_t size) { return std::make_shared<Buffer>(size); }

// Buffers of a few sizes that are needed again and again. What is freed goes back to the system,
// and new pages cost as much as what is computed in them (0.4 ms a MiB on a virtual machine). Any
// thread may let go of a buffer, also after these are gone.
class RecycledBuffers {
 public:
  RecycledBuffers();
  // One that was let go of, with whatever bytes it has, or a new one.
  BufferPtr make(uint64_t size);
  // Of those that nobody holds.
  int64_t idle_bytes() const;

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace ft
