#include "runtime/data/idx.h"

#include <cinttypes>

#include "runtime/data/gzip.h"

namespace ft {
namespace {

constexpr int64_t kIdxBytesMax = int64_t{1} << 32;
constexpr uint32_t kUnsignedByte = 0x08;
constexpr size_t kMagicBytes = 4;

}  // namespace

Result<NumberArray> read_idx(const std::string& path) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file_or_gzip(path, kIdxBytesMax));
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(file->data()[i]); };
  if (file->size() < kMagicBytes || byte(0) != 0 || byte(1) != 0) {
    return invalid_error(
        "%s: not an IDX file (it must start with two zero bytes); fetch it again, or save the "
        "numbers with numpy and use npy:X,Y",
        path.c_str());
  }
  if (byte(2) != kUnsignedByte) {
    return invalid_error(
        "%s: IDX element type 0x%02X; only unsigned bytes (0x08) are read: convert it, or save "
        "the numbers with numpy and use npy:X,Y",
        path.c_str(), byte(2));
  }
  const int rank = static_cast<int>(byte(3));
  const size_t header_bytes = kMagicBytes + 4 * static_cast<size_t>(rank);
  if (rank < 1 || rank > kRankMax || file->size() < header_bytes) {
    return invalid_error(
        "%s: bad IDX header: %d dimensions in a file of %zu bytes; it is damaged or was cut "
        "off: fetch it again",
        path.c_str(), rank, file->size());
  }
  std::array<int64_t, kRankMax> dims{};
  for (size_t axis = 0; axis < static_cast<size_t>(rank); ++axis) {
    const size_t at = kMagicBytes + 4 * axis;
    dims[axis] = byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
  }
  const Shape shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(rank)));
  const size_t body_bytes = file->size() - header_bytes;
  if (!is_sane(shape) || shape.element_count() == 0 ||
      static_cast<uint64_t>(shape.element_count()) != body_bytes) {
    return invalid_error(
        "%s: the IDX header says %s bytes, the file holds %zu after it; it is damaged or was cut "
        "off: fetch it again",
        path.c_str(), to_string(shape).c_str(), body_bytes);
  }
  NumberArray array;
  array.type = NumberType::kUint8;
  array.shape = shape;
  array.bytes = file;
  array.offset = header_bytes;
  return array;
}

}  // namespace ft
