#include "kernels/tensor.h"

namespace ft {

std::string to_string(const Shape& shape) {
  if (shape.rank() == 0) return "scalar";
  std::string text;
  for (const int64_t dim : shape.dims()) {
    if (!text.empty()) text += 'x';
    text += std::to_string(dim);
  }
  return text;
}

bool is_sane(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape.dims()) {
    if (dim < 0 || dim > kElementsMax) return false;
    if (dim > 0 && count > kElementsMax / dim) return false;
    count *= dim;
  }
  return true;
}

}  // namespace ft
