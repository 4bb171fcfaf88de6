#include "runtime/store/checkpoint.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <vector>

#include "runtime/base/file.h"

namespace ft {
namespace {

constexpr uint64_t kMagic = 0x32304B4350545246;  // the bytes "FRTPCK02"
constexpr int64_t kLayersMax = 4096;

struct FileHeader {
  uint64_t magic;
  uint8_t model[32];
  int64_t version;
  uint64_t term;
  int64_t layers;
};
static_assert(sizeof(FileHeader) == 64);

struct LayerHeader {
  int64_t bytes;
  uint64_t xxh3;
};

}  // namespace

Status write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  FileHeader header{};
  header.magic = kMagic;
  std::memcpy(header.model, checkpoint.model.data(), sizeof(header.model));
  header.version = checkpoint.version;
  header.term = checkpoint.term;
  header.layers = static_cast<int64_t>(checkpoint.snapshots.size());
  std::vector<LayerHeader> layers;
  for (const ConstBufferPtr& snapshot : checkpoint.snapshots) {
    layers.push_back({static_cast<int64_t>(snapshot->size()), xxh3_64(snapshot->bytes())});
  }
  // Written from where the bytes are: a copy of all would be as large as the model's state.
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(std::span(&header, 1))};
  for (size_t i = 0; i < layers.size(); ++i) {
    parts.push_back(std::as_bytes(std::span(&layers[i], 1)));
    parts.push_back(checkpoint.snapshots[i]->bytes());
  }
  const uint64_t whole = xxh3_64_of_parts(parts);
  parts.push_back(std::as_bytes(std::span(&whole, 1)));
  return write_parts_atomic(path, parts);
}

namespace {

// The file piece by piece, into where each belongs: beside a whole copy the state would be in
// memory twice.
class Pieces {
 public:
  explicit Pieces(const std::string& path) : file_(path, std::ios::binary) {
    std::error_code error;
    const uintmax_t bytes = std::filesystem::file_size(path, error);
    if (!error) rest_ = bytes;
  }

  uint64_t rest() const { return rest_; }
  // Returns false when there are not so many bytes.
  bool take(std::span<std::byte> target) {
    if (target.size() > rest_) return false;
    rest_ -= target.size();
    return !!file_.read(reinterpret_cast<char*>(target.data()),
                        static_cast<std::streamsize>(target.size()));
  }
  template <typename T>
  bool take_one(T* value) {
    return take(std::as_writable_bytes(std::span(value, 1)));
  }

 private:
  std::ifstream file_;
  uint64_t rest_ = 0;
};

}  // namespace

Result<Checkpoint> read_checkpoint(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    return invalid_error("%s: there is none: the run has not come to one yet (go on with --resume)",
                         path.c_str());
  }
  if (!std::filesystem::is_regular_file(path)) {
    return invalid_error("%s: not a regular file", path.c_str());
  }
  const auto damaged = [&path](const char* what) {
    return invalid_error("%s: not a usable checkpoint: %s; put a copy of it there", path.c_str(),
                         what);
  };
  Pieces pieces(path);
  FileHeader header{};
  if (!pieces.take_one(&header)) return damaged("it is too short");
  if (header.magic != kMagic) return damaged("another format or format version");
  if (header.layers < 0 || header.layers > kLayersMax) return damaged("a bad number of layers");

  Checkpoint checkpoint;
  std::memcpy(checkpoint.model.data(), header.model, sizeof(header.model));
  checkpoint.version = header.version;
  checkpoint.term = header.term;
  std::vector<LayerHeader> layers(static_cast<size_t>(header.layers));
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(std::span(&header, 1))};
  for (LayerHeader& layer : layers) {
    if (!pieces.take_one(&layer)) return damaged("it ends early");
    if (layer.bytes < 0 || static_cast<uint64_t>(layer.bytes) > pieces.rest()) {
      return damaged("it ends early");
    }
    const BufferPtr snapshot = make_buffer(static_cast<uint64_t>(layer.bytes));
    if (!pieces.take(snapshot->bytes())) return damaged("it ends early");
    if (xxh3_64(snapshot->bytes()) != layer.xxh3) return damaged("a layer's checksum is wrong");
    parts.push_back(std::as_bytes(std::span(&layer, 1)));
    parts.push_back(snapshot->bytes());
    checkpoint.snapshots.push_back(snapshot);
  }
  uint64_t whole = 0;
  if (!pieces.take_one(&whole)) return damaged("it ends early");
  if (pieces.rest() > 0) return damaged("it has bytes too many");
  if (whole != xxh3_64_of_parts(parts)) return damaged("its checksum is wrong");
  return checkpoint;
}

}  // namespace ft
