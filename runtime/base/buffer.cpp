#include "runtime/base/buffer.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

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

struct RecycledBuffers::Shelf {
  struct Idle {
    std::unique_ptr<Buffer> buffer;
    uint64_t turn;  // when it came back
  };
  std::mutex mutex;
  std::vector<Idle> idle;
  uint64_t turn = 0;  // buffers made so far

  std::unique_ptr<Buffer> take(uint64_t size) {
    std::lock_guard lock(mutex);
    ++turn;
    std::erase_if(idle, [this](const Idle& i) { return turn - i.turn > kIdleTurnsMax; });
    const auto fits = [=](const Idle& i) { return i.buffer->size() == size; };
    const auto found = std::find_if(idle.begin(), idle.end(), fits);
    if (found == idle.end()) return nullptr;
    std::unique_ptr<Buffer> buffer = std::move(found->buffer);
    idle.erase(found);
    return buffer;
  }
  void put(std::unique_ptr<Buffer> buffer) {
    std::lock_guard lock(mutex);
    idle.push_back({std::move(buffer), turn});
  }
};

RecycledBuffers::RecycledBuffers() : shelf_(std::make_shared<Shelf>()) {}

BufferPtr RecycledBuffers::make(uint64_t size) {
  std::unique_ptr<Buffer> buffer = shelf_->take(size);
  if (buffer == nullptr) buffer = std::make_unique<Buffer>(size);
  const auto let_go = [shelf = std::weak_ptr(shelf_)](Buffer* released) {
    std::unique_ptr<Buffer> owned(released);
    if (const std::shared_ptr<Shelf> open = shelf.lock()) open->put(std::move(owned));
  };
  return {buffer.release(), let_go};
}

int64_t RecycledBuffers::idle_bytes() const {
  std::lock_guard lock(shelf_->mutex);
  int64_t bytes = 0;
  for (const Shelf::Idle& idle : shelf_->idle) bytes += static_cast<int64_t>(idle.buffer->size());
  return bytes;
}

}  // namespace ft
