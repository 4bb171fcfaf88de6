#include "runtime/base/buffer.h"

#include <doctest/doctest.h>
#include <thread>

namespace ft {

TEST_CASE("buffer: a recycled one comes back when nobody holds it any more, by size") {
  RecycledBuffers buffers;
  BufferPtr first = buffers.make(100);
  const std::byte* const bytes = first->data();
  const ConstBufferPtr reader = first;
  first.reset();
  CHECK(buffers.make(100)->data() != bytes);  // it is still read
  CHECK(buffers.idle_bytes() == 100);
}

TEST_CASE("buffer: what another thread has let go of is handed out again") {
  RecycledBuffers buffers;
  const std::byte* bytes = nullptr;
  {
    BufferPtr made = buffers.make(100);
    bytes = made->data();
    std::thread([held = std::move(made)] { held->data()[99] = std::byte{1}; }).join();
  }
  CHECK(buffers.make(99)->size() == 99);
  const BufferPtr again = buffers.make(100);
  CHECK(again->data() == bytes);
  CHECK(again->data()[99] == std::byte{1});
}

TEST_CASE("buffer: one may outlive those who recycle it") {
  auto buffers = std::make_unique<RecycledBuffers>();
  const BufferPtr held = buffers->make(100);
  buffers.reset();
  held->data()[99] = std::byte{2};
  CHECK(held->size() == 100);
}

TEST_CASE("buffer: a size that nobody asks for any more is given back") {
  RecycledBuffers buffers;
  buffers.make(100);
  for (int turn = 0; turn < 60; ++turn) buffers.make(200);
  CHECK(buffers.idle_bytes() == 300);
  for (int turn = 0; turn < 10; ++turn) buffers.make(200);
  CHECK(buffers.idle_bytes() == 200);
}

}  // namespace ft
