#pragma once

// SHA-256 (what a user sees and compares) and XXH3-64 (what a frame or a file chunk carries against
// damage); random numbers and keys from the operating system. The libraries stop in digest.cpp.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ft {

using Sha256 = std::array<uint8_t, 32>;

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void update(std::span<const std::byte> bytes);
  Sha256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256 sha256(std::span<const std::byte> bytes);
std::string to_hex(std::span<const uint8_t> bytes);
// Returns false unless `text` is exactly 2 * bytes.size() hex digits.
bool from_hex(const std::string& text, std::span<uint8_t> bytes);

uint64_t xxh3_64(std::span<const std::byte> bytes);
// Of the parts as if they were one piece.
uint64_t xxh3_64_of_parts(std::span<const std::span<const std::byte>> parts);

// Curve25519, for a device's keys: the public key that belongs to a secret one, which is any 32
// random bytes.
std::array<uint8_t, 32> curve25519_public(const std::array<uint8_t, 32>& secret);
std::array<uint8_t, 32> random_secret();

// From the operating system, for run ids and incarnations; never for training.
uint64_t random_u64();

}  // namespace ft
