#include "kernels/ops.h"

namespace ft {
namespace {

// One line per op, in alphabetical order: name, opsets, layout, rows, gradient, maker. An op that
// is not here is refused by the importer.
constexpr Op kOps[] = {
    {"Add", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_add},
    {"AveragePool", 13, 17, LayoutRule::kFeatureMap, RowRule::kPool, true, make_average_pool},
    {"BatchNormalization", 13, 17, LayoutRule::kFeatureMap, RowRule::kBatchNorm, true,
     make_batch_normalization},
    {"Clip", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_clip},
    {"Concat", 13, 17, LayoutRule::kAxis, RowRule::kConcat, true, make_concat},
    {"Conv", 13, 17, LayoutRule::kFeatureMap, RowRule::kConvolution, true, make_conv},
    {"Div", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_div},
    {"Dropout", 13, 17, LayoutRule::kFeatureMap, RowRule::kElementwise, true, make_dropout},
    {"Flatten", 13, 17, LayoutRule::kRowMajor, RowRule::kView, true, make_flatten},
    {"Gemm", 13, 17, LayoutRule::kRowMajor, RowRule::kGemm, true, make_gemm},
    {"GlobalAveragePool", 13, 17, LayoutRule::kFeatureMap, RowRule::kPool, true,
     make_global_average_pool},
    {"HardSigmoid", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true,
     make_hard_sigmoid},
    {"HardSwish", 14, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_hard_swish},
    {"Identity", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_identity},
    {"InstanceNormalization", 13, 17, LayoutRule::kFeatureMap, RowRule::kInstanceNorm, true,
     make_instance_normalization},
    {"LeakyRelu", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_leaky_relu},
    {"LogSoftmax", 13, 17, LayoutRule::kAxis, RowRule::kAxis, true, make_log_softmax},
    {"MatMul", 13, 17, LayoutRule::kRowMajor, RowRule::kMatMul, true, make_mat_mul},
    {"MaxPool", 13, 17, LayoutRule::kFeatureMap, RowRule::kPool, true, make_max_pool},
    {"Mul", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_mul},
    {"ReduceMean", 13, 17, LayoutRule::kRowMajor, RowRule::kReduce, true, make_reduce_mean},
    {"Relu", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_relu},
    {"Reshape", 13, 17, LayoutRule::kRowMajor, RowRule::kView, true, make_reshape},
    {"Sigmoid", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_sigmoid},
    {"Softmax", 13, 17, LayoutRule::kAxis, RowRule::kAxis, true, make_softmax},
    {"Squeeze", 13, 17, LayoutRule::kRowMajor, RowRule::kView, true, make_squeeze},
    {"Sub", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_sub},
    {"Tanh", 13, 17, LayoutRule::kElementwise, RowRule::kElementwise, true, make_tanh},
    {"Transpose", 13, 17, LayoutRule::kRowMajor, RowRule::kTranspose, true, make_transpose},
    {"Unsqueeze", 13, 17, LayoutRule::kRowMajor, RowRule::kView, true, make_unsqueeze},
};

}  // namespace

std::span<const Op> op_table() { return kOps; }

const Op* find_op(std::string_view name) {
  for (const Op& op : kOps) {
    if (name == op.name) return &op;
  }
  return nullptr;
}

}  // namespace ft
