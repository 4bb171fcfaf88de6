#pragma once

// The make functions of every op, one per file of the same stem; op_table.cpp lists them.

#include "kernels/op.h"

namespace ft {

Result<KernelPlan> make_add(const OpRequest& request);
Result<KernelPlan> make_average_pool(const OpRequest& request);
Result<KernelPlan> make_batch_normalization(const OpRequest& request);
Result<KernelPlan> make_clip(const OpRequest& request);
Result<KernelPlan> make_concat(const OpRequest& request);
Result<KernelPlan> make_conv(const OpRequest& request);
Result<KernelPlan> make_div(const OpRequest& request);
Result<KernelPlan> make_dropout(const OpRequest& request);
Result<KernelPlan> make_flatten(const OpRequest& request);
Result<KernelPlan> make_gemm(const OpRequest& request);
Result<KernelPlan> make_global_average_pool(const OpRequest& request);
Result<KernelPlan> make_hard_sigmoid(const OpRequest& request);
Result<KernelPlan> make_hard_swish(const OpRequest& request);
Result<KernelPlan> make_identity(const OpRequest& request);
Result<KernelPlan> make_instance_normalization(const OpRequest& request);
Result<KernelPlan> make_leaky_relu(const OpRequest& request);
Result<KernelPlan> make_log_softmax(const OpRequest& request);
Result<KernelPlan> make_mat_mul(const OpRequest& request);
Result<KernelPlan> make_max_pool(const OpRequest& request);
Result<KernelPlan> make_mul(const OpRequest& request);
Result<KernelPlan> make_reduce_mean(const OpRequest& request);
Result<KernelPlan> make_relu(const OpRequest& request);
Result<KernelPlan> make_reshape(const OpRequest& request);
Result<KernelPlan> make_sigmoid(const OpRequest& request);
Result<KernelPlan> make_softmax(const OpRequest& request);
Result<KernelPlan> make_squeeze(const OpRequest& request);
Result<KernelPlan> make_sub(const OpRequest& request);
Result<KernelPlan> make_tanh(const OpRequest& request);
Result<KernelPlan> make_transpose(const OpRequest& request);
Result<KernelPlan> make_unsqueeze(const OpRequest& request);

}  // namespace ft
