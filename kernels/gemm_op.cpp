// Gemm: Y = alpha op(A) op(B) + beta C, with op a transposition if transA or transB says so, and C
// broadcast to [M, N]. With G = dY:
//   d op(A) = alpha G op(B)^T, d op(B) = alpha op(A)^T G, dC = beta G summed over repeated axes
// https://onnx.ai/onnx/operators/onnx__Gemm.html

#include <cstring>

#include "kernels/broadcast.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "kernels/reduction.h"
#include "kernels/request.h"

namespace ft {
namespace {

struct GemmOp {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1;
  float beta = 1;
  bool has_c = false;
  bool c_varies_by_row = false;
  bool c_varies_by_column = false;

  int64_t lda() const { return transpose_a ? m : k; }
  int64_t ldb() const { return transpose_b ? k : n; }
};

GemmShape forward_shape(const GemmOp& g) {
  return {g.transpose_a, g.transpose_b, g.m, g.n, g.k, g.lda(), g.ldb(), g.n};
}

// dA = G op(B)^T, or transposed: op(B) G^T.
GemmShape gradient_a_shape(const GemmOp& g) {
  if (g.transpose_a) return {g.transpose_b, true, g.k, g.m, g.n, g.ldb(), g.n, g.m};
  return {false, !g.transpose_b, g.m, g.k, g.n, g.n, g.ldb(), g.k};
}

// dB = op(A)^T G, or transposed: G^T op(A).
GemmShape gradient_b_shape(const GemmOp& g) {
  if (g.transpose_b) return {true, g.transpose_a, g.n, g.k, g.m, g.n, g.lda(), g.k};
  return {!g.transpose_a, false, g.k, g.n, g.m, g.lda(), g.n, g.n};
}

void scale_all(float* x, float factor, int64_t count, ThreadPool* pool) {
  if (factor == 1.0F) return;
  parallel_for_elements(pool, count, [&](int64_t first, int64_t last) {
    loops::scale(x + first, factor, x + first, last - first);
  });
}

// C's axes within [M, N].
MergedAxes axes_of_c(const GemmOp& g) {
  return merge_axes({g.m, g.n}, {g.c_varies_by_row ? 1 : 0, g.c_varies_by_column ? 1 : 0}, 1);
}

std::vector<bool> kept_axes(const MergedAxes& axes) {
  return {axes.labels.begin(), axes.labels.end()};
}

class GemmKernel final : public Kernel {
 public:
  explicit GemmKernel(const GemmOp& op)
      : op_(op), c_axes_(axes_of_c(op)), sum_to_c_(c_axes_, kept_axes(c_axes_)) {}

  void forward(const ForwardArgs& args) const override {
    const float* a = static_cast<const float*>(args.inputs[0]);
    const float* b = static_cast<const float*>(args.inputs[1]);
    float* y = static_cast<float*>(args.outputs[0]);
    gemm(forward_shape(op_), a, b, nullptr, y, args.pool);
    scale_all(y, op_.alpha, op_.m * op_.n, args.pool);
    if (op_.has_c) add_c(static_cast<const float*>(args.inputs[2]), y, args.pool);
  }

  void backward(const BackwardArgs& args) const override {
    const float* a = static_cast<const float*>(args.inputs[0]);
    const float* b = static_cast<const float*>(args.inputs[1]);
    const float* grad_y = args.grad_outputs[0];
    if (op_.has_c && args.grad_inputs[2] != nullptr) {
      gradient_c(grad_y, args.grad_inputs[2], args.pool);
    }
    if (float* grad_b = args.grad_inputs[1]) {
      const float* left = op_.transpose_b ? grad_y : a;
      const float* right = op_.transpose_b ? a : grad_y;
      gemm_long_k(gradient_b_shape(op_), left, right, grad_b, args.workspace, args.pool);
      scale_all(grad_b, op_.alpha, op_.k * op_.n, args.pool);
    }
    if (float* grad_a = args.grad_inputs[0]) {
      const float* left = op_.transpose_a ? b : grad_y;
      const float* right = op_.transpose_a ? grad_y : b;
      gemm(gradient_a_shape(op_), left, right, nullptr, grad_a, args.pool);
      scale_all(grad_a, op_.alpha, op_.m * op_.k, args.pool);
    }
  }

