#include "runtime/base/digest.h"

#include <memory>
#include <sodium.h>
#include <xxhash.h>

#include "runtime/base/check.h"

namespace ft {

struct Sha256Stream::State {
  crypto_hash_sha256_state sodium;
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  crypto_hash_sha256_init(&state_->sodium);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::update(std::span<const std::byte> bytes) {
  crypto_hash_sha256_update(&state_->sodium, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

Sha256 Sha256Stream::finish() {
  Sha256 digest;
  crypto_hash_sha256_final(&state_->sodium, digest.data());
  return digest;
}

Sha256 sha256(std::span<const std::byte> bytes) {
  Sha256Stream stream;
  stream.update(bytes);
  return stream.finish();
}

std::string to_hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

bool from_hex(const std::string& text, std::span<uint8_t> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  size_t decoded = 0;
  const int failed = sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr,
                                    &decoded, nullptr);
  return failed == 0 && decoded == bytes.size();
}

uint64_t xxh3_64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t xxh3_64_of_parts(std::span<const std::span<const std::byte>> parts) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  FT_CHECK(state != nullptr && XXH3_64bits_reset(state.get()) == XXH_OK);
  for (const std::span<const std::byte> part : parts) {
    FT_CHECK(XXH3_64bits_update(state.get(), part.data(), part.size()) == XXH_OK);
  }
  return XXH3_64bits_digest(state.get());
}

std::array<uint8_t, 32> curve25519_public(const std::array<uint8_t, 32>& secret) {
  std::array<uint8_t, 32> key{};
  FT_CHECK(crypto_scalarmult_base(key.data(), secret.data()) == 0);
  return key;
}

std::array<uint8_t, 32> random_secret() {
  FT_CHECK(sodium_init() >= 0);
  std::array<uint8_t, 32> secret{};
  randombytes_buf(secret.data(), secret.size());
  return secret;
}

uint64_t random_u64() {
  FT_CHECK(sodium_init() >= 0);
  uint64_t value = 0;
  randombytes_buf(&value, sizeof(value));
  return value;
}

}  // namespace ft
