#include "runtime/data/npy.h"

#include <charconv>
#include <cinttypes>
#include <optional>
#include <string_view>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kVersionBytes = 2;
constexpr size_t kHeaderBytesMax = 65536;

// The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
struct Header {
  std::optional<std::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// Reads the header's text from left to right; every method says whether it found what it wants.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  bool parse(Header* header) {
    if (!take("{")) return false;
    while (!take("}")) {
      std::string_view key;
      if (!string(&key) || !take(":") || !value(key, header)) return false;
      if (!take(",")) {
        if (!take("}")) return false;
        break;
      }
    }
    skip_space();
    return rest_.empty() && header->descr && header->fortran_order && header->shape;
  }

 private:
  bool value(std::string_view key, Header* header) {
    if (key == "descr" && !header->descr) {
      header->descr.emplace();
      return string(&*header->descr);
    }
    if (key == "fortran_order" && !header->fortran_order) {
      header->fortran_order = take("True");
      return *header->fortran_order || take("False");
    }
    if (key == "shape" && !header->shape) return shape(&header->shape);
    return false;
  }

  void skip_space() {
    const size_t first = rest_.find_first_not_of(" \t\n");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }

  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  bool string(std::string_view* text) {
    skip_space();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return false;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return false;
    *text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool integer(int64_t* number) {
    skip_space();
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), *number);
    if (error != std::errc() || *number < 0) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }

  bool shape(std::optional<Shape>* shape) {
    std::array<int64_t, kRankMax> dims{};
    size_t rank = 0;
    if (!take("(")) return false;
    while (!take(")")) {
      if (rank == dims.size() || !integer(&dims[rank])) return false;
      ++rank;
      if (!take(",")) {
        if (!take(")")) return false;
        break;
      }
    }
    *shape = Shape(std::span<const int64_t>(dims.data(), rank));
    return true;
  }

  std::string_view rest_;
};

// How to write it so that it is read. `>f4` differs from `<f4` in the order of its bytes only.
std::string type_remedy(std::string_view descr) {
  const char kind = descr.size() > 1 ? descr[1] : ' ';
  if (kind == 'U' || kind == 'S' || kind == 'O') {
    return "text and objects are no numbers; names of classes become class numbers with "
           "numpy.save(file, numpy.unique(x, return_inverse=True)[1])";
  }
  if (descr.starts_with('>')) {
    return format("its bytes are in big-endian order: numpy.save(file, x.astype('<%.8s'))",
                  std::string(descr.substr(1)).c_str());
  }
  if (kind == 'c')
    return "complex numbers are not trained on: save x.real, or both parts as floats";
  return "save real numbers: numpy.save(file, x.astype('<f4')), or '<i8' for class labels";
}

Result<NumberType> number_type(const std::string& path, std::string_view descr) {
  for (const NumberTypeInfo& info : kNumberTypes) {
    if (descr == info.descr) return info.type;
  }
  return invalid_error("%s: type '%.16s' is not read: %s", path.c_str(), std::string(descr).c_str(),
                       type_remedy(descr).c_str());
}

}  // namespace

Result<NumberArray> read_npy(const std::string& path) {
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(path));
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + kVersionBytes) {
    return invalid_error("%s: not a .npy file; write it with numpy.save", path.c_str());
  }
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(file->data()[i]); };
  const uint32_t version = byte(kMagic.size());
  if ((version != 1 && version != 2) || byte(kMagic.size() + 1) != 0) {
    return invalid_error("%s: .npy version %u.%u; 1.0 and 2.0 are read: save it with numpy.save",
                         path.c_str(), version, byte(kMagic.size() + 1));
  }
  const size_t length_at = kMagic.size() + kVersionBytes;
  const size_t length_bytes = version == 1 ? 2 : 4;
  size_t header_bytes = 0;
  for (size_t i = 0; i < length_bytes && length_at + i < bytes.size(); ++i) {
    header_bytes |= static_cast<size_t>(byte(length_at + i)) << (8 * i);
  }
  const size_t header_at = length_at + length_bytes;
  if (header_bytes > kHeaderBytesMax || header_at + header_bytes > bytes.size()) {
    return invalid_error("%s: its .npy header says %zu bytes, the file holds %zu; it is damaged",
                         path.c_str(), header_bytes, bytes.size());
  }
  Header header;
  if (!HeaderParser(bytes.substr(header_at, header_bytes)).parse(&header)) {
    return invalid_error(
        "%s: its .npy header is not of the form {'descr': '<f4', 'fortran_order': False, 'shape': "
        "(N, ...)}; structured arrays are not read: save plain numbers with numpy.save",
        path.c_str());
  }
  NumberArray array;
  FT_ASSIGN_OR_RETURN(array.type, number_type(path, *header.descr));
  if (*header.fortran_order) {
    return invalid_error(
        "%s: its numbers are in Fortran order: numpy.save(file, "
        "numpy.ascontiguousarray(x))",
        path.c_str());
  }
  array.shape = *header.shape;
  array.bytes = file;
  array.offset = header_at + header_bytes;
  const uint64_t body_bytes = bytes.size() - array.offset;
  const bool sane = array.shape.rank() > 0 && is_sane(array.shape);
  const int64_t count = sane ? array.shape.element_count() : 0;
  if (count == 0 || static_cast<uint64_t>(count * number_bytes(array.type)) != body_bytes) {
    return invalid_error("%s: its .npy header says %s numbers of %" PRId64 " bytes, %" PRIu64
                         " bytes follow; an empty, cut-off or damaged array is not read",
                         path.c_str(), to_string(array.shape).c_str(), number_bytes(array.type),
                         body_bytes);
  }
  return array;
}

}  // namespace ft
