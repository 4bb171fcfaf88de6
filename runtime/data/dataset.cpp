#include "runtime/data/dataset.h"

#include "runtime/data/sources.h"

namespace ft {
namespace {

constexpr char kKnown[] =
    "fashion-mnist, idx:DIR, cifar10:DIR, npy:X,Y[,XTEST,YTEST], "
    "synthetic:SHAPE:CLASSES[:COUNT]";

}  // namespace

std::string rows_text(std::span<const int64_t> row) {
  std::string text = "[N";
  for (const int64_t dim : row) text += ", " + std::to_string(dim);
  return text + "]";
}

Result<std::unique_ptr<Dataset>> open_dataset(const std::string& spec, uint64_t seed,
                                              TargetKind targets) {
  const size_t colon = spec.find(':');
  const std::string kind = spec.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (spec == "fashion-mnist") return open_fashion_mnist();
  if (!rest.empty()) {
    if (kind == "idx") return open_idx(rest);
    if (kind == "cifar10") return open_cifar10(rest);
    if (kind == "npy") return open_npy(rest, targets);
    if (kind == "synthetic") return open_synthetic(rest, seed);
    if (kind == "images" || kind == "csv") {
      return invalid_error("--data %s: '%s' is not read yet; convert it with numpy and use npy:X,Y",
                           spec.c_str(), kind.c_str());
    }
  }
  return invalid_error("--data %s: not a dataset; known are %s", spec.c_str(), kKnown);
}

}  // namespace ft