 private:
  void add_c(const float* c, float* y, ThreadPool* pool) const {
    const int64_t row_stride = !op_.c_varies_by_row ? 0 : op_.c_varies_by_column ? op_.n : 1;
    parallel_for_rows(pool, op_.m, op_.n, [&](int64_t row) {
      const float* source = c + row * row_stride;
      float* target = y + row * op_.n;
      if (op_.c_varies_by_column) {
        loops::axpy(op_.beta, source, target, op_.n);
      } else {
        loops::add_scalar(target, op_.beta * *source, target, op_.n);
      }
    });
  }

  void gradient_c(const float* grad_y, float* grad_c, ThreadPool* pool) const {
    const auto term = [&](int64_t row, int64_t column, int64_t count, float* buffer) {
      loops::scale(grad_y + row * c_axes_.row_length() + column, op_.beta, buffer, count);
    };
    sum_to_c_.run(pool, term, grad_c);
  }

  const GemmOp op_;
  const MergedAxes c_axes_;
  const Reduction sum_to_c_;
};

Status read_attributes(const Attributes& attributes, GemmOp* op) {
  FT_ASSIGN_OR_RETURN(op->alpha, attributes.get_float("alpha", 1.0F));
  FT_ASSIGN_OR_RETURN(op->beta, attributes.get_float("beta", 1.0F));
  FT_ASSIGN_OR_RETURN(const int64_t transpose_a, attributes.get_int("transA", 0));
  FT_ASSIGN_OR_RETURN(const int64_t transpose_b, attributes.get_int("transB", 0));
  op->transpose_a = transpose_a != 0;
  op->transpose_b = transpose_b != 0;
  return {};
}

Status read_shapes(const OpRequest& request, GemmOp* op) {
  const Shape& a = request.inputs[0].type.shape;
  const Shape& b = request.inputs[1].type.shape;
  if (a.rank() != 2 || b.rank() != 2) {
    return invalid_error("A %s and B %s must be matrices", to_string(a).c_str(),
                         to_string(b).c_str());
  }
  op->m = a.dim(op->transpose_a ? 1 : 0);
  op->k = a.dim(op->transpose_a ? 0 : 1);
  op->n = b.dim(op->transpose_b ? 0 : 1);
  if (b.dim(op->transpose_b ? 1 : 0) != op->k) {
    return invalid_error("A %s and B %s do not fit (transA=%d, transB=%d)", to_string(a).c_str(),
                         to_string(b).c_str(), op->transpose_a ? 1 : 0, op->transpose_b ? 1 : 0);
  }
  op->has_c = has_input(request, 2);
  if (!op->has_c) return {};
  const Shape& c = request.inputs[2].type.shape;
  const Shape y = {op->m, op->n};
  const Result<Shape> together = broadcast_shape(c, y);
  if (c.rank() > 2 || !together.ok() || !(*together == y)) {
    return invalid_error("C %s does not broadcast to %s", to_string(c).c_str(),
                         to_string(y).c_str());
  }
  op->c_varies_by_column = c.rank() > 0 && c.dim(c.rank() - 1) != 1;
  op->c_varies_by_row = c.rank() == 2 && c.dim(0) != 1;
  return {};
}

}  // namespace

Result<KernelPlan> make_gemm(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 2, 3));
  GemmOp op;
  FT_RETURN_IF_ERROR(read_attributes(*request.attributes, &op));
  FT_RETURN_IF_ERROR(read_shapes(request, &op));
  const Shape y = {op.m, op.n};
  if (!is_sane(y)) return invalid_error("the output would be too large");
  KernelPlan plan;
  plan.kernel = std::make_unique<GemmKernel>(op);
  plan.outputs = {{DType::kFloat32, y}};
  plan.saved_inputs = 0b011;
  plan.splits_backward = true;
  plan.backward_workspace_bytes = gemm_long_k_workspace_bytes(gradient_b_shape(op));
  plan.flops = 2.0 * static_cast<double>(y.element_count()) * static_cast<double>(op.k);
  return plan;
}

}  // namespace ft
