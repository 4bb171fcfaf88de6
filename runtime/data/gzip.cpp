#include "runtime/data/gzip.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#include <zlib.h>

#include "runtime/base/check.h"
#include "runtime/base/file.h"
#include "runtime/base/file_descriptor.h"

namespace ft {
namespace {

constexpr size_t kTrailerBytes = 8;  // CRC-32, then the size modulo 2^32 (RFC 1952)
constexpr size_t kHeaderBytes = 10;
// Deflate's best: a match of 258 bytes in two bits (zlib's "technical details": 1032:1).
constexpr uint64_t kRatioMax = 1032;
constexpr int kGzipWindow = 16 + MAX_WBITS;  // zlib: expect a gzip header, check the trailer

// Read so much at a time: the compressed bytes are never in memory beside the others.
constexpr size_t kPieceBytes = 256 * 1024;
// zlib counts what is left in 32 bits.
constexpr size_t kTargetPieceBytes = size_t{1} << 30;

Status damaged(const std::string& path, const char* what) {
  return invalid_error("%s: %s; the gzip file is damaged or was cut off: fetch it again",
                       path.c_str(), what);
}

// A file's bytes from `at` on, as many as there are up to `target`'s size.
Result<size_t> read_at(const std::string& path, int file, uint64_t at,
                       std::span<std::byte> target) {
  size_t done = 0;
  while (done < target.size()) {
    const ssize_t got =
        ::pread(file, target.data() + done, target.size() - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return invalid_error("%s: cannot read: %s", path.c_str(), std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

class Inflater {
 public:
  Inflater() { FT_CHECK(inflateInit2(&stream_, kGzipWindow) == Z_OK); }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills `target` to its last byte from the file; the stream must end with both.
  Status run(const std::string& path, int file, std::span<std::byte> target) {
    std::byte past_end{};  // zlib wants room even when nothing is left to come
    std::vector<std::byte> piece(kPieceBytes);
    std::span<std::byte> source;
    uint64_t at = 0;
    while (true) {
      if (source.empty()) {
        FT_ASSIGN_OR_RETURN(const size_t got, read_at(path, file, at, piece));
        source = std::span(piece).first(got);
        at += got;
      }
      const size_t target_piece = std::min(target.size(), kTargetPieceBytes);
      stream_.next_in = reinterpret_cast<Bytef*>(source.data());
      stream_.avail_in = static_cast<uInt>(source.size());
      stream_.next_out = reinterpret_cast<Bytef*>(target.empty() ? &past_end : target.data());
      stream_.avail_out = static_cast<uInt>(target.empty() ? 1 : target_piece);
      const uInt room = stream_.avail_out;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = room - stream_.avail_out;
      source = source.last(stream_.avail_in);
      if (made > target.size()) return damaged(path, "it holds more than its trailer says");
      target = target.subspan(made);
      if (code == Z_STREAM_END) {
        std::byte more{};
        FT_ASSIGN_OR_RETURN(const size_t behind, read_at(path, file, at, std::span(&more, 1)));
        if (!source.empty() || behind > 0) {
          return damaged(path, "bytes follow the end of its first member");
        }
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
  // A FIFO would wait for a writer.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  std::array<std::byte, kTrailerBytes> edge{};
  const bool regular = file.get() >= 0 && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode);
  size_t got = 0;
  if (regular) {
    FT_ASSIGN_OR_RETURN(got, read_at(path, file.get(), 0, std::span(edge).first(2)));
  }
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(edge[i]); };
  if (got < 2 || byte(0) != 0x1F || byte(1) != 0x8B) return read_file(path, bytes_max);
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  if (file_bytes < kHeaderBytes + kTrailerBytes) return damaged(path, "it is too short");

  FT_ASSIGN_OR_RETURN(got, read_at(path, file.get(), file_bytes - kTrailerBytes, edge));
  if (got < kTrailerBytes) return damaged(path, "it is too short");
  uint64_t size = 0;
  for (size_t i = 0; i < 4; ++i) size |= static_cast<uint64_t>(byte(4 + i)) << (8 * i);
  if (size > static_cast<uint64_t>(bytes_max)) {
    return invalid_error("%s: %" PRIu64 " decompressed bytes are more than the limit of %" PRId64,
                         path.c_str(), size, bytes_max);
  }
  if (size / kRatioMax > file_bytes) {
    return damaged(path, "its trailer claims more than the file can hold");
  }
  BufferPtr plain = make_buffer(size);
  Inflater inflater;
  FT_RETURN_IF_ERROR(inflater.run(path, file.get(), plain->bytes()));
  return plain;
}

}  // namespace ft
