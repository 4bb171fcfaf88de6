// Every loop of kernels/simd/loops.h in every table that this machine runs:
// loop/NAME/TABLE/ELEMENTS, once with all arrays in the first cache and once far beyond the last.

#include <benchmark/benchmark.h>
#include <string>
#include <tuple>

#include "kernels/simd/loop_table.h"
#include "tests/kernels/loop_arguments.h"

namespace ft {
namespace {

template <typename R, typename... Parameters>
void add_benchmark(const char* table, const char* name, R (*loop)(Parameters...)) {
  for (const int64_t size : {int64_t{1536}, int64_t{1} << 22}) {
    const std::string title =
        std::string("loop/") + name + "/" + table + "/" + std::to_string(size);
    benchmark::RegisterBenchmark(title.c_str(), [=](benchmark::State& state) {
      LoopArguments arguments(1, size, size);
      std::tuple<Parameters...> values{arguments.make<Parameters>()...};
      for (auto _ : state) {
        if constexpr (std::is_void_v<R>) {
          std::apply(loop, values);
        } else {
          benchmark::DoNotOptimize(std::apply(loop, values));
        }
        benchmark::ClobberMemory();
      }
      state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * size);
    });
  }
}

int add_all() {
  const LoopTable* tables[kLoopTablesMax];
  const int count = runnable_loop_tables(tables);
#define FT_ADD_LOOP(result, loop, parameters, arguments) \
  for (int i = 0; i < count; ++i) add_benchmark(tables[i]->name, #loop, tables[i]->loop);
  FT_LOOPS(FT_ADD_LOOP)
#undef FT_ADD_LOOP
  return count;
}

const int kTables = add_all();

}  // namespace
}  // namespace ft
