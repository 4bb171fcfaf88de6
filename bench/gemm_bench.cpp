// Matrix products of the shapes that training has, by OpenBLAS and by our own product:
// gemm/WHICH/OpenBLAS/M/N/K and gemm/WHICH/own/M/N/K. The counter FLOP is floating-point operations
// per second, packing included.

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/packed_gemm.h"
#include "tests/kernels/op_case.h"

namespace ft {
namespace {

struct Product {
  const char* name;
  GemmShape shape;
};

GemmShape plain(int64_t m, int64_t n, int64_t k) {
  return {.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n};
}
// Weight gradients: dy x^T.
GemmShape with_transposed_b(int64_t m, int64_t n, int64_t k) {
  return {.transpose_b = true, .m = m, .n = n, .k = k, .lda = k, .ldb = k, .ldc = n};
}
// Input gradients: w^T dy.
GemmShape with_transposed_a(int64_t m, int64_t n, int64_t k) {
  return {.transpose_a = true, .m = m, .n = n, .k = k, .lda = m, .ldb = n, .ldc = n};
}

// MobileNetV2 3x32x32 with a batch of 64, a panel of 512 columns; ResNet-18; a classifier.
const std::vector<Product> kProducts = {
    {"expand forward", plain(144, 512, 24)},
    // In NCHW one product an image: 16x16 and 2x2 positions.
    {"expand forward, an image", plain(144, 256, 24)},
    {"project forward, an image", plain(96, 4, 576)},
    {"project weight gradient, an image", with_transposed_b(96, 576, 4)},
    {"expand input gradient", with_transposed_a(24, 512, 144)},
    {"expand weight gradient", with_transposed_b(144, 24, 4096)},
    {"project forward", plain(96, 512, 576)},
    {"project weight gradient", with_transposed_b(96, 576, 1024)},
    {"3x3 forward", plain(128, 512, 1152)},
    {"3x3 input gradient", with_transposed_a(1152, 512, 128)},
    {"classifier", plain(64, 10, 1280)},
};

using Multiply = void (*)(const GemmShape&, const float*, const float*, float, float*);

// What gemm_serial does when it prefers OpenBLAS is timed through it, so that nothing but gemm.cpp
// needs cblas.h.
void add_benchmark(const Product& product, const char* library, Multiply multiply) {
  const GemmShape& shape = product.shape;
  const std::string title = std::string("gemm/") + product.name + "/" + library + "/" +
                            std::to_string(shape.m) + "/" + std::to_string(shape.n) + "/" +
                            std::to_string(shape.k);
  benchmark::RegisterBenchmark(title.c_str(), [=](benchmark::State& state) {
    const std::vector<float> a = random_floats(1, 0, shape.m * shape.k, -1, 1);
    const std::vector<float> b = random_floats(1, 1, shape.k * shape.n, -1, 1);
    std::vector<float> c(static_cast<size_t>(shape.m * shape.n));
    for (auto _ : state) {
      multiply(shape, a.data(), b.data(), 0, c.data());
      benchmark::ClobberMemory();
    }
    const auto flop = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
    state.counters["FLOP"] =
        benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
  });
}

int add_all() {
  const bool has_blas = !prefers_packed_gemm();
  for (const Product& product : kProducts) {
    if (has_blas) add_benchmark(product, "OpenBLAS", gemm_serial);
    add_benchmark(product, "own", packed_gemm);
  }
  return 0;
}

const int kAdded = add_all();

}  // namespace
}  // namespace ft
