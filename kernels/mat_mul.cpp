// MatMul: Y = A B, numpy's matmul. The last two axes are matrices, the others count matrices and
// broadcast. With G = dY:
//   dA = G B^T, dB = A^T G, summed over the matrices along which an operand was repeated
// https://onnx.ai/onnx/operators/onnx__MatMul.html
//
// A matrix B (a linear layer) makes one product of all rows of A; else every matrix is a task, and
// the products of a repeated operand are added in the order of Y's matrices.

#include "kernels/broadcast.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "kernels/request.h"

namespace ft {
namespace {

GemmShape product(int64_t m, int64_t n, int64_t k) { return {false, false, m, n, k, k, n, n}; }
GemmShape gradient_a(int64_t m, int64_t n, int64_t k) { return {false, true, m, k, n, n, n, k}; }
GemmShape gradient_b(int64_t m, int64_t n, int64_t k) { return {true, false, k, n, m, k, n, n}; }

const float* input(const BackwardArgs& args, size_t index) {
  return static_cast<const float*>(args.inputs[index]);
}

class MatrixKernel final : public Kernel {
 public:
  MatrixKernel(int64_t m, int64_t n, int64_t k) : m_(m), n_(n), k_(k) {}

  void forward(const ForwardArgs& args) const override {
    gemm(product(m_, n_, k_), static_cast<const float*>(args.inputs[0]),
         static_cast<const float*>(args.inputs[1]), nullptr, static_cast<float*>(args.outputs[0]),
         args.pool);
  }

  void backward(const BackwardArgs& args) const override {
    const float* grad_y = args.grad_outputs[0];
    if (float* grad_b = args.grad_inputs[1]) {
      gemm_long_k(gradient_b(m_, n_, k_), input(args, 0), grad_y, grad_b, args.workspace,
                  args.pool);
    }
    if (float* grad_a = args.grad_inputs[0]) {
      gemm(gradient_a(m_, n_, k_), grad_y, input(args, 1), nullptr, grad_a, args.pool);
    }
  }

 private:
  const int64_t m_;
  const int64_t n_;
  const int64_t k_;
};

// Which matrix of an operand each matrix of Y uses, and the other way round.
struct Pairing {
  std::vector<int64_t> used;                // by matrix of Y
  std::vector<std::vector<int64_t>> users;  // by matrix of the operand, ascending

  Pairing(const Shape& operand, const Shape& y) {
    const int missing = y.rank() - operand.rank();
    const int64_t count = y.product(0, y.rank() - 2);
    users.resize(static_cast<size_t>(operand.product(0, operand.rank() - 2)));
    for (int64_t matrix = 0; matrix < count; ++matrix) {
      int64_t rest = matrix;
      int64_t stride = 1;
      int64_t index = 0;
      for (int axis = y.rank() - 3; axis >= missing; --axis) {
        const int64_t dim = operand.dim(axis - missing);
        if (dim != 1) index += rest % y.dim(axis) * stride;
        stride *= dim;
        rest /= y.dim(axis);
      }
      used.push_back(index);
      users[static_cast<size_t>(index)].push_back(matrix);
    }
  }
};

class BatchedKernel final : public Kernel {
 public:
  BatchedKernel(const Shape& a, const Shape& b, const Shape& y)
      : m_(y.dim(y.rank() - 2)),
        n_(y.dim(y.rank() - 1)),
        k_(a.dim(a.rank() - 1)),
        a_(a, y),
        b_(b, y) {}

  void forward(const ForwardArgs& args) const override {
    const float* a = static_cast<const float*>(args.inputs[0]);
    const float* b = static_cast<const float*>(args.inputs[1]);
    float* y = static_cast<float*>(args.outputs[0]);
    args.pool->run(static_cast<int64_t>(a_.used.size()), [&](int64_t matrix) {
      gemm_serial(product(m_, n_, k_), a + a_.used[static_cast<size_t>(matrix)] * m_ * k_,
                  b + b_.used[static_cast<size_t>(matrix)] * k_ * n_, 0.0F, y + matrix * m_ * n_);
    });
  }

