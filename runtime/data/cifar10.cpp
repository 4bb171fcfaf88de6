// `cifar10:DIR`: the binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of one
// label and 3 x 32 x 32 bytes, channel outermost.

#include <cinttypes>
#include <cstring>
#include <filesystem>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/data/array_dataset.h"
#include "runtime/data/sources.h"

namespace ft {
namespace {

constexpr int64_t kClasses = 10;
constexpr size_t kImageBytes = 3 * 32 * 32;
constexpr size_t kRecordBytes = 1 + kImageBytes;
constexpr int kTrainFiles = 5;
constexpr int64_t kFileBytesMax = int64_t{1} << 30;

// Labels and images apart, in the order of the files.
Status read_split(const std::vector<std::string>& paths, ArraySplit* split) {
  // One file at a time beside what is made of them.
  size_t count = 0;
  for (const std::string& path : paths) {
    std::error_code error;
    const uintmax_t bytes = std::filesystem::file_size(path, error);
    if (!error && bytes <= kFileBytesMax) count += static_cast<size_t>(bytes / kRecordBytes);
  }
  const BufferPtr images = make_buffer(count * kImageBytes);
  const BufferPtr labels = make_buffer(count);
  size_t row = 0;
  for (const std::string& path : paths) {
    FT_ASSIGN_OR_RETURN(const BufferPtr file, read_file(path, kFileBytesMax));
    if (file->size() == 0 || file->size() % kRecordBytes != 0) {
      return invalid_error(
          "%s: %zu bytes are not a whole number of records of %zu; it is damaged or was cut off: "
          "unpack cifar-10-binary.tar.gz again",
          path.c_str(), file->size(), kRecordBytes);
    }
    if (file->size() / kRecordBytes > count - row) {
      return invalid_error("%s: it grew while it was read; try again", path.c_str());
    }
    for (size_t i = 0; i < file->size() / kRecordBytes; ++i, ++row) {
      const std::byte* record = file->data() + i * kRecordBytes;
      // Said here and not in check_labels, which does not know the file.
      if (const int label = static_cast<int>(record[0]); label >= kClasses) {
        return invalid_error("%s: label %d at index %zu is outside 0..%" PRId64 " (%" PRId64
                             " classes)",
                             path.c_str(), label, i, kClasses - 1, kClasses);
      }
      labels->data()[row] = record[0];
      std::memcpy(images->data() + row * kImageBytes, record + 1, kImageBytes);
    }
  }
  if (row != count) return invalid_error("%s: it shrank while it was read", paths[0].c_str());
  const int64_t rows = static_cast<int64_t>(count);
  split->samples_path = split->targets_path = paths[0];
  split->samples = {NumberType::kUint8, {rows, 3, 32, 32}, images, 0};
  split->targets = {NumberType::kUint8, {rows}, labels, 0};
  return Status();
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_cifar10(const std::string& directory) {
  ArraySource source;
  source.name = "cifar10:" + directory;
  source.classes = kClasses;
  source.scale = {{0.4914, 0.4822, 0.4465},
                  {0.2470, 0.2435, 0.2616},
                  "(x/255 - (0.4914, 0.4822, 0.4465))/(0.2470, 0.2435, 0.2616)"};
  std::vector<std::string> paths;
  for (int i = 1; i <= kTrainFiles; ++i) {
    paths.push_back(directory + "/data_batch_" + std::to_string(i) + ".bin");
    if (::access(paths.back().c_str(), F_OK) == 0) continue;
    return invalid_error(
        "%s: not found; cifar10:DIR names the folder with data_batch_1.bin to data_batch_5.bin of "
        "cifar-10-binary.tar.gz",
        paths.back().c_str());
  }
  FT_RETURN_IF_ERROR(read_split(paths, &source.splits[0]));
  const std::string test_path = directory + "/test_batch.bin";
  if (::access(test_path.c_str(), F_OK) == 0) {
    FT_RETURN_IF_ERROR(read_split({test_path}, &source.splits[1]));
  }
  return make_array_dataset(std::move(source));
}

}  // namespace ft
