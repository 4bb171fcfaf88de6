#include "kernels/gemm.h"

#include <cmath>
#include <cstring>
#include <doctest/doctest.h>
#include <vector>

#include "kernels/packed_gemm.h"
#include "tests/kernels/op_case.h"

namespace ft {
namespace {

struct Problem {
  GemmShape shape;
  std::vector<float> a, b, c;
};

// Leading dimensions leave a gap of three, and C's gap must survive.
Problem make_problem(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b) {
  Problem p;
  p.shape = {.transpose_a = transpose_a, .transpose_b = transpose_b, .m = m, .n = n, .k = k};
  p.shape.lda = (transpose_a ? m : k) + 3;
  p.shape.ldb = (transpose_b ? k : n) + 3;
  p.shape.ldc = n + 3;
  p.a = random_floats(1, 0, (transpose_a ? k : m) * p.shape.lda, -1, 1);
  p.b = random_floats(1, 1, (transpose_b ? n : k) * p.shape.ldb, -1, 1);
  p.c = random_floats(1, 2, m * p.shape.ldc, -1, 1);
  return p;
}

std::vector<float> naive(const Problem& p, double beta) {
  const GemmShape& s = p.shape;
  std::vector<float> result = p.c;
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < s.k; ++l) {
        const double left = p.a[static_cast<size_t>(s.transpose_a ? l * s.lda + i : i * s.lda + l)];
        const double right =
            p.b[static_cast<size_t>(s.transpose_b ? j * s.ldb + l : l * s.ldb + j)];
        sum += left * right;
      }
      float& c = result[static_cast<size_t>(i * s.ldc + j)];
      c = static_cast<float>(sum + (beta == 0 ? 0 : beta * static_cast<double>(c)));
    }
  }
  return result;
}

bool is_near(const std::vector<float>& got, const std::vector<float>& expected, int64_t k) {
  const float tolerance = 1e-6F * std::sqrt(static_cast<float>(k + 1)) * 4;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!(std::abs(got[i] - expected[i]) <= tolerance)) {
      MESSAGE("element " << i << ": " << got[i] << " instead of " << expected[i]);
      return false;
    }
  }
  return true;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> run_gemm(const Problem& p, const std::vector<float>& bias, int threads) {
  ThreadPool pool(threads);
  std::vector<float> c = p.c;
  for (int64_t i = 0; i < p.shape.m; ++i) {  // what C held before must not matter
    std::fill_n(c.begin() + i * p.shape.ldc, p.shape.n, NAN);
  }
  gemm(p.shape, p.a.data(), p.b.data(), bias.empty() ? nullptr : bias.data(), c.data(), &pool);
  return c;
}

std::vector<float> run_gemm_serial(const Problem& p, float beta) {
  std::vector<float> c = p.c;
  gemm_serial(p.shape, p.a.data(), p.b.data(), beta, c.data());
  return c;
}

// C holds row's bias everywhere but in its gap.
Problem with_bias(Problem p, const std::vector<float>& bias) {
  for (int64_t i = 0; i < p.shape.m; ++i) {
    std::fill_n(p.c.begin() + i * p.shape.ldc, p.shape.n, bias[static_cast<size_t>(i)]);
  }
  return p;
}

std::vector<float> run_long_k(const Problem& p, int threads) {
  ThreadPool pool(threads);
  std::vector<float> c = p.c;
  std::vector<std::byte> workspace(static_cast<size_t>(gemm_long_k_workspace_bytes(p.shape)),
                                   std::byte{0xFF});
  gemm_long_k(p.shape, p.a.data(), p.b.data(), c.data(), workspace.data(), &pool);
  return c;
}

}  // namespace

