#pragma once

// Bytes of data files as the formats define them, for tests.

#include <cstdint>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <vector>
#include <zlib.h>

namespace ft {

inline std::string idx_bytes(const std::vector<uint32_t>& dims, const std::string& body,
                             char type = 0x08) {
  std::string bytes = {0, 0, type, static_cast<char>(dims.size())};
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(dim >> shift);
  }
  return bytes + body;
}

// `body` counts from 0, modulo `modulus`.
inline std::string counting(size_t size, unsigned modulus = 256) {
  std::string body;
  for (size_t i = 0; i < size; ++i) body += static_cast<char>(i % modulus);
  return body;
}

inline std::string npy_bytes(const std::string& header, const std::string& body, char major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {major, 0};
  const size_t size = header.size();
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) bytes += static_cast<char>(size >> (8 * i));
  return bytes + header + body;
}

inline std::string npy_header(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::string gzip(const std::string& plain) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string bytes(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

}  // namespace ft
