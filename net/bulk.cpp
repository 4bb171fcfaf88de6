#include "net/bulk.h"

#include <cstring>

namespace ft {
namespace {

constexpr std::array<uint8_t, 4> kMagic = {'F', 'T', 'B', 'K'};

// Both walk the header with the same list of fields (visit below), so that they cannot disagree.
class Writer {
 public:
  explicit Writer(std::span<std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  void number(const T& value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_[i] = static_cast<std::byte>(static_cast<uint64_t>(value) >> (8 * i));
    }
    bytes_ = bytes_.subspan(sizeof(T));
  }
  template <size_t N>
  void raw(const std::array<uint8_t, N>& value) {
    std::memcpy(bytes_.data(), value.data(), N);
    bytes_ = bytes_.subspan(N);
  }

 private:
  std::span<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  void number(T& value) {
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) bits |= static_cast<uint64_t>(bytes_[i]) << (8 * i);
    value = static_cast<T>(bits);
    bytes_ = bytes_.subspan(sizeof(T));
  }
  template <size_t N>
  void raw(std::array<uint8_t, N>& value) {
    std::memcpy(value.data(), bytes_.data(), N);
    bytes_ = bytes_.subspan(N);
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Fixed {
  std::array<uint8_t, 4> magic = kMagic;
  uint32_t protocol = kProtocolVersion;
  uint8_t kind = 0;
  std::array<uint8_t, 3> reserved_kind{};
  uint64_t reserved_end = 0;
};

// The layout of docs/wire.md, in order.
template <typename Codec, typename FixedT, typename HeaderT>
void visit(Codec& codec, FixedT& fixed, HeaderT& header) {
  codec.raw(fixed.magic);
  codec.number(fixed.protocol);
  codec.raw(header.run);
  codec.number(header.term);
  codec.number(header.sender);
  codec.number(header.sequence);
  codec.number(fixed.kind);
  codec.raw(fixed.reserved_kind);
  codec.number(header.name.micro);
  codec.number(header.name.item);
  codec.number(header.chunk_bytes);
  codec.number(header.name.batch);
  codec.number(header.name.version);
  codec.number(header.name.origin_term);
  codec.number(header.total_bytes);
  codec.number(header.offset);
  codec.number(fixed.reserved_end);
}

Status check_fixed(const Fixed& fixed) {
  if (fixed.magic != kMagic) return refused_error("bulk frame: wrong magic");
  if (fixed.protocol != kProtocolVersion) {
    return refused_error("bulk frame: protocol version %u, this is %u", fixed.protocol,
                         kProtocolVersion);
  }
  if (fixed.kind < static_cast<uint8_t>(BulkKind::kActivation) ||
      fixed.kind > static_cast<uint8_t>(BulkKind::kModel)) {
    return refused_error("bulk frame: unknown kind %d", fixed.kind);
  }
  if (fixed.reserved_kind != std::array<uint8_t, 3>{} || fixed.reserved_end != 0) {
    return refused_error("bulk frame: reserved bytes are not zero");
  }
  return Status();
}

Status check_sizes(const BulkHeader& header, size_t chunk_bytes) {
  const int64_t chunk = header.chunk_bytes;
  // Only an empty transfer has an empty chunk.
  const int64_t chunk_min = header.total_bytes == 0 ? 0 : 1;
  if (header.total_bytes < 0 || header.total_bytes > kTransferBytesMax || chunk < chunk_min ||
      chunk > kChunkBytesMax || header.offset < 0 || header.offset > header.total_bytes - chunk) {
    return refused_error("bulk frame: chunk of %lld bytes at %lld does not fit into %lld",
                         static_cast<long long>(chunk), static_cast<long long>(header.offset),
                         static_cast<long long>(header.total_bytes));
  }
  if (static_cast<size_t>(chunk) != chunk_bytes) {
    return refused_error("bulk frame: says %lld bytes, carries %zu", static_cast<long long>(chunk),
                         chunk_bytes);
  }
  return Status();
}

}  // namespace

void encode_bulk_header(const BulkHeader& header, std::span<std::byte, kBulkHeaderBytes> bytes) {
  Fixed fixed;
  fixed.kind = static_cast<uint8_t>(header.name.kind);
  Writer writer(bytes);
  visit(writer, fixed, header);
}

Result<BulkHeader> decode_bulk_header(std::span<const std::byte> bytes, size_t chunk_bytes) {
  if (bytes.size() != kBulkHeaderBytes) {
    return refused_error("bulk frame: a header of %zu bytes instead of %zu", bytes.size(),
                         kBulkHeaderBytes);
  }
  Fixed fixed;
  BulkHeader header;
  Reader reader(bytes);
  visit(reader, fixed, header);
  FT_RETURN_IF_ERROR(check_fixed(fixed));
  FT_RETURN_IF_ERROR(check_sizes(header, chunk_bytes));
  header.name.kind = static_cast<BulkKind>(fixed.kind);
  const BulkName& name = header.name;
  if (header.sender == 0 || name.batch < 0 || name.micro < 0 || name.item < 0 ||
      name.version < -1) {
    return refused_error("bulk frame: a sender or a name that cannot be");
  }
  return header;
}

}  // namespace ft