  void backward(const BackwardArgs& args) const override {
    const float* grad_y = args.grad_outputs[0];
    const float* a = input(args, 0);
    const float* b = input(args, 1);
    if (float* grad_b = args.grad_inputs[1]) {
      add_over_users(args.pool, b_, [&](int64_t matrix, int64_t user, float beta) {
        gemm_serial(gradient_b(m_, n_, k_), a + a_.used[static_cast<size_t>(user)] * m_ * k_,
                    grad_y + user * m_ * n_, beta, grad_b + matrix * k_ * n_);
      });
    }
    if (float* grad_a = args.grad_inputs[0]) {
      add_over_users(args.pool, a_, [&](int64_t matrix, int64_t user, float beta) {
        gemm_serial(gradient_a(m_, n_, k_), grad_y + user * m_ * n_,
                    b + b_.used[static_cast<size_t>(user)] * k_ * n_, beta,
                    grad_a + matrix * m_ * k_);
      });
    }
  }

 private:
  // Calls multiply(matrix, user, beta) so that the products of a matrix's users add up.
  template <typename Multiply>
  static void add_over_users(ThreadPool* pool, const Pairing& operand, const Multiply& multiply) {
    pool->run(static_cast<int64_t>(operand.users.size()), [&](int64_t matrix) {
      float beta = 0.0F;
      for (const int64_t user : operand.users[static_cast<size_t>(matrix)]) {
        multiply(matrix, user, beta);
        beta = 1.0F;
      }
    });
  }

  const int64_t m_;
  const int64_t n_;
  const int64_t k_;
  const Pairing a_;
  const Pairing b_;
};

Result<Shape> output_shape(const Shape& a, const Shape& b) {
  if (a.rank() < 2 || b.rank() < 2) {
    return invalid_error("%s times %s: vectors are not supported; add a dimension of 1",
                         to_string(a).c_str(), to_string(b).c_str());
  }
  if (a.dim(a.rank() - 1) != b.dim(b.rank() - 2)) {
    return invalid_error("%s times %s: the inner dimensions differ", to_string(a).c_str(),
                         to_string(b).c_str());
  }
  FT_ASSIGN_OR_RETURN(const Shape matrices,
                      broadcast_shape(Shape(a.dims().first(static_cast<size_t>(a.rank() - 2))),
                                      Shape(b.dims().first(static_cast<size_t>(b.rank() - 2)))));
  std::vector<int64_t> dims(matrices.dims().begin(), matrices.dims().end());
  dims.push_back(a.dim(a.rank() - 2));
  dims.push_back(b.dim(b.rank() - 1));
  const Shape y(dims);
  if (!is_sane(y)) return invalid_error("the output would be too large");
  return y;
}

}  // namespace

Result<KernelPlan> make_mat_mul(const OpRequest& request) {
  FT_RETURN_IF_ERROR(check_float_inputs(request, 2, 2));
  const Shape& a = request.inputs[0].type.shape;
  const Shape& b = request.inputs[1].type.shape;
  FT_ASSIGN_OR_RETURN(const Shape y, output_shape(a, b));
  const int64_t k = a.dim(a.rank() - 1);
  const int64_t n = y.dim(y.rank() - 1);
  KernelPlan plan;
  if (b.product(0, b.rank() - 2) == 1) {
    const int64_t rows = a.product(0, a.rank() - 1);
    plan.kernel = std::make_unique<MatrixKernel>(rows, n, k);
    plan.backward_workspace_bytes = gemm_long_k_workspace_bytes(gradient_b(rows, n, k));
  } else {
    plan.kernel = std::make_unique<BatchedKernel>(a, b, y);
  }
  plan.outputs = {{DType::kFloat32, y}};
  plan.saved_inputs = 0b11;
  plan.splits_backward = true;
  plan.flops = 2.0 * static_cast<double>(y.element_count()) * static_cast<double>(k);
  return plan;
}

}  // namespace ft
