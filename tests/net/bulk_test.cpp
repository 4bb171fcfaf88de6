// The bulk header: what is written is read, byte for byte as docs/wire.md says, and nothing else
// is.

#include "net/bulk.h"

#include <cstring>
#include <doctest/doctest.h>
#include <vector>

#include "tests/net/draw.h"

namespace ft {
namespace {

using Bytes = std::array<std::byte, kBulkHeaderBytes>;

BulkHeader sample() {
  BulkHeader header;
  for (size_t i = 0; i < header.run.size(); ++i) header.run[i] = static_cast<uint8_t>(0xA0 + i);
  header.term = 0x1112131415161718;
  header.sender = 0x2122232425262728;
  header.sequence = 0x3132333435363738;
  header.name = {BulkKind::kSnapshot, 0x4142434445464748, 0x51525354,
                 0x61626364,          0x7172737475767778, 0x0102030405060708};
  header.total_bytes = 1000;
  header.offset = 300;
  header.chunk_bytes = 700;
  return header;
}

Bytes encode(const BulkHeader& header) {
  Bytes bytes;
  bytes.fill(std::byte{0xEE});
  encode_bulk_header(header, bytes);
  return bytes;
}

bool refuses(const BulkHeader& header) {
  const Bytes bytes = encode(header);
  return !decode_bulk_header(bytes, static_cast<size_t>(header.chunk_bytes)).ok();
}

BulkHeader with_sizes(int64_t total, int64_t offset, int32_t chunk) {
  BulkHeader header = sample();
  header.total_bytes = total;
  header.offset = offset;
  header.chunk_bytes = chunk;
  return header;
}

}  // namespace

TEST_CASE("bulk: the header is read as it was written") {
  const BulkHeader header = sample();
  const Result<BulkHeader> read = decode_bulk_header(encode(header), 700);
  REQUIRE(read.ok());
  CHECK(read->run == header.run);
  CHECK(read->term == header.term);
  CHECK(read->sender == header.sender);
  CHECK(read->sequence == header.sequence);
  CHECK(read->name == header.name);
  CHECK(read->total_bytes == 1000);
  CHECK(read->offset == 300);
  CHECK(read->chunk_bytes == 700);
}

TEST_CASE("bulk: every field stands where docs/wire.md says, little-endian") {
  const Bytes bytes = encode(sample());
  const auto at = [&](size_t offset) { return std::to_integer<int>(bytes[offset]); };
  CHECK(std::memcmp(bytes.data(), "FTBK", 4) == 0);
  CHECK(at(4) == 1);      // protocol
  CHECK(at(8) == 0xA0);   // run
  CHECK(at(24) == 0x18);  // term
  CHECK(at(31) == 0x11);
  CHECK(at(32) == 0x28);  // sender
  CHECK(at(40) == 0x38);  // sequence
  CHECK(at(48) == 6);     // kind
  CHECK(at(49) + at(50) + at(51) == 0);
  CHECK(at(52) == 0x54);  // micro
  CHECK(at(56) == 0x64);  // item
  CHECK(at(60) == 0xBC);  // chunk_bytes
  CHECK(at(64) == 0x48);  // batch
  CHECK(at(72) == 0x78);  // version
  CHECK(at(80) == 0x08);  // origin_term
  CHECK(at(88) == 0xE8);  // total_bytes
  CHECK(at(96) == 0x2C);  // offset
  for (size_t i = 104; i < kBulkHeaderBytes; ++i) CHECK(at(i) == 0);
}

TEST_CASE("bulk: sizes that contradict each other are refused") {
  CHECK(!refuses(with_sizes(0, 0, 0)));
  CHECK(!refuses(with_sizes(kTransferBytesMax, kTransferBytesMax - kChunkBytesMax,
                            static_cast<int32_t>(kChunkBytesMax))));
  CHECK(refuses(with_sizes(1000, 0, 0)));  // an empty chunk of something
  CHECK(refuses(with_sizes(0, 1, 0)));
  CHECK(refuses(with_sizes(1000, 301, 700)));  // beyond the end
  CHECK(refuses(with_sizes(1000, -1, 700)));
  CHECK(refuses(with_sizes(-1, 0, 0)));
  CHECK(refuses(with_sizes(1000, INT64_MAX, 700)));
  CHECK(refuses(with_sizes(INT64_MIN, 0, 1)));
  CHECK(refuses(with_sizes(1000, 0, -1)));
  CHECK(refuses(with_sizes(kTransferBytesMax + 1, 0, 1)));
  CHECK(refuses(with_sizes(kTransferBytesMax, 0, static_cast<int32_t>(kChunkBytesMax) + 1)));
  CHECK(!decode_bulk_header(encode(sample()), 699).ok());  // says 700, carries 699
}

TEST_CASE("bulk: a wrong protocol version is named") {
  Bytes bytes = encode(sample());
  bytes[4] = std::byte{2};
  const Result<BulkHeader> read = decode_bulk_header(bytes, 700);
  REQUIRE(!read.ok());
  CHECK(read.status().code() == StatusCode::kRefused);
  CHECK(read.status().message().find("protocol version 2, this is 1") != std::string::npos);
}

TEST_CASE("bulk: truncated and damaged headers never come out inconsistent") {
  const Bytes good = encode(sample());
  for (size_t size = 0; size < kBulkHeaderBytes; ++size) {
    CHECK(!decode_bulk_header(std::span(good).first(size), 700).ok());
  }
  std::vector<std::byte> longer(good.begin(), good.end());
  longer.push_back(std::byte{0});
  CHECK(!decode_bulk_header(longer, 700).ok());

  Draw draw(7);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = good;
    for (uint64_t flips = 1 + draw.below(4); flips > 0; --flips) {
      bytes[draw.below(kBulkHeaderBytes)] ^= static_cast<std::byte>(1U << draw.below(8));
    }
    const Result<BulkHeader> read = decode_bulk_header(bytes, 700);
    if (!read.ok()) continue;
    ++accepted;
    const bool consistent =
        read->chunk_bytes == 700 && read->offset >= 0 && read->offset + 700 <= read->total_bytes &&
        read->total_bytes <= kTransferBytesMax && read->sender != 0 &&
        read->name.kind >= BulkKind::kActivation && read->name.kind <= BulkKind::kModel;
    REQUIRE(consistent);
    REQUIRE(encode(*read) == bytes);  // nothing in it was ignored
  }
  CHECK(accepted >
        1000);  // flips in run, term, sender, sequence and name are the streams' business
}

}  // namespace ft
