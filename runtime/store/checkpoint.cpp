#include "runtime/store/checkpoint.h"

#include <cstring>
#include <filesystem>

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

Result<Checkpoint> read_checkpoint(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    return invalid_error("%s: there is none: the run has not come to one yet (go on with --resume)",
                         path.c_str());
  }
  FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(path));
  const auto damaged = [&path](const char* what) {
    return invalid_error("%s: not a usable checkpoint: %s; put a copy of it there", path.c_str(),
                         what);
  };
  if (file->size() < sizeof(FileHeader) + sizeof(uint64_t)) return damaged("it is too short");
  FileHeader header{};
  std::memcpy(&header, file->data(), sizeof(header));
  if (header.magic != kMagic) return damaged("another format or format version");
  const size_t end = file->size() - sizeof(uint64_t);
  uint64_t whole = 0;
  std::memcpy(&whole, file->data() + end, sizeof(whole));
  if (whole != xxh3_64(file->bytes().first(end))) return damaged("its checksum is wrong");
  if (header.layers < 0 || header.layers > kLayersMax) return damaged("a bad number of layers");

  Checkpoint checkpoint;
  std::memcpy(checkpoint.model.data(), header.model, sizeof(header.model));
  checkpoint.version = header.version;
  checkpoint.term = header.term;
  size_t at = sizeof(FileHeader);
  for (int64_t i = 0; i < header.layers; ++i) {
    LayerHeader layer{};
    if (end - at < sizeof(layer)) return damaged("it ends early");
    std::memcpy(&layer, file->data() + at, sizeof(layer));
    at += sizeof(layer);
    if (layer.bytes < 0 || static_cast<uint64_t>(layer.bytes) > end - at) {
      return damaged("it ends early");
    }
    BufferPtr snapshot = make_buffer(layer.bytes);
    std::memcpy(snapshot->data(), file->data() + at, snapshot->size());
    if (xxh3_64(snapshot->bytes()) != layer.xxh3) return damaged("a layer's checksum is wrong");
    checkpoint.snapshots.push_back(std::move(snapshot));
    at += static_cast<size_t>(layer.bytes);
  }
  if (at != end) return damaged("it has bytes too many");
  return checkpoint;
}

}  // namespace ft
