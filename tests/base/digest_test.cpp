#include "runtime/base/digest.h"

#include <doctest/doctest.h>
#include <string_view>

namespace ft {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

// FIPS 180-4's examples.
TEST_CASE("digest: SHA-256 of known texts") {
  CHECK(to_hex(sha256(bytes_of("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("digest: a stream is its concatenation") {
  Sha256Stream stream;
  stream.update(bytes_of("a"));
  stream.update({});
  stream.update(bytes_of("bc"));
  CHECK(stream.finish() == sha256(bytes_of("abc")));
}

// From xxhash's own test of XXH3 with seed 0.
TEST_CASE("digest: XXH3 of the empty text is the published one, and damage changes it") {
  CHECK(xxh3_64({}) == 0x2D06800538D394C2);
  CHECK(xxh3_64(bytes_of("abc")) != xxh3_64(bytes_of("abd")));
  const std::string text(1000, 'x');
  const auto whole = bytes_of(text);
  const std::span<const std::byte> parts[] = {whole.first(1), whole.subspan(1, 700),
                                              whole.subspan(701, 0), whole.subspan(701)};
  CHECK(xxh3_64_of_parts(parts) == xxh3_64(whole));
}

TEST_CASE("digest: hex goes there and back, and nothing else is hex") {
  std::array<uint8_t, 3> bytes{};
  CHECK(from_hex("00fA7e", bytes));
  CHECK(to_hex(bytes) == "00fa7e");
  CHECK_FALSE(from_hex("00fa7", bytes));
  CHECK_FALSE(from_hex("00fa7e00", bytes));
  CHECK_FALSE(from_hex("00fa7g", bytes));
  CHECK_FALSE(from_hex("", bytes));
}

TEST_CASE("digest: random numbers of the operating system differ") {
  CHECK(random_u64() != random_u64());
}

}  // namespace ft
