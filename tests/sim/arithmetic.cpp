#include "tests/sim/arithmetic.h"

#include <cstring>

#include "runtime/base/check.h"
#include "runtime/base/digest.h"

namespace ft::sim {
namespace {

constexpr size_t kPatternStride = 65536;

}  // namespace

Digest combine(Digest a, Digest b, uint64_t what) {
  const uint64_t words[] = {a, b, what};
  return xxh3_64(std::as_bytes(std::span(words)));
}

ConstBufferPtr wrap(Digest digest, int64_t bytes) {
  BufferPtr buffer = make_buffer(static_cast<size_t>(bytes));
  std::memcpy(buffer->data(), &digest, sizeof(digest));
  return buffer;
}

Digest unwrap(const ConstBufferPtr& buffer) {
  Digest digest = 0;
  FT_CHECK(buffer->size() >= sizeof(digest));
  std::memcpy(&digest, buffer->data(), sizeof(digest));
  return digest;
}

ConstBufferPtr wrap_state(const LayerDigests& state, int64_t bytes) {
  static_assert(sizeof(state) == kStateBytes);
  BufferPtr buffer = make_buffer(static_cast<size_t>(bytes));
  std::memset(buffer->data(), 0, buffer->size());
  std::memcpy(buffer->data(), &state, sizeof(state));
  const auto mark = static_cast<std::byte>(state.parameters);
  for (size_t i = kStateBytes; i < buffer->size(); i += kPatternStride) buffer->data()[i] = mark;
  if (buffer->size() > kStateBytes) buffer->data()[buffer->size() - 1] = mark;
  return buffer;
}

bool unwrap_state(const Buffer& buffer, LayerDigests* state) {
  if (buffer.size() < kStateBytes) return false;
  std::memcpy(state, buffer.data(), sizeof(*state));
  const auto mark = static_cast<std::byte>(state->parameters);
  for (size_t i = kStateBytes; i < buffer.size(); i += kPatternStride) {
    if (buffer.data()[i] != mark) return false;
  }
  return buffer.size() == kStateBytes || buffer.data()[buffer.size() - 1] == mark;
}

}  // namespace ft::sim
