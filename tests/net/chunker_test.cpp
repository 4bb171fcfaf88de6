// Chunker and assembler: what is cut is put together again, urgent things first.

#include "net/chunker.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <vector>

#include "net/assembler.h"
#include "tests/net/draw.h"

namespace ft {
namespace {

BulkName named(int32_t item) { return {BulkKind::kActivation, 0, 0, item}; }

BufferPtr filled(size_t size, int seed) {
  BufferPtr buffer = make_buffer(size);
  for (size_t i = 0; i < size; ++i) {
    buffer->data()[i] = static_cast<std::byte>(i * 7 + i / 251 + static_cast<size_t>(seed));
  }
  return buffer;
}

bool same(const Buffer& a, const Buffer& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

BulkHeader header_of(const Chunk& chunk) {
  BulkHeader header;
  header.name = chunk.name;
  header.total_bytes = static_cast<int64_t>(chunk.bytes->size());
  header.offset = chunk.offset;
  header.chunk_bytes = chunk.chunk_bytes;
  return header;
}

std::span<const std::byte> bytes_of(const Chunk& chunk) {
  return chunk.bytes->bytes().subspan(static_cast<size_t>(chunk.offset),
                                      static_cast<size_t>(chunk.chunk_bytes));
}

Assembler::Outcome add(Assembler* assembler, const Chunk& chunk) {
  return assembler->add(header_of(chunk), bytes_of(chunk),
                        [&] { return static_cast<int64_t>(chunk.bytes->size()); });
}

Chunk make_chunk(int32_t item, const BufferPtr& bytes, int64_t offset, int32_t count) {
  return {named(item), bytes, offset, count};
}

using Outcome = Assembler::Outcome;

}  // namespace

TEST_CASE("chunker: an urgent transfer interrupts a less urgent one between two chunks") {
  Chunker chunker;
  const auto size = static_cast<size_t>(3 * kChunkBytesMax);
  REQUIRE(chunker.push(named(1), filled(size, 1), Priority::kReplica));
  CHECK(chunker.pop().name.item == 1);
  REQUIRE(chunker.push(named(2), filled(10, 2), Priority::kEvaluation));
  REQUIRE(chunker.push(named(3), filled(size, 3), Priority::kPipeline));
  REQUIRE(chunker.push(named(4), filled(10, 4), Priority::kPipeline));
  std::vector<int32_t> order;
  while (!chunker.empty()) order.push_back(chunker.pop().name.item);
  CHECK(order == std::vector<int32_t>{3, 3, 3, 4, 2, 1, 1});
  CHECK(chunker.bytes_pending() == 0);
}

TEST_CASE("chunker: chunks cover a transfer exactly, the empty one with one chunk") {
  for (const size_t size : {size_t{0}, size_t{1}, static_cast<size_t>(kChunkBytesMax),
                            static_cast<size_t>(kChunkBytesMax) + 1}) {
    Chunker chunker;
    REQUIRE(chunker.push(named(1), filled(size, 1), Priority::kPipeline));
    CHECK(chunker.bytes_pending() == static_cast<int64_t>(size));
    int64_t at = 0;
    int count = 0;
    while (!chunker.empty()) {
      const Chunk chunk = chunker.pop();
      CHECK(chunk.offset == at);
      CHECK(chunk.chunk_bytes <= kChunkBytesMax);
      at += chunk.chunk_bytes;
      ++count;
    }
    CHECK(at == static_cast<int64_t>(size));
    CHECK(count == (size > static_cast<size_t>(kChunkBytesMax) ? 2 : 1));
  }
}

TEST_CASE("assembler: interleaved transfers of seeded sizes and priorities arrive whole") {
  Draw draw(11);
  Chunker chunker;
  Assembler assembler;
  std::vector<BufferPtr> sent;
  int arrived = 0;
  while (arrived < 60) {
    if (sent.size() < 60 && draw.chance(40)) {
      sent.push_back(filled(draw.below(4 * kChunkBytesMax), static_cast<int>(sent.size())));
      REQUIRE(chunker.push(named(static_cast<int32_t>(sent.size()) - 1), sent.back(),
                           static_cast<Priority>(draw.below(kPriorityCount))));
    }
    if (chunker.empty()) continue;
    const Chunk chunk = chunker.pop();
    const Outcome outcome = add(&assembler, chunk);
    REQUIRE(outcome != Outcome::kRefused);
    if (outcome != Outcome::kComplete) continue;
    ++arrived;
    REQUIRE(same(*assembler.take(), *sent[static_cast<size_t>(chunk.name.item)]));
  }
}

TEST_CASE("assembler: nothing is allocated for what nobody expects") {
  Assembler assembler;
  BulkHeader header;
  header.total_bytes = kTransferBytesMax;
  header.chunk_bytes = 1;
  const std::byte byte{1};
  for (const int64_t expected : {int64_t{-1}, kTransferBytesMax - 1}) {
    CHECK(assembler.add(header, {&byte, 1}, [&] { return expected; }) == Outcome::kRefused);
  }
}

TEST_CASE("assembler: chunks that contradict what came before are refused") {
  Assembler assembler;
  const BufferPtr bytes = filled(100, 1);
  CHECK(add(&assembler, make_chunk(1, bytes, 10, 10)) == Outcome::kRefused);  // no beginning
  CHECK(add(&assembler, make_chunk(1, bytes, 0, 10)) == Outcome::kPartial);
  CHECK(add(&assembler, make_chunk(1, bytes, 0, 10)) == Outcome::kRefused);   // begins twice
  CHECK(add(&assembler, make_chunk(1, bytes, 5, 10)) == Outcome::kRefused);   // overlap
  CHECK(add(&assembler, make_chunk(1, bytes, 20, 10)) == Outcome::kRefused);  // gap
  CHECK(add(&assembler, make_chunk(1, filled(99, 1), 10, 10)) == Outcome::kRefused);  // total
  CHECK(add(&assembler, make_chunk(1, bytes, 10, 90)) == Outcome::kComplete);
  CHECK(same(*assembler.take(), *bytes));
}

TEST_CASE("assembler: no more unfinished transfers than a sender can have") {
  Assembler assembler;
  const BufferPtr bytes = filled(100, 1);
  for (int32_t item = 0; item < static_cast<int32_t>(kAssembliesMax); ++item) {
    CHECK(add(&assembler, make_chunk(item, bytes, 0, 10)) == Outcome::kPartial);
  }
  CHECK(add(&assembler, make_chunk(99, bytes, 0, 10)) == Outcome::kRefused);
  CHECK(add(&assembler, make_chunk(0, bytes, 10, 90)) == Outcome::kComplete);
  CHECK(add(&assembler, make_chunk(99, bytes, 0, 10)) == Outcome::kPartial);
}

}  // namespace ft
