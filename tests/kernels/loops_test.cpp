// Every loop of every table against double precision, driven by the list in loops.h.

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <tuple>
#include <vector>

#include "kernels/simd/loop_table.h"
#include "tests/kernels/loop_arguments.h"
#include "tests/kernels/loop_reference.h"

namespace ft {
namespace {

constexpr int64_t kSizeMax = 4099;

// The greatest error of an element, of its expected value's size or of 1, whichever is larger: a
// few roundings, each half of 2^-23. Sums of up to kSizeMax elements of size 1 take as many
// roundings, one after the other in the scalar table.
constexpr float kTolerance = 1e-6F;
constexpr float kSumTolerance = 1e-4F;

bool adds_many(const char* loop) {
  for (const char* name : {"sum", "centered_sums", "dot", "normalize_sums", "fir_weights",
                           "gemm_tile", "shifted_sums"}) {
    if (std::strcmp(loop, name) == 0) return true;
  }
  return false;
}

bool is_near(float a, float b, float tolerance) {
  return std::abs(a - b) <= tolerance * std::max(1.0F, std::abs(b)) ||
         std::memcmp(&a, &b, sizeof a) == 0;
}

template <typename R, typename... Parameters>
void compare(const char* table, const char* name, R (*loop)(Parameters...),
             R (*expected)(Parameters...)) {
  INFO(std::string(table) << " " << name);
  const bool is_exact = std::strcmp(name, "uniform_numbers") == 0;
  const float tolerance = is_exact ? 0 : adds_many(name) ? kSumTolerance : kTolerance;
  for (const int64_t size :
       {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 128, 500, 4098, 4099}) {
    if (size == 0 && std::strcmp(name, "max_element") == 0) continue;
    for (uint64_t seed = 0; seed < 2; ++seed) {
      LoopArguments got(seed, size, kSizeMax);
      LoopArguments wanted(seed, size, kSizeMax);
      // Braces: evaluated from left to right.
      std::tuple<Parameters...> got_values{got.make<Parameters>()...};
      std::tuple<Parameters...> wanted_values{wanted.make<Parameters>()...};
      if constexpr (!std::is_void_v<R>) {
        const float a = std::apply(loop, got_values);
        const float b = std::apply(expected, wanted_values);
        CHECK_MESSAGE(is_near(a, b, tolerance), "size " << size << ": " << a << " and " << b);
      } else {
        std::apply(loop, got_values);
        std::apply(expected, wanted_values);
      }
      for (size_t array = 0; array < wanted.arrays().size(); ++array) {
        for (size_t i = 0; i < wanted.arrays()[array].size(); ++i) {
          const float a = got.arrays()[array][i];
          const float b = wanted.arrays()[array][i];
          if (is_near(a, b, tolerance)) continue;
          FAIL_CHECK("size " << size << ", array " << array << ", element "
                             << static_cast<int64_t>(i) - LoopArguments::kGuard << ": " << a
                             << " and " << b);
          return;
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("loops: every table computes what double precision does") {
  const LoopTable* tables[kLoopTablesMax];
  const int count = runnable_loop_tables(tables);
  CHECK(std::string(tables[0]->name) == "scalar");
  for (int i = 0; i < count; ++i) {
#define FT_COMPARE_LOOP(result, loop, parameters, arguments) \
  compare(tables[i]->name, #loop, tables[i]->loop, reference::loop);
    FT_LOOPS(FT_COMPARE_LOOP)
#undef FT_COMPARE_LOOP
  }
}

TEST_CASE("loops: known values, in every table") {
  const LoopTable* tables[kLoopTablesMax];
  const int count = runnable_loop_tables(tables);
  for (int i = 0; i < count; ++i) {
    const LoopTable& t = *tables[i];
    CAPTURE(t.name);
    // 19 elements: a vector of every width and a tail.
    std::vector<float> x(19);
    for (size_t j = 0; j < x.size(); ++j) x[j] = static_cast<float>(j) - 9;
    x[3] = x[18] = NAN;
    std::vector<float> y(19);
    t.relu(x.data(), y.data(), 19);
    CHECK((y[0] == 0 && std::isnan(y[3]) && y[9] == 0 && y[17] == 8 && std::isnan(y[18])));
    t.clip(x.data(), -2, 6, y.data(), 19);
    CHECK((y[0] == -2 && std::isnan(y[3]) && y[8] == -1 && y[17] == 6 && std::isnan(y[18])));
    const std::vector<float> ones(19, 1.0F);
    t.clip_backward(x.data(), ones.data(), -2, 6, y.data(), 19);
    CHECK((y[7] == 0 && y[8] == 1 && y[14] == 1 && y[15] == 0 && y[16] == 0));
    CHECK(t.sum(ones.data(), 19) == 19);
    float sums[2];
    t.centered_sums(ones.data(), 3, sums, 19);
    CHECK((sums[0] == -2 * 19 && sums[1] == 4 * 19));
    CHECK(t.dot(ones.data(), ones.data(), 19) == 19);
    CHECK(t.max_element(x.data() + 4, 14) == 8);
    // Element 9 was the largest for tap 0, which sees it at 11, and for tap 1, at 8.
    std::vector<float> winners(kShiftedColumns + 8, 7.0F);
    winners[4 + 11] = 0;
    winners[4 + 8] = 1;
    const std::vector<float> gradients(kShiftedColumns + 8, 0.5F);
    const std::vector<int64_t> shifts = {2, -1};
    const std::vector<float> marks = {0, 1};
    std::vector<float> marked(kShiftedColumns, -1.0F);
    const ShiftedMarks seen = {kShiftedColumns, 2, shifts.data(), marks.data()};
    t.shifted_marked(&seen, winners.data() + 4, gradients.data() + 4, marked.data());
    CHECK((marked[8] == 0 && marked[9] == 1 && marked[10] == 0 && marked[31] == 0));
    // Two rows of 23 pairs: 0 1 2 ... 45, then the same plus 100.
    std::vector<float> pairs(100);
    for (size_t j = 0; j < 100; ++j) pairs[j] = static_cast<float>(j % 50) + (j < 50 ? 0 : 100);
    std::vector<float> first(60, -1.0F);
    std::vector<float> second(60, -1.0F);
    const PairRows rows = {.rows = 2, .count = 46, .paired_step = 50, .split_step = 30};
    t.split_pairs(rows, pairs.data(), first.data(), second.data());
    CHECK((first[0] == 0 && second[0] == 1 && first[22] == 44 && second[22] == 45));
    CHECK((first[23] == -1 && first[30] == 100 && second[52] == 145 && second[53] == -1));
    std::vector<float> merged(100, -1.0F);
    t.merge_pairs(rows, first.data(), second.data(), merged.data());
    CHECK((merged[0] == 0 && merged[45] == 45 && merged[46] == -1 && merged[95] == 145));
    const PairRows odd = {.rows = 2, .count = 47, .paired_step = 50, .split_step = 30};
    t.split_pairs(odd, pairs.data(), first.data(), second.data());
    CHECK((first[23] == 46 && second[23] == -1 && first[53] == 146));
    t.merge_pairs(odd, first.data(), second.data(), merged.data());
    CHECK((merged[46] == 46 && merged[47] == -1 && merged[96] == 146));
  }
}

TEST_CASE("loops: the table in use is one that this machine can run") {
  const LoopTable* tables[kLoopTablesMax];
  const int count = runnable_loop_tables(tables);
  const char* wanted = std::getenv("FTRUN_SIMD");
  bool is_known = false;
  for (int i = 0; i < count; ++i) {
    is_known = is_known || simd_description() == tables[i]->name;
    if (wanted != nullptr && std::string(wanted) == tables[i]->name) {
      CHECK(simd_description() == wanted);
    }
  }
  CHECK(is_known);
}

}  // namespace ft