TEST_CASE("gemm: the product, for all transpositions, in panels of columns and rows") {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                                   {7, 9, 12},
                                   {17, 1031, 24},
                                   {300, 63, 129},
                                   {130, 3000, 9},
                                   {5, 4, 0}}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        const Problem p = make_problem(m, n, k, transpose_a, transpose_b);
        const std::vector<float> bias = random_floats(1, 3, m, -1, 1);
        CHECK(is_near(run_gemm(p, {}, 1), naive(p, 0), k));
        CHECK(is_near(run_gemm(p, bias, 1), naive(with_bias(p, bias), 1), k));
        CHECK(is_near(run_gemm_serial(p, 1.0F), naive(p, 1), k));
      }
    }
  }
}

TEST_CASE("gemm: the same bits for any number of threads") {
  for (const auto [m, n, k] :
       {std::array<int64_t, 3>{24, 5000, 96}, {320, 64, 960}, {257, 300, 100}, {64, 1024, 576}}) {
    const Problem p = make_problem(m, n, k, false, true);
    const auto expected = run_gemm(p, {}, 1);
    for (const int threads : {2, 3, 5}) CHECK(same_bits(run_gemm(p, {}, threads), expected));
  }
}

TEST_CASE("gemm_long_k: chunks of k add up, with the same bits for any number of threads") {
  for (const auto [m, n, k] : {std::array<int64_t, 3>{7, 9, 100},
                               {24, 17, 2047},
                               {24, 17, 2048},
                               {33, 65, 5003},
                               {3, 5, 40001},
                               {520, 516, 3000}}) {
    CAPTURE(k);
    const Problem p = make_problem(m, n, k, false, true);
    const auto expected = run_long_k(p, 1);
    CHECK(is_near(expected, naive(p, 0), k));
    for (const int threads : {2, 3, 5}) CHECK(same_bits(run_long_k(p, threads), expected));
  }
}

TEST_CASE("packed gemm: the product, for all transpositions, in tiles that stick out") {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                                   {6, 16, 256},
                                   {7, 17, 257},
                                   {97, 31, 513},
                                   {5, 300, 12},
                                   {130, 259, 65}}) {
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        const Problem p = make_problem(m, n, k, transpose_a, transpose_b);
        for (const float beta : {0.0F, 1.0F, 0.5F}) {
          std::vector<float> c = p.c;
          for (int64_t i = 0; beta == 0 && i < m; ++i) {
            std::fill_n(c.begin() + i * p.shape.ldc, n, NAN);
          }
          packed_gemm(p.shape, p.a.data(), p.b.data(), beta, c.data());
          CHECK(is_near(c, naive(p, static_cast<double>(beta)), k));
        }
      }
    }
  }
}

TEST_CASE("packed gemm: a column's bits do not depend on how many are beside it") {
  const Problem p = make_problem(20, 40, 600, false, false);
  std::vector<float> whole = p.c;
  packed_gemm(p.shape, p.a.data(), p.b.data(), 0.0F, whole.data());
  std::vector<float> parts = p.c;
  for (const auto [first, count] : {std::array<int64_t, 2>{0, 13}, {13, 27}}) {
    GemmShape shape = p.shape;
    shape.n = count;
    packed_gemm(shape, p.a.data(), p.b.data() + first, 0.0F, parts.data() + first);
  }
  CHECK(same_bits(whole, parts));
}

TEST_CASE("gemm: the library names itself") {
  if (prefers_packed_gemm()) {
    CHECK(blas_description() == "own GEMM");
    return;
  }
  CHECK(blas_description().starts_with("OpenBLAS 0."));
  CHECK(blas_description().size() > std::string("OpenBLAS 0.3.21").size());
}

TEST_CASE("gemm: a CPU that OpenBLAS does not know gets the kernels that it can run") {
  CHECK(missed_blas_core("Prescott", "avx512") == "SKYLAKEX");
  CHECK(missed_blas_core("Prescott", "avx2") == "HASWELL");
  CHECK(missed_blas_core("Prescott", "sse2").empty());
  CHECK(missed_blas_core("Haswell", "avx512").empty());
  CHECK(missed_blas_core("neoversen1", "neon").empty());
}

}  // namespace ft
