// `fashion-mnist` and `idx:DIR`: four IDX files with MNIST's names.

#include <cstdlib>
#include <unistd.h>

#include "runtime/data/array_dataset.h"
#include "runtime/data/idx.h"
#include "runtime/data/sources.h"

namespace ft {
namespace {

constexpr char kFashionMnistDir[] = "/usr/share/datasets/fashion-mnist";
constexpr char kFashionMnistVariable[] = "FTRUN_FASHION_MNIST_DIR";
constexpr int64_t kFashionMnistClasses = 10;
constexpr const char* kPrefixes[] = {"train", "t10k"};  // by Split

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// `stem` itself, or with .gz; empty when there is neither.
std::string find_file(const std::string& stem) {
  if (exists(stem)) return stem;
  return exists(stem + ".gz") ? stem + ".gz" : std::string();
}

Status read_split(const std::string& directory, const std::string& prefix, ArraySplit* split) {
  split->samples_path = find_file(directory + "/" + prefix + "-images-idx3-ubyte");
  split->targets_path = find_file(directory + "/" + prefix + "-labels-idx1-ubyte");
  if (split->samples_path.empty() && split->targets_path.empty() && prefix == kPrefixes[1]) {
    return Status();
  }
  if (split->samples_path.empty() || split->targets_path.empty()) {
    return invalid_error("%s: no %s-%s-ubyte or %s-%s-ubyte.gz; the folder needs images and labels",
                         directory.c_str(), prefix.c_str(),
                         split->samples_path.empty() ? "images-idx3" : "labels-idx1",
                         prefix.c_str(),
                         split->samples_path.empty() ? "images-idx3" : "labels-idx1");
  }
  FT_ASSIGN_OR_RETURN(split->samples, read_idx(split->samples_path));
  FT_ASSIGN_OR_RETURN(split->targets, read_idx(split->targets_path));
  if (const Shape& shape = split->samples.shape; shape.rank() == 3) {
    split->samples.shape = {shape.dim(0), 1, shape.dim(1), shape.dim(2)};
  }
  return Status();
}

Result<std::unique_ptr<Dataset>> open_folder(const std::string& directory, ArraySource source) {
  for (size_t i = 0; i < source.splits.size(); ++i) {
    FT_RETURN_IF_ERROR(read_split(directory, kPrefixes[i], &source.splits[i]));
  }
  return make_array_dataset(std::move(source));
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_fashion_mnist() {
  const char* chosen = std::getenv(kFashionMnistVariable);
  const std::string directory = chosen != nullptr ? chosen : kFashionMnistDir;
  if (!exists(directory)) {
    return invalid_error(
        "%s: not found; install Fashion-MNIST (apt install dataset-fashion-mnist) or name its "
        "folder in %s",
        directory.c_str(), kFashionMnistVariable);
  }
  ArraySource source;
  source.name = "fashion-mnist";
  source.classes = kFashionMnistClasses;
  source.scale = {{0.2860}, {0.3530}, "(x/255 - 0.2860)/0.3530"};
  return open_folder(directory, std::move(source));
}

Result<std::unique_ptr<Dataset>> open_idx(const std::string& directory) {
  if (!exists(directory)) {
    return invalid_error("%s: not found; idx:DIR names the folder of the four IDX files",
                         directory.c_str());
  }
  ArraySource source;
  source.name = "idx:" + directory;
  return open_folder(directory, std::move(source));
}

}  // namespace ft
