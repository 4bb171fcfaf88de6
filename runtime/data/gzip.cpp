#include "runtime/data/gzip.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <zlib.h>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr size_t kTrailerBytes = 8;  // CRC-32, then the size modulo 2^32 (RFC 1952)
constexpr size_t kHeaderBytes = 10;
// Deflate's best: a match of 258 bytes in two bits (zlib's "technical details": 1032:1).
constexpr uint64_t kRatioMax = 1032;
constexpr int kGzipWindow = 16 + MAX_WBITS;  // zlib: expect a gzip header, check the trailer

// zlib counts what is left in 32 bits: hand it pieces.
constexpr size_t kPieceBytes = size_t{1} << 30;

Status damaged(const std::string& path, const char* what) {
  return invalid_error("%s: %s; the gzip file is damaged or was cut off: fetch it again",
                       path.c_str(), what);
}

class Inflater {
 public:
  Inflater() { FT_CHECK(inflateInit2(&stream_, kGzipWindow) == Z_OK); }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills `target` to its last byte from `source`; the stream must end with both.
  Status run(const std::string& path, std::span<std::byte> source, std::span<std::byte> target) {
    std::byte past_end{};  // zlib wants room even when nothing is left to come
    while (true) {
      const size_t source_piece = std::min(source.size(), kPieceBytes);
      const size_t target_piece = std::min(target.size(), kPieceBytes);
      stream_.next_in = reinterpret_cast<Bytef*>(source.data());
      stream_.avail_in = static_cast<uInt>(source_piece);
      stream_.next_out = reinterpret_cast<Bytef*>(target.empty() ? &past_end : target.data());
      stream_.avail_out = static_cast<uInt>(target.empty() ? 1 : target_piece);
      const uInt room = stream_.avail_out;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = room - stream_.avail_out;
      source = source.subspan(source_piece - stream_.avail_in);
      if (made > target.size()) return damaged(path, "it holds more than its trailer says");
      target = target.subspan(made);
      if (code == Z_STREAM_END) {
        if (!source.empty()) return damaged(path, "bytes follow the end of its first member");
        if (!target.empty()) return damaged(path, "it holds less than its trailer says");
        return Status();
      }
      if (code == Z_BUF_ERROR) return damaged(path, "the compressed data ends too early");
      if (code != Z_OK) return damaged(path, stream_.msg ? stream_.msg : "bad compressed data");
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

Result<BufferPtr> read_file_or_gzip(const std::string& path, int64_t bytes_max) {
  FT_ASSIGN_OR_RETURN(BufferPtr file, read_file(path, bytes_max));
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(file->data()[i]); };
  if (file->size() < 2 || byte(0) != 0x1F || byte(1) != 0x8B) return file;
  if (file->size() < kHeaderBytes + kTrailerBytes) return damaged(path, "it is too short");

  uint64_t size = 0;
  for (size_t i = 0; i < 4; ++i) {
    size |= static_cast<uint64_t>(byte(file->size() - 4 + i)) << (8 * i);
  }
  if (size > static_cast<uint64_t>(bytes_max)) {
    return invalid_error("%s: %" PRIu64 " decompressed bytes are more than the limit of %" PRId64,
                         path.c_str(), size, bytes_max);
  }
  if (size / kRatioMax > file->size()) {
    return damaged(path, "its trailer claims more than the file can hold");
  }
  BufferPtr plain = make_buffer(size);
  Inflater inflater;
  FT_RETURN_IF_ERROR(inflater.run(path, file->bytes(), plain->bytes()));
  return plain;
}

}  // namespace ft
