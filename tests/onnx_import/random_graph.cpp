#include "tests/onnx_import/random_graph.h"

#include <algorithm>

#include "runtime/base/random.h"

namespace ft {
namespace {

using Ints = std::vector<int64_t>;

class Maker {
 public:
  explicit Maker(uint64_t seed) : seed_(seed) {}

  RandomGraph make() {
    RandomGraph graph;
    const Ints samples[] = {{6}, {3, 4}, {2, 4, 4}};
    shape_ = samples[below(3)];
    graph.sample_elements = count(shape_);
    shape_.insert(shape_.begin(), kRandomGraphBatch);
    graph.writer.input("x", shape_);
    name_ = "x";
    writer_ = &graph.writer;
    const int64_t steps = 1 + below(6);
    for (int64_t i = 0; i < steps; ++i) add_step();
    // Something that trains, and rows again.
    reshape({kRandomGraphBatch, -1});
    linear();
    graph.writer.output(name_);
    return graph;
  }

 private:
  int64_t below(int64_t limit) {
    const auto block = random_block({seed_, RandomPurpose::kSynthetic, 0}, 0, counter_++);
    return static_cast<int64_t>(block[0] % static_cast<uint32_t>(limit));
  }
  static int64_t count(const Ints& shape) {
    int64_t product = 1;
    for (const int64_t dim : shape) product *= dim;
    return product;
  }
  int64_t rank() const { return static_cast<int64_t>(shape_.size()); }
  std::string fresh() { return "v" + std::to_string(++names_); }

  void emit(const std::string& op, std::vector<std::string> more = {},
            const TestAttributes& attributes = {}) {
    more.insert(more.begin(), name_);
    name_ = fresh();
    writer_->node(op, more, {name_}, attributes);
  }

  std::string weight(const Ints& dims) {
    const std::string name = fresh();
    std::vector<float> values(static_cast<size_t>(count(dims)));
    for (float& value : values) value = static_cast<float>(below(2001) - 1000) / 1000.0F;
    writer_->initializer(float_tensor(name, dims, values));
    return name;
  }

  void reshape(const Ints& target) {
    const std::string name = fresh();
    writer_->constant(name, {static_cast<int64_t>(target.size())}, target);
    const int64_t elements = count(shape_);
    emit("Reshape", {name});
    shape_ = target;
    for (int64_t& dim : shape_) {
      if (dim == -1) dim = -elements / count(target);
    }
  }

  // Any shape of as many elements, the batch's divisors among them.
  void any_reshape() {
    int64_t rest = count(shape_);
    Ints target;
    while (rest > 1 && target.size() < 3) {
      Ints divisors;
      for (int64_t d = 2; d <= rest; ++d) {
        if (rest % d == 0) divisors.push_back(d);
      }
      target.push_back(divisors[static_cast<size_t>(below(static_cast<int64_t>(divisors.size())))]);
      rest /= target.back();
    }
    if (rest > 1 || target.empty()) target.push_back(rest);
    reshape(target);
  }

  void linear() {
    emit("MatMul", {weight({shape_.back(), 4})});
    shape_.back() = 4;
  }

  void transpose() {
    Ints perm;
    for (int64_t i = 0; i < rank(); ++i) perm.push_back(i);
    for (int64_t i = rank() - 1; i > 0; --i) {
      std::swap(perm[static_cast<size_t>(i)], perm[static_cast<size_t>(below(i + 1))]);
    }
    Ints shape;
    for (const int64_t axis : perm) shape.push_back(shape_[static_cast<size_t>(axis)]);
    emit("Transpose", {}, {{"perm", perm}});
    shape_ = shape;
  }

  void reduce() {
    const int64_t axis = below(rank());
    const int64_t keep = below(2);
    emit("ReduceMean", {}, {{"axes", Ints{axis}}, {"keepdims", keep}});
    if (keep != 0) {
      shape_[static_cast<size_t>(axis)] = 1;
    } else {
      shape_.erase(shape_.begin() + axis);
    }
  }

  // x - mean(x) over an axis: broadcasting of a value that may have lost the batch.
  void center() {
    const std::string before = name_;
    const int64_t axis = below(rank());
    emit("ReduceMean", {}, {{"axes", Ints{axis}}, {"keepdims", int64_t{1}}});
    const std::string mean = name_;
    name_ = before;
    emit("Sub", {mean});
  }

  void with_parameter() {
    Ints dims = shape_;
    for (int64_t& dim : dims) dim = below(3) == 0 ? dim : 1;
    const char* const ops[] = {"Add", "Mul"};
    emit(ops[below(2)], {weight(dims)});
  }

  void map_op() {
    if (rank() != 4) return reshape({kRandomGraphBatch, -1});
    const int64_t channels = shape_[1];
    switch (below(3)) {
      case 0:
        emit("Conv", {weight({3, channels, 1, 1})});
        shape_[1] = 3;
        return;
      case 1:
        return emit("MaxPool", {}, {{"kernel_shape", Ints{1, 1}}});
      default:
        return emit("BatchNormalization", {weight({channels}), weight({channels}),
                                           weight({channels}), positive({channels})});
    }
  }

  std::string positive(const Ints& dims) {
    const std::string name = fresh();
    writer_->initializer(
        float_tensor(name, dims, std::vector<float>(static_cast<size_t>(count(dims)), 1.0F)));
    return name;
  }

  void concat() {
    const int64_t axis = below(rank());
    emit("Concat", {name_}, {{"axis", axis}});
    shape_[static_cast<size_t>(axis)] *= 2;
  }

  void add_step() {
    if (rank() == 0) return reshape({1, 1});
    if (count(shape_) > 2000) return reduce();
    switch (below(11)) {
      case 0:
        return emit("Relu");
      case 1:
        return emit("Softmax", {}, {{"axis", below(rank())}});
      case 2:
      case 3:
        return transpose();
      case 4:
        return any_reshape();
      case 5:
        return rank() >= 2 ? linear() : any_reshape();
      case 6:
        return reduce();
      case 7:
        return center();
      case 8:
        return with_parameter();
      case 9:
        return map_op();
      default:
        return concat();
    }
  }

  const uint64_t seed_;
  uint64_t counter_ = 0;
  int names_ = 0;
  OnnxWriter* writer_ = nullptr;
  Ints shape_;
  std::string name_;
};

}  // namespace

RandomGraph random_graph(uint64_t seed) { return Maker(seed).make(); }

}  // namespace ft
